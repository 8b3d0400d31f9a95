"""Writes a backup while the site runs.

Stored files are never written to again, so most are copied first; then the database, at one moment; then the files that
came meanwhile. What was copied and belongs to no row of that moment goes again. Everything is written beside the target
and renamed at the end, so that a folder under the target's name is always a whole backup.
"""

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import DatabaseError, connection
from django.db.models import Sum as Total

from analysis.models import Video
from deepfakesite.backups import database, manifest
from deepfakesite.backups.manifest import MEDIA, SECRET_KEY, Manifest, Sum, Unusable, private
from deepfakesite.version import version

_COPY_BYTES = 1024 * 1024


def write(target: Path) -> Manifest:
    """Makes a backup in the new folder ``target``; raises Unusable, and leaves nothing, when it cannot."""
    target = target.expanduser().absolute()
    draft = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        _check(target)
        draft.mkdir(mode=0o700)
        written = _write(draft)
        os.sync()
        os.rename(draft, target)  # noqa: PTH104 -- which, unlike replace, is meant to fail where something lies
    except OSError as error:
        raise Unusable(f"The backup was not kept: {error.strerror} ({error.filename or target}).") from error
    except (sqlite3.Error, DatabaseError) as error:
        raise Unusable(
            f"The backup was not kept, because the database could not be read or copied: {error}. See that the "
            f"database can be used and that the disk of {target.parent} has room, then make it again."
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return written


def _check(target: Path) -> None:
    if target.exists() or target.is_symlink():
        raise Unusable(f"{target} exists already, and a backup never overwrites one. Name a folder that does not.")
    if not target.parent.is_dir():
        raise Unusable(f"There is no folder {target.parent}; make it, or name another.")
    if target.is_relative_to(Path(settings.MEDIA_ROOT)):
        raise Unusable(f"{target} lies among the media that are to be copied; name a folder elsewhere.")
    videos = Video.objects.aggregate(total=Total("size_bytes"))["total"] or 0
    wanted, free = videos + database.size_bytes(), shutil.disk_usage(target.parent).free
    if wanted > free:
        raise Unusable(
            f"The backup takes at least {wanted / 1024**3:.1f} GiB, and {free / 1024**3:.1f} GiB are free at "
            f"{target.parent}. Make room, or name a folder on another disk."
        )


def _write(draft: Path) -> Manifest:
    media = draft / MEDIA
    media.mkdir(mode=0o700)
    copied: dict[str, Sum] = {}
    _copy(database.names_now(), media, copied)
    made_at = datetime.now(UTC)
    copy = database.copy(draft)
    missing = _copy(copy.names - set(copied), media, copied)
    for name in set(copied) - copy.names:
        (media / name).unlink()
        del copied[name]
    files = {f"{MEDIA}/{name}": each for name, each in copied.items()}
    files[copy.path.name] = manifest.sum_of(copy.path)
    key = Path(settings.DATA_DIR) / SECRET_KEY
    if key.exists():
        with key.open("rb") as source:
            files[SECRET_KEY] = _keep(iter(lambda: source.read(_COPY_BYTES), b""), draft / SECRET_KEY)
    written = Manifest(
        unmask=version(),
        made_at=made_at.isoformat(timespec="seconds"),
        vendor=connection.vendor,
        database=copy.path.name,
        migrations=copy.migrations,
        files=files,
        missing=sorted(missing),
    )
    written.write(draft)
    return written


def _copy(names: Iterable[str], media: Path, copied: dict[str, Sum]) -> set[str]:
    """Copies stored files into ``media`` and notes them in ``copied``; the names of those that are not there."""
    missing = set()
    for name in sorted(names):
        path = media / manifest.inside(name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with default_storage.open(name) as source:
                copied[name] = _keep(iter(lambda: source.read(_COPY_BYTES), b""), path)
        except FileNotFoundError:  # deleted meanwhile, or lost long ago
            missing.add(name)
    return missing


def _keep(blocks: Iterable[bytes], path: Path) -> Sum:
    digest, size_bytes = hashlib.sha256(), 0
    with open(path, "xb", opener=private) as target:
        for block in blocks:
            digest.update(block)
            size_bytes += len(block)
            target.write(block)
    return Sum(size_bytes, digest.hexdigest())
