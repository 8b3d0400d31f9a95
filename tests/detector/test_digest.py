"""A file's hash is taken beside other work, and left where nobody wants it any more."""

import hashlib
import os
import threading
from pathlib import Path

import pytest

from detector import digest
from detector.digest import CHUNK_BYTES, Digest


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, 3 * CHUNK_BYTES + 17])
def test_the_hash_is_that_of_the_whole_file(size: int, tmp_path: Path) -> None:
    content = os.urandom(size)
    (tmp_path / "file").write_bytes(content)

    with Digest(tmp_path / "file") as found:
        assert found.hexdigest() == hashlib.sha256(content).hexdigest()


def test_a_file_that_cannot_be_read_is_told_where_the_hash_is_asked_for(tmp_path: Path) -> None:
    with Digest(tmp_path / "none") as found, pytest.raises(FileNotFoundError):
        found.hexdigest()


def test_what_was_not_read_to_its_end_has_no_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"content")
    monkeypatch.setattr(digest, "CHUNK_BYTES", 2**62)

    with Digest(tmp_path / "file") as found, pytest.raises((MemoryError, OverflowError)):
        found.hexdigest()


def test_nothing_is_read_any_more_once_it_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is a pipe without an end, which is fed until its reader has gone."""
    monkeypatch.setattr(digest, "CHUNK_BYTES", 16)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    is_broken = threading.Event()

    def feed() -> None:
        with pipe.open("wb", buffering=0) as end:
            try:
                while True:
                    end.write(b"x" * 16)
            except BrokenPipeError:
                is_broken.set()

    def give_up() -> None:
        with Digest(pipe) as found:
            given_up.append(found)

    given_up: list[Digest] = []
    threads = [threading.Thread(target=work, daemon=True) for work in (feed, give_up)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert is_broken.is_set()
    with pytest.raises(ValueError, match="given up before the file was read"):
        given_up[0].hexdigest()
