"""What a row counts on is on the disk itself before the row is committed, so that a power cut loses nothing."""

import os
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction

from analysis import inspection, results, services
from analysis.models import State
from tests.analysis.builders import jpeg, make_analysis, make_report, make_user
from tests.analysis.stand_in import write_pictures

FULL = 2

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


def test_sqlite_writes_every_commit_to_the_disk() -> None:
    init_command = connection.settings_dict["OPTIONS"]["init_command"]

    assert "journal_mode=WAL" in init_command
    assert "synchronous=FULL" in init_command


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
