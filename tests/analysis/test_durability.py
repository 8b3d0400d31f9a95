"""What a row counts on is on the disk itself before the row is committed, so that a power cut loses nothing."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.backends.sqlite3.base import DatabaseWrapper
from django.db.models import QuerySet
from rq.timeouts import JobTimeoutException

from analysis import inspection, results, services
from analysis.models import Analysis, State, Video
from tests.analysis.builders import jpeg, make_analysis, make_report, make_user
from tests.analysis.stand_in import write_pictures

FULL = 2  # of PRAGMA synchronous

Synced = list[tuple[Path, bool]]


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> Synced:
    """What was written out to the disk so far, and whether the row's transaction had begun by then."""
    found: Synced = []
    really = os.fsync

    def fsync(descriptor: int) -> None:
        found.append((Path(f"/proc/self/fd/{descriptor}").readlink(), transaction.get_connection().in_atomic_block))
        really(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return found


@pytest.mark.django_db
def test_sqlite_writes_every_commit_to_the_disk(tmp_path: Path) -> None:
    database = DatabaseWrapper({**connection.settings_dict, "NAME": str(tmp_path / "unmask.sqlite3")})

    with contextlib.closing(database), database.temporary_connection() as cursor:
        cursor.execute("PRAGMA synchronous")
        assert cursor.fetchone() == (FULL,)
        cursor.execute("PRAGMA journal_mode")
        assert cursor.fetchone() == ("wal",)


@pytest.mark.django_db(transaction=True)
def test_an_upload_is_on_the_disk_before_its_row_is(monkeypatch: pytest.MonkeyPatch, synced: Synced) -> None:
    def inspect(path: Path, poster: Path) -> inspection.Inspection:
        poster.write_bytes(jpeg())
        return inspection.Inspection("mov,mp4", "h264", 64, 64, 1.0, 25.0)

    monkeypatch.setattr(inspection, "inspect", inspect)
    monkeypatch.setattr("analysis.tasks.enqueue", lambda analysis: True)

    video = services.submit(make_user(), SimpleUploadedFile("clip.mp4", b"a clip"), 10).video

    original = Path(video.file.path)
    for path in (original, Path(video.poster.path), original.parent, original.parent.parent):
        assert (path, False) in synced


@pytest.mark.django_db(transaction=True)
def test_pictures_are_on_the_disk_before_the_analysis_is_done(tmp_path: Path, synced: Synced) -> None:
    analysis = make_analysis(State.RUNNING)
    report = make_report()
    write_pictures(report, tmp_path)

    assert results.store(analysis, report, tmp_path)

    pictures = [Path(frame.picture.path) for frame in analysis.frames.all()]
    assert pictures
    for path in [*pictures, *(picture.parent for picture in pictures)]:
        assert (path, False) in synced


class TestAfterTheCommit:
    """Whatever comes once the row is there takes nothing from it."""

    pytestmark = pytest.mark.django_db(transaction=True)

    @pytest.fixture
    def submit(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Analysis]:
        found = inspection.Inspection("mov,mp4", "h264", 64, 64, 1.0, 25.0)
        monkeypatch.setattr(inspection, "inspect", lambda path, poster: found)
        return lambda: services.submit(make_user(), SimpleUploadedFile("clip.mp4", b"a clip"), 10)

    def test_an_upload_that_is_broken_off_while_it_waits_for_the_queue_is_kept(
        self, submit: Callable[[], Analysis], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("analysis.tasks.enqueue", Mock(side_effect=KeyboardInterrupt))

        with pytest.raises(KeyboardInterrupt):
            submit()

        assert Path(Video.objects.get().file.path).read_bytes() == b"a clip"

    def test_an_upload_is_accepted_whatever_the_queue_says(
        self, submit: Callable[[], Analysis], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr("analysis.tasks.enqueue", Mock(side_effect=RuntimeError("a strange answer")))

        analysis = submit()

        assert Path(analysis.video.file.path).exists()
        assert "a strange answer" in caplog.text

    @pytest.mark.parametrize("known", [True, False])
    def test_an_upload_that_fails_before_goes_unless_the_database_cannot_be_asked(
        self, submit: Callable[[], Analysis], known: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(services, "_queue", Mock(side_effect=OperationalError("the server went away")))
        if not known:
            monkeypatch.setattr(QuerySet, "exists", Mock(side_effect=InterfaceError("the connection is closed")))

        with pytest.raises(OperationalError):
            submit()

        assert bool(list(Path(settings.MEDIA_ROOT).glob("videos/*/original"))) is not known

    def test_a_result_keeps_its_pictures_when_the_time_ends_with_the_commit(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        analysis, report = make_analysis(State.RUNNING), make_report()
        write_pictures(report, tmp_path)
        write = results._write

        def alarm() -> None:
            raise JobTimeoutException("The time is over.")

        def writes(*about: Any) -> None:
            write(*about)
            transaction.on_commit(alarm)

        monkeypatch.setattr(results, "_write", writes)

        with pytest.raises(JobTimeoutException):
            results.store(analysis, report, tmp_path)

        analysis.refresh_from_db()
        assert analysis.state == State.DONE
        assert all(Path(frame.picture.path).exists() for frame in analysis.frames.all())
