"""Halves of a picture lie exactly over its pixels."""

import numpy as np
import pytest

from detector.pyramid import Pyramid, halved, halvings


@pytest.mark.parametrize(("side", "least", "times"), [(287, 288, 0), (575, 288, 0), (576, 288, 1), (1920, 288, 2)])
def test_halving_stops_at_the_least_side(side: int, least: int, times: int) -> None:
    assert halvings(side, least) == times


def test_a_half_is_the_mean_of_four_pixels_and_leaves_an_odd_edge_out() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (7, 11, 3), np.uint8)

    half = Pyramid(picture, 1).pictures[1]

    assert half.shape == (3, 5, 3)
    means = picture[:6, :10].reshape(3, 2, 5, 2, 3).mean(axis=(1, 3))
    assert np.abs(half - means).max() <= 0.5


def test_a_part_says_where_it_really_begins() -> None:
    picture = np.zeros((400, 800, 3), np.uint8)
    picture[100, 200] = 255

    part, left, top, span = Pyramid(picture, 2).cut(101, 51, 400, 300, least=100)

    assert (left, top, span) == (100, 48, 4)
    row, column = np.argwhere(part[..., 0])[0]
    assert (top + row * span, left + column * span) == (100, 200)


def test_a_small_part_is_cut_from_the_picture_itself() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (400, 800, 3), np.uint8)

    part, left, top, span = Pyramid(picture, 2).cut(33, 21, 150, 99, least=100)

    assert (left, top, span) == (33, 21, 1)
    assert np.array_equal(part, picture[21:120, 33:183])


def test_a_strip_is_halved_only_while_it_has_a_height() -> None:
    strip = np.zeros((3, 5000, 3), np.uint8)

    part, _, _, span = Pyramid(strip, 4).cut(0, 0, 5000, 3, least=288)

    assert span == 2
    assert part.shape == (1, 2500, 3)
    assert halved(strip, 288) is strip
