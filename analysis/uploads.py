"""Takes an upload in: hashed as it streams by, on the local disk, with a name safe to show; then into the storage.

Nothing that the client says about a file is believed: not its name, not its type, not its size.
"""

import contextlib
import hashlib
import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.files.base import File
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext as _

if TYPE_CHECKING:
    _File = File[bytes]
else:
    _File = File

_MAX_NAME = 200
_MAX_SUFFIX = 10
_CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Received:
    """An upload on the local disk."""

    path: Path
    name: str
    sha256: str
    size_bytes: int


def receive(upload: "UploadedFile[Any]", folder: Path, max_bytes: int) -> Received:
    """Hashes the upload as it streams by, onto the disk unless it is there already; stops soon after ``max_bytes``."""
    digest, size_bytes = hashlib.sha256(), 0
    on_disk = getattr(upload, "temporary_file_path", None)
    path = folder / "upload" if on_disk is None else Path(on_disk())
    with contextlib.nullcontext() if on_disk is not None else path.open("wb") as target:
        for chunk in upload.chunks(_CHUNK_BYTES):
            digest.update(chunk)
            size_bytes += len(chunk)
            if size_bytes > max_bytes:
                break
            if target is not None:
                target.write(chunk)
    return Received(path, clean_name(upload.name), digest.hexdigest(), size_bytes)


def clean_name(name: str | None) -> str:
    """A file name that is safe to show: no control characters, nothing that turns the writing round, not too long."""
    base = os.path.basename((name or "").replace("\\", "/"))  # noqa: PTH119 -- a stranger's words, not a path
    kept = "".join(
        character if unicodedata.category(character)[0] != "C" else " "
        for character in unicodedata.normalize("NFC", base)
    )
    words = " ".join(kept.split())
    if len(words) > _MAX_NAME:
        stem, dot, suffix = words.rpartition(".")
        words = (
            f"{stem[: _MAX_NAME - len(suffix) - 2]}….{suffix}"
            if dot and len(suffix) < _MAX_SUFFIX
            else words[: _MAX_NAME - 1] + "…"
        )
    return words or _("Unnamed video")


def keep(path: Path, name: str) -> str:
    """Puts a local file into the storage; moved rather than copied where both are on one disk."""
    with _Movable(path) as file:
        return default_storage.save(name, file)


class _Movable(_File):
    """A local file that a storage may take away instead of copying it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path.open("rb"), name=path.name)
        self._path = path

    def temporary_file_path(self) -> str:
        return str(self._path)
