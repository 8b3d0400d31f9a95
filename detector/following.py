"""Takes the sampled frames of a video, finds the faces in each, and follows every person through them.

Training and serving both come this way, so a network is trained on crops made as those it will judge. Frames pass one
at a time: what is kept of each is its faces' crops and, on request, a smaller JPEG to draw on.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from detector import crops, faces, jpeg, tracking
from detector.release import CropShape
from detector.stopwatch import Stopwatch
from detector.tracking import Sighting


@dataclass(frozen=True)
class Frame:
    """What is kept of a sampled frame."""

    index: int
    time_s: float
    jpeg: bytes | None  # at most ``keep_width`` wide
    scale: float  # of the JPEG over the upright frame


@dataclass
class Followed:
    """People in a video."""

    frames: list[Frame] = field(default_factory=list)
    tracks: list[list[Sighting]] = field(default_factory=list)  # the person seen most first
    people_left_out: int = 0  # beyond ``max_people``


def follow(
    pictures: Iterable[tuple[int, float, NDArray[np.uint8]]],
    shape: CropShape,
    *,
    max_faces: int,
    max_people: int,
    keep_width: int | None = None,
    on_frame: Callable[[int], None] | None = None,
    stopwatch: Stopwatch | None = None,
) -> Followed:
    """The people in ``pictures``, which are what ``sample`` of a Reader yields; ``on_frame`` is told how many are done.

    ``stopwatch`` gets the stages decode (waiting for pictures), detect, crop, track, and draw (the JPEGs kept).
    Raises what the pictures' source raises. Memory holds one picture, the crops, and the JPEGs when ``keep_width`` is
    given.
    """
    followed, watch = Followed(), stopwatch or Stopwatch()
    sightings: list[list[Sighting]] = []
    cuts: set[int] = set()
    histogram: NDArray[np.float32] | None = None
    for index, time_s, picture in watch.each("decode", pictures):
        with watch.stage("track"):
            before, histogram = histogram, tracking.colour_histogram(picture)
            if before is not None and tracking.is_cut(before, histogram):
                cuts.add(index)
        with watch.stage("detect"):
            found = faces.find(picture, max_faces)
        with watch.stage("crop"):
            sightings.append([_sighting(picture, face, index, time_s, shape) for face in found])
        with watch.stage("draw"):
            followed.frames.append(_kept(picture, index, time_s, keep_width))
        if on_frame is not None:
            on_frame(index + 1)
    with watch.stage("track"):
        pieces = tracking.link(sightings, cuts)
        tracks = tracking.join(pieces, lambda pixels: faces.encoding(pixels, shape.margin), len(followed.frames))
    followed.tracks, followed.people_left_out = tracks[:max_people], len(tracks[max_people:])
    return followed


def _sighting(picture: NDArray[np.uint8], face: faces.Face, index: int, time_s: float, shape: CropShape) -> Sighting:
    crop = crops.align(picture, face, shape.size, shape.margin)
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = face.box
    inside = max(0.0, x0), max(0.0, y0), min(float(width), x1), min(float(height), y1)
    return Sighting(index, time_s, inside, crop, face.score, face.landmarks)


def _kept(picture: NDArray[np.uint8], index: int, time_s: float, keep_width: int | None) -> Frame:
    if keep_width is None:
        return Frame(index, time_s, None, 1.0)
    scale = min(1.0, keep_width / picture.shape[1])
    if scale < 1:
        size = keep_width, max(1, round(picture.shape[0] * scale))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    return Frame(index, time_s, jpeg.encode(picture, quality=92), scale)
