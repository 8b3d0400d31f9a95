"""What a worker does with one analysis: every outcome, twice, too late, and cancelled in between."""

import errno
import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import FileSystemStorage, default_storage
from django.test import override_settings
from rq.timeouts import JobTimeoutException

from analysis import files, lifecycle, model_versions, services, tasks
from analysis.models import Analysis, AnnotatedFrame, FaceSample, FaceTrack, ModelVersion, State
from detector import release
from detector.errors import DetectorError, ErrorCode
from detector.report import Report
from tests.analysis.builders import make_analysis, make_model_version, make_video, stand_in_release
from tests.analysis.stand_in import Detector

pytestmark = pytest.mark.django_db


@pytest.fixture
def analysis() -> Analysis:
    """Waiting, with a video whose hash is that of its bytes."""
    content = b"any bytes; the detector is a stand-in"
    return make_analysis(video=make_video(content=content, sha256=hashlib.sha256(content).hexdigest()))


def run(analysis: Analysis) -> Analysis:
    tasks.run_analysis(str(analysis.pk), analysis.attempt)
    analysis.refresh_from_db()
    return analysis


def stored() -> list[str]:
    """Every file below the folder of results."""
    root = Path(settings.MEDIA_ROOT) / "analyses"
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()) if root.exists() else []


def work_folders() -> list[Path]:
    folder = Path(settings.DATA_DIR) / "tmp"
    return list(folder.glob("analysis-*")) if folder.exists() else []


def test_the_version_that_was_asked_for_judges(
    analysis: Analysis, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = stand_in_release(version="1")
    monkeypatch.setattr(release, "releases", lambda: [older, release.default_release()])
    asked = {row.name: row for row in model_versions.register()}["net"]
    Analysis.objects.update(model_requested=asked)
    assert model_versions.active()[0] != asked

    run(analysis)

    assert (analysis.state, analysis.model_version) == (State.DONE, asked)


def test_a_version_that_is_gone_by_then_is_said(analysis: Analysis, detector: Detector) -> None:
    Analysis.objects.update(model_requested=make_model_version(name="gone"))

    run(analysis)

    assert (analysis.state, analysis.error_code) == (State.FAILED, "model_version_gone")
    assert detector.calls == []


def test_analysis_is_run_and_everything_found_is_kept(analysis: Analysis, detector: Detector) -> None:
    run(analysis)

    assert (analysis.state, analysis.verdict, analysis.share) == (State.DONE, "FAKE", 1.0)
    assert (analysis.probability_fake, analysis.confidence) == (0.97, 0.97)
    assert analysis.lease_expires_at is None
    assert analysis.model_version is not None
    assert analysis.model_version.sha256 == "cd" * 32
    assert Report.from_json(analysis.report or {}).video.sha256 == analysis.video.sha256
    track = FaceTrack.objects.get(analysis=analysis)
    assert (track.index, track.verdict, track.first_s, track.last_s) == (0, "FAKE", 0.0, 2.0)
    assert [sample.frame_index for sample in track.samples.all()] == [0, 1, 2]
    assert [frame.width for frame in AnnotatedFrame.objects.filter(analysis=analysis)] == [640] * 3
    names = [name for row in FaceSample.objects.all() for name in (row.crop.name, row.heatmap.name)]
    names += [row.picture.name for row in AnnotatedFrame.objects.all()]
    assert all(default_storage.exists(name or "") for name in names)
    assert len(stored()) == len(set(names)) == 9
    assert work_folders() == []


def test_detector_gets_the_video_the_frames_and_the_limits(analysis: Analysis, detector: Detector) -> None:
    run(analysis)

    (call,) = detector.calls
    assert call["path"] == Path(analysis.video.file.path)
    assert call["settings"].frames == analysis.frames_requested
    assert call["draw_frames"] is False
    assert call["settings"].limits.max_duration_s == settings.UNMASK.max_duration_s


def test_versions_that_share_their_weights_are_told_apart(
    analysis: Analysis, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (stand_in_release(version=version, sha256="cd" * 32) for version in "12")
    monkeypatch.setattr(release, "releases", lambda: [first, second])
    monkeypatch.setattr(release, "default_release", lambda: first)
    model_versions.register()

    run(analysis)
    model_versions.activate(ModelVersion.objects.get(version="2"))
    run(make_analysis(video=analysis.video))

    assert detector.loaded == 2


def test_thresholds_fitted_again_are_loaded_and_kept_with_what_they_judged(
    analysis: Analysis, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    for config_sha256 in ("a0" * 32, "b0" * 32):
        found = stand_in_release(config_sha256=config_sha256)
        monkeypatch.setattr(release, "releases", lambda found=found: [found])
        monkeypatch.setattr(release, "default_release", lambda found=found: found)
        run(make_analysis(video=analysis.video))

    assert detector.loaded == 2
    judged = Analysis.objects.filter(state=State.DONE).order_by("created_at")
    assert [row.model_version and row.model_version.config_sha256 for row in judged] == ["a0" * 32, "b0" * 32]


def test_network_is_loaded_once_for_several_analyses(analysis: Analysis, detector: Detector) -> None:
    run(analysis)
    run(services.analyze_again(analysis, 20))

    assert detector.loaded == 1
    assert detector.calls[0]["network"] is detector.calls[1]["network"]


@pytest.mark.parametrize(
    ("setting", "precision"),
    [("auto", "int8"), ("float32", "float32"), ("bfloat16", "bfloat16"), ("int8", "int8")],
)
def test_network_computes_in_what_the_installation_is_set_to(
    analysis: Analysis, detector: Detector, setting: str, precision: str
) -> None:
    with override_settings(NETWORK_PRECISION=setting):
        run(analysis)

    assert detector.precision == precision


def test_second_run_changes_nothing(analysis: Analysis, detector: Detector) -> None:
    run(analysis)
    before, rows = stored(), list(FaceSample.objects.values_list("pk", flat=True))

    run(analysis)

    assert len(detector.calls) == 1
    assert (stored(), list(FaceSample.objects.values_list("pk", flat=True))) == (before, rows)


@pytest.mark.parametrize("state", [State.RUNNING, State.CANCELLED, State.FAILED])
def test_job_that_comes_too_late_does_nothing(state: State, detector: Detector) -> None:
    analysis = make_analysis(state)

    run(analysis)

    assert (analysis.state, detector.calls) == (state, [])


def test_job_of_a_deleted_analysis_does_nothing(analysis: Analysis, detector: Detector) -> None:
    pk = str(analysis.pk)
    services.delete([analysis])

    tasks.run_analysis(pk, 1)

    assert detector.calls == []


@pytest.mark.parametrize(
    "meanwhile",
    [services.cancel, lambda a: services.delete([a])],
    ids=["cancelled", "deleted"],
)
def test_analysis_that_is_gone_when_the_detector_is_done_leaves_nothing(
    analysis: Analysis, detector: Detector, meanwhile: Callable[[Analysis], object]
) -> None:
    pk = analysis.pk
    detector.meanwhile = lambda: meanwhile(Analysis.objects.get(pk=pk))

    tasks.run_analysis(str(pk), 1)

    assert not Analysis.objects.filter(pk=pk).exclude(state=State.CANCELLED).exists()
    assert (FaceTrack.objects.count(), AnnotatedFrame.objects.count()) == (0, 0)
    assert (stored(), work_folders()) == ([], [])


def test_detector_is_told_to_stop_after_a_cancellation(analysis: Analysis, detector: Detector) -> None:
    answers = []

    def meanwhile() -> None:
        services.cancel(analysis)
        answers.append(detector.calls[0]["should_stop"]())
        raise DetectorError(ErrorCode.CANCELLED, "The analysis was cancelled.")

    detector.meanwhile = meanwhile
    run(analysis)

    assert (answers, analysis.state, analysis.error_code) == ([True], State.CANCELLED, "")


def test_run_that_was_taken_back_cannot_end_the_next_attempt(analysis: Analysis, detector: Detector) -> None:
    def meanwhile() -> None:
        Analysis.objects.filter(pk=analysis.pk).update(lease_expires_at=analysis.created_at)
        assert lifecycle.expire(analysis.pk, 1)
        assert lifecycle.claim(analysis.pk, 2, "another:1")

    detector.meanwhile = meanwhile
    run(analysis)

    assert (analysis.state, analysis.attempt, analysis.worker) == (State.RUNNING, 2, "another:1")
    assert stored() == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DetectorError(ErrorCode.UNREADABLE, "Cannot be decoded."), "unreadable"),
        (DetectorError(ErrorCode.TOO_LONG, "Too long."), "too_long"),
        (JobTimeoutException("Task exceeded maximum timeout value"), "timed_out"),
        (ZeroDivisionError("a mistake"), "internal"),
        (MemoryError(), "internal"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_failure_becomes_a_state_with_a_code(
    analysis: Analysis, detector: Detector, error: BaseException, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    detector.error = error

    with caplog.at_level(logging.WARNING):
        run(analysis)

    assert (analysis.state, analysis.error_code) == (State.FAILED, code)
    assert analysis.finished_at is not None
    assert str(analysis.pk) in caplog.text
    assert ("Traceback" in caplog.text) == (code == "internal")
    assert (stored(), work_folders()) == ([], [])


def test_failure_while_storing_leaves_no_picture(analysis: Analysis, detector: Detector) -> None:
    detector.changes = {"confidence": "not a number"}

    run(analysis)

    assert (analysis.state, analysis.error_code) == (State.FAILED, "internal")
    assert (FaceTrack.objects.count(), stored()) == (0, [])


def test_missing_video_fails_with_its_own_code(analysis: Analysis, detector: Detector) -> None:
    default_storage.delete(str(analysis.video.file.name))

    assert run(analysis).error_code == "file_missing"
    assert detector.calls == []


def test_video_that_was_exchanged_fails_with_its_own_code(analysis: Analysis, detector: Detector) -> None:
    Path(analysis.video.file.path).write_bytes(b"something else")

    assert run(analysis).error_code == "file_changed"
    assert stored() == []


def test_missing_model_fails_with_its_own_code(
    analysis: Analysis, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release, "releases", list)

    assert run(analysis).error_code == "model_missing"


def test_retry_after_a_failure_replaces_nothing_and_succeeds(
    analysis: Analysis, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "enqueue", lambda row: True)
    detector.error = ZeroDivisionError("once")
    run(analysis)
    detector.error = None

    assert services.retry(analysis)
    analysis.refresh_from_db()
    run(analysis)

    assert (analysis.state, analysis.attempt, analysis.error_code) == (State.DONE, 2, "")
    assert all(name.split("/")[1].startswith("2-") for name in stored())


def test_video_without_a_local_path_is_copied_for_the_detector(
    analysis: Analysis, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_path(self: object, name: str) -> str:
        raise NotImplementedError

    folder = Path(settings.MEDIA_ROOT)
    monkeypatch.setattr(FileSystemStorage, "path", no_path)
    monkeypatch.setattr(FileSystemStorage, "size", lambda storage, name: (folder / name).stat().st_size)
    monkeypatch.setattr(FileSystemStorage, "_open", lambda storage, name, mode: File((folder / name).open(mode)))

    with files.work_folder("test") as work:
        copy = files.local_path(analysis.video.file, work)
        assert copy.parent == work
        assert copy.read_bytes() == (folder / str(analysis.video.file.name)).read_bytes()
    assert not work.exists()


def test_active_model_is_registered_by_the_first_analysis(analysis: Analysis, detector: Detector) -> None:
    assert not ModelVersion.objects.exists()

    run(analysis)

    model = ModelVersion.objects.get()
    assert (model.name, model.version, model.is_active) == ("test", "1", True)
    assert model_versions.active()[0] == model


def test_full_disk_is_named(analysis: Analysis, detector: Detector) -> None:
    detector.error = OSError(errno.ENOSPC, "No space left on device")

    run(analysis)

    assert (analysis.state, analysis.error_code) == (State.FAILED, "disk_full")
    assert work_folders() == []
