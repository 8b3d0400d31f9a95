"""The verbs: what they keep, what they refuse, and that a refusal or a deletion leaves nothing behind."""

import dataclasses
import errno
import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings as site
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile, TemporaryUploadedFile, UploadedFile
from django.db import OperationalError, transaction
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings
from redis.exceptions import ConnectionError as QueueDown

from accounts.models import User
from analysis import inspection, services, tallies, tasks, uploads
from analysis.messages import Code, sentence_for
from analysis.models import Analysis, State, Video
from detector.errors import ErrorCode
from tests.analysis.builders import jpeg, make_analysis, make_user

pytestmark = pytest.mark.django_db

CONTENT = b"bytes that the stand-in takes for a video"
FOUND = inspection.Inspection("mov,mp4,m4a,3gp,3g2,mj2", "h264", 640, 360, 10.0, 25.0)


@pytest.fixture
def owner() -> User:
    return make_user()


@pytest.fixture(autouse=True)
def enqueued(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the jobs that were put into the queue; no server is needed for these tests."""
    jobs: list[str] = []

    def enqueue(analysis: Analysis) -> bool:
        jobs.append(tasks.job_id(analysis))
        return True

    monkeypatch.setattr(tasks, "enqueue", enqueue)
    return jobs


@pytest.fixture(autouse=True)
def child(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """Stands in for the child process, which test_inspection.py starts; the paths it was given."""
    paths: list[Path] = []

    def inspect(path: Path, poster: Path) -> inspection.Inspection:
        assert path.is_file()
        paths.append(path)
        poster.write_bytes(jpeg())
        return FOUND

    monkeypatch.setattr(inspection, "inspect", inspect)
    yield paths
    assert list((Path(site.DATA_DIR) / "tmp").glob("upload-*")) == []


def upload(content: bytes = CONTENT, name: str = "clip.mp4") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def kept_files() -> list[str]:
    root = Path(site.MEDIA_ROOT)
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_submit_keeps_the_video_and_queues_it_after_the_commit(
    owner: User,
    enqueued: list[str],
    child: list[Path],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        analysis = services.submit(owner, upload(), 20)
        assert enqueued == []

    assert enqueued == [f"analysis-{analysis.pk}-1"]
    assert (analysis.state, analysis.attempt, analysis.frames_requested) == (State.QUEUED, 1, 20)
    video = Video.objects.get()
    assert (video.owner, video.name, video.size_bytes) == (owner, "clip.mp4", len(CONTENT))
    assert video.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert (video.container, video.codec, video.width, video.height) == ("mov,mp4,m4a,3gp,3g2,mj2", "h264", 640, 360)
    assert kept_files() == [f"videos/{video.pk}/original", f"videos/{video.pk}/poster.jpg"]
    assert Path(video.file.path).read_bytes() == CONTENT
    assert len(child) == 1


def test_upload_that_is_on_disk_already_is_moved(owner: User) -> None:
    large = TemporaryUploadedFile("clip.mp4", "video/mp4", len(CONTENT), None)
    large.write(CONTENT)
    large.seek(0)
    before = Path(large.temporary_file_path())

    analysis = services.submit(owner, large, 20)

    assert Path(analysis.video.file.path).read_bytes() == CONTENT
    assert not before.exists()
    large.close()


def test_queue_that_is_down_does_not_stop_a_submission(
    owner: User, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(inspection, "inspect", lambda path, poster: FOUND)

    def down() -> object:
        raise QueueDown("connection refused")

    monkeypatch.setattr(tasks, "_queue", down)
    with django_capture_on_commit_callbacks(execute=True):
        analysis = services.submit(owner, upload(), 20)

    analysis.refresh_from_db()
    assert analysis.state == State.QUEUED


def test_same_content_from_the_same_owner_is_kept_once(owner: User, child: list[Path]) -> None:
    first = services.submit(owner, upload(), 20)
    second = services.submit(owner, upload(name="another name.mov"), 30)

    assert first.video == second.video
    assert (Video.objects.count(), Analysis.objects.count(), len(child)) == (1, 2, 1)
    assert len(kept_files()) == 2
    assert services.seen_before(owner, first.video.sha256) == second
    assert services.seen_before(owner, first.video.sha256, excluding=second) == first


def test_same_content_of_another_owner_is_another_video(owner: User) -> None:
    first = services.submit(owner, upload(), 20)
    stranger = make_user()
    assert services.seen_before(stranger, first.video.sha256) is None

    second = services.submit(stranger, upload(), 20)

    assert first.video != second.video
    assert len(kept_files()) == 4


def test_same_content_puts_a_lost_file_back(owner: User) -> None:
    first = services.submit(owner, upload(), 20)
    default_storage.delete(str(first.video.file.name))

    second = services.submit(owner, upload(), 20)

    assert Path(second.video.file.path).read_bytes() == CONTENT


def test_same_file_at_the_same_moment_is_kept_once(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def meanwhile(path: Path, poster: Path) -> inspection.Inspection:
        monkeypatch.setattr(inspection, "inspect", lambda path, poster: FOUND)
        services.submit(owner, upload(), 20)
        return FOUND

    monkeypatch.setattr(inspection, "inspect", meanwhile)
    services.submit(owner, upload(), 20)

    assert (Video.objects.count(), Analysis.objects.count()) == (1, 2)
    assert len(kept_files()) == 1


@pytest.mark.parametrize("code", list(ErrorCode))
def test_what_the_child_rejects_leaves_no_row_and_no_file(
    owner: User, monkeypatch: pytest.MonkeyPatch, code: ErrorCode
) -> None:
    def inspect(path: Path, poster: Path) -> inspection.Inspection:
        poster.write_bytes(jpeg())
        raise inspection.Rejected(code)

    monkeypatch.setattr(inspection, "inspect", inspect)

    with pytest.raises(services.Refused) as refusal:
        services.submit(owner, upload(), 20)

    assert (refusal.value.code, refusal.value.message) == (code.value, sentence_for(code))
    assert (Video.objects.count(), Analysis.objects.count(), kept_files()) == (0, 0, [])


def test_empty_file_is_refused(owner: User) -> None:
    with pytest.raises(services.Refused) as refusal:
        services.submit(owner, upload(b""), 20)
    assert refusal.value.code == ErrorCode.EMPTY
    assert kept_files() == []


@pytest.mark.parametrize("said_bytes", [None, 5, 1000])
def test_too_large_file_is_refused_whatever_size_it_claims(
    owner: User, settings: Settings, said_bytes: int | None
) -> None:
    settings.UNMASK = dataclasses.replace(settings.UNMASK, max_upload_bytes=10)
    file = UploadedFile(io.BytesIO(CONTENT), "clip.mp4", size=said_bytes)
    if said_bytes is None:
        file.size = len(CONTENT)

    with pytest.raises(services.Refused) as refusal:
        services.submit(owner, file, 20)

    assert refusal.value.code == ErrorCode.TOO_LARGE
    assert "10 bytes" in refusal.value.message.replace("\xa0", " ")
    assert kept_files() == []


@pytest.mark.parametrize("frames", [9, 121, -1])
def test_frames_out_of_range_are_refused(owner: User, frames: int) -> None:
    with pytest.raises(services.Refused) as refusal:
        services.submit(owner, upload(), frames)
    assert refusal.value.message == "Please choose between 10 and 120 frames."


def test_full_queue_refuses_new_analyses_until_one_is_over(owner: User) -> None:
    owner.max_queued = 2
    first = services.submit(owner, upload(), 20)
    services.submit(owner, upload(b"another"), 20)

    for content in (b"third", CONTENT):
        with pytest.raises(services.Refused) as refusal:
            services.submit(owner, upload(content), 20)
        assert refusal.value.code == Code.QUEUE_FULL
        assert "2 analyses" in refusal.value.message
    User.objects.filter(pk=owner.pk).update(max_queued=2)
    with pytest.raises(services.Refused):
        services.analyze_again(first, 20)
    services.cancel(first)
    assert services.submit(owner, upload(b"third"), 20).state == State.QUEUED
    with pytest.raises(services.Refused):
        services.retry(Analysis.objects.get(pk=first.pk))
    assert services.retry(Analysis.objects.get(pk=first.pk), within_quota=False)


def test_full_storage_refuses_new_videos_but_not_known_ones(owner: User) -> None:
    owner.max_storage_bytes = len(CONTENT) + 3
    services.submit(owner, upload(), 20)

    with pytest.raises(services.Refused) as refusal:
        services.submit(owner, upload(b"more"), 20)

    assert refusal.value.code == Code.STORAGE_FULL
    assert Video.objects.count() == 1
    assert services.submit(owner, upload(), 20).state == State.QUEUED


def test_failure_of_the_database_leaves_no_file(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(video: Video, frames: int) -> Analysis:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(services, "_queue", broken)

    with pytest.raises(RuntimeError), transaction.atomic():
        services.submit(owner, upload(), 20)

    assert (Video.objects.count(), kept_files()) == (0, [])


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("clip.mp4", "clip.mp4"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\clip.mp4", "clip.mp4"),
        ("gpj\u202e4pm.exe", "gpj 4pm.exe"),
        ("two\nlines\x00\x1b[31m.mp4", "two lines [31m.mp4"),
        ("  spaces   between .mp4 ", "spaces between .mp4"),
        ("e\u0301te\u0301.mp4", "\u00e9t\u00e9.mp4"),
        ("\u200b\u2066", "Unnamed video"),
        ("", "Unnamed video"),
        (None, "Unnamed video"),
        ("a" * 300 + ".mp4", "a" * 195 + "….mp4"),
        ("b" * 300, "b" * 199 + "…"),
    ],
)
def test_name_is_made_safe_to_show(name: str | None, shown: str) -> None:
    assert uploads.clean_name(name) == shown


def test_analyze_again_queues_the_same_video_with_other_frames(owner: User, enqueued: list[str]) -> None:
    done = make_analysis(State.DONE, owner)

    again = services.analyze_again(done, 90)

    assert (again.video, again.frames_requested, again.state) == (done.video, 90, State.QUEUED)
    done.refresh_from_db()
    assert done.state == State.DONE


def test_analyze_again_after_the_video_was_deleted_is_refused(owner: User) -> None:
    done = make_analysis(State.DONE, owner)
    services.delete([Analysis.objects.get(pk=done.pk)])

    with pytest.raises(services.Refused) as refusal:
        services.analyze_again(done, 20)
    assert refusal.value.code == Code.FILE_MISSING


def test_retry_queues_a_new_attempt_after_the_commit(
    enqueued: list[str], django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    failed = make_analysis(State.FAILED)

    with django_capture_on_commit_callbacks(execute=True):
        assert [services.retry(failed), services.retry(failed)] == [True, False]

    assert enqueued == [f"analysis-{failed.pk}-2"]


def test_cancel_says_whether_it_did_anything() -> None:
    waiting = make_analysis(State.QUEUED)
    assert [services.cancel(waiting), services.cancel(waiting)] == [True, False]


@pytest.mark.parametrize("state", State.values)
def test_delete_removes_rows_and_files_in_every_state(
    state: str, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    analysis = make_analysis(state)
    other = make_analysis(State.DONE)
    others = [name for name in kept_files() if str(other.pk) in name or str(other.video.pk) in name]

    with django_capture_on_commit_callbacks(execute=True):
        assert services.delete([analysis]) == 1

    assert list(Analysis.objects.all()) == [other]
    assert list(Video.objects.all()) == [other.video]
    assert kept_files() == others
    assert not list(Path(site.MEDIA_ROOT).rglob(f"*{analysis.pk}*"))


def test_delete_keeps_the_video_while_another_analysis_needs_it(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    first = make_analysis(State.DONE)
    second = make_analysis(State.DONE, video=first.video)

    with django_capture_on_commit_callbacks(execute=True):
        assert services.delete(Analysis.objects.filter(pk=first.pk)) == 1
    assert Video.objects.get() == first.video
    assert {name.split("/")[1] for name in kept_files()} == {str(second.pk), str(first.video.pk)}

    with django_capture_on_commit_callbacks(execute=True):
        assert services.delete([second, first]) == 1
    assert (Video.objects.count(), kept_files()) == (0, [])


def test_delete_that_is_rolled_back_keeps_the_files() -> None:
    analysis = make_analysis(State.DONE)
    before = kept_files()

    with transaction.atomic():
        services.delete([analysis])
        transaction.set_rollback(True)

    assert Analysis.objects.filter(pk=analysis.pk).exists()
    assert kept_files() == before


@pytest.mark.parametrize(
    "remove",
    [
        lambda a: services.delete_videos([a.video]),
        lambda a: services.delete_person(a.video.owner),
    ],
    ids=["video", "person"],
)
def test_deleting_a_video_or_a_person_leaves_no_file(
    remove: Callable[[Analysis], object], django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    analysis = make_analysis(State.DONE)
    make_analysis(State.QUEUED, video=analysis.video)

    with django_capture_on_commit_callbacks(execute=True):
        remove(analysis)

    assert (Video.objects.count(), Analysis.objects.count(), kept_files()) == (0, 0, [])


def test_every_error_code_has_its_own_sentence() -> None:
    codes = [*ErrorCode, *Code]
    sentences = {sentence_for(code, {"max_queued": 3}) for code in codes}

    assert len(sentences) == len(codes)
    assert all(sentence.endswith(".") and "%(" not in sentence for sentence in sentences)
    assert sentence_for("never heard of") == sentence_for(Code.INTERNAL)


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), OperationalError("database or disk is full")]
)
def test_full_disk_refuses_and_keeps_nothing(owner: User, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def full(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(services, "_queue", full)

    with pytest.raises(services.Refused) as refusal:
        services.submit(owner, upload(), 10)

    assert refusal.value.code == Code.DISK_FULL
    assert refusal.value.message.startswith("There is no room left on the disk of this site")
    assert (Video.objects.count(), kept_files()) == (0, [])


def test_a_refusal_that_cannot_be_counted_is_told_all_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A full disk refuses an upload, and keeps the database from counting that."""

    def full(*_about: object) -> None:
        raise OperationalError("database or disk is full")

    monkeypatch.setattr(uploads, "receive", full)
    monkeypatch.setattr(tallies, "count", full)

    with pytest.raises(services.Refused) as refusal:
        services.submit(make_user(), SimpleUploadedFile("clip.mp4", b"a clip"), 20)

    assert refusal.value.code == "disk_full"
    assert "A refusal (disk_full) could not be counted." in caplog.text
