"""Draws what was found: boxes with verdicts on frames, class activation maps over crops.

Green is REAL, red FAKE, grey undecided; each also has its own line (solid, double, dashed) and always its words, so
that colour is never the only sign. Lines have a white edge and so stand out from any background.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from detector import jpeg
from detector.report import Verdict

GREEN, RED, GREY = (22, 128, 60), (200, 30, 45), (95, 99, 104)  # RGB; white text on each has a contrast over 4.5
WHITE = (255, 255, 255)
COLOURS = {Verdict.REAL: GREEN, Verdict.FAKE: RED, Verdict.INCONCLUSIVE: GREY, Verdict.NO_FACE: GREY}
WORDS = {Verdict.REAL: "REAL", Verdict.FAKE: "FAKE", Verdict.INCONCLUSIVE: "?", Verdict.NO_FACE: "?"}
FONT = cv2.FONT_HERSHEY_SIMPLEX
TOWARDS_FAKE, TOWARDS_REAL = (230, 97, 1), (20, 90, 200)  # orange and blue, told apart by colour-blind eyes too
FULL_STRENGTH = 2.0  # logits; a face that gave as much everywhere would be called fake, or real, with 88 %
STRONGEST = 0.65  # opacity there
STRENGTH_CURVE = 0.8  # below one: weak contributions are lifted a little, so that they are seen at all

Picture = NDArray[np.uint8]
Box = tuple[int, int, int, int]
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class DrawnFace:
    """One face to draw on a frame."""

    box: Box  # xyxy in pixels of the picture, or as ``on_frame`` says; what lies outside is drawn on its edge
    verdict: Verdict  # of the person
    probability_fake: float | None  # of this face in this frame
    label: str  # which person, in ASCII


def annotate(picture: Picture, faces: Sequence[DrawnFace]) -> Picture:
    """A copy of a (H, W, 3) uint8 RGB picture with every face boxed and labelled; labels lie over all boxes."""
    drawn = np.ascontiguousarray(picture.copy())
    for face in faces:
        _box(drawn, face)
    for face in faces:
        _plate(drawn, face)
    return drawn


def on_frame(kept: bytes, width: int, faces: Sequence[DrawnFace]) -> bytes:
    """The same of a frame kept as JPEG, as JPEG: boxes are in pixels of the video's frame, which is ``width`` wide.

    About 7 ms for one 1280 pixels wide. Raises ValueError when ``kept`` is no JPEG.
    """
    picture = jpeg.decode(kept)
    scale = picture.shape[1] / width
    scaled = [replace(face, box=_scaled(face.box, scale)) for face in faces]
    return jpeg.encode(annotate(picture, scaled), jpeg.FRAME_QUALITY)


def percent(probability: float) -> str:
    """A probability as whole percent, in ASCII; never 0 or 100, which no model may claim."""
    whole = round(probability * 100)
    return ">99%" if whole >= 100 else "<1%" if whole <= 0 else f"{whole}%"


def overlay(crop: Picture, contributions: NDArray[np.float32], scale: float = FULL_STRENGTH) -> Picture:
    """A (S, S, 3) uint8 RGB crop in grey with its (s, s) map of logit contributions over it.

    Orange speaks for fake, blue for genuine, and where nothing speaks the crop shows through. Opacity rises with the
    contribution up to ``scale`` logits, which is fixed and not the map's own maximum: two heatmaps can be compared.
    Between the map's cells values are interpolated linearly, so none is shown stronger than the network gave it.
    """
    side = crop.shape[1], crop.shape[0]
    map_ = cv2.resize(contributions.astype(np.float32), side, interpolation=cv2.INTER_LINEAR)[..., None]
    opacity = np.clip(np.abs(map_) / scale, 0, 1) ** STRENGTH_CURVE * STRONGEST
    tint = np.where(map_ > 0, np.array(TOWARDS_FAKE), np.array(TOWARDS_REAL))
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[..., None]
    return np.asarray(np.clip(np.rint(grey * (1 - opacity) + tint * opacity), 0, 255), np.uint8)


def _scaled(box: Box, scale: float) -> Box:
    x0, y0, x1, y1 = (round(value * scale) for value in box)
    return x0, y0, x1, y1


def _box(picture: Picture, face: DrawnFace) -> None:
    colour = COLOURS[face.verdict]
    width = _line_width(picture)
    if face.verdict is Verdict.FAKE:
        gap = 2 * width + 3
        outer = _inside(picture, _grown(face.box, gap), width)
        _lines(picture, _sides(outer), colour, width)
        _lines(picture, _sides(_grown(outer, -gap)), colour, width)
    elif face.verdict is Verdict.REAL:
        _lines(picture, _sides(_inside(picture, face.box, width)), colour, width)
    else:
        sides = _sides(_inside(picture, face.box, width))
        _lines(picture, [dash for side in sides for dash in _dashes(side, max(6, 5 * width))], colour, width)


def _line_width(picture: Picture) -> int:
    longer: int = max(picture.shape[:2])
    return max(1, round(longer / 400))


def _grown(box: Box, by: int) -> Box:
    """The box with each side moved outwards, or inwards where ``by`` is negative, at most to its middle."""
    x0, y0, x1, y1 = box
    across, down = max(by, (x0 - x1) // 2), max(by, (y0 - y1) // 2)
    return x0 - across, y0 - down, x1 + across, y1 + down


def _inside(picture: Picture, box: Box, margin: int) -> Box:
    """The box with its sides moved into the picture, so that all four are seen."""
    height, width = picture.shape[:2]
    x0, x1 = (max(margin, min(x, width - 1 - margin)) for x in (box[0], box[2]))
    y0, y1 = (max(margin, min(y, height - 1 - margin)) for y in (box[1], box[3]))
    return x0, y0, x1, y1


def _sides(box: Box) -> list[Box]:
    """Four lines (x0, y0, x1, y1)."""
    x0, y0, x1, y1 = box
    return [(x0, y0, x1, y0), (x0, y1, x1, y1), (x0, y0, x0, y1), (x1, y0, x1, y1)]


def _dashes(line: Box, length: int) -> list[Box]:
    x0, y0, x1, y1 = line
    starts = range(0, max(x1 - x0, y1 - y0) + 1, 2 * length)
    if y0 == y1:
        return [(x0 + start, y0, min(x0 + start + length, x1), y0) for start in starts]
    return [(x0, y0 + start, x0, min(y0 + start + length, y1)) for start in starts]


def _lines(picture: Picture, lines: Sequence[Box], colour: Colour, width: int) -> None:
    """Lines with a white edge of one pixel, or more on large pictures."""
    for paint, thickness in ((WHITE, width + 2 * max(1, width // 2)), (colour, width)):
        for x0, y0, x1, y1 in lines:
            cv2.line(picture, (x0, y0), (x1, y1), paint, thickness)


def _plate(picture: Picture, face: DrawnFace) -> None:
    """The label above the box, below it where there is no room, always inside the picture."""
    score = "" if face.probability_fake is None else f" {percent(face.probability_fake)}"
    text = f"{face.label} {WORDS[face.verdict]}{score}"
    height, width = picture.shape[:2]
    size = max(0.45, max(height, width) / 1600)
    thickness = max(1, round(size * 2))
    (text_width, text_height), base = cv2.getTextSize(text, FONT, size, thickness)
    pad = max(3, text_height // 3)
    plate_width, plate_height = text_width + 2 * pad, text_height + base + 2 * pad
    x0, y0, _, y1 = face.box
    left = max(0, min(x0, width - plate_width))
    top = y0 - plate_height if y0 >= plate_height else y1
    top = max(0, min(top, height - plate_height))
    cv2.rectangle(picture, (left, top), (left + plate_width, top + plate_height), COLOURS[face.verdict], cv2.FILLED)
    cv2.putText(picture, text, (left + pad, top + pad + text_height), FONT, size, WHITE, thickness, cv2.LINE_AA)
