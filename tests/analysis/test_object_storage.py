"""Patience with a storage on the network, and reading from one piece by piece."""

import io
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from analysis import files
from analysis.files import StorageDown
from analysis.object_storage import FIRST_PIECE_BYTES, Reading, _plain_errors


class Pieces:
    """As much of a storage as reading asks for; notes what was asked."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.asked: list[tuple[int, int]] = []

    def fetch(self, name: str, first: int, length: int) -> bytes:
        self.asked.append((first, length))
        return self.content[first : first + length]


def reading(content: bytes) -> tuple[io.BufferedReader, Pieces]:
    storage: Any = Pieces(content)
    return io.BufferedReader(Reading(storage, "videos/1/original", len(content))), storage


def test_a_whole_object_comes_in_growing_pieces() -> None:
    content = bytes(range(256)) * 8192  # 2 MiB
    file, storage = reading(content)

    assert file.read() == content
    assert [first for first, _length in storage.asked] == [
        0,
        FIRST_PIECE_BYTES,
        3 * FIRST_PIECE_BYTES,
        7 * FIRST_PIECE_BYTES,
    ]


def test_only_what_is_near_the_place_is_fetched() -> None:
    content = bytes(range(256)) * 8192
    file, storage = reading(content)

    file.seek(1_000_000)

    assert file.read(10) == content[1_000_000:1_000_010]
    assert storage.asked == [(1_000_000, FIRST_PIECE_BYTES)]
    assert file.seek(-3, io.SEEK_END) == len(content) - 3
    assert file.read() == content[-3:]


def test_a_storage_that_comes_back_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_FIRST_PAUSE_S", 0.001)
    calls = []

    def action() -> str:
        calls.append(1)
        if len(calls) < 4:
            raise StorageDown("It is away.")
        return "here"

    assert files.outlast(action) == "here"
    assert len(calls) == 4


def test_patience_with_a_storage_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(files, "_PATIENCE_S", 0.05)

    def action() -> None:
        raise StorageDown("It is away.")

    with pytest.raises(StorageDown, match="away"):
        files.outlast(action)


@pytest.mark.parametrize(
    ("raised", "becomes"),
    [
        (ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject"), FileNotFoundError),
        (ClientError({"Error": {"Code": "404"}}, "HeadObject"), FileNotFoundError),
        (ClientError({"Error": {"Code": "AccessDenied"}}, "PutObject"), StorageDown),
        (EndpointConnectionError(endpoint_url="http://localhost"), StorageDown),
    ],
)
def test_errors_are_those_of_any_storage(raised: Exception, becomes: type[Exception]) -> None:
    with pytest.raises(becomes), _plain_errors("videos/1/original"):
        raise raised
