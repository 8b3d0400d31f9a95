"""A backup of a real installation, restored into an empty one, shows the same; a damaged one is refused."""

import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from django.conf import settings as site
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db import DatabaseError

from analysis import lifecycle
from deepfakesite import instance
from deepfakesite.backups import database, manifest, restoring, writing
from tests.analysis.builders import make_analysis
from tests.running import environment, manage


def program(folder: Path, *arguments: str) -> dict[str, Any]:
    """What tests/ops/installation.py says of the installation in ``folder``."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.ops.installation", *arguments],
        env=environment(folder, DEBUG="on", DJANGO_SETTINGS_MODULE="deepfakesite.settings"),
        cwd=site.BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    values: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return values


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """An installation with rows and files, and a session of its person."""
    folder = tmp_path_factory.mktemp("installation")
    assert manage(folder, "migrate").returncode == 0
    return folder, program(folder, "fill")["session"]


@pytest.fixture(scope="module")
def backup(installation: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("backups") / "one"
    made = manage(installation[0], "backup", str(target))
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.startswith(f"{target}: ")
    return target


@pytest.fixture
def copy(backup: Path, tmp_path: Path) -> Path:
    """The same backup, to be damaged."""
    shutil.copytree(backup, tmp_path / "copy")
    return tmp_path / "copy"


def rows(folder: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(folder / "unmask.sqlite3")) as connected:
        return connected.execute(query).fetchall()


def files_of(folder: Path) -> dict[str, bytes]:
    """Everything in a folder but what each process makes for itself."""
    passing = {"up.lock", "unmask.sqlite3-shm", "unmask.sqlite3-wal"}
    found = (path for path in folder.rglob("*") if path.is_file() and path.name not in passing)
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_what_is_restored_into_an_empty_folder_shows_the_same(
    installation: tuple[Path, str], backup: Path, tmp_path: Path
) -> None:
    folder, session = installation
    restored = tmp_path / "restored"

    done = manage(restored, "restore", str(backup))

    assert done.returncode == 0, done.stderr
    assert "1 analysis that was running waits again." in done.stdout
    before, after = program(folder, "show", session), program(restored, "show", session)
    unfinished = [
        row[0] for row in rows(folder, "SELECT id FROM analysis_analysis WHERE state IN ('queued', 'running')")
    ]
    assert set(after) == set(before)
    assert sum(shown.startswith("200 ") for shown in after.values()) >= 25
    for address, shown in after.items():  # what ran waits again, so its page, its neighbour's place and the sums differ
        about_them = any(pk in address.replace("-", "") for pk in unfinished)
        assert shown == before[address] or about_them or address in ("/accounts/profile/", "/analyses/")
    assert rows(restored, "SELECT attempt, lost_leases FROM analysis_analysis WHERE state = 'queued' ORDER BY 1") == [
        (1, 0),
        (2, 1),
    ]
    assert rows(restored, "SELECT count(*) FROM analysis_analysis WHERE state = 'running'") == [(0,)]
    assert (restored / "secret_key").read_bytes() == (folder / "secret_key").read_bytes()
    kept = {name: data for name, data in files_of(folder).items() if name.startswith("media/")}
    assert {name: data for name, data in files_of(restored).items() if name.startswith("media/")} == kept
    assert [path.name for path in (restored / "media").iterdir() if path.name.startswith(".")] == []


def test_nobody_else_can_read_a_backup(backup: Path) -> None:
    modes = {stat.S_IMODE(path.stat().st_mode) for path in backup.rglob("*") if path.is_file()}

    assert (modes, stat.S_IMODE(backup.stat().st_mode)) == ({0o600}, 0o700)
    assert [path.name for path in backup.parent.iterdir()] == ["one"]


def test_a_backup_says_what_is_in_it(backup: Path) -> None:
    found = manifest.read(backup)

    assert (found.unmask, found.vendor, found.missing) == ("0.1.0", "sqlite", [])
    assert set(found.files) == {*files_of(backup)} - {manifest.NAME}
    assert ["analysis", "0001_initial"] in found.migrations
    manifest.verify(backup, found)


def test_a_target_that_exists_is_not_overwritten(installation: tuple[Path, str], backup: Path) -> None:
    before = files_of(backup)

    refused = manage(installation[0], "backup", str(backup))

    assert refused.returncode == 1
    assert "exists already, and a backup never overwrites one." in refused.stderr
    assert files_of(backup) == before


def test_data_are_not_overwritten_unless_it_is_said(backup: Path, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    assert manage(folder, "migrate").returncode == 0
    (folder / "media/videos/old").mkdir(parents=True)
    (folder / "media/videos/old/original").write_bytes(b"old")
    before = files_of(folder)

    refused = manage(folder, "restore", str(backup))

    assert refused.returncode == 1
    assert f"There are data in {folder} already." in refused.stderr
    assert files_of(folder) == before
    assert manage(folder, "restore", str(backup), "--replace").returncode == 0
    assert rows(folder, "SELECT count(*) FROM accounts_user") == [(2,)]
    assert not (folder / "media/videos/old").exists()


def damage(name: str) -> Any:
    def change(folder: Path) -> None:
        path = next(path for path in sorted(folder.rglob("*")) if path.name == name)
        path.write_bytes(path.read_bytes()[:-1] + b"!")

    return change


def names_outside(folder: Path) -> None:
    values = json.loads((folder / manifest.NAME).read_text())
    values["files"]["../outside"] = {"size_bytes": 0, "sha256": ""}
    (folder / manifest.NAME).write_text(json.dumps(values))


def newer(folder: Path) -> None:
    values = json.loads((folder / manifest.NAME).read_text())
    (folder / manifest.NAME).write_text(
        json.dumps(values | {"unmask": "9.0", "migrations": [["analysis", "9999_new"]]})
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (damage("unmask.sqlite3"), "The backup is damaged: unmask.sqlite3 has changed."),
        (damage("secret_key"), "The backup is damaged: secret_key has changed."),
        (damage("original"), "The backup is damaged: media/videos/"),
        (lambda folder: (folder / "secret_key").unlink(), "The backup is incomplete: secret_key is missing."),
        (lambda folder: (folder / manifest.NAME).unlink(), "holds no backup that can be read"),
        (lambda folder: (folder / manifest.NAME).write_text("{"), "is damaged"),
        (lambda folder: (folder / manifest.NAME).write_text("[]"), "was not written by this version's `backup`"),
        (names_outside, "The backup names a file outside itself"),
        (newer, "The backup was made by a newer version (9.0)."),
    ],
    ids=["database", "key", "media", "missing", "no manifest", "half a manifest", "strange", "outside", "newer"],
)
def test_a_backup_that_is_not_whole_is_refused_before_anything_is_touched(
    copy: Path, change: Any, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(copy)
    monkeypatch.setattr(restoring, "_restore", lambda source, found: pytest.fail("It was restored."))

    with pytest.raises(manifest.Unusable) as refusal:
        restoring.restore(copy)

    assert sentence in str(refusal.value)


def test_a_running_site_is_not_restored_into(backup: Path) -> None:
    with instance.lock(Path(site.DATA_DIR)), pytest.raises(manifest.Unusable, match="Stop it, then restore"):
        restoring.restore(backup)


def test_what_was_there_comes_back_when_the_restore_fails(backup: Path, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    assert manage(folder, "migrate").returncode == 0
    program(folder, "fill")
    before, people = files_of(folder), rows(folder, "SELECT id, email, password FROM accounts_user")
    broken = (
        "import django; django.setup()\n"
        "from analysis import lifecycle\n"
        "from django.core.management import call_command\n"
        "from django.db import DatabaseError\n"
        "def fails(): raise DatabaseError('the disk is full')\n"
        "lifecycle.take_back_all = fails\n"
        f"call_command('restore', {str(backup)!r}, replace=True)\n"
    )

    ended = subprocess.run(
        [sys.executable, "-c", broken],
        env=environment(folder, DJANGO_SETTINGS_MODULE="deepfakesite.settings"),
        cwd=site.BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "Nothing was restored, and what was there is there still: the disk is full." in ended.stderr
    after = files_of(folder)
    assert {name for name in after if after[name] != before.get(name)} <= {"unmask.sqlite3"}
    assert set(after) == set(before)
    assert rows(folder, "SELECT id, email, password FROM accounts_user") == people


class TestRestoring:
    """One step of a restore, with stand-ins for the database: the tests' own lies in memory."""

    @pytest.fixture(autouse=True)
    def done(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
        """What was done, in order."""
        steps: list[str] = []
        monkeypatch.setattr(restoring, "connections", SimpleNamespace(close_all=lambda: None))
        monkeypatch.setattr(restoring, "call_command", lambda name, **options: steps.append(name))
        monkeypatch.setattr(lifecycle, "take_back_all", lambda: 0)
        monkeypatch.setattr(database, "sqlite_path", lambda: tmp_path / "unmask.sqlite3")
        monkeypatch.setattr(site, "DATA_DIR", tmp_path)
        return steps

    def test_what_is_new_is_on_the_disk_before_what_was_there_goes(
        self, backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "unmask.sqlite3").write_text("old")
        there: list[str] = []

        def sync() -> None:
            there.extend(path.read_text() for path in (tmp_path / "media").glob(".replaced-*/*"))
            assert (tmp_path / "unmask.sqlite3").stat().st_size > 3

        monkeypatch.setattr(os, "sync", sync)

        restoring.restore(backup, replace=True)

        assert there == ["old"]
        assert list((tmp_path / "media").glob(".*")) == []

    @pytest.mark.parametrize("replace", [True, False])
    def test_what_a_killed_restore_had_taken_away_is_told_and_stays(
        self, backup: Path, replace: bool, tmp_path: Path
    ) -> None:
        left = tmp_path / f"media/.replaced-{os.getpid()}"
        for folder in (left, tmp_path / "media/.restoring-1"):
            folder.mkdir(parents=True)
            (folder / "0-unmask.sqlite3").write_text("old")
        out, errors = StringIO(), StringIO()
        recorded: list[str] = []

        with mock.patch("audit.trail.record", lambda *about, **details: recorded.append(about[0])):
            call_command("restore", str(backup), replace=replace, stdout=out, stderr=errors)

        assert f"{left} holds what was there before a restore that did not end." in errors.getvalue()
        assert (recorded, out.getvalue()[:8]) == (["restored"], "Restored")
        assert files_of(left) == {"0-unmask.sqlite3": b"old"}
        assert list((tmp_path / "media").glob(".*")) == [left]

    @pytest.fixture
    def dump(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: list[str]) -> Path:
        """A backup of an installation with PostgreSQL, an empty database for it, and other media in its place."""
        monkeypatch.setattr(restoring, "connection", SimpleNamespace(vendor="postgresql"))
        monkeypatch.setattr(database, "holds_data", lambda: False)
        monkeypatch.setattr(database, "restore_postgresql", lambda path: done.append("pg_restore"))
        folder = tmp_path / "dump"
        for name in ("unmask.dump", "media/videos/new/original"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("new")
        files = {name: manifest.sum_of(folder / name) for name in files_of(folder)}
        manifest.Manifest("0.1.0", "2026-12-01T00:00:00+00:00", "postgresql", "unmask.dump", [], files).write(folder)
        (tmp_path / "media/videos").mkdir(parents=True)
        (tmp_path / "media/videos/original").write_text("old")
        return folder

    def test_the_files_change_places_before_postgresql_is_filled(
        self, dump: Path, done: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def restore_postgresql(path: Path) -> None:
            assert path.read_text() == "new"
            done.extend(files_of(tmp_path / "media/videos"))

        monkeypatch.setattr(database, "restore_postgresql", restore_postgresql)

        restoring.restore(dump, replace=True)

        assert done == ["new/original", "migrate", "createcachetable"]
        assert files_of(tmp_path / "media") == {"videos/new/original": b"new"}

    def test_media_beside_an_empty_database_are_replaced_only_when_it_is_said(
        self, dump: Path, done: list[str], tmp_path: Path
    ) -> None:
        with pytest.raises(manifest.Unusable, match=f"There are files in {tmp_path}/media already. .* say --replace"):
            restoring.restore(dump)

        assert (done, files_of(tmp_path / "media")) == ([], {"videos/original": b"old"})

    @pytest.mark.parametrize("replace", [True, False])
    def test_a_database_of_postgresql_that_is_not_empty_is_never_replaced(
        self, dump: Path, done: list[str], replace: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(database, "holds_data", lambda: True)

        with pytest.raises(manifest.Unusable, match="is not empty"):
            restoring.restore(dump, replace=replace)

        assert done == []

    def test_a_database_that_was_filled_is_told_when_the_rest_fails(
        self, dump: Path, done: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fails() -> int:
            raise DatabaseError("the server went away")

        monkeypatch.setattr(lifecycle, "take_back_all", fails)

        with pytest.raises(manifest.Unusable) as refusal:
            restoring.restore(dump, replace=True)

        assert "was filled, and could not be brought up to date then: the server went away." in str(refusal.value)
        assert "Nothing was restored" not in str(refusal.value)
        assert done[0] == "pg_restore"
        assert files_of(tmp_path / "media") == {"videos/original": b"old"}

    def test_nothing_is_exchanged_when_postgresql_cannot_be_filled(
        self, dump: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fails(path: Path) -> None:
            raise manifest.Unusable("pg_restore failed: no room")

        monkeypatch.setattr(database, "restore_postgresql", fails)

        with pytest.raises(manifest.Unusable, match="pg_restore failed: no room"):
            restoring.restore(dump, replace=True)

        assert files_of(tmp_path / "media") == {"videos/original": b"old"}


class TestSwap:
    """What was there outlives whatever fails while it changes places with what is new."""

    @pytest.fixture
    def swap(self, tmp_path: Path) -> restoring.Swap:
        (tmp_path / "new").mkdir()
        (tmp_path / "new/base").write_text("new")
        (tmp_path / "base").write_text("old")
        (tmp_path / "videos").mkdir()
        (tmp_path / "videos/original").write_text("old")
        return restoring.Swap(old=tmp_path / "old", new=tmp_path / "new")

    def exchange(self, swap: restoring.Swap) -> None:
        folder = swap.old.parent
        with swap.undone_on_failure():
            swap.take_away(folder / "base")
            swap.put(swap.new / "base", folder / "base")
            swap.take_away(folder / "videos")
            raise DatabaseError("the disk is full")

    def test_it_comes_back(self, swap: restoring.Swap) -> None:
        with pytest.raises(DatabaseError):
            self.exchange(swap)

        assert files_of(swap.old.parent) == {"base": b"old", "videos/original": b"old"}

    @pytest.mark.parametrize("error", [PermissionError(1, "Operation not permitted"), KeyboardInterrupt()], ids=repr)
    @pytest.mark.parametrize("after", [3, 4, 5])
    def test_it_is_kept_and_named_when_it_cannot_come_back(
        self, swap: restoring.Swap, error: BaseException, after: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rename = restoring._rename
        made: list[Path] = []

        def fails(source: Path, target: Path) -> None:
            if len(made) == after:
                raise error
            made.append(source)
            rename(source, target)

        monkeypatch.setattr(restoring, "_rename", fails)

        with pytest.raises(manifest.Unusable) as refusal:
            self.exchange(swap)

        assert f"Nothing of it was deleted: what is not in its place lies in {swap.old}," in str(refusal.value)
        kept = {name.split("-")[-1]: data for name, data in files_of(swap.old.parent).items() if data == b"old"}
        assert sorted(Path(name).name for name in kept) == ["base", "original"]

    @pytest.mark.parametrize("made_first", [True, False])
    @pytest.mark.parametrize("at", [0, 1, 2])
    def test_an_interrupt_at_a_move_is_undone_too(
        self, swap: restoring.Swap, at: int, made_first: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rename = restoring._rename
        seen: list[Path] = []

        def interrupted(source: Path, target: Path) -> None:
            seen.append(source)
            if len(seen) != at + 1 or made_first:
                rename(source, target)
            if len(seen) == at + 1:
                raise KeyboardInterrupt

        monkeypatch.setattr(restoring, "_rename", interrupted)

        with pytest.raises(KeyboardInterrupt):
            self.exchange(swap)

        assert files_of(swap.old.parent) == {"base": b"old", "videos/original": b"old"}
        assert not swap.old.exists()

    def test_a_copy_to_another_disk_that_broke_off_is_no_old_file(
        self, swap: restoring.Swap, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rename = restoring._rename

        def half(source: Path, target: Path) -> None:
            if source.parent == swap.new:
                target.write_text("ne")
                raise OSError(28, "No space left on device")
            rename(source, target)

        monkeypatch.setattr(restoring, "_rename", half)

        with pytest.raises(OSError, match="No space left"):
            self.exchange(swap)

        assert files_of(swap.old.parent) == {"base": b"old", "videos/original": b"old"}


@pytest.mark.django_db(transaction=True)
class TestWhileTheSiteRuns:
    """What comes and goes between the first file and the copy of the database."""

    @pytest.fixture(autouse=True)
    def _database(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """The test's own database lies in memory; its copy is taken from there."""
        from django.db import connection

        def save(path: Path) -> database.Copy:
            connection.ensure_connection()
            with closing(sqlite3.connect(path)) as target:
                connection.connection.backup(target)
                return database._copied(path, lambda query: target.execute(query).fetchall())

        self.meanwhile: Callable[[], object] = lambda: None

        def copy_sqlite(path: Path) -> database.Copy:
            self.meanwhile()
            return save(path)

        monkeypatch.setattr(database, "_copy_sqlite", copy_sqlite)

    def test_files_that_come_are_there_and_those_that_go_are_not(self, tmp_path: Path) -> None:
        gone, kept = make_analysis("done"), make_analysis("done")
        come = []

        def meanwhile() -> None:
            from analysis import services

            services.delete([gone])
            come.append(make_analysis("done"))

        self.meanwhile = meanwhile

        written = writing.write(tmp_path / "backup")

        folders = {name.split("/")[2] for name in written.files if name.startswith("media/")}
        assert folders == {str(pk) for row in (kept, come[0]) for pk in (row.pk, row.video_id)}
        assert written.missing == []
        manifest.verify(tmp_path / "backup", manifest.read(tmp_path / "backup"))

    def test_a_stored_file_that_is_lost_is_told(self, tmp_path: Path) -> None:
        analysis = make_analysis("queued")
        default_storage.delete(str(analysis.video.file.name))

        assert writing.write(tmp_path / "backup").missing == [analysis.video.file.name]

    @pytest.mark.parametrize(
        ("error", "sentence"),
        [
            (OSError(28, "No space left on device"), "The backup was not kept: No space left on device"),
            (
                sqlite3.OperationalError("database or disk is full"),
                "because the database could not be read or copied: database or disk is full. See that the",
            ),
            (DatabaseError("gone"), "because the database could not be read or copied: gone. See that the"),
        ],
        ids=repr,
    )
    def test_a_failure_leaves_nothing_and_is_told(self, tmp_path: Path, error: Exception, sentence: str) -> None:
        make_analysis("done")

        def meanwhile() -> None:
            raise error

        self.meanwhile = meanwhile
        with pytest.raises(manifest.Unusable) as refusal:
            writing.write(tmp_path / "backup")

        assert sentence in str(refusal.value)
        assert {path.name for path in tmp_path.iterdir()} <= {"media"}

    @pytest.mark.parametrize(
        ("tables", "reason"),
        [([], "the database is one of an older version"), (["audit_entry"], "the disk is full")],
    )
    def test_a_backup_that_the_trail_does_not_tell_of_says_why(
        self, tmp_path: Path, tables: list[str], reason: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from django.db import connection

        make_analysis("done")
        monkeypatch.setattr("audit.trail.record", mock.Mock(side_effect=DatabaseError("the disk is full")))
        monkeypatch.setattr(connection.introspection, "table_names", lambda: tables)
        out, errors = StringIO(), StringIO()

        call_command("backup", tmp_path / "backup", stdout=out, stderr=errors)

        assert errors.getvalue() == f"The audit trail does not tell of this backup: {reason}.\n"
        assert (tmp_path / "backup" / manifest.NAME).exists()

    def test_a_disk_that_is_too_small_is_told_before(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        make_analysis("done")
        monkeypatch.setattr(shutil, "disk_usage", lambda path: type("Usage", (), {"free": 10})())

        with pytest.raises(manifest.Unusable, match="The backup takes at least"):
            writing.write(tmp_path / "backup")

    def test_media_are_no_place_for_a_backup(self) -> None:
        Path(site.MEDIA_ROOT).mkdir(exist_ok=True)

        with pytest.raises(manifest.Unusable, match="lies among the media"):
            writing.write(Path(site.MEDIA_ROOT) / "backup")
