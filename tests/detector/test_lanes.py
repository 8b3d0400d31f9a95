"""Decoders side by side give what one gives, in order, and are closed whatever happens."""

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector import sampling, video
from detector.errors import DetectorError, ErrorCode
from detector.lanes import Timed, side_by_side
from tests import hostile_videos, videos


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


def sampled(path: Path, count: int, cores: int, monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, np.ndarray]]:
    monkeypatch.setattr(sampling, "cores", lambda: cores)
    return [(time_s, picture) for _, time_s, picture in sampling.sample(path, video.probe(path), count)]


@pytest.mark.parametrize(
    ("name", "every", "between", "count"),
    [
        ("clip.mp4", 20, 3, 10),  # a key frame near every target
        ("clip.mkv", 20, 0, 10),
        ("clip.mp4", 45, 3, 10),  # near some
        ("clip.mkv", 45, 3, 11),
        ("clip.mp4", 70, 2, 8),
    ],
)
def test_lanes_give_what_one_decoder_gives(
    name: str, every: int, between: int, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, lanes = clip(tmp_path / name, every, between), noted(monkeypatch)

    alone, together = (sampled(path, count, cores, monkeypatch) for cores in (1, 2))

    assert lanes == [2]
    assert len(alone) == count
    assert [time_s for time_s, _ in together] == [time_s for time_s, _ in alone]
    assert all(np.array_equal(one, other) for (_, one), (_, other) in zip(together, alone, strict=True))


def noted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many lanes there were each time."""
    seen: list[int] = []

    def counting(lanes: Sequence[Generator[Timed]]) -> Iterator[Timed]:
        seen.append(len(lanes))
        return side_by_side(lanes)

    monkeypatch.setattr(sampling, "side_by_side", counting)
    return seen


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_a_frame_that_serves_targets_of_two_lanes_comes_once(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Key frames 4 s apart and nothing between, for targets 3 s apart."""
    path, lanes = tmp_path / f"clip{ending}", noted(monkeypatch)
    videos.write_video(path, videos.empty_scene((96, 64)), [4.0 * at for at in range(15)])

    alone, together = (sampled(path, 20, cores, monkeypatch) for cores in (1, 2))

    assert [time_s for time_s, _ in together] == [time_s for time_s, _ in alone]
    assert len(together) == len({time_s for time_s, _ in together})
    assert lanes in ([], [2])


def test_targets_that_share_their_key_frames_are_left_to_one_decoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, lanes = clip(tmp_path / "clip.mp4", every=150), noted(monkeypatch)

    assert len(sampled(path, 15, 2, monkeypatch)) == 15
    assert lanes == []


def test_where_lanes_give_nothing_one_decoder_tries_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = clip(tmp_path / "clip.mp4", every=20)
    monkeypatch.setattr(sampling, "side_by_side", lambda lanes: iter(()))

    assert len(sampled(path, 10, 2, monkeypatch)) == 10


def test_lanes_stop_when_they_are_asked_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, asked = clip(tmp_path / "clip.mp4", every=45), 0
    monkeypatch.setattr(sampling, "cores", lambda: 2)

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 5

    with pytest.raises(DetectorError) as refusal:
        list(sampling.sample(path, video.probe(path), 10, stop))
    assert refusal.value.code == ErrorCode.CANCELLED
