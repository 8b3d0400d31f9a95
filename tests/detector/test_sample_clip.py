"""The demonstration clip: what was asked for is what a decoder finds, and its faces are faces."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from detector import faces
from detector.sample_clip import make_clip, read_photograph, repeat_clip


def _pictures(path: Path) -> list[NDArray[np.uint8]]:
    with av.open(str(path)) as container:
        return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in container.decode(video=0)]


@pytest.mark.parametrize(
    ("suffix", "width", "height", "frame_rate"),
    [(".mp4", 320, 180, 25), (".mov", 180, 320, 12.5), (".mkv", 256, 256, 30)],
)
def test_clip_has_the_size_rate_and_length_asked_for(
    tmp_path: Path, suffix: str, width: int, height: int, frame_rate: float
) -> None:
    path = tmp_path / f"clip{suffix}"

    make_clip(path, seconds=0.8, width=width, height=height, frame_rate=frame_rate)

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height) == (width, height)
        assert stream.average_rate == Fraction(frame_rate).limit_denominator(1001)
    assert len(_pictures(path)) == round(0.8 * frame_rate)


def test_clip_keeps_a_broadcast_frame_rate(tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.mp4", seconds=0.2, width=128, height=128, frame_rate=30000 / 1001)

    with av.open(str(tmp_path / "clip.mp4")) as container:
        assert container.streams.video[0].average_rate == Fraction(30000, 1001)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_clip_shows_as_many_faces_as_asked_for(tmp_path: Path, count: int) -> None:
    make_clip(tmp_path / "clip.mp4", seconds=1.0, width=640, height=360, faces=count)

    pictures = _pictures(tmp_path / "clip.mp4")

    assert [len(faces.find(pictures[place], max_faces=5)) for place in (0, 12, 24)] == [count] * 3


def test_face_moves(tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.mp4", seconds=1.2, width=640, height=360)
    pictures = _pictures(tmp_path / "clip.mp4")

    first, last = (faces.find(picture, max_faces=1)[0].box for picture in (pictures[0], pictures[-1]))

    assert np.hypot(first[0] - last[0], first[1] - last[1]) > 20


def test_same_arguments_give_the_same_pictures(tmp_path: Path) -> None:
    for name in ("one.mp4", "two.mp4"):
        make_clip(tmp_path / name, seconds=0.3, width=128, height=96)

    np.testing.assert_array_equal(_pictures(tmp_path / "one.mp4"), _pictures(tmp_path / "two.mp4"))


def test_repeated_clip_shows_the_same_again_and_can_be_sought(tmp_path: Path) -> None:
    once, thrice = tmp_path / "once.mp4", tmp_path / "thrice.mp4"
    make_clip(once, seconds=0.6, width=128, height=96)

    repeat_clip(once, 3, thrice)

    np.testing.assert_array_equal(_pictures(thrice), _pictures(once) * 3)
    with av.open(str(thrice)) as container:
        stream = container.streams.video[0]
        assert float((stream.duration or 0) * (stream.time_base or 0)) == pytest.approx(1.8)
        keys = [float((packet.pts or 0) * packet.time_base) for packet in container.demux(stream) if packet.is_keyframe]
        assert [key - keys[0] for key in keys] == pytest.approx([0.0, 0.6, 1.2])
    with pytest.raises(ValueError, match="at least once"):
        repeat_clip(once, 0, thrice)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"width": 321}, "even"),
        ({"height": 32}, "at least 64"),
        ({"faces": 5}, "one to 4 faces"),
        ({"faces": 0}, "one to 4 faces"),
        ({"seconds": 0}, "above zero"),
        ({"frame_rate": -1}, "above zero"),
    ],
)
def test_clip_refuses_what_it_cannot_show(tmp_path: Path, arguments: dict[str, int], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make_clip(tmp_path / "clip.mp4", **arguments)

    assert not (tmp_path / "clip.mp4").exists()


def test_photograph_is_colour_in_rgb_order() -> None:
    photograph = read_photograph()

    assert photograph.shape == (512, 512, 3)
    assert photograph.dtype == np.uint8
    red, _, blue = photograph[330:400, 90:160].mean(axis=(0, 1))  # the orange suit
    assert red > blue + 60
