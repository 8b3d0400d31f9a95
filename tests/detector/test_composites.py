"""Swapped faces, other mouths and restored faces: what changes, what stays, and that the generator decides alone."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import NDArray

from detector.training import composites, fakes
from detector.training.composites import swap_face, swap_mouth
from detector.training.fakes import restored
from tests.portraits import changed, crop

Picture = NDArray[np.uint8]

PICTURE, POINTS = crop()
DONOR, DONOR_POINTS = crop(mirrored=True)
EXTENT = float(np.ptp(POINTS, axis=0).max())
KINDS: dict[str, Callable[[Generator], Picture]] = {
    "swapped": lambda random: swap_face(PICTURE, POINTS, DONOR, DONOR_POINTS, random),
    "stretched mouth": lambda random: swap_mouth(PICTURE, POINTS, PICTURE, POINTS, random),
    "other mouth": lambda random: swap_mouth(PICTURE, POINTS, DONOR, DONOR_POINTS, random),
    "restored": lambda random: restored(PICTURE, POINTS, random),
}


def around(points: NDArray[np.float32], share: float) -> NDArray[np.bool_]:
    """The hull of ``points``, widened by ``share`` of the face's extent."""
    inside = np.zeros(PICTURE.shape[:2], np.uint8)
    cv2.fillConvexPoly(inside, cv2.convexHull(np.round(points).astype(np.int32)), 1)
    reach = 2 * round(share * EXTENT) + 1
    return np.asarray(cv2.dilate(inside, np.ones((reach, reach), np.uint8)) > 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(12))
def test_a_fake_differs_in_the_face_and_nowhere_else(kind: str, seed: int) -> None:
    fake = KINDS[kind](np.random.default_rng(seed))

    difference = changed(PICTURE, fake)
    assert fake.shape == PICTURE.shape
    assert fake.dtype == np.uint8
    assert np.percentile(difference[around(POINTS[48:60], 0.0)], 90) > 3  # the lips always change
    assert difference[~around(POINTS, 0.3)].max() <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_fake_depends_on_the_random_generator_alone(kind: str) -> None:
    first, again, other = (KINDS[kind](np.random.default_rng(seed)) for seed in (4, 4, 5))

    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("seed", range(6))
def test_a_swapped_face_shows_the_donor_in_the_targets_colours(seed: int) -> None:
    marked = DONOR.copy()
    cheek = tuple(np.round(DONOR_POINTS[[31, 48]].mean(axis=0)).astype(int).tolist())
    cv2.circle(marked, cheek, 5, (20, 20, 20), -1)
    blue = np.clip(DONOR * np.array([0.5, 0.7, 1.3]), 0, 255).astype(np.uint8)

    plain, with_mark, from_blue = (
        swap_face(PICTURE, POINTS, donor, DONOR_POINTS, np.random.default_rng(seed)) for donor in (DONOR, marked, blue)
    )

    inner = around(POINTS[27:48], 0.0)
    wanted, given = PICTURE[inner].mean(axis=0), blue[around(DONOR_POINTS[27:48], 0.0)].mean(axis=0)
    got = from_blue[inner].mean(axis=0)
    assert changed(plain, with_mark)[around(POINTS[17:], 0.0)].max() > 40
    assert np.linalg.norm(got - wanted) < 0.6 * np.linalg.norm(given - wanted)


@pytest.mark.parametrize("seed", range(6))
def test_another_mouth_leaves_the_eyes_alone(seed: int) -> None:
    spoken = PICTURE.copy()
    centre = tuple(np.round(POINTS[60:].mean(axis=0)).astype(int).tolist())
    cv2.ellipse(spoken, centre, (round(0.12 * EXTENT), round(0.1 * EXTENT)), 0, 0, 360, (60, 10, 10), -1)

    fake = swap_mouth(PICTURE, POINTS, spoken, POINTS, np.random.default_rng(seed))

    assert changed(PICTURE, fake)[around(POINTS[36:48], 0.0)].max() <= 2
    assert fake[centre[1], centre[0]].astype(int).sum() < 0.8 * PICTURE[centre[1], centre[0]].astype(int).sum()


def test_a_mouth_of_a_head_turned_otherwise_is_not_taken() -> None:
    turned = POINTS.copy()
    turned[27:36, 0] += 0.12 * EXTENT  # the nose before the eyes
    black = np.zeros_like(PICTURE)

    fake = swap_mouth(PICTURE, POINTS, black, turned, np.random.default_rng(0))
    taken = swap_mouth(PICTURE, POINTS, black, POINTS, np.random.default_rng(0))

    lips = around(POINTS[48:60], 0.0)
    assert taken[lips].mean() < 0.5 * PICTURE[lips].mean()
    assert fake[lips].mean() > 0.8 * PICTURE[lips].mean()


def test_a_mouth_that_did_not_move_still_shows_a_generators_hand() -> None:
    """Two frames of one moment: without it the fake would be the genuine picture with a wrong label."""
    for seed in range(30):
        fake = swap_mouth(PICTURE, POINTS, PICTURE.copy(), POINTS, np.random.default_rng(seed))
        assert changed(PICTURE, fake)[around(POINTS[48:60], 0.0)].max() > 3


@pytest.mark.parametrize("seed", range(8))
def test_a_restored_face_keeps_its_colour_and_loses_its_grain(seed: int) -> None:
    noisy = np.clip(PICTURE + np.random.default_rng(9).normal(0, 12, PICTURE.shape), 0, 255).astype(np.uint8)

    fake = restored(noisy, POINTS, np.random.default_rng(seed))

    inner = around(POINTS[29:36], 0.0)
    assert np.abs(fake[inner].mean(axis=0) - noisy[inner].mean(axis=0)).max() < 8
    assert grain(fake)[inner].mean() < 0.9 * grain(noisy)[inner].mean()


def grain(picture: Picture) -> NDArray[np.float64]:
    return np.asarray(np.abs(cv2.Laplacian(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.CV_64F)))


@pytest.mark.parametrize("seed", range(10))
def test_the_mask_of_a_swap_stays_on_the_face(seed: int) -> None:
    mask = fakes.face_mask(POINTS, 160, np.random.default_rng(seed))

    below_the_eyes = np.arange(160)[:, None] > POINTS[36:48, 1].max()
    assert mask.max() > 0.6
    assert mask[~around(POINTS, 0.05) & below_the_eyes].max() < 0.5
    assert mask[~around(POINTS, 0.25)].max() < 0.1


def test_a_similarity_is_found_again() -> None:
    angle, scale = np.radians(12), 1.3
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32)
    moved = (POINTS @ turn.T + np.array([4, -7], np.float32)).astype(np.float32)

    matrix = composites._similarity(POINTS, moved)

    assert np.allclose(matrix[:, :2], turn, atol=1e-4)
    assert np.allclose(matrix[:, 2], [4, -7], atol=1e-2)


def test_a_face_at_the_border_is_blended_too() -> None:
    beside = POINTS - np.array([70, 0], np.float32)
    for seed in range(20):
        fake = swap_face(PICTURE, beside, DONOR, DONOR_POINTS, np.random.default_rng(seed))
        assert changed(PICTURE, fake).max() > 3
