"""MPEG streams that were joined end to end are examined whole, though their time stamps begin again."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from detector import decoding, sampling, video
from detector.steady import demuxed
from tests import hostile_videos, videos

SIZE = (160, 96)
CODECS = {".ts": "libx264", ".mpg": "mpeg2video"}
RATE = hostile_videos.RATE
endings = pytest.mark.parametrize("ending", [".ts", ".mpg"])


def joined(path: Path, frames: Sequence[int], begins_s: Sequence[float] | None = None) -> Path:
    """One clip with each of these numbers of frames, a person in every second one, their bytes put end to end."""
    scenes = itertools.cycle([videos.empty_scene(SIZE), videos.face_scene(SIZE, portrait_px=80)])
    parts = [
        hostile_videos.encoded(
            path.with_name(f"part{index}{path.suffix}"),
            CODECS[path.suffix],
            size=SIZE,
            frames=count,
            scene=scene,
            options={"g": "25"},
            container_options={"output_ts_offset": str(begin_s)},
        )
        for index, (count, begin_s, scene) in enumerate(
            zip(frames, begins_s or itertools.repeat(0), scenes, strict=False)
        )
    ]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def assert_sampled_whole(path: Path, frames: int, count: int) -> None:
    """``count`` samples lie in the middles of equal parts, each showing the frame that is decoded at its place."""
    info = video.probe(path)
    whole = [picture for _, picture in videos.decoded(path)]
    seen = [(time_s, picture) for _, time_s, picture in sampling.sample(path, info, count)]

    assert len(whole) == frames
    assert info.duration_s == pytest.approx(frames / RATE, abs=1.01 / RATE)
    gap_s = info.duration_s / count
    assert [time_s for time_s, _ in seen] == pytest.approx([(at + 0.5) * gap_s for at in range(count)], abs=1.01 / RATE)
    assert all(np.array_equal(picture, whole[round(time_s * RATE)]) for time_s, picture in seen)


@endings
@pytest.mark.parametrize("frames", [(80, 20), (20, 80), (60, 60), (20, 30, 50, 20)])
def test_of_joined_streams_every_part_is_sampled(ending: str, frames: tuple[int, ...], tmp_path: Path) -> None:
    path = joined(tmp_path / f"clip{ending}", frames)

    assert_sampled_whole(path, sum(frames), 20)


@endings
def test_of_joined_streams_nothing_is_sought_where_samples_lie_far_apart(ending: str, tmp_path: Path) -> None:
    path = joined(tmp_path / f"clip{ending}", (450, 150))

    assert_sampled_whole(path, 600, 10)


@pytest.mark.parametrize(("frames", "is_sought"), [((300,), True), ((200, 100), False)])
def test_an_mpeg_stream_is_sought_where_nothing_was_joined(
    frames: tuple[int, ...], is_sought: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = joined(tmp_path / "clip.mpg", frames)
    sought: list[float] = []

    def seek(container: Any, stream: Any, time_s: float) -> bool:
        sought.append(time_s)
        return decoding.seek(container, stream, time_s)

    monkeypatch.setattr(sampling, "seek", seek)
    info = video.probe(path)

    assert info.is_joined is not is_sought
    assert len(list(sampling.sample(path, info, 10))) == 10
    assert bool(sought) is is_sought


@endings
@pytest.mark.parametrize("begins_s", [(1000, 100), (1000, 999), (95_442, 10_000), (100, 1000)])
def test_parts_may_begin_at_any_time(ending: str, begins_s: tuple[int, int], tmp_path: Path) -> None:
    """What begins well before the first part FFmpeg places a day later."""
    path = joined(tmp_path / f"clip{ending}", (50, 50), begins_s)

    assert_sampled_whole(path, 100, 20)


@endings
def test_a_clock_that_wraps_round_within_a_part_is_no_join(ending: str, tmp_path: Path) -> None:
    path = joined(tmp_path / f"clip{ending}", (100,), [2**33 / 90_000 - 2])

    assert_sampled_whole(path, 100, 20)


@endings
def test_a_short_leap_ahead_is_left_as_it_is(ending: str, tmp_path: Path) -> None:
    path = joined(tmp_path / f"clip{ending}", (50, 50), (0, 6))

    assert video.probe(path).duration_s == pytest.approx(8, abs=0.6)  # MPEG-PS begins half a second late


def test_of_other_containers_that_were_joined_the_first_is_examined_as_ever(tmp_path: Path) -> None:
    path = videos.no_face_clip(tmp_path / "clip.mkv", size=SIZE)
    path.write_bytes(2 * path.read_bytes())

    assert video.probe(path).duration_s == pytest.approx(2, abs=0.05)


def steadied(stamps: Sequence[tuple[int | None, int | None]]) -> list[tuple[int | None, int | None]]:
    """Time stamps (of showing, of decoding; in frames) as they come out, of frames that last 3600 ticks each."""
    ticks = [[stamp if stamp is None else stamp * 3600 for stamp in pair] for pair in stamps]
    packets = [SimpleNamespace(pts=pts, dts=dts, duration=3600) for pts, dts in ticks]
    container = SimpleNamespace(format=SimpleNamespace(name="mpegts"), demux=lambda stream: iter(packets))
    come = demuxed(container, SimpleNamespace(time_base=1 / 90_000))  # type: ignore[arg-type]
    return [
        (one.pts if one.pts is None else one.pts // 3600, one.dts if one.dts is None else one.dts // 3600)
        for one in come
    ]


def test_frames_out_of_their_order_stay_so() -> None:
    reordered = [(2, 0), (6, 1), (4, 2), (3, 3), (5, 4), (10, 5), (8, 6), (7, 7), (9, 8)]
    unordered = [(pts, pts) for pts, _ in reordered]

    assert steadied(reordered) == reordered
    assert steadied(unordered) == unordered


def test_a_damaged_time_stamp_moves_no_other() -> None:
    genuine = [(at, at) for at in range(200, 240)]

    assert steadied([*genuine[:20], (3, 3), *genuine[21:]]) == genuine
    assert steadied([*genuine[:20], (3, 3), (4, 4), (5, 5), *genuine[23:]]) == genuine
    assert steadied([*genuine[:20], (10**6, 10**6), *genuine[21:]]) == genuine


def test_after_a_time_stamp_ahead_nothing_is_earlier_than_it() -> None:
    come = steadied([(0, 0), (1, 1), (100, 100), (3, 3), (4, 4)])

    assert come == [(0, 0), (1, 1), (100, 100), (101, 101), (102, 102)]


def test_packets_without_time_stamps_stay_without() -> None:
    come = steadied([(None, None), (100, 100), (101, None), (None, 102), (0, 0), (None, None), (2, None)])

    assert come == [(None, None), (100, 100), (101, None), (None, 102), (103, 103), (None, None), (105, None)]
