"""Every hostile kind of file, at the upload and in a worker's job: the right sentence or the right result, in time."""

import dataclasses
import hashlib
import logging
import shutil
import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from django.conf import settings as site
from django.core.files.uploadedfile import SimpleUploadedFile
from pytest_django import Settings

from analysis import inspection, lifecycle, services, tasks
from analysis.messages import sentence_for
from analysis.models import Analysis, State, Video
from detector.errors import ErrorCode
from tests import decoders, videos
from tests import hostile_videos as hostile
from tests.analysis.builders import make_analysis, make_user, make_video

pytestmark = pytest.mark.django_db

FAST = {"preset": "ultrafast"}
IN_TIME_S = 15.0  # a tenth of a second to two on a machine that is idle

Maker = Callable[[Path], Path]


@pytest.fixture(autouse=True)
def no_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "enqueue", lambda analysis: True)


def refusal_of_upload(path: Path) -> str | None:
    """The code with which the upload is refused; None when it is accepted. A refusal leaves no row and no file."""
    clock = time.monotonic()
    refused = None
    try:
        services.submit(make_user(), SimpleUploadedFile("clip.mp4", path.read_bytes()), 10)
    except services.Refused as refusal:
        refused = refusal
    assert time.monotonic() - clock < IN_TIME_S
    if refused is None:
        return None
    assert refused.message == sentence_for(refused.code)
    assert (Video.objects.count(), Analysis.objects.count()) == (0, 0)
    assert kept() == []
    return refused.code


def kept() -> list[Path]:
    """Files that were stored, and folders to work in."""
    files = [path for path in Path(site.MEDIA_ROOT).rglob("*") if path.is_file()]
    return files + list((Path(site.DATA_DIR) / "tmp").glob("*-*"))


def worked_on(path: Path) -> Analysis:
    """What a worker makes of the file, which it is given as if the upload had let it pass."""
    content = path.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    analysis: Analysis = make_analysis(video=make_video(content=content, sha256=sha256), frames_requested=10)
    clock = time.monotonic()
    tasks.run_analysis(str(analysis.pk), analysis.attempt)
    assert time.monotonic() - clock < IN_TIME_S
    assert list((Path(site.DATA_DIR) / "tmp").glob("analysis-*")) == []
    analysis.refresh_from_db()
    return analysis


def named(value: object) -> str:
    """For the name of a test: which maker, told what."""
    if isinstance(value, partial):
        return "-".join([value.func.__name__, *(str(told) for told in value.keywords.values())])
    return getattr(value, "__name__", str(value))


REFUSED: list[tuple[str, Maker, ErrorCode]] = [
    ("clip.mp4", videos.empty_file, ErrorCode.EMPTY),
    ("clip.mp4", videos.renamed_text, ErrorCode.UNSUPPORTED),
    ("clip.mp4", videos.noise_file, ErrorCode.UNSUPPORTED),
    ("clip.mp4", videos.audio_only, ErrorCode.NO_VIDEO_STREAM),
    ("clip.mp4", hostile.cover_picture, ErrorCode.NO_VIDEO_STREAM),
    *(("clip.mp4", partial(hostile.picture, kind=kind), ErrorCode.UNSUPPORTED) for kind in ("PNG", "JPEG", "WEBP")),
    ("clip.mov", partial(hostile.picture_bomb, side=30_000), ErrorCode.TOO_MANY_PIXELS),
    ("clip.mov", partial(hostile.picture_bomb, side=30_000, declared=(64, 48)), ErrorCode.TOO_MANY_PIXELS),
    ("clip.mov", partial(hostile.picture_bomb, side=12_000, declared=(64, 48)), ErrorCode.TOO_MANY_PIXELS),
    ("clip.gif", hostile.gif_bomb, ErrorCode.TOO_MANY_PIXELS),
    ("clip.mp4", hostile.day_of_frames, ErrorCode.TOO_LONG),
    ("clip.mkv", hostile.day_of_frames, ErrorCode.TOO_LONG),
    ("clip.mp4", hostile.longer_than_it_says, ErrorCode.TOO_LONG),
]


@pytest.mark.parametrize(("name", "make", "code"), REFUSED, ids=named)
def test_what_cannot_be_examined_is_refused_by_both_with_the_same_sentence(
    name: str, make: Maker, code: ErrorCode, tmp_path: Path
) -> None:
    path = make(tmp_path / name)

    assert refusal_of_upload(path) == code

    analysis = worked_on(path)
    assert (analysis.state, analysis.error_code) == (State.FAILED, code)
    assert not analysis.tracks.exists()


READ: list[tuple[str, Maker]] = [
    ("clip.mp4", partial(hostile.encoded, pixel_format="yuv444p", size=(161, 97), options=FAST)),
    ("clip.mp4", partial(hostile.encoded, pixel_format="yuv422p10le", options=FAST)),
    ("clip.mp4", partial(hostile.encoded, pixel_format="gray", options=FAST)),
    ("clip.mp4", partial(hostile.encoded, codec="libx264rgb", pixel_format="rgb24", options=FAST)),
    ("clip.mkv", partial(hostile.encoded, codec="ffv1", pixel_format="gray16le")),
    ("clip.mkv", partial(hostile.encoded, codec="ffv1", pixel_format="yuv410p")),
    ("clip.mkv", partial(hostile.encoded, codec="ffv1", pixel_format="gbrp16le")),
    ("clip.mov", partial(hostile.encoded, codec="png", pixel_format="monob")),
    ("clip.mov", partial(hostile.encoded, codec="png", pixel_format="rgba")),
    ("clip.mov", partial(hostile.encoded, codec="prores_ks", pixel_format="yuva444p10le")),
    ("clip.webm", partial(hostile.encoded, codec="libvpx-vp9", pixel_format="yuva420p")),
    ("clip.ts", partial(hostile.encoded, codec="mpeg2video")),
    ("clip.mpg", partial(hostile.encoded, codec="mpeg1video")),
    ("clip.mp4", hostile.hdr),
    ("clip.mp4", hostile.interlaced),
    ("clip.mp4", hostile.polyglot),
    ("clip.gif", hostile.noise_pictures),
    ("clip.mkv", partial(hostile.packets_at, times_ms=[0, 40, 80, 1000, 1001, 1900])),
    *(("clip.mp4", partial(hostile.with_durations, duration=ticks)) for ticks in (-1, 0, 1, 0x7FFFFFFF)),
    *(
        ("clip.mkv", partial(hostile.with_matroska_duration, duration=length))
        for length in (-5.0, 10.0, 1e300, float("nan"), float("inf"))
    ),
    ("clip.mkv", hostile.crowded_second),
    ("clip.mkv", partial(hostile.packets_at, times_ms=[0] * 50)),
    ("clip.mkv", partial(hostile.packets_at, times_ms=list(range(2000, 0, -40)))),
]


@pytest.mark.parametrize(("name", "make"), READ, ids=named)
def test_what_is_merely_odd_is_accepted_and_examined_to_its_end(name: str, make: Maker, tmp_path: Path) -> None:
    path = make(tmp_path / name)

    assert refusal_of_upload(path) is None

    analysis = worked_on(path)
    assert (analysis.state, analysis.error_code) == (State.DONE, "")
    assert (analysis.report or {})["frames_analyzed"] >= 1


@pytest.mark.parametrize("name", ["clip.mp4", "first.mp4", "clip.mkv", "clip.avi", "clip.gif"])
def test_a_video_cut_off_at_every_tenth_is_refused_or_examined_by_both(name: str, tmp_path: Path) -> None:
    whole = _to_be_cut(tmp_path / name).read_bytes()
    examined = 0
    for tenth in range(10):
        path = tmp_path / f"{tenth}-{name}"
        path.write_bytes(whole[: len(whole) * tenth // 10])

        refusal = refusal_of_upload(path)
        analysis = worked_on(path)

        assert refusal in (None, ErrorCode.EMPTY, ErrorCode.UNREADABLE)
        if refusal is None:
            assert analysis.state == State.DONE
            examined += 1
        else:
            assert (analysis.state, analysis.error_code) == (State.FAILED, refusal)
        Video.objects.all().delete()
        shutil.rmtree(site.MEDIA_ROOT, ignore_errors=True)
    assert examined == 0 if name == "clip.mp4" else examined > 2  # that one's index comes last


def _to_be_cut(path: Path) -> Path:
    if path.name == "first.mp4":
        return hostile.moov_first(path)
    codec = {".avi": "mpeg4", ".gif": "gif"}.get(path.suffix, "libx264")
    return hostile.encoded(path, codec, "rgb8" if codec == "gif" else "yuv420p", frames=100)


@pytest.mark.parametrize("make", hostile.REFERENCES)
@pytest.mark.parametrize("scheme", ["http", "file"])
def test_a_reference_to_another_place_is_not_followed(
    make: Callable[[Path, str], Path], scheme: str, tmp_path: Path
) -> None:
    secret = videos.face_clip(tmp_path / "secret.mp4", duration_s=0.4)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        port = server.getsockname()[1]
        path = make(tmp_path / "clip.mov", f"http://127.0.0.1:{port}/secret.mp4" if scheme == "http" else f"{secret}")

        refusal = refusal_of_upload(path)
        analysis = worked_on(path)

        with pytest.raises(TimeoutError):
            server.accept()
    assert refusal in (ErrorCode.UNSUPPORTED, ErrorCode.UNREADABLE, ErrorCode.NO_VIDEO_STREAM)
    assert (analysis.state, analysis.error_code) == (State.FAILED, refusal)


def test_four_gigabytes_of_nothing_are_refused_whatever_the_limit(tmp_path: Path, settings: Settings) -> None:
    """4 GiB do not go through a test's form: here the reader is asked as the upload and the worker ask it."""
    nothing, beginning = hostile.sparse(tmp_path / "nothing.mp4"), hostile.sparse_mp4(tmp_path / "beginning.mp4")
    assert nothing.stat().st_blocks < 100

    for max_bytes, codes in (
        (site.UNMASK.max_upload_bytes, [ErrorCode.TOO_LARGE, ErrorCode.TOO_LARGE]),
        (2**40, [ErrorCode.UNSUPPORTED, ErrorCode.UNREADABLE]),
    ):
        settings.UNMASK = dataclasses.replace(settings.UNMASK, max_upload_bytes=max_bytes)
        for path, code in zip((nothing, beginning), codes, strict=True):
            clock = time.monotonic()
            with pytest.raises(inspection.Rejected) as rejection:
                inspection.inspect(path, tmp_path / "poster.jpg")
            assert rejection.value.code == code
            assert time.monotonic() - clock < IN_TIME_S


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", ErrorCode.DECODER_CRASHED),
        ("bytearray(8 * 1024**3)", ErrorCode.TOO_DEMANDING),
        ("os.kill(os.getpid(), signal.SIGKILL)", ErrorCode.TOO_DEMANDING),
        ("time.sleep(60)", ErrorCode.TIMED_OUT),
        ("while True: pass", ErrorCode.TIMED_OUT),
    ],
)
def test_a_decoder_that_dies_fails_the_analysis_once_with_its_own_sentence(
    program: str,
    code: ErrorCode,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It dies after a frame: what was read until then counts for nothing, and nobody tries again by himself."""
    settings.UNMASK = dataclasses.replace(settings.UNMASK, decode_timeout_s=1.0)
    decoders.replace(monkeypatch, tmp_path, f"{decoders.PROBED}say(**FRAME)\nwrite_all(1, bytes(24))\n{program}")

    with caplog.at_level(logging.WARNING):
        analysis = worked_on(videos.no_face_clip(tmp_path / "clip.mp4", duration_s=0.4))

    assert (analysis.state, analysis.error_code, analysis.attempt) == (State.FAILED, code, 1)
    assert not analysis.tracks.exists()
    assert (analysis.lost_leases, analysis.report) == (0, None)
    assert f"failed ({code})" in caplog.text
    assert "Traceback" not in caplog.text


def test_cancelling_stops_a_busy_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoders.replace(monkeypatch, tmp_path, f"{decoders.PROBED}time.sleep(60)")
    running = lifecycle.is_running
    asked = []

    def cancelled_meanwhile(pk: str, attempt: int) -> bool:
        asked.append(pk)
        if len(asked) == 3:
            lifecycle.cancel(pk)
        return running(pk, attempt)

    monkeypatch.setattr(lifecycle, "is_running", cancelled_meanwhile)

    analysis = worked_on(videos.no_face_clip(tmp_path / "clip.mp4", duration_s=0.4))

    assert analysis.state == State.CANCELLED
