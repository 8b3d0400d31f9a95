"""Puts an installation back as a backup has it.

Nothing is touched before the whole backup has been verified. What is new is laid beside what is there; then the two
change places by renaming, the database is brought up to date, and only then what was there goes. When anything fails in
between, what was there comes back; where it cannot, nothing of it is deleted, and its folder is named. (PostgreSQL
restores into an empty database only, in one transaction, after the files; a database that was filled stays so, and the
error says that.)
"""

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import FileSystemStorage, default_storage
from django.core.management import call_command
from django.db import DatabaseError, connection, connections

from analysis import files, lifecycle
from deepfakesite import instance
from deepfakesite.backups import database, manifest
from deepfakesite.backups.manifest import MEDIA, SECRET_KEY, Manifest, Unusable

KEPT = {".gitignore"}  # in the media folder; belongs to the program
REPLACED, RESTORING = ".replaced-", ".restoring-"  # how the folders of a restore begin, in the media folder


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored, how many analyses that were running wait again, and what earlier restores had left."""

    manifest: Manifest
    queued_again: int
    left: list[Path]  # folders with what was there before a restore that was killed, for people to look through


def restore(source: Path, *, replace: bool = False) -> Restored:
    """Restores the backup in ``source``; ``replace`` allows it where an installation has data already.

    Raises Unusable, and leaves everything as it was, when it cannot.
    """
    source = source.expanduser().absolute()
    found = manifest.read(source)
    _check(found)
    manifest.verify(source, found)
    try:
        with instance.lock(settings.DATA_DIR):
            _remove_drafts()
            _check_room(replace=replace)
            with _media_in_bucket(source, found) if files.is_shared() else contextlib.nullcontext():
                queued_again = _restore(source, found)
            return Restored(found, queued_again, _in_media(REPLACED))
    except instance.AlreadyRunning as error:
        raise Unusable(f"The site runs in {settings.DATA_DIR}. Stop it, then restore.") from error
    except (OSError, DatabaseError) as error:
        raise Unusable(f"Nothing was restored, and what was there is there still: {error}.") from error


def _check(found: Manifest) -> None:
    if found.vendor != connection.vendor:
        raise Unusable(
            f"The backup is of a {found.vendor} database, and DATABASE_URL names a {connection.vendor} one; the two "
            "cannot be exchanged."
        )
    if not database.is_known(found.migrations):
        raise Unusable(f"The backup was made by a newer version ({found.unmask}). Install that one, then restore.")
    if found.database not in found.files:
        raise Unusable("The backup holds no database; take another backup.")
    if not isinstance(default_storage, FileSystemStorage) and not files.is_shared():
        raise Unusable("The media are not kept in a folder; put the backup's media there with their own tools.")


@contextlib.contextmanager
def _media_in_bucket(source: Path, found: Manifest) -> Iterator[None]:
    """Puts the media where they are kept, before any row names them; they go again when what follows fails."""
    try:
        for name in found.files:
            path = manifest.inside(name)
            if path.parts[0] == MEDIA:
                wanted = str(path.relative_to(MEDIA))
                with (source / path).open("rb") as file:
                    kept = default_storage.save(wanted, File(file))
                if kept != wanted or default_storage.size(kept) != found.files[name].size_bytes:
                    raise Unusable(f"{name} was not stored as it is in the backup. Nothing was restored; try again.")
        yield
    except BaseException:
        files.remove_folders(default_storage.listdir("")[0])
        raise


def _check_room(*, replace: bool) -> None:
    """Refuses where a restore would overwrite what it must not."""
    if connection.vendor == "postgresql":
        if database.holds_data():
            raise Unusable(
                "The database that DATABASE_URL names is not empty. Make a new one with `createdb`, and name that."
            )
        if _stored() and not replace:
            raise Unusable(
                f"There are files in {settings.MEDIA_ROOT} already. Choose an empty DATA_DIR, or say --replace to have "
                "them removed once the backup has been restored."
            )
    elif not replace and (database.holds_data() or _stored()):
        raise Unusable(
            f"There are data in {settings.DATA_DIR} already. Choose an empty DATA_DIR, or say --replace to have them "
            "removed once the backup has been restored."
        )
    if files.is_shared() and any(default_storage.listdir("")):
        raise Unusable("The bucket that STORAGE_URL names holds objects already. Name an empty one, or another prefix.")


def _stored() -> list[Path]:
    """What lies in the media folder, but for what restores that were killed had taken away."""
    return [path for path in _in_media() if path.name not in KEPT and not path.name.startswith(REPLACED)]


def _in_media(beginning: str = "") -> list[Path]:
    media = Path(settings.MEDIA_ROOT)
    return sorted(path for path in media.iterdir() if path.name.startswith(beginning)) if media.is_dir() else []


def _remove_drafts() -> None:
    """What a restore that was killed had copied from its backup; whoever holds the installation's lock is alone."""
    for folder in _in_media(RESTORING):
        shutil.rmtree(folder)


def _restore(source: Path, found: Manifest) -> int:
    media = Path(settings.MEDIA_ROOT)
    media.mkdir(mode=0o700, parents=True, exist_ok=True)
    mark = secrets.token_hex(4)  # a process's number may come again, and with it the folder of one that was killed
    swap = Swap(old=media / f"{REPLACED}{mark}", new=media / f"{RESTORING}{mark}")
    with swap.undone_on_failure():
        _lay_beside(source, found, swap.new)
        connections.close_all()
        _exchange_files(swap, found)
        if connection.vendor == "postgresql":  # last, because it is the one step that cannot be taken back
            database.restore_postgresql(source / found.database)
        queued_again = _bring_up_to_date()
        connections.close_all()
        os.sync()  # a power cut must not take what is new when what was there has gone
    return queued_again


def _exchange_files(swap: "Swap", found: Manifest) -> None:
    """What is new takes the place of what is there: SQLite's database, the media, the secret key."""
    media = Path(settings.MEDIA_ROOT)
    if connection.vendor != "postgresql":
        path = database.sqlite_path()
        journals = [path.with_name(f"{path.name}-{kind}") for kind in ("wal", "shm")]
        for old in (path, *journals):
            swap.take_away(old)
        swap.put(swap.new / found.database, path)
        swap.made_since = journals
    for path in _stored():
        if path != swap.new:
            swap.take_away(path)
    for path in sorted((swap.new / MEDIA).iterdir()):
        swap.put(path, media / path.name)
    if SECRET_KEY in found.files:
        key = Path(settings.DATA_DIR) / SECRET_KEY
        swap.take_away(key)
        swap.put(swap.new / SECRET_KEY, key)


def _bring_up_to_date() -> int:
    """Migrates the restored database and lets what was running wait again; how many analyses."""
    try:
        call_command("migrate", interactive=False, verbosity=0)
        call_command("createcachetable", verbosity=0)
        return lifecycle.take_back_all()
    except (OSError, DatabaseError) as error:
        if connection.vendor != "postgresql":
            raise
        raise Unusable(
            f"The database that DATABASE_URL names was filled, and could not be brought up to date then: {error}. "
            "The files are as they were before. Make a new database with `createdb`, name that, and restore again."
        ) from error


def _lay_beside(source: Path, found: Manifest, folder: Path) -> None:
    """Copies the backup's files into ``folder``, and checks each copy: a disk may fail between two readings."""
    (folder / MEDIA).mkdir(mode=0o700, parents=True)
    for name, expected in found.files.items():
        in_bucket = files.is_shared() and manifest.inside(name).parts[0] == MEDIA
        if in_bucket or (connection.vendor == "postgresql" and name == found.database):
            continue
        path = folder / manifest.inside(name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (source / name).open("rb") as before, open(path, "xb", opener=manifest.private) as after:
            shutil.copyfileobj(before, after, 1024 * 1024)
        if manifest.sum_of(path) != expected:
            raise Unusable(f"{name} changed while it was copied. Nothing was restored; check the disk.")


class Swap:
    """Renames that can be taken back. ``old`` and ``new`` are folders on the disk of the media, gone at the end.

    When what was there cannot be put back, ``old`` stays, and Unusable names it.
    """

    def __init__(self, old: Path, new: Path) -> None:
        self.old, self.new = old, new
        self.made_since: list[Path] = []  # files that come into being beside what is new, and must not outlive it
        self._moves: list[tuple[Path, Path]] = []

    def take_away(self, path: Path) -> None:
        """Moves what is there out of the way."""
        if path.exists():
            self.old.mkdir(mode=0o700, exist_ok=True)
            self._move(path, self.old / f"{len(self._moves)}-{path.name}")

    def put(self, path: Path, target: Path) -> None:
        """Moves what is new to its place."""
        self._move(path, target)

    def _move(self, source: Path, target: Path) -> None:
        self._moves.append((source, target))  # before it is made, so that one that is broken off is taken back too
        _rename(source, target)

    @contextlib.contextmanager
    def undone_on_failure(self) -> Iterator[None]:
        try:
            yield
        except BaseException as failure:
            try:
                self._undo()
            except BaseException as error:
                raise Unusable(self._left(failure, error)) from error
            self._clear()
            raise
        self._clear()

    def _undo(self) -> None:
        """Stops at the first move that cannot be taken back: what comes after it may stand in the place of another."""
        connections.close_all()
        for path in self.made_since:
            path.unlink(missing_ok=True)
        for source, target in reversed(self._moves):
            if not target.exists():  # the move was not made
                continue
            if not source.exists():
                _rename(target, source)
            elif target.parent != self.old:  # a copy to another disk that was broken off; in ``old`` it may stay
                target.unlink()

    def _left(self, failure: BaseException, error: BaseException) -> str:
        reasons = [str(each) or type(each).__name__ for each in (failure, error)]
        return (
            f"The restore failed ({reasons[0]}), and what was there could not all be put back ({reasons[1]}). Nothing "
            f"of it was deleted: what is not in its place lies in {self.old}, each under its name after a number. Move "
            "it back by hand before you start the site."
        )

    def _clear(self) -> None:
        for folder in (self.new, self.old):
            shutil.rmtree(folder, ignore_errors=True)


def _rename(source: Path, target: Path) -> None:
    """Folders never leave the disk of the media; the database and the key are files, and may lie on another one."""
    if source.is_dir():
        source.rename(target)
    else:
        shutil.move(source, target)
