"""Computes a file's SHA-256 in a thread of its own, beside whatever else is done with the file."""

import hashlib
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

CHUNK_BYTES = 2**20


class Digest:
    """Begins at its entry; use as a context manager, whose exit gives up what is not done."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._hash = hashlib.sha256()
        self._error: Exception | None = None
        self._is_given_up = self._is_whole = False
        self._reading = threading.Thread(target=self._read, name="digest")

    def __enter__(self) -> Self:
        self._reading.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_given_up = True
        self._reading.join()

    def hexdigest(self) -> str:
        """Of the whole file, once it is read. Raises what kept it from being read: an OSError, as a rule."""
        self._reading.join()
        if self._error is not None:
            raise self._error
        if not self._is_whole:
            raise ValueError("The hash was given up before the file was read.")
        return self._hash.hexdigest()

    def _read(self) -> None:
        try:
            chunk = memoryview(bytearray(CHUNK_BYTES))
            with self._path.open("rb", buffering=0) as file:
                while not self._is_given_up:
                    count = file.readinto(chunk)
                    if not count:
                        self._is_whole = True
                        return
                    self._hash.update(chunk[:count])
        except Exception as error:  # noqa: BLE001 -- raised again where the hash is asked for
            self._error = error
