"""Rows for tests, each in a state that the platform itself could have brought it into."""

import io
import itertools
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from django.core.files.base import ContentFile
from django.utils import timezone
from PIL import Image

from accounts.models import User
from analysis.models import (
    Analysis,
    AnnotatedFrame,
    FaceSample,
    FaceTrack,
    ModelVersion,
    State,
    Verdict,
    Video,
)
from detector import report as r

PASSWORD = "correct horse battery staple"
_numbers = itertools.count(1)

_CONTENT = bytes(range(256)) * 40


def make_user(email: str | None = None, *, staff: bool = False, **fields: Any) -> User:
    """A person; staff may do everything in the administration too."""
    email = email or f"person{next(_numbers)}@example.org"
    make = User.objects.create_superuser if staff else User.objects.create_user
    return make(email, PASSWORD, **fields)


def jpeg(colour: tuple[int, int, int] = (90, 120, 150), size: tuple[int, int] = (32, 32)) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", size, colour).save(target, "JPEG")
    return target.getvalue()


def make_video(owner: User | None = None, *, content: bytes = _CONTENT, **fields: Any) -> Video:
    """A stored video with a poster; its content is no real video unless one is given."""
    number = next(_numbers)
    values: dict[str, Any] = {
        "name": f"clip {number}.mp4",
        "sha256": f"{number:064x}",
        "size_bytes": len(content),
        "container": "mov,mp4,m4a,3gp,3g2,mj2",
        "codec": "h264",
        "width": 640,
        "height": 360,
        "duration_s": 10.0,
        "frame_rate": 25.0,
    }
    video = Video(owner=owner or make_user(), **values | fields)
    video.file.save("original", ContentFile(content), save=False)
    video.poster.save("poster.jpg", ContentFile(jpeg()), save=False)
    video.save(force_insert=True)
    return video


def make_model_version(**fields: Any) -> ModelVersion:
    number = next(_numbers)
    values = {"name": "test", "version": str(number), "sha256": f"{number:064x}", "config_sha256": "c0" * 32}
    return ModelVersion.objects.create(**values | fields)


def stand_in_release(*, version: str = "1", evaluated: bool = True, **fields: Any) -> SimpleNamespace:
    """A release as far as the platform looks at it."""
    values = {"name": "net", "version": version, "sha256": version * 64, "config_sha256": "c0" * 32}
    return SimpleNamespace(**values | {"is_evaluated": lambda: evaluated} | fields)


def make_analysis(
    state: str = State.QUEUED, owner: User | None = None, video: Video | None = None, **fields: Any
) -> Analysis:
    """An analysis in ``state``; a done one has a person, three faces and their pictures (see ``make_results``)."""
    now = timezone.now()
    values: dict[str, Any] = {"state": state, "queued_at": now - timedelta(seconds=30), "frames_requested": 10}
    if state in {State.RUNNING, State.DONE, State.FAILED}:
        values |= {"started_at": now - timedelta(seconds=20), "heartbeat_at": now, "worker": "test:1"}
    if state == State.RUNNING:
        values |= {"lease_expires_at": now + timedelta(seconds=60), "stage": "faces", "share": 0.4}
    if state in {State.DONE, State.FAILED, State.CANCELLED}:
        values |= {"finished_at": now}
    if state == State.FAILED:
        values |= {"error_code": "internal", "error_detail": "made for a test"}
    if state == State.DONE:
        values |= {"verdict": Verdict.FAKE, "probability_fake": 0.97, "confidence": 0.97, "share": 1.0}
    analysis = Analysis.objects.create(video=video or make_video(owner), **values | fields)
    if state == State.DONE:
        make_results(analysis)
    return analysis


def make_results(analysis: Analysis, samples: int = 3) -> None:
    """One person in ``samples`` frames, with every picture in the storage, and the report that says so."""
    track = FaceTrack.objects.create(
        analysis=analysis,
        index=0,
        verdict=Verdict.FAKE,
        probability_fake=0.97,
        confidence=0.97,
        first_s=0.0,
        last_s=2.0,
    )
    for index in range(samples):
        frame = AnnotatedFrame(analysis=analysis, index=index, time_s=float(index), width=640)
        frame.picture.save(f"1-test/frame-{index}.jpg", ContentFile(jpeg()), save=False)
        frame.save()
        sample = FaceSample(
            track=track,
            frame_index=index,
            time_s=float(index),
            x0=100,
            y0=50,
            x1=200,
            y1=150,
            probability_fake=0.9,
            face_px=100,
            sharpness=250.0,
            usable=True,
        )
        sample.crop.save(f"1-test/crop-{index}.jpg", ContentFile(jpeg()), save=False)
        sample.heatmap.save(f"1-test/heatmap-{index}.jpg", ContentFile(jpeg((200, 40, 40))), save=False)
        sample.save()
    analysis.report = make_report(sha256=analysis.video.sha256, samples=samples).to_json()
    analysis.save(update_fields=["report"])


def make_report(
    sha256: str = "ab" * 32, samples: int = 3, verdict: r.Verdict = r.Verdict.FAKE, **fields: Any
) -> r.Report:
    """What the detector would say about one person, seen in ``samples`` frames; see ``write_pictures``."""
    faces = tuple(
        r.FaceSample(
            frame_index=index,
            time_s=float(index),
            box=(100, 50, 200, 150),
            probability_fake=0.9,
            face_px=100,
            sharpness=250.0,
            usable=True,
            crop=f"people/0/{index}-crop.jpg",
            heatmap=f"people/0/{index}-heatmap.jpg",
        )
        for index in range(samples)
    )
    track = r.Track(index=0, verdict=verdict, probability_fake=0.97, confidence=0.97, reasons=(), samples=faces)
    values: dict[str, Any] = {
        "verdict": verdict,
        "probability_fake": 0.97,
        "confidence": 0.97,
        "reasons": (),
        "frames_requested": 10,
        "frames_analyzed": samples,
        "tracks": (track,),
        "frames": tuple(r.SampledFrame(index, float(index), f"frames/{index}.jpg", 640) for index in range(samples)),
        "video": r.VideoInfo(sha256, 10_240, "mov,mp4,m4a,3gp,3g2,mj2", "h264", 640, 360, 0, 10.0, 25.0),
        "model": r.ModelInfo("test", "1", "cd" * 32, 0.8, 0.2),
        "timings_s": {
            "probe": 0.1,
            "decode": 0.5,
            "detect": 0.7,
            "track": 0.1,
            "crop": 0.2,
            "network": 2.0,
            "verdict": 0.1,
            "heatmap": 0.05,
            "draw": 0.05,
            "write": 0.1,
            "total": 4.0,
        },
        "libraries": {"av": "18.1.0"},
    }
    return r.Report(**values | fields)
