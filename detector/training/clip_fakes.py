"""Fakes along a clip: one manipulation, made of one person's ordered crops, as steady or unsteady as real ones are.

One random seed serves all frames, so a manipulation keeps its mask, colours and sharpness from frame to frame, as the
clip-level blending of AltFreezing does (Wang et al., CVPR 2023). A Course then says how it departs from that: real
swaps are made frame by frame, and so flicker, tremble, and slide over the face as it moves. Each function is pure: the
random generator is an argument.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from detector.training.composites import STABLE, Landmarks, Picture, swap_face, swap_mouth
from detector.training.fakes import restored, self_blend

Kind = Literal["self-blended", "swapped", "mouth", "restored"]
KINDS: tuple[Kind, ...] = ("self-blended", "swapped", "mouth", "restored")
STEADY = 0.35  # share of the clips whose manipulation is as steady as it can be


@dataclass(frozen=True)
class Frames:
    """The crops of one person in order of time: T pictures (S, S, 3) uint8 RGB, landmarks (68, 2) in their pixels."""

    pictures: Sequence[Picture]
    landmarks: Sequence[Landmarks]


@dataclass(frozen=True)
class Course:
    """How a manipulation goes along T frames."""

    strength: NDArray[np.float32]  # (T,), 0 leaves the frame genuine
    offset: NDArray[np.float32]  # (T, 2), of mask and lent face, as a share of the face's extent
    scale: NDArray[np.float32]  # (T,), of mask and lent face
    anew: NDArray[np.bool_]  # (T,), where a frame is made with draws of its own

    @classmethod
    def steady(cls, count: int) -> "Course":
        """The same in every frame."""
        ones = np.ones(count, np.float32)
        return cls(ones, np.zeros((count, 2), np.float32), ones, np.zeros(count, np.bool_))

    @classmethod
    def draw(cls, count: int, random: Generator) -> "Course":
        """A steady course, or one with flicker, jitter, drift, or several of them."""
        steady = cls.steady(count)
        chosen = random.random(4) < (0.45, 0.45, 0.45, 0.2)
        if random.random() < STEADY or not chosen.any():
            return steady
        flickers, trembles, drifts, changes = chosen
        offset, scale = np.zeros((count, 2)), np.ones(count)
        if trembles:
            offset += jitter(count, random.uniform(0.004, 0.02), random)
            scale += random.normal(0, random.uniform(0.002, 0.012), count)
        if drifts:
            offset += drift(count, random.uniform(0.02, 0.06), random)
        return cls(
            flicker(count, random) if flickers else steady.strength,
            offset.astype(np.float32),
            scale.astype(np.float32),
            random.random(count) < random.uniform(0.2, 1.0) if changes else steady.anew,
        )


def clip_fake(frames: Frames, random: Generator, donor: Frames | None = None) -> list[Picture]:
    """``frames`` with one manipulation along one course; without ``donor``, another person, no face is swapped."""
    kinds = [kind for kind in KINDS if donor is not None or kind != "swapped"]
    kind = kinds[int(random.integers(len(kinds)))]
    return manipulated(frames, kind, Course.draw(len(frames.pictures), random), random, donor)


def manipulated(
    frames: Frames, kind: Kind, course: Course, random: Generator, donor: Frames | None = None
) -> list[Picture]:
    """``frames`` with the manipulation ``kind`` along ``course``, T pictures.

    Swapped faces are those of the donor's frames whose landmarks are nearest, since a swap follows the expression.
    Other mouths come from as many frames later (or earlier) throughout, so that they move as mouths do. Where
    self-blending would alter the surroundings, the contrary is done to the inner face: what lies around it stays as
    ``frames`` have it. Raises ValueError when a swap lacks its ``donor``.
    """
    seed, count = int(random.integers(2**31)), len(frames.pictures)
    own = random.integers(2**31, size=count)
    shift = int(random.integers(1, count)) if count > 1 else 0
    made = []
    for index, (picture, points) in enumerate(zip(frames.pictures, frames.landmarks, strict=True)):
        draws = np.random.default_rng(int(own[index]) if course.anew[index] else seed)
        aim = _moved(points, course.offset[index], float(course.scale[index]))
        before = picture
        match kind:
            case "self-blended":
                before, after = self_blend(picture, aim, draws)
            case "swapped":
                after = swap_face(picture, aim, *_lent(donor, points), draws)
            case "mouth":
                other = (index + shift) % count
                after = swap_mouth(picture, aim, frames.pictures[other], frames.landmarks[other], draws)
            case "restored":
                after = restored(picture, aim, draws)
        made.append(_added(picture, before, after, float(course.strength[index])))
    return made


def flicker(count: int, random: Generator) -> NDArray[np.float32]:
    """(T,) strengths that go up and down, or are full but for a few frames in which the face was lost."""
    if random.random() < 0.5:
        wavering = 1 - np.abs(random.normal(0, random.uniform(0.1, 0.4), count))
        return np.asarray(np.clip(wavering, 0.1, 1), np.float32)
    lost = random.random(count) < random.uniform(0.05, 0.3)
    lost[int(random.integers(count))] = False
    return np.where(lost, random.choice([0.0, 0.3]), 1.0).astype(np.float32)


def jitter(count: int, deviation: float, random: Generator) -> NDArray[np.float64]:
    """(T, 2) offsets that know nothing of each other."""
    return random.normal(0, deviation, (count, 2))


def drift(count: int, reach: float, random: Generator) -> NDArray[np.float64]:
    """(T, 2) offsets that swing slowly, at most once over the clip, and at most by ``reach``."""
    time = np.linspace(0, random.uniform(0.3, 1.0), count)
    phases, towards = random.random(2), random.uniform(0.4, 1.0, 2)
    return np.asarray(reach * towards * np.sin(2 * np.pi * (time[:, None] + phases)))


def _moved(points: Landmarks, offset: NDArray[np.float32], scale: float) -> Landmarks:
    centre, extent = points.mean(axis=0), np.ptp(points, axis=0).max()
    return np.asarray((points - centre) * scale + centre + offset * extent, np.float32)


def _lent(donor: Frames | None, points: Landmarks) -> tuple[Picture, Landmarks]:
    """The donor's frame whose landmarks have the most similar shape, whatever their place and size."""
    if donor is None:
        raise ValueError("A swapped face needs a donor.")
    wanted = _shape(points)
    nearest = int(np.argmin([np.square(_shape(other) - wanted).sum() for other in donor.landmarks]))
    return donor.pictures[nearest], donor.landmarks[nearest]


def _shape(points: Landmarks) -> Landmarks:
    centred = points - points[STABLE].mean(axis=0)
    return np.asarray(centred / np.sqrt(np.square(centred[STABLE]).mean()), np.float32)


def _added(picture: Picture, before: Picture, after: Picture, strength: float) -> Picture:
    """``picture`` with what changed from ``before`` to ``after``, or a share of it."""
    change = after.astype(np.float32) - before
    return np.clip(np.round(picture + strength * change), 0, 255).astype(np.uint8)
