"""Takes an upload in: onto the local disk, hashed as it streams by, with a name safe to show; then into the storage.

Nothing that the client says about a file is believed: not its name, not its type, not its size.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import SkipFile, TemporaryFileUploadHandler
from django.http import HttpRequest
from django.utils.translation import gettext as _

from accounts import names
from analysis import files

if TYPE_CHECKING:
    _File = File[bytes]
else:
    _File = File

_MAX_NAME = 200
_MAX_SUFFIX = 10
_CHUNK_BYTES = 1024 * 1024
_NO_ROOM = "unmask.no_room"
_SHA256 = "unmask_sha256"  # of an upload's bytes, kept on the uploaded file


class UploadHandler(TemporaryFileUploadHandler):
    """Django's own, which writes uploads to the disk, and three things more.

    The file is hashed as it arrives, so that nobody needs to read it again for that. It is locked while its request
    lives, so that the sweep knows which are nobody's. A full disk does not break the connection off, which a browser
    could only call lost: the rest is read and thrown away, and ``had_no_room`` says of the request why the file is not
    there. A file that would leave less than MIN_FREE_BYTES is not even begun.
    """

    chunk_size = 256 * 1024  # a third less processor time than with Django's 64 KiB; larger ones only take more memory

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        with self._room(), files.entering(Path(settings.FILE_UPLOAD_TEMP_DIR)):
            announced_bytes = int(self.request.META.get("CONTENT_LENGTH") or 0) if self.request is not None else 0
            if files.free_bytes() < announced_bytes + settings.UNMASK.min_free_bytes:
                raise OSError(errno.ENOSPC, "The upload would leave too little room.")
            super().new_file(*args, **kwargs)
            fcntl.flock(self.file.fileno(), fcntl.LOCK_EX)
            self._digest = hashlib.sha256()

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        with self._room():
            super().receive_data_chunk(raw_data, start)
        self._digest.update(raw_data)

    def file_complete(self, file_size: int) -> "UploadedFile[Any] | None":
        try:
            with self._room():
                setattr(self.file, _SHA256, self._digest.hexdigest())
                return super().file_complete(file_size)  # goes back to the start, and so writes what is left
        except SkipFile:  # there is nothing left to skip
            return None

    @contextlib.contextmanager
    def _room(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if hasattr(self, "file"):
                with contextlib.suppress(OSError):  # closing writes what is left, which fails once more
                    self.file.close()
            if not files.is_no_room(error):
                raise
            if self.request is not None:
                self.request.META[_NO_ROOM] = True
            raise SkipFile from error


def had_no_room(request: HttpRequest) -> bool:
    """Whether a file of this request could not be kept because the disk was full."""
    return bool(request.META.get(_NO_ROOM))


@dataclass(frozen=True)
class Received:
    """An upload on the local disk."""

    path: Path
    name: str
    sha256: str
    size_bytes: int


def receive(upload: "UploadedFile[Any]", folder: Path, max_bytes: int) -> Received:
    """The upload on the local disk with its hash: as ``UploadHandler`` took it in, else hashed and put there now.

    Stops reading soon after ``max_bytes``.
    """
    on_disk, name = getattr(upload, "temporary_file_path", None), clean_name(upload.name)
    path = folder / "upload" if on_disk is None else Path(on_disk())
    known: str | None = getattr(upload, _SHA256, None)
    if on_disk is not None and known is not None:
        return Received(path, name, known, upload.size or 0)
    digest, size_bytes = hashlib.sha256(), 0
    with contextlib.nullcontext() if on_disk is not None else path.open("wb") as target:
        for chunk in upload.chunks(_CHUNK_BYTES):
            digest.update(chunk)
            size_bytes += len(chunk)
            if size_bytes > max_bytes:
                break
            if target is not None:
                target.write(chunk)
    return Received(path, name, digest.hexdigest(), size_bytes)


def clean_name(name: str | None) -> str:
    """A file name that is safe to show: no control characters, nothing that turns the writing round, not too long."""
    base = os.path.basename((name or "").replace("\\", "/"))  # noqa: PTH119 -- a stranger's words, not a path
    words = names.one_line(base)
    if len(words) > _MAX_NAME:
        stem, dot, suffix = words.rpartition(".")
        words = (
            f"{stem[: _MAX_NAME - len(suffix) - 2]}….{suffix}"
            if dot and len(suffix) < _MAX_SUFFIX
            else words[: _MAX_NAME - 1] + "…"
        )
    return words or _("Unnamed video")


def keep(path: Path, name: str) -> str:
    """Puts a local file into the storage, where it outlives a power cut; moved where both are on one disk."""
    with _Movable(path) as file:
        kept = default_storage.save(name, file)
    files.make_durable([kept])
    return kept


class _Movable(_File):
    """A local file that a storage may take away instead of copying it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path.open("rb"), name=path.name)
        self._path = path

    def temporary_file_path(self) -> str:
        return str(self._path)
