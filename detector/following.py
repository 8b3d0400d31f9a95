"""Takes the sampled frames of a video, finds the faces in each, and follows every person through them.

Training and serving both come this way, so a network is trained on crops made as those it will judge. A few frames pass
at a time: what is kept of each is its faces' crops and, on request, a smaller JPEG to draw on.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from detector import crops, face_encoder, faces, jpeg, tracking
from detector.hands import ALONE, Hands
from detector.pyramid import Pyramid, halvings
from detector.release import CropShape
from detector.search import Shown, search
from detector.stopwatch import Stopwatch
from detector.tracking import Sighting


@dataclass(frozen=True)
class Frame:
    """What is kept of a sampled frame."""

    index: int
    time_s: float
    jpeg: bytes | None  # at most ``keep_width`` wide
    width: int  # of the upright frame, in pixels


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
    hands: Hands = ALONE,
) -> Followed:
    """The people in ``pictures``, which are what ``sample`` of a Reader yields; ``on_frame`` is told how many are done.

    ``stopwatch`` gets the stages decode (waiting for pictures), detect, crop, track, and draw (the JPEGs kept).
    ``hands`` work on the parts of a frame side by side; the answer is the same. Raises what the pictures' source
    raises. Memory holds a few pictures, the crops, and the JPEGs when ``keep_width`` is given.
    """
    followed, watch = Followed(), stopwatch or Stopwatch()
    sightings: list[list[Sighting]] = []
    cuts: set[int] = set()
    for shown, found in search(_shown(pictures, cuts, watch), max_faces, hands, watch):
        with watch.stage("crop"):
            sightings.append(hands.map(partial(_sighting, shown, shape=shape), found))
        with watch.stage("draw"):
            followed.frames.append(_kept(shown, keep_width))
        if on_frame is not None:
            on_frame(shown.index + 1)
        del shown, found  # before another frame comes
    with watch.stage("track"):
        tracks = tracking.join(
            tracking.link(sightings, cuts),
            lambda pixels: face_encoder.encodings(pixels, shape.margin, hands),
            lambda pixels: faces.is_frontal(pixels, shape.margin),
            len(followed.frames),
        )
    followed.tracks, followed.people_left_out = tracks[:max_people], len(tracks[max_people:])
    return followed


def _shown(
    pictures: Iterable[tuple[int, float, NDArray[np.uint8]]], cuts: set[int], watch: Stopwatch
) -> Iterator[Shown]:
    """The pictures with what begins a shot, which is noted in ``cuts`` too."""
    histogram: NDArray[np.float32] | None = None
    for index, time_s, picture in watch.each("decode", pictures):
        with watch.stage("track"):
            before, histogram = histogram, tracking.colour_histogram(picture)
            if before is not None and tracking.is_cut(before, histogram):
                cuts.add(index)
        yield Shown(index, time_s, picture, index in cuts)


def _sighting(shown: Shown, face: faces.Face, shape: CropShape) -> Sighting:
    crop = crops.align(shown.picture, face, shape.size, shape.margin)
    height, width = shown.picture.shape[:2]
    x0, y0, x1, y1 = face.box
    inside = max(0.0, x0), max(0.0, y0), min(float(width), x1), min(float(height), y1)
    return Sighting(shown.index, shown.time_s, inside, crop, face.score, face.landmarks)


def _kept(shown: Shown, keep_width: int | None) -> Frame:
    picture = shown.picture
    height, width = picture.shape[:2]
    if keep_width is None:
        return Frame(shown.index, shown.time_s, None, width)
    if keep_width < width:
        halves = Pyramid(picture, halvings(width, keep_width)).pictures[-1]
        size = keep_width, max(1, round(height * keep_width / width))
        picture = np.asarray(cv2.resize(halves, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    return Frame(shown.index, shown.time_s, jpeg.encode(picture, jpeg.FRAME_QUALITY), width)
