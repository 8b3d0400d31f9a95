"""What is left out in decoding changes nothing: the frames chosen, and their pixels, are those of a full decode.

This holds for undamaged videos. Far apart, key frames are chosen instead.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from detector import decoding, sampling, video
from detector.skipping import HELD_BACK, MAX_BYTES, Skipping
from tests import hostile_videos, videos

Seen = list[tuple[float, NDArray[np.uint8]]]
BOTH_SIDES = {"preset": "veryfast", "bf": "3"}  # with frames predicted from both sides, most of which no other needs
X265 = {"preset": "ultrafast", "x265-params": "log-level=none:pools=1:frame-threads=1:bframes=4:b-adapt=0"}


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Times of all frames that come out of the decoder, wanted or not."""
    seen: list[float] = []
    genuine = decoding.decoded

    def noted(packets: Iterable[object], stream: VideoStream) -> Iterator[VideoFrame]:
        for frame in genuine(packets, stream):  # type: ignore[arg-type]
            seen.append(float((frame.pts or 0) * (stream.time_base or 0)))
            yield frame

    monkeypatch.setattr(sampling, "decoded", noted)
    return seen


def sampled(path: Path, count: int) -> Seen:
    return [(time_s, picture) for _, time_s, picture in sampling.sample(path, video.probe(path), count)]


def chosen(path: Path, count: int) -> Seen:
    """What is to be sampled, found by decoding everything."""
    info, whole = video.probe(path), list(videos.decoded(path))
    gap_s = info.duration_s / count
    tolerance_s = min(0.5 / info.frame_rate, gap_s)
    places = (
        next((place for place, (time_s, _) in enumerate(whole) if time_s >= target - tolerance_s), None)
        for target in ((index + 0.5) * gap_s for index in range(count))
    )
    return [whole[place] for place, _ in itertools.groupby(places) if place is not None]


def assert_same(seen: Seen, expected: Seen) -> None:
    assert [time_s for time_s, _ in seen] == pytest.approx([time_s for time_s, _ in expected], abs=1e-6)
    assert all(np.array_equal(one, other) for (_, one), (_, other) in zip(seen, expected, strict=True))


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("clip.mp4", "libx264", BOTH_SIDES),
        ("clip.mkv", "libx264", BOTH_SIDES),
        ("clip.mp4", "libx264", BOTH_SIDES | {"x264-params": "b-pyramid=none"}),
        ("clip.mp4", "libx264", BOTH_SIDES | {"x264-params": "open-gop=1:keyint=20"}),
        ("clip.mp4", "libx265", X265),
    ],
)
@pytest.mark.parametrize("count", [10, 13])
def test_frames_that_nothing_needs_are_left_out_and_the_others_are_as_ever(
    name: str, codec: str, options: dict[str, str], count: int, tmp_path: Path, decoded: list[float]
) -> None:
    path = hostile_videos.encoded(tmp_path / name, codec, frames=80, options=options)

    seen = sampled(path, count)

    assert len(seen) == count
    assert_same(seen, chosen(path, count))
    assert len(decoded) < 65


@pytest.mark.parametrize("count", [10, 40])
def test_of_a_video_with_a_variable_rate_the_same_frames_are_chosen(count: int, tmp_path: Path) -> None:
    path = videos.variable_rate_clip(tmp_path / "clip.mp4", duration_s=4.0)

    assert_same(sampled(path, count), chosen(path, count))


def test_of_fields_none_is_left_out(tmp_path: Path, decoded: list[float]) -> None:
    fields = {"preset": "veryfast", "bf": "3", "x264-params": "tff=1:interlaced=1"}
    path = hostile_videos.encoded(tmp_path / "clip.mp4", frames=50, options=fields)

    assert_same(sampled(path, 10), chosen(path, 10))
    assert len(decoded) > 45


def test_where_time_stamps_are_no_times_of_showing_none_is_left_out(tmp_path: Path, decoded: list[float]) -> None:
    """AVI has times of decoding alone, so nobody can tell which frame lies where."""
    path = hostile_videos.encoded(tmp_path / "clip.avi", frames=50, options=BOTH_SIDES)

    assert len(sampled(path, 10)) == 10
    assert len(decoded) > 40


def _with_key_frames(path: Path, every: int, *, frames: int = 600, between: int = 0) -> Path:
    x264 = f"keyint={every}:min-keyint={every}:scenecut=0:bframes={between}:b-adapt=0"
    options = {"preset": "ultrafast", "x264-params": x264}
    return hostile_videos.encoded(path, frames=frames, size=(96, 64), options=options)


def _key_times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        base = container.streams.video[0].time_base or 0
        return [float((one.pts or 0) * base) for one in container.demux(video=0) if one.is_keyframe and one.size]


@pytest.mark.parametrize("between", [0, 3])
@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_far_apart_a_key_frame_nearby_is_taken_and_nothing_else_decoded(
    ending: str, between: int, tmp_path: Path, decoded: list[float]
) -> None:
    """Also where frames predicted from both sides make MP4's index tell other times than those of showing."""
    path = _with_key_frames(tmp_path / f"clip{ending}", every=20, between=between)

    seen = sampled(path, 10)

    targets = [2.4 * (index + 0.5) for index in range(10)]
    assert [time_s for time_s, _ in seen] == pytest.approx(targets, abs=sampling.EASE * 2.4)
    assert {round(time_s, 3) for time_s, _ in seen} <= {round(time_s, 3) for time_s in _key_times(path)}
    whole = dict(videos.decoded(path))
    assert all(np.array_equal(picture, whole[time_s]) for time_s, picture in seen)
    assert decoded == []


def test_key_frames_too_far_away_are_where_decoding_begins(tmp_path: Path, decoded: list[float]) -> None:
    """Every 5.2 s, for targets 4 s apart: some are near a key frame, some are not."""
    path = _with_key_frames(tmp_path / "clip.mp4", every=130)

    seen = sampled(path, 6)

    assert len(seen) == 6
    keys = {round(time_s, 3) for time_s in _key_times(path)}
    kinds = [round(time_s, 3) in keys for time_s, _ in seen]
    assert kinds == [False, True, True, False, False, False]  # at 2, 6, 10, 14, 18 and 22 s
    exact = [(time_s, picture) for (time_s, picture), is_key in zip(chosen(path, 6), kinds, strict=True) if not is_key]
    assert_same([one for one, is_key in zip(seen, kinds, strict=True) if not is_key], exact)
    assert 0 < len(decoded) < 450


def test_a_damaged_key_frame_is_passed_over(tmp_path: Path) -> None:
    path = _with_key_frames(tmp_path / "clip.mp4", every=20)
    with av.open(str(path)) as container:
        packets = [(one.pos, one.size, one.is_keyframe) for one in container.demux(video=0) if one.size]
    content = bytearray(path.read_bytes())
    at, size, _ = [packet for packet in packets if packet[2]][13]  # at 10.4 s
    assert at is not None
    content[at : at + size] = bytes(size)
    path.write_bytes(content)

    seen = [time_s for time_s, _ in sampled(path, 10)]

    assert len(seen) >= 9
    assert seen == sorted(set(seen))
    assert 10.4 not in [round(time_s, 3) for time_s in seen]


def test_the_last_targets_of_a_video_that_ends_early_are_missing(tmp_path: Path) -> None:
    path = videos.truncated_clip(_with_key_frames(tmp_path / "clip.mkv", every=20), kept=0.5)
    info = video.probe(path)

    seen = [time_s for _, time_s, _ in sampling.sample(path, info, 10)]

    assert seen == sorted(set(seen))
    assert 0 < len(seen) <= 10


def test_a_stream_without_an_index_is_read_through(tmp_path: Path) -> None:
    """In a transport stream every packet can be sought, and few can be decoded alone."""
    options = {"preset": "ultrafast", "x264-params": "keyint=250:scenecut=0"}
    path = hostile_videos.encoded(tmp_path / "clip.ts", frames=600, size=(96, 64), options=options)

    assert_same(sampled(path, 10), chosen(path, 10))


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_no_frame_comes_twice_where_targets_lie_closer_than_frames(ending: str, tmp_path: Path) -> None:
    path = videos.write_video(tmp_path / f"clip{ending}", videos.empty_scene((96, 64)), [2.0 * at for at in range(30)])

    assert_same(sampled(path, 45), chosen(path, 45))


@pytest.mark.parametrize("count", [35, 45, 55])
def test_no_key_frame_comes_twice_where_targets_lie_closer_than_these(count: int, tmp_path: Path) -> None:
    path = hostile_videos.packets_at(tmp_path / "clip.mp4", [2000 * at for at in range(30)])

    seen = [time_s for time_s, _ in sampled(path, count)]

    assert len(seen) == len(set(seen)) >= 28
    assert seen == sorted(seen)


def test_what_an_edit_list_cuts_off_is_no_neighbour_of_what_is_shown() -> None:
    stamps = [0, 3, 1, 2, 6, 4, 5]
    asked: list[tuple[int | None, int]] = []

    def is_wanted(before: int | None, pts: int) -> bool:
        asked.append((before, pts))
        return True

    skipping = _skipping(is_wanted)
    list(skipping.packets([_packet(pts, is_discard=pts in (1, 4)) for pts in stamps]))  # type: ignore[misc]

    assert asked == [(None, 0), (2, 3), (0, 2), (5, 6), (3, 5)]


def test_what_is_held_back_is_bounded_in_number_and_size() -> None:
    skipping = _skipping(lambda before, pts: False)
    taken = 0

    def stream(size: int, count: int) -> Iterator[SimpleNamespace]:
        nonlocal taken
        for pts in range(count, 0, -1):  # falling, so that each is the first of all
            taken += 1
            yield _packet(pts, size=size)

    for given, _ in enumerate(skipping.packets(stream(1, 500)), 1):  # type: ignore[arg-type]
        assert taken - given <= HELD_BACK
        assert len(skipping._shown) <= 2 * HELD_BACK + 1
    taken = 0
    for given, _ in enumerate(skipping.packets(stream(MAX_BYTES // 3, 20)), 1):  # type: ignore[arg-type]
        assert taken - given <= 3
    assert skipping._context.skip_frame == "DEFAULT"


def _skipping(is_wanted: Callable[[int | None, int], bool]) -> Skipping:
    container = SimpleNamespace(format=SimpleNamespace(name="mov,mp4,m4a,3gp,3g2,mj2"))
    skipping = Skipping(container, SimpleNamespace(codec_context=SimpleNamespace(name="h264")), is_wanted)  # type: ignore[arg-type]
    skipping.is_allowed = True
    return skipping


def _packet(pts: int, *, is_discard: bool = False, size: int = 10) -> SimpleNamespace:
    return SimpleNamespace(pts=pts, size=size, is_discard=is_discard)
