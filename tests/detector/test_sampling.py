"""What is left out in decoding changes nothing: the frames chosen, and their pixels, are those of a full decode."""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from detector import decoding, sampling, video
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


def _with_key_frames(path: Path, every: int, *, frames: int = 600) -> Path:
    options = {"preset": "ultrafast", "x264-params": f"keyint={every}:min-keyint={every}:scenecut=0"}
    return hostile_videos.encoded(path, frames=frames, size=(96, 64), options=options)


def _key_times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        base = container.streams.video[0].time_base or 0
        return [float((one.pts or 0) * base) for one in container.demux(video=0) if one.is_keyframe and one.size]


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_far_apart_a_key_frame_nearby_is_taken_and_nothing_else_decoded(
    ending: str, tmp_path: Path, decoded: list[float]
) -> None:
    path = _with_key_frames(tmp_path / f"clip{ending}", every=20)

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
