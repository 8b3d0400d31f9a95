"""Fakes made from two pictures: face swaps between people, and the mouth of another moment.

Swaps follow the idea of BI in Face X-ray (Li et al., CVPR 2020): the donor is warped onto the target's landmarks, its
colours are matched, and it is blended in, by feathering or by Poisson's equation (Perez et al., 2003). Departures: the
donor's face takes the target's proportions (an affine map), colours are matched in CIELAB by mean and deviation
(Reinhard et al., 2001) and only in part, and the face may have a generator's resolution. Each function is pure: the
random generator is an argument.
"""

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from detector.training.fakes import MOUTH, face_mask, mixed, resample, sharpen, soften

Picture = NDArray[np.uint8]
Landmarks = NDArray[np.float32]
Matrix = NDArray[np.float32]  # (2, 3), takes (x, y, 1) to (x, y)
STABLE = [*range(17, 48)]  # brows, nose and eyes: what speaking leaves where it is
TURNED = 0.03  # root mean square distance of these, over the face's extent, from which a head is turned otherwise
LOWER_FACE = [2, 14, 31, 35]  # with the mouth: the whole lower face


def swap_face(
    target: Picture, landmarks: Landmarks, donor: Picture, donor_landmarks: Landmarks, random: Generator
) -> Picture:
    """``target`` ((S, S, 3) uint8 RGB, landmarks (68, 2)) with the face of ``donor`` in it."""
    face = _warped(donor, _affine(donor_landmarks, landmarks), len(target))
    mask = face_mask(landmarks, len(target), random)
    face = _generated(_recoloured(face, target, mask, random.uniform(0.5, 1.0)), random)
    if random.random() < 0.2:
        return _poisson(face, target, mask)
    return mixed(face, target, mask)


def swap_mouth(
    picture: Picture, landmarks: Landmarks, other: Picture, other_landmarks: Landmarks, random: Generator
) -> Picture:
    """``picture`` with the mouth that the same person had in ``other``; the rest of the face stays.

    Where ``other`` is the same picture, or the head is turned otherwise in it, the mouth is stretched instead, as if it
    spoke.
    """
    side, extent = len(picture), float(np.ptp(landmarks, axis=0).max())
    region = landmarks[MOUTH]
    matrix = _similarity(other_landmarks[STABLE], landmarks[STABLE])
    fitted = other_landmarks @ matrix[:, :2].T + matrix[:, 2]
    apart = float(np.sqrt(np.square(fitted[STABLE] - landmarks[STABLE]).sum(axis=1).mean()))
    if other is picture or apart > TURNED * extent:
        moved = _stretched(picture, landmarks[48:], extent, random)
    else:
        moved = _warped(other, matrix, side)
        # An opened mouth brings its lowered chin along: both chins must lie inside.
        region = np.concatenate([region, fitted[MOUTH]])
    region = region + random.normal(0, 0.01 * extent, region.shape).astype(np.float32)
    if random.random() < 0.4:  # the whole lower face, as lip-sync generators paint it
        region = np.concatenate([region, landmarks[LOWER_FACE]])
    mask = np.zeros((side, side), np.float32)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(region).astype(np.int32)), 1.0)
    mask = soften(mask, extent, random)
    moved = _generated(_recoloured(moved, picture, mask, random.uniform(0.0, 1.0)), random)
    return mixed(moved, picture, mask)


def _affine(source: Landmarks, target: Landmarks) -> Matrix:
    """The affine map that takes the landmarks ``source`` nearest to ``target``, least squares."""
    design = np.concatenate([source, np.ones((len(source), 1), np.float32)], axis=1)
    return np.asarray(np.linalg.lstsq(design, target, rcond=None)[0].T, np.float32)


def _similarity(source: Landmarks, target: Landmarks) -> Matrix:
    """The turn, scale and shift that takes ``source`` nearest to ``target``, least squares.

    It carries further than an affine map where, as below the nose, no landmark holds it.
    """
    here, there = source.mean(axis=0), target.mean(axis=0)
    (x, y), (u, v) = (source - here).T, (target - there).T
    square = float((x * x + y * y).sum()) or 1.0
    cosine, sine = float((x * u + y * v).sum()) / square, float((x * v - y * u).sum()) / square
    turn = np.array([[cosine, -sine], [sine, cosine]], np.float32)
    return np.concatenate([turn, (there - turn @ here)[:, None]], axis=1).astype(np.float32)


def _warped(picture: Picture, matrix: Matrix, side: int) -> Picture:
    warped = cv2.warpAffine(picture, matrix, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.uint8)


def _recoloured(face: Picture, target: Picture, mask: NDArray[np.float32], share: float) -> Picture:
    """``face`` with ``share`` of the way to the target's mean and deviation inside the mask, in CIELAB."""
    inside = mask > 0.5
    if not inside.any():
        return face
    ours = cv2.cvtColor(face, cv2.COLOR_RGB2LAB).astype(np.float32)
    theirs = cv2.cvtColor(target, cv2.COLOR_RGB2LAB)[inside].astype(np.float32)
    mean, deviation = ours[inside].mean(axis=0), ours[inside].std(axis=0) + 1.0
    matched = (ours - mean) * ((theirs.std(axis=0) + 1.0) / deviation) + theirs.mean(axis=0)
    mixed = np.clip(ours + share * (matched - ours), 0, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(mixed, cv2.COLOR_LAB2RGB), np.uint8)


def _generated(face: Picture, random: Generator) -> Picture:
    """The look of a generator's output: of lower resolution, smoothed, or sharpened by a restoration; one at least."""
    coarse, smooth, sharp = random.random(3) < (0.6, 0.25, 0.35)
    if coarse or not (smooth or sharp):
        face = resample(face, random.uniform(0.25, 0.9), random)
    if smooth:
        face = np.asarray(cv2.bilateralFilter(face, 7, random.uniform(10, 40), 4), np.uint8)
    if sharp:
        face = sharpen(face, random.uniform(0.3, 1.4))
    return face


def _poisson(face: Picture, target: Picture, mask: NDArray[np.float32]) -> Picture:
    """Blended in the gradients; falls back on feathering where the mask is small or touches the border."""
    binary = (mask > 0.5).astype(np.uint8) * 255
    x, y, width, height = cv2.boundingRect(binary)
    side = len(target)
    if width < 8 or height < 8 or x < 2 or y < 2 or x + width > side - 2 or y + height > side - 2:
        return mixed(face, target, mask)
    centre = (x + width // 2, y + height // 2)
    return np.asarray(cv2.seamlessClone(face, target, binary, centre, cv2.NORMAL_CLONE), np.uint8)


def _stretched(picture: Picture, mouth: Landmarks, extent: float, random: Generator) -> Picture:
    """The mouth wider or narrower, more open or less; what lies further off stays where it is."""
    centre_x, centre_y = mouth.mean(axis=0)
    wider, higher = random.uniform(0.9, 1.1), random.choice([random.uniform(0.7, 0.9), random.uniform(1.1, 1.35)])
    y, x = np.mgrid[: len(picture), : len(picture)].astype(np.float32)
    away = np.square((x - centre_x) / (0.25 * extent)) + np.square((y - centre_y) / (0.16 * extent))
    weight = np.exp(-away).astype(np.float32)
    from_x, from_y = x + weight * (x - centre_x) * (1 / wider - 1), y + weight * (y - centre_y) * (1 / higher - 1)
    bent = cv2.remap(
        picture, from_x.astype(np.float32), from_y.astype(np.float32), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(bent, np.uint8)
