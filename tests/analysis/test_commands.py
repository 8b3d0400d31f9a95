"""The management commands, as somebody at a shell meets them."""

import io
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import DjangoCaptureOnCommitCallbacks

from analysis import inspection, tasks
from analysis.management.commands import analyze
from analysis.models import Analysis, ModelVersion, State, Video
from detector import release
from detector.errors import DetectorError, ErrorCode
from detector.report import Reason, Verdict
from tests.analysis.builders import make_analysis, make_user
from tests.analysis.stand_in import Detector

pytestmark = pytest.mark.django_db


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that the child's stand-in takes for a video, and a queue that runs what it gets while one waits."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"bytes that the stand-in takes for a video")
    found = inspection.Inspection("mov,mp4,m4a,3gp,3g2,mj2", "h264", 640, 360, 10.0, 25.0)
    monkeypatch.setattr(inspection, "inspect", lambda path, poster: found)
    monkeypatch.setattr(tasks, "enqueue", lambda analysis: True)
    monkeypatch.setattr(analyze, "_POLL_S", 0)
    return path


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch, detector: Detector) -> Detector:
    """Runs what waits whenever the command sleeps."""

    def work(seconds: float) -> None:
        for row in Analysis.objects.filter(state=State.QUEUED):
            tasks.run_analysis(str(row.pk), row.attempt)

    monkeypatch.setattr("time.sleep", work)
    return detector


def run(path: Path, user: str, frames: int = 20) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("analyze", str(path), "--user", user, "--frames", str(frames), stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_analyze_waits_and_prints_the_verdict(
    clip: Path, worker: Detector, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    owner = make_user("me@example.org")

    out, err = run(clip, "ME@example.org")

    analysis = Analysis.objects.get()
    assert (analysis.video.owner, analysis.video.name, analysis.frames_requested) == (owner, "clip.mp4", 20)
    assert out.splitlines() == [
        "FAKE, 97.0% sure",
        "person 1: FAKE, probability of fake 0.970",
        f"analysis {analysis.pk}",
    ]
    assert "Waiting, number 1 in the queue" in err


def test_analyze_says_why_an_answer_is_inconclusive(clip: Path, worker: Detector) -> None:
    worker.changes = {"verdict": Verdict.INCONCLUSIVE, "confidence": None, "reasons": (Reason.FACE_TOO_SMALL,)}

    out, _err = run(clip, make_user().email)

    assert out.splitlines()[0] == "INCONCLUSIVE"
    assert out.splitlines()[1].startswith("The face is too small")


def test_analyze_ends_with_2_and_a_sentence_when_it_failed(clip: Path, worker: Detector) -> None:
    worker.error = DetectorError(ErrorCode.TOO_LONG, "Too long.")

    with pytest.raises(CommandError, match="longer than 60 minutes") as error:
        run(clip, make_user().email)
    assert error.value.returncode == 2


@pytest.mark.parametrize(
    ("name", "user", "words"),
    [
        ("clip.mp4", "nobody@example.org", "There is nobody with the e-mail address nobody@example.org."),
        ("missing.mp4", "me@example.org", "cannot be read: No such file or directory."),
        ("empty.mp4", "me@example.org", "This file is empty."),
    ],
)
def test_analyze_refuses_with_2_and_a_sentence(clip: Path, name: str, user: str, words: str) -> None:
    make_user("me@example.org")
    clip.with_name("empty.mp4").touch()

    with pytest.raises(CommandError, match=words) as error:
        run(clip.with_name(name), user)
    assert error.value.returncode == 2
    assert not Video.objects.exists()


def test_reconcile_says_what_it_did(monkeypatch: pytest.MonkeyPatch) -> None:
    make_analysis()
    monkeypatch.setattr(tasks, "_swept_at", {})
    monkeypatch.setattr(tasks, "_without_job", lambda: list(Analysis.objects.all()))
    monkeypatch.setattr(tasks, "enqueue", lambda analysis: True)
    out = io.StringIO()

    call_command("reconcile", stdout=out)

    assert out.getvalue() == "0 taken back, 1 put into the queue, 0 stray files or folders removed.\n"


def test_register_models_lists_them_and_marks_the_active_one(detector: Detector) -> None:
    out = io.StringIO()

    call_command("register_models", stdout=out)

    assert out.getvalue() == "test-1 cdcdcdcdcdcd c0c0c0c0c0c0 (active)\n"
    assert ModelVersion.objects.get().is_active


def test_register_models_says_which_one_is_damaged(detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged() -> list[release.Release]:
        raise DetectorError(ErrorCode.MODEL_DAMAGED, "The model in x cannot be understood; install Unmask again.")

    monkeypatch.setattr(release, "releases", damaged)
    with pytest.raises(CommandError, match="The model in x cannot be understood"):
        call_command("register_models")


def test_register_models_says_that_there_is_none(detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "releases", list)
    with pytest.raises(CommandError, match="No model was found"):
        call_command("register_models")
