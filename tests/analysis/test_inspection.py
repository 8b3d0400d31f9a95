"""Uploads are judged by their content in a real child process under limits; nothing of a refusal stays."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings as site
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image
from pytest_django import Settings

from analysis import inspection, services, tasks
from analysis.messages import Code
from analysis.models import Analysis, Video
from detector.errors import ErrorCode
from tests import decoders, videos
from tests.analysis.builders import make_user
from tests.decoders import READY


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return videos.face_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", duration_s=1.0)


def code_of(path: Path, folder: Path) -> str:
    """Why the file is rejected."""
    work = folder / "work"
    work.mkdir(exist_ok=True)
    with pytest.raises(inspection.Rejected) as rejection:
        inspection.inspect(path, work / "poster.jpg")
    return rejection.value.code


def test_video_is_described_and_gets_a_poster(clip: Path, tmp_path: Path) -> None:
    found = inspection.inspect(clip, tmp_path / "poster.jpg")

    assert (found.codec, found.width, found.height, found.frame_rate) == ("h264", 640, 360, 25.0)
    assert found.duration_s == pytest.approx(1.0, abs=0.05)
    with Image.open(tmp_path / "poster.jpg") as poster:
        assert (poster.format, poster.size) == ("JPEG", (640, 360))


@pytest.mark.parametrize("ending", [".avi", ".gif", ".mkv", ".mov", ".webm"])
def test_every_container_is_known_by_its_content(ending: str, tmp_path: Path) -> None:
    path = videos.clip_in_container(tmp_path, ending, duration_s=0.4)
    renamed = path.rename(tmp_path / "original")

    assert inspection.inspect(renamed, tmp_path / "poster.jpg").width == 640


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (videos.renamed_text, ErrorCode.UNSUPPORTED),
        (videos.noise_file, ErrorCode.UNSUPPORTED),
        (videos.truncated_clip, ErrorCode.UNREADABLE),
        (videos.empty_file, ErrorCode.EMPTY),
        (videos.audio_only, ErrorCode.NO_VIDEO_STREAM),
    ],
)
def test_what_is_no_video_is_rejected_with_its_own_code(
    make: Callable[[Path], Path], code: ErrorCode, tmp_path: Path
) -> None:
    assert code_of(make(tmp_path / "clip.mp4"), tmp_path) == code


@pytest.mark.parametrize(
    ("limit", "code"),
    [
        ({"max_duration_s": 0.5}, ErrorCode.TOO_LONG),
        ({"max_upload_bytes": 1000}, ErrorCode.TOO_LARGE),
        ({"max_pixels": 640 * 360 - 1}, ErrorCode.TOO_MANY_PIXELS),
    ],
    ids=str,
)
def test_limits_of_this_installation_count(
    limit: dict[str, float], code: ErrorCode, clip: Path, tmp_path: Path, settings: Settings
) -> None:
    settings.UNMASK = dataclasses.replace(settings.UNMASK, **limit)
    assert code_of(clip, tmp_path) == code


@pytest.mark.django_db
def test_refused_upload_leaves_no_row_and_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "enqueue", lambda analysis: True)
    text = videos.renamed_text(tmp_path / "clip.mp4")

    with pytest.raises(services.Refused, match="is not a video, or not of a kind that is read here") as refusal:
        services.submit(make_user(), SimpleUploadedFile("clip.mp4", text.read_bytes()), 20)

    assert refusal.value.code == ErrorCode.UNSUPPORTED
    assert (Video.objects.count(), Analysis.objects.count()) == (0, 0)
    assert [path for path in Path(site.MEDIA_ROOT).rglob("*") if path.is_file()] == []
    assert list((Path(site.DATA_DIR) / "tmp").glob("upload-*")) == []


@pytest.mark.django_db
def test_accepted_upload_is_kept_with_what_the_child_found(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "enqueue", lambda analysis: True)

    video = services.submit(make_user(), SimpleUploadedFile("holiday.txt", clip.read_bytes()), 20).video

    assert (video.name, video.codec, video.width, video.height) == ("holiday.txt", "h264", 640, 360)
    assert Path(video.file.path).read_bytes() == clip.read_bytes()
    assert video.poster.size > 1000


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", ErrorCode.DECODER_CRASHED),
        ("os.kill(os.getpid(), signal.SIGXCPU)", ErrorCode.TIMED_OUT),
        ("bytearray(8 * 1024**3)", ErrorCode.TOO_DEMANDING),
        ("print('nonsense', flush=True)", ErrorCode.DECODER_CRASHED),
        ("say(**{**INFO, 'width': 99_999, 'height': 999})", ErrorCode.TOO_MANY_PIXELS),
        ("say(**INFO); say(**{**FRAME, 'width': 99_999, 'height': 999})", ErrorCode.TOO_MANY_PIXELS),
        ("say(**INFO); say(**FRAME); sys.exit(0)", ErrorCode.DECODER_CRASHED),
    ],
    ids=["crash", "CPU time", "memory", "nonsense", "lie", "lie in the poster", "half a poster"],
)
def test_child_that_goes_wrong_rejects_the_file(
    program: str, code: str, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoders.replace(monkeypatch, tmp_path, READY + program)

    assert code_of(clip, tmp_path) == code
    assert not (tmp_path / "work" / "poster.jpg").exists()


def test_child_that_cannot_be_had_is_our_fault(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoders.replace(monkeypatch, tmp_path, "import no_such_module")

    assert code_of(clip, tmp_path) == Code.INTERNAL


def test_child_has_the_time_and_the_memory_of_this_installation(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.UNMASK = dataclasses.replace(settings.UNMASK, probe_timeout_s=1.5, decode_memory_bytes=700 * 1024**2)
    decoders.replace(monkeypatch, tmp_path, READY + "time.sleep(60)")
    assert code_of(clip, tmp_path) == ErrorCode.TIMED_OUT

    settings.UNMASK = dataclasses.replace(settings.UNMASK, probe_timeout_s=20.0)
    decoders.replace(monkeypatch, tmp_path, READY + "bytearray(1024**3)")
    assert code_of(clip, tmp_path) == ErrorCode.TOO_DEMANDING

    work = inspection.work_allowance()
    assert (work.wait_s, work.memory_bytes) == (1800.0, 700 * 1024**2)
    assert 1800 <= work.cpu_s <= 4 * 1800
