"""Fakes made from one real picture: self-blended images, after Shiohara and Yamasaki (CVPR 2022), written from the
paper, and inner faces that look drawn by a generator.

A self-blended picture is blended with a slightly changed copy of itself inside a mask drawn from the face's landmarks.
What remains to be learnt is the blending itself: borders, and differences of colour, sharpness and position between the
inner face and its surroundings. Departures: the mask may be the mouth alone (as lip-sync changes), and the inner face
may be scaled down and up again (as generators of low resolution leave it). Each function is pure: the random generator
is an argument.
"""

from typing import TypeVar

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

JAW_AND_BROWS = [*range(17), *range(17, 27)]
INNER_FACE = [*range(17, 68)]
MOUTH = [*range(48, 68), 4, 6, 8, 10, 12]
EYES_AND_LIPS = (range(36, 42), range(42, 48), range(48, 60))
Values = TypeVar("Values", NDArray[np.uint8], NDArray[np.float32])
BLEND_RATIOS = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)


def self_blend(
    picture: NDArray[np.uint8], landmarks: NDArray[np.float32], random: Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A genuine and a fake picture of ``picture`` ((S, S, 3) uint8 RGB) whose landmarks are (68, 2) in its pixels.

    The genuine one is what the fake has outside its mask, so the blending is all that tells them apart.
    """
    inner, outer = picture, picture
    if random.random() < 0.5:
        inner = alter(picture, random)
    else:
        outer = alter(picture, random)
    mask = blending_mask(landmarks, picture.shape[0], random)
    inner, mask = _displaced(inner, mask, random)
    return outer, mixed(inner, outer, mask * random.choice(BLEND_RATIOS))


def blending_mask(landmarks: NDArray[np.float32], side: int, random: Generator) -> NDArray[np.float32]:
    """(side, side) between 0 and 1: a hull of landmarks, moved, elastically deformed and blurred."""
    choice = random.random()
    points = landmarks[MOUTH if choice < 0.2 else INNER_FACE if choice < 0.4 else JAW_AND_BROWS].copy()
    extent = np.ptp(landmarks, axis=0).max()
    if choice >= 0.4:  # reach into the forehead, as swapped faces do, by a random share of the brows' height
        brows = points[17:]
        brows[:, 1] -= extent * random.uniform(0.0, 0.2)
    points += random.normal(0, 0.015 * extent, points.shape).astype(np.float32)
    hull = cv2.convexHull(np.round(points).astype(np.int32))
    mask = np.zeros((side, side), np.float32)
    cv2.fillConvexPoly(mask, hull, 1.0)
    mask = elastic(mask, random.uniform(0.0, 0.05) * side, random)
    return soften(mask, extent, random)


def restored(picture: NDArray[np.uint8], landmarks: NDArray[np.float32], random: Generator) -> NDArray[np.uint8]:
    """``picture`` ((S, S, 3) uint8 RGB, landmarks (68, 2)) with an inner face as reenactment, talking heads and face
    restoration leave it: of lower resolution, slightly out of shape, smooth of skin, and sharpened again.

    What restorations such as GFPGAN draw best, eyes and lips, may be crisper than all around them. Colour and light
    stay.
    """
    side, extent = len(picture), float(np.ptp(landmarks, axis=0).max())
    face = elastic(picture, random.uniform(0.0, 0.02) * extent, random)
    face = resample(face, random.uniform(0.25, 0.75), random)
    if random.random() < 0.6:
        face = np.asarray(cv2.bilateralFilter(face, 7, random.uniform(15, 50), random.uniform(2, 5)), np.uint8)
    if random.random() < 0.7:
        face = sharpen(face, random.uniform(0.4, 1.6))
    if random.random() < 0.4:
        details = np.zeros((side, side), np.float32)
        for part in EYES_AND_LIPS:
            cv2.fillConvexPoly(details, cv2.convexHull(np.round(landmarks[[*part]]).astype(np.int32)), 1.0)
        details = np.asarray(cv2.GaussianBlur(details, (0, 0), max(0.5, 0.02 * extent)), np.float32)
        face = mixed(sharpen(face, random.uniform(0.5, 1.5)), face, details)
    return mixed(face, picture, face_mask(landmarks, side, random))


def face_mask(landmarks: NDArray[np.float32], side: int, random: Generator) -> NDArray[np.float32]:
    """(side, side) between 0 and 1: the face from ear to ear, or its inner part, never beyond it.

    What comes from another picture must not bring that picture's background or hair along, as a mask that has grown
    would.
    """
    extent = np.ptp(landmarks, axis=0).max()
    points = landmarks[INNER_FACE if random.random() < 0.25 else JAW_AND_BROWS].copy()
    points[points[:, 1] <= landmarks[17:27, 1].max(), 1] -= extent * random.uniform(0.0, 0.08)
    points += random.normal(0, 0.01 * extent, points.shape).astype(np.float32)
    mask = np.zeros((side, side), np.float32)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(points).astype(np.int32)), 1.0)
    return soften(elastic(mask, random.uniform(0.0, 0.03) * side, random), extent, random, grown=False)


def mixed(face: NDArray[np.uint8], target: NDArray[np.uint8], mask: NDArray[np.float32]) -> NDArray[np.uint8]:
    """``face`` where ``mask`` is 1, ``target`` where it is 0; (S, S, 3), (S, S, 3) and (S, S)."""
    weight = mask[..., None]
    return np.clip(face * weight + target * (1 - weight) + 0.5, 0, 255).astype(np.uint8)


def alter(picture: NDArray[np.uint8], random: Generator) -> NDArray[np.uint8]:
    """A slightly changed copy: colour, light, and either less or more sharpness."""
    changed = picture.astype(np.float32)
    if random.random() < 0.8:
        changed += random.uniform(-12, 12, 3)
    if random.random() < 0.7:
        changed = _shift_hsv(changed, random)
    if random.random() < 0.7:
        changed = (changed - 128) * random.uniform(0.85, 1.15) + 128 + random.uniform(-15, 15)
    relit = np.clip(changed, 0, 255).astype(np.uint8)
    choice = random.random()
    if choice < 0.45:
        return resample(relit, random.uniform(0.25, 0.8), random)
    if choice < 0.75:
        return sharpen(relit, random.uniform(0.3, 1.2))
    return relit


def resample(picture: NDArray[np.uint8], share: float, random: Generator) -> NDArray[np.uint8]:
    """``picture`` scaled to ``share`` of its size and back with one of the usual interpolations."""
    height, width = picture.shape[:2]
    small = cv2.resize(
        picture, (max(8, round(width * share)), max(8, round(height * share))), interpolation=cv2.INTER_AREA
    )
    way = int(
        random.choice(
            [cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_NEAREST, cv2.INTER_LANCZOS4], p=[0.4, 0.35, 0.05, 0.2]
        )
    )
    return np.asarray(cv2.resize(small, (width, height), interpolation=way), np.uint8)


def sharpen(picture: NDArray[np.uint8], amount: float) -> NDArray[np.uint8]:
    """Unsharp masking."""
    blurred = cv2.GaussianBlur(picture, (0, 0), 1.5)
    return np.asarray(cv2.addWeighted(picture, 1 + amount, blurred, -amount, 0), np.uint8)


def _shift_hsv(picture: NDArray[np.float32], random: Generator) -> NDArray[np.float32]:
    hsv = cv2.cvtColor(np.clip(picture, 0, 255).astype(np.uint8), cv2.COLOR_RGB2HSV).astype(np.float32)
    hsv[..., 0] = (hsv[..., 0] + random.uniform(-4, 4)) % 180
    hsv[..., 1:] += random.uniform(-14, 14, 2)
    shifted = cv2.cvtColor(np.clip(hsv, 0, [179, 255, 255]).astype(np.uint8), cv2.COLOR_HSV2RGB)
    return shifted.astype(np.float32)


def elastic(values: Values, reach: float, random: Generator) -> Values:
    """``values`` ((S, S) or (S, S, 3)) bent smoothly, by at most about ``reach`` pixels."""
    side = len(values)
    field = random.uniform(-1, 1, (2, 9, 9)).astype(np.float32) * reach
    shift = np.stack([cv2.resize(part, (side, side), interpolation=cv2.INTER_CUBIC) for part in field])
    y, x = np.mgrid[:side, :side].astype(np.float32)
    edge = cv2.BORDER_CONSTANT if values.ndim == 2 else cv2.BORDER_REPLICATE
    bent = cv2.remap(values, x + shift[0], y + shift[1], cv2.INTER_LINEAR, borderMode=edge)
    return np.asarray(bent, values.dtype)


def soften(mask: NDArray[np.float32], extent: float, random: Generator, grown: bool = True) -> NDArray[np.float32]:
    """``mask`` blurred, shrunk or (unless not ``grown``) grown, and blurred again, as feathering is.

    ``extent``: of the face, in pixels.
    """
    first, second = random.uniform(0.01, 0.07, 2) * extent
    soft = cv2.GaussianBlur(mask, (0, 0), max(0.5, first))
    reached = np.clip((soft - random.uniform(0.05 if grown else 0.3, 0.6)) * 2.5, 0, 1).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(reached, (0, 0), max(0.5, second)), np.float32)


def _displaced(
    inner: NDArray[np.uint8], mask: NDArray[np.float32], random: Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The inner picture and its mask, moved and scaled together by up to three percent."""
    side = len(mask)
    scale_x, scale_y = random.uniform(0.96, 1.04, 2)
    move_x, move_y = random.uniform(-0.03, 0.03, 2) * side
    matrix = np.array(
        [[scale_x, 0, (1 - scale_x) * side / 2 + move_x], [0, scale_y, (1 - scale_y) * side / 2 + move_y]], np.float32
    )
    moved = cv2.warpAffine(inner, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8), np.asarray(cv2.warpAffine(mask, matrix, (side, side)), np.float32)
