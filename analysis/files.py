"""Files that belong to rows, and folders to work in: made, copied, removed and swept; through Django's storage API.

A video lives under ``videos/<id>/`` and what was drawn from an analysis under ``analyses/<id>/``, so removing a row's
files is removing its folder. Folders to work in are on the local disk, outside what is kept.
"""

import contextlib
import logging
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.core.files.storage import Storage, default_storage
from django.db.models.fields.files import FieldFile
from django.utils import timezone

from analysis.models import Analysis, Video

logger = logging.getLogger(__name__)

_VIDEOS, _ANALYSES = "videos", "analyses"
_COPY_BYTES = 1024 * 1024
_ROWS_AT_ONCE = 500


@contextlib.contextmanager
def work_folder(purpose: str) -> Iterator[Path]:
    """A private folder on the local disk, removed at the end; ``sweep`` removes those of dead processes."""
    root = _work_root()
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(prefix=f"{purpose}-", dir=root, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def local_path(stored: FieldFile, folder: Path) -> Path:
    """Where the stored file can be opened by path: its own, or a copy in ``folder`` when its storage has no paths."""
    try:
        return Path(stored.path)
    except NotImplementedError:
        copy = folder / "video"
        with stored.open("rb") as source, copy.open("wb") as target:
            shutil.copyfileobj(source, target, _COPY_BYTES)
        return copy


def video_folder(pk: UUID | str) -> str:
    return f"{_VIDEOS}/{pk}"


def analysis_folder(pk: UUID | str) -> str:
    return f"{_ANALYSES}/{pk}"


def remove_folders(names: Iterable[str], storage: Storage = default_storage) -> None:
    """Removes stored folders with all they hold; a missing one is no error, one that cannot be removed is logged."""
    for name in names:
        try:
            _remove_folder(storage, name)
        except OSError:
            logger.exception("The stored folder %s could not be removed; the next sweep tries again.", name)


def sweep(older_than_s: float) -> int:
    """Removes folders of dead processes and stored folders without a row, once they are older than that; how many."""
    return (
        _sweep_work_folders(older_than_s)
        + _sweep_stored(_VIDEOS, older_than_s)
        + _sweep_stored(_ANALYSES, older_than_s)
    )


def _work_root() -> Path:
    return Path(settings.DATA_DIR) / "tmp"


def _remove_folder(storage: Storage, name: str) -> None:
    try:
        folders, files = storage.listdir(name)
    except (FileNotFoundError, NotADirectoryError):
        return
    for file in files:
        storage.delete(f"{name}/{file}")
    for folder in folders:
        _remove_folder(storage, f"{name}/{folder}")
    storage.delete(name)


def _sweep_work_folders(older_than_s: float) -> int:
    """Also removes uploads that broke off with the web process: they arrive in FILE_UPLOAD_TEMP_DIR."""
    limit = time.time() - older_than_s
    strays = [path for path in _entries(_work_root()) if path.is_dir() and not path.is_symlink()]
    if settings.FILE_UPLOAD_TEMP_DIR is not None:
        strays += [path for path in _entries(Path(settings.FILE_UPLOAD_TEMP_DIR)) if ".upload" in path.suffixes]
    count = 0
    for path in strays:
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime >= limit:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
            count += 1
    return count


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []


def _sweep_stored(kind: str, older_than_s: float) -> int:
    """An upload's file is stored shortly before its row is written, hence the age."""
    try:
        names, _files = default_storage.listdir(kind)
    except (FileNotFoundError, NotADirectoryError):
        return 0
    rows = (Video if kind == _VIDEOS else Analysis)._base_manager
    found = [pk for pk in map(_as_uuid, names) if pk is not None]
    strays: list[str] = []
    for start in range(0, len(found), _ROWS_AT_ONCE):
        some = found[start : start + _ROWS_AT_ONCE]
        without_row = set(some) - set(rows.filter(pk__in=some).values_list("pk", flat=True))
        strays += [name for pk in without_row if _age_s(name := f"{kind}/{pk}") > older_than_s]
    remove_folders(strays)
    return len(strays)


def _age_s(name: str) -> float:
    """Seconds since the newest file below the folder was written; since an empty folder was."""
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
