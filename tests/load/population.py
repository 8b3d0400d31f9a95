"""``python -m tests.load.population``: accounts at the site of DATA_DIR, each with finished analyses of some days ago.

Reads from standard input, as JSON, who takes part. Rows are made in bulk, since one by one they would take longer than
the run.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tests.load.plan import PAST, Participant, Role

if TYPE_CHECKING:
    from analysis.models import Analysis, AnnotatedFrame, FaceSample, FaceTrack, ModelVersion, Video

PICTURES = 10  # frames in each finished analysis; each has a crop and a heatmap, too
AGE_DAYS = 20


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.load.settings")
    import django

    django.setup()
    everybody = [Participant.from_json(values) for values in json.load(sys.stdin)]
    for who in everybody:
        make_past(make_account(who), PAST)
    return 0


def make_account(who: Participant) -> int:
    """The account's key."""
    from django.contrib.auth import get_user_model

    from tests.faults.person import PASSWORD

    staff = {"is_staff": True, "is_superuser": True} if who.role == Role.STAFF else {}
    return int(get_user_model().objects.create_user(who.address, PASSWORD, **staff, **who.quotas).pk)


def make_past(owner_pk: int, count: int) -> None:
    """``count`` finished analyses of as many videos, which count against no quota of the day."""
    from django.db import transaction

    from analysis.models import Analysis, AnnotatedFrame, FaceSample, FaceTrack, ModelVersion, Video

    model, _made = ModelVersion.objects.get_or_create(name="stand-in", version="1", sha256="ab" * 32)
    videos = [_video(owner_pk, number) for number in range(count)]
    analyses = [_analysis(video, model, number) for number, video in enumerate(videos)]
    tracks = [_track(analysis) for analysis in analyses]
    with transaction.atomic():
        Video.objects.bulk_create(videos)
        Analysis.objects.bulk_create(analyses)
        for analysis in analyses:  # they are made with the time of now
            Analysis.objects.filter(pk=analysis.pk).update(created_at=analysis.queued_at)
        FaceTrack.objects.bulk_create(tracks)
        AnnotatedFrame.objects.bulk_create(frame for track in tracks for frame in _frames(track.analysis))
        FaceSample.objects.bulk_create(sample for track in tracks for sample in _samples(track))


def _video(owner_pk: int, number: int) -> "Video":
    from analysis.models import Video
    from tests.analysis.builders import jpeg

    content = f"video {number} of {owner_pk}".encode()
    video = Video(
        owner_id=owner_pk,
        name=f"earlier {number + 1}.mp4",
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        container="mov,mp4,m4a,3gp,3g2,mj2",
        codec="h264",
        width=640,
        height=360,
        duration_s=float(PICTURES),
        frame_rate=25.0,
    )
    video.file.name = _kept(f"videos/{video.pk}/original", content)
    video.poster.name = _kept(f"videos/{video.pk}/poster.jpg", jpeg())
    return video


def _analysis(video: "Video", model: "ModelVersion", number: int) -> "Analysis":
    from django.utils import timezone

    from analysis.models import Analysis, State, Verdict
    from tests.analysis.builders import make_report

    at = timezone.now() - timedelta(days=AGE_DAYS, minutes=number)
    return Analysis(
        video=video,
        frames_requested=PICTURES,
        model_version=model,
        state=State.DONE,
        queued_at=at,
        started_at=at,
        finished_at=at + timedelta(seconds=20),
        share=1.0,
        verdict=Verdict.FAKE,
        probability_fake=0.97,
        confidence=0.97,
        report=make_report(sha256=video.sha256, samples=PICTURES).to_json(),
    )


def _track(analysis: "Analysis") -> "FaceTrack":
    from analysis.models import FaceTrack, Verdict

    found = {"verdict": Verdict.FAKE, "probability_fake": 0.97, "confidence": 0.97}
    return FaceTrack(analysis=analysis, index=0, first_s=0.0, last_s=PICTURES - 1.0, **found)


def _frames(analysis: "Analysis") -> "Iterator[AnnotatedFrame]":
    from analysis.models import AnnotatedFrame
    from tests.analysis.builders import jpeg

    for index in range(PICTURES):
        name = _kept(f"analyses/{analysis.pk}/1-past/frame-{index}.jpg", jpeg())
        yield AnnotatedFrame(analysis=analysis, index=index, time_s=float(index), picture=name)


def _samples(track: "FaceTrack") -> "Iterator[FaceSample]":
    from analysis.models import FaceSample
    from tests.analysis.builders import jpeg

    box = {"x0": 100, "y0": 50, "x1": 200, "y1": 150}
    found = {"probability_fake": 0.9, "face_px": 100, "sharpness": 250.0, "usable": True}
    for index in range(PICTURES):
        kept = f"analyses/{track.analysis_id}/1-past"
        names = {kind: _kept(f"{kept}/{kind}-{index}.jpg", jpeg()) for kind in ("crop", "heatmap")}
        yield FaceSample(track=track, frame_index=index, time_s=float(index), **box, **found, **names)


def _kept(name: str, content: bytes) -> str:
    """Writes a stored file of that name; the name."""
    from django.conf import settings

    path = Path(settings.MEDIA_ROOT) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return name


if __name__ == "__main__":
    sys.exit(main())
