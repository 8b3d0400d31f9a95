"""Stored files in an S3-compatible bucket, where STORAGE_URL names one: private, streamed, and never at an address.

Built on django-storages. What differs: a file is read in pieces as it is needed, never as a whole and never into memory
or onto a disk; a file that is not there is a FileNotFoundError and a storage that does not answer a ``StorageDown``,
which is an OSError, as with any storage; and there is no address by which a file could be had without our pages.
"""

import contextlib
import io
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from django.core.files.base import File
from django.utils import timezone
from storages.backends.s3 import S3Storage
from urllib3.exceptions import HTTPError

from analysis.files import StorageDown

FIRST_PIECE_BYTES, LARGEST_PIECE_BYTES = 256 * 1024, 8 * 1024 * 1024  # of one request; each is twice the one before
_REMOVED_AT_ONCE = 1000  # what one request of S3's may name
_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
_READ_TRIES = 3


@contextlib.contextmanager
def _plain_errors(name: str) -> Iterator[None]:
    """Raises FileNotFoundError and StorageDown for whatever the S3 client raises."""
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in _MISSING:
            raise FileNotFoundError(f"{name} is not in the storage.") from error
        raise StorageDown(f"The storage refused {name}: {error}") from error
    except (BotoCoreError, Boto3Error, HTTPError) as error:
        raise StorageDown(f"The storage did not answer for {name}: {error}") from error


class Reading(io.RawIOBase):
    """One object to read from any place, fetched in pieces: each from where the last one ended."""

    def __init__(self, storage: "ObjectStorage", name: str, size_bytes: int) -> None:
        super().__init__()
        self._storage, self._name, self._size_bytes = storage, name, size_bytes
        self._at = 0
        self._piece = memoryview(b"")
        self._length = FIRST_PIECE_BYTES

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        at = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size_bytes}[whence] + offset
        if at != self._at:
            self._at, self._piece = max(at, 0), memoryview(b"")
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        if not self._piece:
            if self._at >= self._size_bytes:
                return 0
            self._piece = memoryview(self._storage.fetch(self._name, self._at, self._length))
            self._length = min(self._length * 2, LARGEST_PIECE_BYTES)
        count = min(len(buffer), len(self._piece))
        memoryview(buffer)[:count] = self._piece[:count]
        self._piece, self._at = self._piece[count:], self._at + count
        return count


class StoredFile(File):  # type: ignore[type-arg]
    """What ``open`` gives; its size is known without another request."""

    def __init__(self, storage: "ObjectStorage", name: str, size_bytes: int) -> None:
        super().__init__(io.BufferedReader(Reading(storage, name, size_bytes)), name=name)
        self.size = size_bytes


class ObjectStorage(S3Storage):  # type: ignore[misc]
    """The bucket that STORAGE_URL names. Objects have no access list of their own: the bucket must be private."""

    @property
    def bucket(self) -> Any:
        """Of this thread's own connection: resources of boto3 are not to be shared between threads."""
        return self.connection.Bucket(self.bucket_name)

    def _open(self, name: str, mode: str = "rb") -> StoredFile:
        if mode != "rb":
            raise ValueError("Stored files are read, and never written to again.")
        return StoredFile(self, name, self.size(name))

    def fetch(self, name: str, first: int, length: int) -> bytes:
        """So many bytes from ``first`` on, fewer at the end; a connection that breaks is tried again."""
        wanted = f"bytes={first}-{first + length - 1}"
        for left in reversed(range(_READ_TRIES)):
            with _plain_errors(name):
                try:
                    answer = self._object(name).get(Range=wanted)
                    with contextlib.closing(answer["Body"]) as body:
                        return bytes(body.read())
                except (HTTPClientError, HTTPError, BotoCoreError):  # the request itself has been tried again by now
                    if not left:
                        raise
        raise AssertionError("The last try either returns or raises.")

    def _save(self, name: str, content: Any) -> str:
        with _plain_errors(name):
            return str(super()._save(name, content))

    def delete(self, name: str) -> None:
        with _plain_errors(name):
            super().delete(name)

    def exists(self, name: str) -> bool:
        with _plain_errors(name):
            return bool(super().exists(name))

    def size(self, name: str) -> int:
        with _plain_errors(name):
            return int(self._object(name).content_length)

    def get_modified_time(self, name: str) -> datetime:
        with _plain_errors(name):
            written: datetime = self._object(name).last_modified
            return written

    def listdir(self, name: str) -> tuple[list[str], list[str]]:
        with _plain_errors(name):
            folders, names = super().listdir(name)
            return folders, names

    def url(self, name: str, *args: Any, **options: Any) -> str:
        raise NotImplementedError("Stored files are private; analysis/media.py sends them.")

    def remove_folder(self, name: str) -> None:
        """Deletes every object below ``name``, many with one request."""
        with _plain_errors(name):
            keys = [{"Key": each.key} for each in self.bucket.objects.filter(Prefix=self._key(f"{name}/"))]
            for start in range(0, len(keys), _REMOVED_AT_ONCE):
                some = keys[start : start + _REMOVED_AT_ONCE]
                answer = self.bucket.delete_objects(Delete={"Objects": some, "Quiet": True})
                if answer.get("Errors"):
                    raise StorageDown(f"The storage did not delete {name}: {answer['Errors'][0]}")

    def newest_in(self, name: str) -> datetime | None:
        """When the newest object below ``name`` was written, by the storage's clock; None when there is none."""
        with _plain_errors(name):
            found = self.bucket.objects.filter(Prefix=self._key(f"{name}/"))
            return max((each.last_modified for each in found), default=None)

    def abort_broken_uploads(self, older_than_s: float) -> int:
        """Forgets uploads in parts that were begun and never ended, as by a process that was killed; how many."""
        since = timezone.now() - timedelta(seconds=older_than_s)
        with _plain_errors("its unfinished uploads"):
            begun = [each for each in self.bucket.multipart_uploads.all() if each.initiated < since]
            mine = [each for each in begun if each.object_key.startswith(self._key(""))]
            for each in mine:
                each.abort()
            return len(mine)

    def _object(self, name: str) -> Any:
        return self.bucket.Object(self._key(name))

    def _key(self, name: str) -> str:
        return f"{self.location}/{name}" if self.location else name
