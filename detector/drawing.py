"""Draws what was found: boxes with verdicts on frames, class activation maps over crops.

Green is REAL, red FAKE, grey undecided; each also has its own line (solid, double, dashed) and always its words, so that
colour is never the only sign.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.report import Verdict

GREEN, RED, GREY = (22, 128, 60), (200, 30, 45), (95, 99, 104)  # RGB; white text on each has a contrast over 4.5
COLOURS = {Verdict.REAL: GREEN, Verdict.FAKE: RED, Verdict.INCONCLUSIVE: GREY, Verdict.NO_FACE: GREY}
WORDS = {Verdict.REAL: "REAL", Verdict.FAKE: "FAKE", Verdict.INCONCLUSIVE: "?", Verdict.NO_FACE: "?"}
FONT = cv2.FONT_HERSHEY_SIMPLEX
TOWARDS_FAKE, TOWARDS_REAL = np.array([230, 97, 1]), np.array([20, 90, 200])  # orange and blue, safe for colour-blind eyes
FULL_STRENGTH = 6.0  # logit contribution at which the overlay is strongest
STRONGEST = 0.65  # opacity there


@dataclass(frozen=True)
class DrawnFace:
    """One face to draw on a frame."""

    box: tuple[int, int, int, int]  # xyxy in pixels of the picture
    verdict: Verdict  # of the person
    probability_fake: float | None  # of this face in this frame
    label: str  # which person


def annotate(picture: NDArray[np.uint8], faces: Sequence[DrawnFace]) -> NDArray[np.uint8]:
    """A copy of a (H, W, 3) uint8 RGB picture with every face boxed and labelled."""
    drawn = np.ascontiguousarray(picture.copy())
    width = max(2, round(max(drawn.shape[:2]) / 400))
    for face in faces:
        colour = COLOURS[face.verdict]
        if face.verdict is Verdict.INCONCLUSIVE:
            _dashed_box(drawn, face.box, colour, width)
        else:
            x0, y0, x1, y1 = face.box
            cv2.rectangle(drawn, (x0, y0), (x1, y1), colour, width)
            if face.verdict is Verdict.FAKE:
                gap = 2 * width + 1
                cv2.rectangle(drawn, (x0 - gap, y0 - gap), (x1 + gap, y1 + gap), colour, max(1, width // 2))
        _plate(drawn, face, colour)
    return drawn


def overlay(crop: NDArray[np.uint8], contributions: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A (S, S, 3) uint8 RGB crop with its (s, s) map of logit contributions over it.

    Orange speaks for fake, blue for genuine; the stronger the less transparent, on a fixed scale (FULL_STRENGTH), so that
    two heatmaps can be compared.
    """
    side = crop.shape[1], crop.shape[0]
    map_ = cv2.resize(contributions.astype(np.float32), side, interpolation=cv2.INTER_CUBIC)
    strength = np.clip(np.abs(map_) / FULL_STRENGTH, 0, 1)[..., None] ** 0.8 * STRONGEST
    tint = np.where(map_[..., None] > 0, TOWARDS_FAKE, TOWARDS_REAL)
    grey = cv2.cvtColor(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return np.clip(grey * (1 - strength) + tint * strength, 0, 255).astype(np.uint8)


def _dashed_box(
    picture: NDArray[np.uint8], box: tuple[int, int, int, int], colour: tuple[int, int, int], width: int
) -> None:
    x0, y0, x1, y1 = box
    dash = max(6, width * 4)
    for start in range(x0, x1, 2 * dash):
        for y in (y0, y1):
            cv2.line(picture, (start, y), (min(start + dash, x1), y), colour, width)
    for start in range(y0, y1, 2 * dash):
        for x in (x0, x1):
            cv2.line(picture, (x, start), (x, min(start + dash, y1)), colour, width)


def _plate(picture: NDArray[np.uint8], face: DrawnFace, colour: tuple[int, int, int]) -> None:
    """The label above the box, below it where there is no room, always inside the picture."""
    score = "" if face.probability_fake is None else f" {face.probability_fake * 100:.0f}%"
    text = f"{face.label} {WORDS[face.verdict]}{score}"
    height, width = picture.shape[:2]
    size = max(0.4, max(height, width) / 1600)
    thickness = max(1, round(size * 2))
    (text_width, text_height), base = cv2.getTextSize(text, FONT, size, thickness)
    pad = max(3, text_height // 3)
    plate_width, plate_height = text_width + 2 * pad, text_height + base + 2 * pad
    x0, y0, _, y1 = face.box
    left = int(np.clip(x0, 0, max(0, width - plate_width)))
    top = y0 - plate_height if y0 >= plate_height else min(y1, height - plate_height)
    top = int(np.clip(top, 0, max(0, height - plate_height)))
    cv2.rectangle(picture, (left, top), (left + plate_width, top + plate_height), colour, cv2.FILLED)
    place = left + pad, top + pad + text_height
    cv2.putText(picture, text, place, FONT, size, (255, 255, 255), thickness, cv2.LINE_AA)
