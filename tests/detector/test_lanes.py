"""Decoders side by side give what one gives, in order, and are closed whatever happens."""

import threading
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector import sampling, video
from detector.errors import DetectorError, ErrorCode
from detector.lanes import Timed, side_by_side
from detector.reader import Reader
from tests import hostile_videos


def lane(times: Sequence[float], closed: list[float], fails: bool = False) -> Generator[Timed]:
    frame: Any = object()
    try:
        for time_s in times:
            yield time_s, frame
        if fails:
            raise DetectorError(ErrorCode.TOO_DEMANDING, "No memory is left.")
    finally:
        closed.append(times[-1])


def test_what_lanes_give_comes_in_order_and_no_time_twice() -> None:
    closed: list[float] = []

    seen = [time_s for time_s, _ in side_by_side([lane([1, 4, 5], closed), lane([2, 3, 5, 9], closed)])]

    assert seen == [1, 2, 3, 4, 5, 9]
    assert sorted(closed) == [5, 9]


def test_lanes_are_closed_when_nobody_wants_the_rest() -> None:
    closed: list[float] = []
    frames = side_by_side([lane([1, 3], closed), lane([2, 4], closed)])

    assert next(iter(frames))[0] == 1
    frames.close()  # type: ignore[attr-defined]

    assert sorted(closed) == [3, 4]


def test_what_ends_one_lane_ends_all() -> None:
    closed: list[float] = []

    with pytest.raises(DetectorError, match="No memory is left"):
        list(side_by_side([lane([1, 3], closed, fails=True), lane([2, 4, 6], closed)]))

    assert sorted(closed) == [3, 6]


def clip(path: Path, every: int, between: int = 0) -> Path:
    """24 s with a key frame in so many frames, 25 a second."""
    x264 = f"keyint={every}:min-keyint={every}:scenecut=0:bframes={between}:b-adapt=0"
    options = {"preset": "ultrafast", "x264-params": x264}
    return hostile_videos.encoded(path, frames=600, size=(96, 64), options=options)


def sampled(path: Path, count: int, lanes: int, monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, np.ndarray]]:
    monkeypatch.setattr(sampling, "LANES", lanes)
    return [(time_s, picture) for _, time_s, picture in sampling.sample(path, video.probe(path), count)]


def assert_same(together: list[tuple[float, np.ndarray]], alone: list[tuple[float, np.ndarray]]) -> None:
    assert [time_s for time_s, _ in together] == [time_s for time_s, _ in alone]
    assert all(np.array_equal(one, other) for (_, one), (_, other) in zip(together, alone, strict=True))


@pytest.fixture
def lanes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many lanes there were, each time that there were several."""
    seen: list[int] = []

    def counting(lanes: Sequence[Generator[Timed]]) -> Iterator[Timed]:
        if len(lanes) > 1:
            seen.append(len(lanes))
        return side_by_side(lanes)

    monkeypatch.setattr(sampling, "side_by_side", counting)
    return seen


@pytest.mark.parametrize(
    ("name", "every", "between", "count"),
    [
        ("clip.mp4", 20, 3, 10),  # a key frame near every target
        ("clip.mkv", 20, 0, 10),
        ("clip.mp4", 45, 3, 10),  # near some
        ("clip.mp4", 45, 3, 11),
        ("clip.mp4", 70, 2, 8),
        ("clip.mp4", 1, 0, 17),  # nothing else
        ("clip.mkv", 1, 0, 17),
    ],
)
def test_lanes_give_what_one_decoder_gives(
    name: str, every: int, between: int, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lanes: list[int]
) -> None:
    path = clip(tmp_path / name, every, between)

    alone, together = (sampled(path, count, number, monkeypatch) for number in (1, 2))

    assert lanes == [2]
    assert len(alone) == count
    assert_same(together, alone)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("longest_ms", [700, 3500])
def test_a_variable_rate_gives_the_same_frames(
    name: str, seed: int, longest_ms: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lanes: list[int]
) -> None:
    """Where a frame may serve two targets, or lie near the next, there is one decoder."""
    random = np.random.default_rng(seed)
    path = hostile_videos.packets_at(tmp_path / name, [*np.cumsum(random.integers(300, longest_ms, 40)).tolist()])

    for count in (8, 12, 17, 25):
        alone, together = (sampled(path, count, number, monkeypatch) for number in (1, 2))
        assert_same(together, alone)
    assert 0 < len(lanes) < 4


def test_one_target_is_for_one_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lanes: list[int]) -> None:
    assert len(sampled(clip(tmp_path / "clip.mkv", every=20), 1, 2, monkeypatch)) == 1
    assert lanes == []


def test_targets_that_share_their_key_frames_are_left_to_one_decoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lanes: list[int]
) -> None:
    assert len(sampled(clip(tmp_path / "clip.mp4", every=150), 15, 2, monkeypatch)) == 15
    assert lanes == []


def test_large_frames_are_left_to_one_decoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lanes: list[int]
) -> None:
    monkeypatch.setattr(sampling, "LANE_PIXELS", 96 * 64 - 1)

    assert len(sampled(clip(tmp_path / "clip.mp4", every=20), 10, 2, monkeypatch)) == 10
    assert lanes == []


def test_where_lanes_give_nothing_one_decoder_tries_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = clip(tmp_path / "clip.mp4", every=20)
    monkeypatch.setattr(sampling, "side_by_side", lambda lanes: iter(()))

    assert len(sampled(path, 10, 2, monkeypatch)) == 10


def test_lanes_stop_when_they_are_asked_to(tmp_path: Path, lanes: list[int]) -> None:
    path, asked = clip(tmp_path / "clip.mp4", every=45), 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 5

    with pytest.raises(DetectorError) as refusal:
        list(sampling.sample(path, video.probe(path), 10, stop))
    assert refusal.value.code == ErrorCode.CANCELLED
    assert lanes == [2]


def test_whoever_wants_no_more_leaves_no_thread_behind(tmp_path: Path, lanes: list[int]) -> None:
    path = clip(tmp_path / "clip.mp4", every=45)
    before = set(threading.enumerate())

    frames = sampling.sample(path, video.probe(path), 10)
    next(frames)
    assert lanes == [2]
    assert set(threading.enumerate()) > before
    frames.close()  # type: ignore[attr-defined]

    assert set(threading.enumerate()) == before


def test_the_confined_process_has_lanes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = clip(tmp_path / "clip.mp4", every=45)

    with Reader(path) as reader:
        confined = [(time_s, picture) for _, time_s, picture in reader.sample(10)]

    assert_same(confined, sampled(path, 10, 1, monkeypatch))
