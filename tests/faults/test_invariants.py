"""What the rounds rest on: that a broken promise is seen. Each is broken here on purpose."""

import hashlib
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from django.conf import settings as site
from django.db import connection

from analysis import files, results
from analysis.models import Analysis, AnnotatedFrame, State
from tests.analysis.builders import make_analysis, make_report, make_video
from tests.analysis.stand_in import write_pictures
from tests.faults import invariants
from tests.faults.stand_in import FINISHED

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def done(tmp_path: Path) -> Analysis:
    """A finished analysis, all of whose files are there."""
    site.MEDIA_ROOT = tmp_path / "site" / "media"
    video = make_video(content=b"any bytes")
    path = Path(video.file.path)
    video.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    video.save()
    analysis = make_analysis(State.RUNNING, video=video)
    pictures = tmp_path / "pictures"
    write_pictures(make_report(), pictures)
    assert results.store(analysis, make_report(), pictures)
    analysis.refresh_from_db()
    return analysis


def found(folder: Path, acknowledged: set[str]) -> list[str]:
    """What is wrong with the test's own database and media, looked at as an installation's."""
    connection.ensure_connection()
    with closing(sqlite3.connect(folder / "unmask.sqlite3")) as target:
        connection.connection.backup(target)
    return invariants.breaches(folder, acknowledged)


def test_nothing_is_wrong_with_what_is_whole(done: Analysis, tmp_path: Path) -> None:
    assert found(tmp_path / "site", {done.pk.hex}) == []
    assert invariants.lost(tmp_path / "site", {done.pk.hex}) == set()


def hang(analysis: Analysis) -> None:
    Analysis.objects.update(state=State.RUNNING, lease_expires_at=analysis.created_at)


def fail_without_words(analysis: Analysis) -> None:
    Analysis.objects.update(state=State.FAILED, error_code="no such code")


def lose_the_video(analysis: Analysis) -> None:
    Path(analysis.video.file.path).unlink()


def change_the_video(analysis: Analysis) -> None:
    Path(analysis.video.file.path).write_bytes(b"other bytes")


def lose_a_picture(analysis: Analysis) -> None:
    Path(analysis.frames.all()[0].picture.path).write_bytes(b"")


def keep_a_file_of_nobody(analysis: Analysis) -> None:
    folder = Path(site.MEDIA_ROOT) / files.analysis_folder(analysis.pk) / "2-ab"
    folder.mkdir()
    (folder / "frame.jpg").write_bytes(b"x")


def leave_an_upload(analysis: Analysis) -> None:
    (Path(site.MEDIA_ROOT).parent / "uploads").mkdir()
    (Path(site.MEDIA_ROOT).parent / "uploads" / "tmpabc.upload.mp4").write_bytes(b"x")


def finish_twice(analysis: Analysis) -> None:
    (Path(site.MEDIA_ROOT).parent / FINISHED).write_text(f"{analysis.pk.hex} 1 10\n{analysis.pk.hex} 2 11\n")


def lose_the_rows_of_the_pictures(analysis: Analysis) -> None:
    AnnotatedFrame.objects.all().delete()
    analysis.tracks.all().delete()
    shutil.rmtree(Path(site.MEDIA_ROOT) / files.analysis_folder(analysis.pk))


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (hang, "hangs in running"),
        (fail_without_words, "for which there is no sentence"),
        (lose_the_video, "lacks its file videos/"),
        (change_the_video, "is not the one that was uploaded"),
        (lose_a_picture, "lacks its file analyses/"),
        (keep_a_file_of_nobody, "belongs to no row"),
        (leave_an_upload, "was left behind"),
        (finish_twice, "was finished 2 times"),
        (lose_the_rows_of_the_pictures, "is done and lacks pictures"),
    ],
)
def test_each_broken_promise_is_seen(
    done: Analysis, tmp_path: Path, harm: Callable[[Analysis], None], words: str
) -> None:
    harm(done)

    assert any(words in sentence for sentence in found(tmp_path / "site", {done.pk.hex}))


def test_what_was_acknowledged_and_is_gone_is_lost(done: Analysis, tmp_path: Path) -> None:
    gone = "0" * 32

    assert f"The analysis {gone} was acknowledged and has no row." in found(tmp_path / "site", {gone})
    assert invariants.lost(tmp_path / "site", {gone, done.pk.hex}) == {gone}
