"""Pictures become JPEGs and come back; what cannot become one says so."""

import numpy as np
import pytest

from detector import jpeg


def test_a_jpeg_comes_back_as_the_picture_that_it_was() -> None:
    picture = np.full((16, 32, 3), (200, 100, 50), np.uint8)

    assert np.abs(jpeg.decode(jpeg.encode(picture, 95)).astype(int) - picture).max() <= 3


def test_a_picture_that_is_too_long_for_a_jpeg_is_named() -> None:
    with pytest.raises(ValueError, match="8 x 66000 pixels cannot be made a JPEG"):
        jpeg.encode(np.zeros((66_000, 8, 3), np.uint8), 85)
