"""A refusal names what was found and what is allowed, and the two never read the same."""

import math
from pathlib import Path

import pytest

from detector.errors import DetectorError
from detector.stream import Limits, check_duration, check_pixels, checked_size


@pytest.mark.parametrize(
    ("duration_s", "max_duration_s", "words"),
    [
        (3600.04, 3600.0, "lasts 60 min 1 s, longer than the 60 min allowed"),
        (2.0, 1.5, "lasts 2 s, longer than the 1 s allowed"),
        (0.4, 0.25, "lasts 1 s, longer than the 0.25 s allowed"),
        (119.5, 118.9, "lasts 2 min, longer than the 1 min 58 s allowed"),
        (1e300, 3600.0, "longer than the 60 min allowed"),
        (math.inf, 3600.0, "The video has no end"),
        (math.nan, math.inf, "The video has no end"),
    ],
)
def test_a_length_is_rounded_up_and_its_limit_down(duration_s: float, max_duration_s: float, words: str) -> None:
    with pytest.raises(DetectorError, match=words):
        check_duration(duration_s, Limits(max_duration_s=max_duration_s))


def test_a_frame_of_one_pixel_too_many_does_not_read_like_the_limit() -> None:
    with pytest.raises(DetectorError, match="has 4,194,305 pixels, more than the 4,194,304 allowed"):
        check_pixels(4_194_305 // 5, 5, Limits(max_pixels=4_194_304))


def test_a_file_of_one_byte_too_many_does_not_read_like_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(bytes(1001))

    with pytest.raises(DetectorError, match="has 1,001 bytes, more than the 1,000 allowed"):
        checked_size(path, Limits(max_bytes=1000))
