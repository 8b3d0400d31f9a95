"""Uploads are judged by their content in a real child process under limits; nothing of a refusal stays."""

import dataclasses
import json
import os
import shutil
import time
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
from tests import videos
from tests.analysis.builders import make_user

KEPT = {"__init__.py", "confined.py"}
LIE = """
import json
print(json.dumps({"container": "x", "codec": "x", "width": 99999, "height": 999, "duration_s": 1, "frame_rate": 1}))
"""


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


def child(monkeypatch: pytest.MonkeyPatch, folder: Path, program: str) -> None:
    """Puts ``program`` in the place of the detector, in the same child with the same limits."""
    shutil.copytree(site.BASE_DIR / "analysis", folder / "analysis", ignore=lambda path, names: {*names} - KEPT)
    (folder / "detector.py").write_text(program, encoding="utf-8")
    monkeypatch.setattr(site, "BASE_DIR", folder)


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", ErrorCode.UNREADABLE),
        ("import os, signal; os.kill(os.getpid(), signal.SIGXCPU)", ErrorCode.TIMED_OUT),
        ("bytearray(8 * 1024**3)", Code.TOO_DEMANDING),
        ("1 / 0", Code.INTERNAL),
        ("print('nonsense')", Code.INTERNAL),
        ('print(\'{"container": "mov", "codec": "h264", "width": 640}\')', Code.INTERNAL),
        ("import sys; sys.exit(2)", Code.INTERNAL),
        (LIE, ErrorCode.TOO_MANY_PIXELS),
    ],
    ids=["crash", "CPU time", "memory", "mistake", "nonsense", "half an answer", "silent refusal", "lie"],
)
def test_child_that_goes_wrong_rejects_the_file(
    program: str, code: str, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child(monkeypatch, tmp_path, program)
    assert code_of(clip, tmp_path) == code


def test_child_that_hangs_is_killed_with_all_it_started(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.UNMASK = dataclasses.replace(settings.UNMASK, probe_timeout_s=1.5)
    program = "import os, time; os.fork(); open(f'pid-{os.getpid()}', 'w').close(); time.sleep(60)"
    child(monkeypatch, tmp_path, program)

    assert code_of(clip, tmp_path) == ErrorCode.TIMED_OUT

    pids = [int(path.name.removeprefix("pid-")) for path in tmp_path.glob("pid-*")]
    assert len(pids) == 2
    end = time.monotonic() + 3
    while any(_lives(pid) for pid in pids):
        assert time.monotonic() < end
        time.sleep(0.05)


def _lives(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_child_has_limits_and_no_secrets(tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = """
import json, os, resource
limits = {name: resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT_")}
with open("found.json", "w") as file:
    json.dump({"limits": limits, "environment": dict(os.environ), "session": os.getsid(0) == os.getpid()}, file)
"""
    monkeypatch.setenv("SECRET_KEY", "not for the child")
    child(monkeypatch, tmp_path, program)
    code_of(clip, tmp_path)

    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert found["session"]
    assert set(found["environment"]) >= {"PATH", "OPENBLAS_NUM_THREADS"}
    assert not {"SECRET_KEY", "DATA_DIR", "DJANGO_SETTINGS_MODULE", *_other_names()} & set(found["environment"])
    limits = found["limits"]
    assert limits["RLIMIT_CPU"] == [int(site.UNMASK.probe_timeout_s)] * 2
    assert limits["RLIMIT_CORE"] == [0, 0]
    assert limits["RLIMIT_AS"][1] <= 3 * 1024**3
    assert limits["RLIMIT_FSIZE"][1] <= 8 * 1024**2
    assert limits["RLIMIT_NOFILE"][1] <= 64


def _other_names() -> set[str]:
    """What this process has in its environment beyond what any program needs."""
    return {name for name in os.environ if "PROXY" in name.upper() or name.startswith("PYTEST")}
