"""Files that belong to rows, and folders to work in: made, copied, removed and swept; through Django's storage API.

A video lives under ``videos/<id>/`` and what was drawn from an analysis under ``analyses/<id>/``, so removing a row's
files is removing its folder; each attempt's pictures are in a folder of their own in there. Folders to work in, and
uploads on their way, are on the local disk, outside what is kept. Whoever uses one holds a lock on it, which the kernel
takes back when the process ends, however it ends: what is not locked is nobody's, whatever the clock says.
"""

import contextlib
import errno
import fcntl
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from django.conf import settings
from django.core.files.storage import Storage, default_storage
from django.db import Error, OperationalError
from django.db.models import QuerySet
from django.db.models.fields.files import FieldFile
from django.utils import timezone

from analysis.models import Analysis, State, Video

logger = logging.getLogger(__name__)

_VIDEOS, _ANALYSES = "videos", "analyses"
_COPY_BYTES = 1024 * 1024
_ROWS_AT_ONCE = 500
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
_NEXT_TO_NOTHING = 1024 * 1024
_PATIENCE_S = 60.0  # with a storage that does not answer
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 8.0
# Without locks only age tells a stray from what is just being stored, and some storages date a large object from the
# moment at which its upload began.
_OBJECT_STRAY_S = 24 * 3600.0

Result = TypeVar("Result")


class StorageDown(OSError):
    """A storage on the network did not answer, or not as it should; the same may succeed later."""


def outlast(action: Callable[[], Result]) -> Result:
    """What ``action`` returns; while the storage is down it is called again, for about a minute. Raises StorageDown."""
    end, pause_s = time.monotonic() + _PATIENCE_S, _FIRST_PAUSE_S
    while True:
        try:
            return action()
        except StorageDown as error:
            if time.monotonic() + pause_s > end:
                raise
            logger.warning("%s It is tried again in %.1f s.", error, pause_s)
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)


@contextlib.contextmanager
def work_folder(purpose: str) -> Iterator[Path]:
    """A private folder on the local disk, removed at the end; ``sweep`` removes those of dead processes."""
    root = _work_root()
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.ExitStack() as stack:
        with entering(root):
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(prefix=f"{purpose}-", dir=root, ignore_cleanup_errors=True)
            )
            stack.enter_context(_opened(Path(folder), fcntl.LOCK_EX))
        yield Path(folder)


@contextlib.contextmanager
def entering(root: Path) -> Iterator[None]:
    """Keeps the sweep out of ``root`` while something new is made in there and locked."""
    with _opened(root, fcntl.LOCK_SH):
        yield


def make_durable(names: Iterable[str]) -> None:
    """Has stored files written to the disk itself, with the folders that name them, before a row counts on them.

    Storages without paths do that on their own.
    """
    try:
        paths = [Path(default_storage.path(name)) for name in names]
    except NotImplementedError:
        return
    root = Path(default_storage.path(""))
    folders = {folder for path in paths for folder in path.parents if folder.is_relative_to(root)}
    for path in [*paths, *sorted(folders, reverse=True)]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def is_no_room(error: BaseException | None) -> bool:
    """Whether this is the disk saying that it is full, by itself or through SQLite."""
    if isinstance(error, OperationalError):  # without room for its index SQLite calls it an I/O error
        return "disk is full" in str(error) or ("disk I/O error" in str(error) and free_bytes() < _NEXT_TO_NOTHING)
    return isinstance(error, OSError) and error.errno in _NO_ROOM


def free_bytes() -> int:
    """What is left on the disk where uploads arrive and the database lies."""
    return shutil.disk_usage(settings.DATA_DIR).free


def local_path(stored: FieldFile, folder: Path) -> Path:
    """Where the stored file can be opened by path: its own, or a copy in ``folder`` when its storage has no paths."""
    try:
        return Path(stored.path)
    except NotImplementedError:
        if free_bytes() < stored.size + settings.UNMASK.min_free_bytes:
            raise OSError(errno.ENOSPC, "There is no room for a copy of the video to work on.") from None
        copy = folder / "video"
        with stored.open("rb") as source, copy.open("wb") as target:
            shutil.copyfileobj(source, target, _COPY_BYTES)
        return copy


def video_folder(pk: UUID | str) -> str:
    return f"{_VIDEOS}/{pk}"


def analysis_folder(pk: UUID | str) -> str:
    return f"{_ANALYSES}/{pk}"


def is_shared() -> bool:
    """Whether stored files lie where every machine reaches them, and not in a folder of this one."""
    return hasattr(default_storage, "remove_folder")


def remove_folders(names: Iterable[str], storage: Storage = default_storage) -> None:
    """Removes stored folders with all they hold; a missing one is no error, one that cannot be removed is logged."""
    for name in names:
        try:
            _remove_folder(storage, name)
        except OSError:
            logger.exception("The stored folder %s could not be removed; the next sweep tries again.", name)


def remove_attempt(pk: UUID | str, attempt: int) -> None:
    """Removes the pictures that this attempt at an analysis had stored before its process died."""
    folder = analysis_folder(pk)
    names = [name for name in _folders_in(folder) if name.startswith(f"{attempt}-")]
    remove_folders(f"{folder}/{name}" for name in names)


def may_be_committed(rows: QuerySet[Any]) -> bool:
    """Whether a row that counts on files is there after all: errors come between a COMMIT and its end, too.

    True as well when the database cannot be asked: the sweep removes what turns out to be nobody's.
    """
    try:
        return rows.exists()
    except Error:
        logger.exception("Whether a row was committed is not known; its files are kept until the next sweep.")
        return True


def sweep_dead() -> int:
    """Removes what dead processes left behind: folders to work in, and uploads that broke off; how many."""
    count = _sweep_unlocked(_work_root())
    if settings.FILE_UPLOAD_TEMP_DIR is not None:
        count += _sweep_unlocked(Path(settings.FILE_UPLOAD_TEMP_DIR))
    return count


def sweep_stored(older_than_s: float) -> int:
    """Removes stored folders without a row, and pictures of attempts that are over, once older than that; how many.

    A storage that knows no locks is given a day at least.
    """
    abort = getattr(default_storage, "abort_broken_uploads", None)
    if abort is not None:
        older_than_s = max(older_than_s, _OBJECT_STRAY_S)
        abort(older_than_s)
    strays = [*_without_row(_VIDEOS), *_without_row(_ANALYSES), *_of_other_attempts()]
    old = [name for name in strays if _age_s(name) > older_than_s and not _is_in_use(name)]
    remove_folders(old)
    return len(old)


def _work_root() -> Path:
    return Path(settings.DATA_DIR) / "tmp"


def _remove_folder(storage: Storage, name: str) -> None:
    if hasattr(storage, "remove_folder"):  # with few requests
        storage.remove_folder(name)
        return
    try:
        folders, files = storage.listdir(name)
    except (FileNotFoundError, NotADirectoryError):
        return
    for file in files:
        storage.delete(f"{name}/{file}")
    for folder in folders:
        _remove_folder(storage, f"{name}/{folder}")
    storage.delete(name)


@contextlib.contextmanager
def _opened(path: Path, lock: int) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, lock)
        yield
    finally:
        os.close(descriptor)


def _sweep_unlocked(root: Path) -> int:
    """Removes what nobody holds a lock on; nothing can be made there and not be locked yet (``entering``)."""
    if not root.exists():
        return 0
    with _opened(root, fcntl.LOCK_EX):
        dead = [path for path in root.iterdir() if not path.is_symlink() and not _is_locked(path)]
    for path in dead:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(dead)


def _is_locked(path: Path) -> bool:
    """Whether a living process uses it; one that has just gone is taken for used, since nothing is left to do."""
    try:
        with _opened(path, fcntl.LOCK_EX | fcntl.LOCK_NB):
            return False
    except OSError:
        return True


def _is_in_use(name: str) -> bool:
    """Whether an upload that is being taken in still holds a file of this stored folder."""
    try:
        return any(_is_locked(Path(default_storage.path(file))) for file in _files_below(name))
    except (NotImplementedError, FileNotFoundError):  # a storage without paths has no locks either
        return False


def _folders_in(name: str) -> list[str]:
    try:
        folders, _files = default_storage.listdir(name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return folders


def _stored(kind: str) -> Iterator[list[UUID]]:
    """The keys for which there is a stored folder, some at a time."""
    found = [pk for pk in map(_as_uuid, _folders_in(kind)) if pk is not None]
    for start in range(0, len(found), _ROWS_AT_ONCE):
        yield found[start : start + _ROWS_AT_ONCE]


def _without_row(kind: str) -> Iterator[str]:
    """An upload's file is stored shortly before its row is written, so not all of these are strays."""
    rows = (Video if kind == _VIDEOS else Analysis)._base_manager
    for some in _stored(kind):
        for pk in set(some) - set(rows.filter(pk__in=some).values_list("pk", flat=True)):
            yield f"{kind}/{pk}"


def _of_other_attempts() -> Iterator[str]:
    """Pictures beside those that the row names, or may come to name: their process died while it stored them."""
    for some in _stored(_ANALYSES):
        for pk, attempt, state in Analysis._base_manager.filter(pk__in=some).values_list("pk", "attempt", "state"):
            kept = f"{attempt}-" if state in {State.RUNNING, State.DONE} else None
            for name in _folders_in(analysis_folder(pk)):
                if kept is None or not name.startswith(kept):
                    yield f"{analysis_folder(pk)}/{name}"


def _age_s(name: str) -> float:
    """Seconds since the newest file below the folder was written; since an empty folder was."""
    newest_in = getattr(default_storage, "newest_in", None)
    if newest_in is not None:
        newest = newest_in(name)
        return 0.0 if newest is None else (timezone.now() - newest).total_seconds()
    try:
        written: list[datetime] = [default_storage.get_modified_time(file) for file in _files_below(name) or [name]]
    except FileNotFoundError:  # somebody else is removing it
        return 0.0
    return (timezone.now() - max(written)).total_seconds()


def _files_below(name: str) -> list[str]:
    folders, names = default_storage.listdir(name)
    return [f"{name}/{file}" for file in names] + [
        file for folder in folders for file in _files_below(f"{name}/{folder}")
    ]


def _as_uuid(name: str) -> UUID | None:
    try:
        return UUID(name)
    except ValueError:
        return None
