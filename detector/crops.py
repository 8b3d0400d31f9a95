"""Turns, cuts and scales a face to the square the network sees, and measures whether it can be judged.

The same functions make the crops for training and for serving.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.faces import Face

LEFT_EYE, RIGHT_EYE, CHIN, NOSE_TIP = slice(36, 42), slice(42, 48), slice(0, 17), 30  # of the 68 landmarks
SHARPNESS_SIDE = 128  # sharpness is measured on the crop at this size, so that it can be compared


@dataclass(frozen=True)
class Placement:
    """A turned square in the frame."""

    centre: tuple[float, float]
    side: float  # pixels of the frame
    roll_deg: float  # of the eye line; positive turns clockwise on the screen


@dataclass(frozen=True)
class Crop:
    """An aligned face."""

    pixels: NDArray[np.uint8]  # (S, S, 3) RGB
    face_px: int  # width of the face in pixels of the upright frame
    sharpness: float  # variance of the Laplacian of the grey crop, 0-255 scale, at 128 px


def place(landmarks: NDArray[np.float32], margin: float) -> Placement:
    """Where the crop of a face with these (68, 2) landmarks lies.

    The square is centred between brows and chin, turned so that the eyes are level, and ``margin`` times as wide as the
    face's longer extent in that turned frame; a margin of 1 holds the landmarks and nothing else.
    """
    eyes = landmarks[RIGHT_EYE].mean(axis=0) - landmarks[LEFT_EYE].mean(axis=0)
    extent = np.ptp(landmarks, axis=0).max()
    # Seen from the side, the eyes lie together and their line says little.
    roll = float(np.arctan2(eyes[1], eyes[0])) if np.hypot(*eyes) > 0.15 * extent else 0.0
    turn = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    turned = landmarks @ turn.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    x, y = ((low + high) / 2) @ turn
    return Placement((float(x), float(y)), margin * max(1.0, float((high - low).max())), float(np.degrees(roll)))


def align(picture: NDArray[np.uint8], face: Face, size: int, margin: float) -> Crop:
    """The (size, size, 3) crop of ``face`` from a (H, W, 3) uint8 RGB picture; its edge is repeated outside."""
    placement = place(face.landmarks, margin)
    pixels = cut(picture, placement, size)
    return Crop(pixels, face_width(face.landmarks), sharpness(pixels))


def cut(picture: NDArray[np.uint8], placement: Placement, size: int) -> NDArray[np.uint8]:
    """The square of ``placement`` as (size, size, 3). Shrinking averages over the pixels, so that it does not alias."""
    height, width = picture.shape[:2]
    reach = placement.side * 0.75
    x, y = placement.centre
    left, top = max(0, int(x - reach)), max(0, int(y - reach))
    right, bottom = min(width, int(x + reach) + 2), min(height, int(y + reach) + 2)
    left, top = min(left, width - 1), min(top, height - 1)
    near = picture[top : max(bottom, top + 1), left : max(right, left + 1)]
    shrink = size / placement.side
    if shrink < 1:
        scaled = max(1, round(near.shape[1] * shrink)), max(1, round(near.shape[0] * shrink))
        ratio = scaled[0] / near.shape[1], scaled[1] / near.shape[0]
        near = np.asarray(cv2.resize(near, scaled, interpolation=cv2.INTER_AREA), np.uint8)
    else:
        ratio = 1.0, 1.0
    matrix = _matrix(placement, size)
    # matrix takes frame pixels to crop pixels; compose it with the way back from the shrunken neighbourhood.
    back = np.array([[1 / ratio[0], 0, left], [0, 1 / ratio[1], top], [0, 0, 1]])
    whole = matrix @ back
    pixels = cv2.warpAffine(near, whole, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(pixels, np.uint8)


def landmarks_in_crop(landmarks: NDArray[np.float32], placement: Placement, size: int) -> NDArray[np.float32]:
    """(68, 2) landmarks of the frame in pixels of the crop."""
    matrix = _matrix(placement, size)
    return (landmarks @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def face_width(landmarks: NDArray[np.float32]) -> int:
    """Width of the face in pixels: the longer extent of its landmarks, since a turned head is not a small one."""
    return round(float(np.ptp(landmarks, axis=0).max()))


def sharpness(pixels: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian of the inner face, the crop at SHARPNESS_SIDE; about 10 is badly blurred."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    grey = cv2.resize(grey, (SHARPNESS_SIDE, SHARPNESS_SIDE), interpolation=cv2.INTER_AREA)
    edge = SHARPNESS_SIDE // 5
    return float(cv2.Laplacian(grey[edge:-edge, edge:-edge], cv2.CV_64F).var())


def _matrix(placement: Placement, size: int) -> NDArray[np.float64]:
    """(2, 3): frame pixels to crop pixels."""
    angle, scale = np.radians(placement.roll_deg), size / placement.side
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    shift = np.array([size / 2, size / 2]) - turn @ np.array(placement.centre)
    return np.concatenate([turn, shift[:, None]], axis=1)
