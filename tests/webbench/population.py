"""A database as years of use leave it: one person with very many analyses, others beside them, a queue.

Rows are made in bulk and name pictures that are not there: no page that is measured opens one.
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from accounts.models import User
from analysis.models import Analysis, FaceTrack, ModelVersion, State, Verdict, Video
from tests.analysis.builders import make_report

OTHERS = 10  # people; together they have a fifth as many analyses as the person
WAITING = 3  # of each
AT_ONCE = 250  # analyses whose rows are written together
APART = timedelta(minutes=30)  # between an analysis and the next one of anybody

_FRAMES = """
WITH RECURSIVE number(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n + 1 < %s)
INSERT INTO analysis_annotatedframe (analysis_id, "index", time_s, picture)
SELECT analysis_id, n, n, 'analyses/' || analysis_id || '/1-past/frame-' || n || '.jpg' FROM analysis_facetrack, number
"""
_SAMPLES = """
WITH RECURSIVE number(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n + 1 < %s)
INSERT INTO analysis_facesample
    (track_id, frame_index, time_s, x0, y0, x1, y1, probability_fake, face_px, sharpness, usable, crop, heatmap)
SELECT
    id, n, n, 100, 50, 200, 150, 0.5, 100, 250.0, 1,
    'analyses/' || analysis_id || '/1-past/crop-' || n || '.jpg',
    'analyses/' || analysis_id || '/1-past/heatmap-' || n || '.jpg'
FROM analysis_facetrack, number
"""


@dataclass(frozen=True)
class Population:
    """Who is in the database, and one analysis of the person for each kind of page."""

    person: User
    staff: User
    finished: Analysis
    waiting: Analysis
    running: Analysis


def fill(count: int, frames: int) -> Population:
    """``count`` analyses of one person, each done one with a face in ``frames`` frames; a tenth failed or cancelled.

    ``count`` is 20 at least.
    """
    person = User.objects.create_user("reader@example.org", max_queued=100)
    others = [User.objects.create_user(f"other{number}@example.org") for number in range(OTHERS)]
    model = ModelVersion.objects.create(name="measured", version="1", sha256="ab" * 32, is_active=True)
    report = make_report(samples=frames).to_json()
    total = count + count // 5
    for start in range(0, total, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, total))
        owners = [others[number // 6 % OTHERS] if number % 6 == 5 else person for number in numbers]
        _write([_past(owner, model, number, frames, report) for owner, number in zip(owners, numbers, strict=True)])
    _write([_waiting(owner, number) for owner in (person, *others) for number in range(WAITING)])
    _write([_running(person, model)])
    Analysis.objects.update(created_at=F("queued_at"))  # they are made with the time of now
    _draw(frames)
    mine = Analysis.objects.filter(video__owner=person)
    return Population(
        person=person,
        staff=User.objects.create_superuser("staff@example.org"),
        finished=mine.filter(state=State.DONE).order_by("created_at")[count // 2],
        waiting=mine.filter(state=State.QUEUED).order_by("-queued_at")[0],
        running=mine.get(state=State.RUNNING),
    )


def _past(owner: User, model: ModelVersion, number: int, frames: int, report: dict[str, Any]) -> Analysis:
    at = timezone.now() - timedelta(days=1) - number * APART
    ended = {"started_at": at, "finished_at": at + timedelta(seconds=20), "model_version": model}
    if number % 20 == 7:
        ended |= {"state": State.FAILED, "error_code": "internal"}
    elif number % 20 == 13:
        ended |= {"state": State.CANCELLED}
    else:
        found = {"verdict": Verdict.values[number % 3], "probability_fake": 0.5, "confidence": 0.6, "share": 1.0}
        ended |= {"state": State.DONE, "report": report, **found}
    return Analysis(video=_video(owner, f"clip {number}"), frames_requested=frames, queued_at=at, **ended)


def _waiting(owner: User, number: int) -> Analysis:
    at = timezone.now() - timedelta(seconds=number)
    return Analysis(video=_video(owner, f"waiting {number}"), frames_requested=60, state=State.QUEUED, queued_at=at)


def _running(owner: User, model: ModelVersion) -> Analysis:
    now = timezone.now()
    values = {"started_at": now, "heartbeat_at": now, "lease_expires_at": now + timedelta(hours=1), "worker": "none:1"}
    stands = {"state": State.RUNNING, "stage": "faces", "share": 0.4}
    video = _video(owner, "running")
    return Analysis(video=video, frames_requested=60, model_version=model, queued_at=now, **values, **stands)


def _video(owner: User, name: str) -> Video:
    sha256 = hashlib.sha256(f"{name} of {owner.pk}".encode()).hexdigest()
    kind = {"container": "mov,mp4,m4a,3gp,3g2,mj2", "codec": "h264", "width": 1920, "height": 1080}
    length = {"size_bytes": 20_000_000, "duration_s": 60.0, "frame_rate": 25.0}
    video = Video(owner=owner, name=f"{name}.mp4", sha256=sha256, **kind, **length)
    video.file.name, video.poster.name = f"videos/{video.pk}/original", f"videos/{video.pk}/poster.jpg"
    return video


def _write(analyses: list[Analysis]) -> None:
    with transaction.atomic():
        Video.objects.bulk_create(analysis.video for analysis in analyses)
        Analysis.objects.bulk_create(analyses)
        FaceTrack.objects.bulk_create(_track(analysis) for analysis in analyses if analysis.state == State.DONE)


def _track(analysis: Analysis) -> FaceTrack:
    found = {"verdict": analysis.verdict, "probability_fake": 0.5, "confidence": 0.6}
    return FaceTrack(analysis=analysis, index=0, first_s=0.0, last_s=59.0, **found)


def _draw(frames: int) -> None:
    """A picture of each frame, and a crop and a heatmap of each face, for all tracks at once: there are very many."""
    with connection.cursor() as cursor:
        for statement in (_FRAMES, _SAMPLES):
            cursor.execute(statement, [frames])
