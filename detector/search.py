"""Decides which sampled frames are searched for faces everywhere, and which only where their neighbours show faces.

Every few frames one is searched in full, and so is the first and the last of every shot. The frames between two such
are searched as a whole and close to the faces of both. Where a face is missing that both show, or there are fewer faces
than in either, or nobody is found though one of them shows somebody, the frame is searched in full after all; a face
that neither shows is found between them if it is large enough to be seen in the whole picture. Frames that lie too far
apart in time for this are all searched in full.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector import faces
from detector.faces import Face
from detector.hands import ALONE, Hands
from detector.stopwatch import Stopwatch

MAX_BETWEEN = 3  # frames between two that are searched in full,
MAX_SPAN_S = 0.75  # which lie no further apart than this


@dataclass(frozen=True)
class Shown:
    """A sampled frame."""

    index: int
    time_s: float
    picture: NDArray[np.uint8]  # (H, W, 3) RGB, upright
    begins_shot: bool = False


def search(
    frames: Iterable[Shown], max_faces: int, hands: Hands = ALONE, stopwatch: Stopwatch | None = None
) -> Iterator[tuple[Shown, list[Face]]]:
    """Every frame in order with its faces, largest first, at most ``max_faces``.

    Holds up to MAX_BETWEEN + 2 frames. ``stopwatch`` gets the stage detect. Raises what the source of frames raises.
    """
    watch = stopwatch or Stopwatch()
    before: list[Face] = []  # of the last frame that was searched in full
    for waiting in _groups(frames):
        *between, last = waiting
        with watch.stage("detect"):
            after = faces.find(last.picture, max_faces, hands)
        for frame in between:
            with watch.stage("detect"):
                found = _between(frame, before, after, max_faces, hands)
            yield frame, found
        yield last, after
        before = after


def _groups(frames: Iterable[Shown]) -> Iterator[list[Shown]]:
    """The frames in runs, of which the last is to be searched in full and the others are not."""
    waiting: list[Shown] = []
    begun_s = newest_s = 0.0  # of the last frame handed on, and of the last
    for frame in frames:
        if waiting and frame.begins_shot:  # then the last of the old shot has nothing after it
            yield waiting
            waiting = []
        waiting.append(frame)
        next_s = 2 * frame.time_s - newest_s  # when the next frame is to be expected
        is_first = frame.begins_shot or frame.index == 0
        if is_first or len(waiting) > MAX_BETWEEN or next_s - begun_s > MAX_SPAN_S:
            yield waiting
            waiting, begun_s = [], frame.time_s
        newest_s = frame.time_s
    if waiting:
        yield waiting


def _between(frame: Shown, before: list[Face], after: list[Face], max_faces: int, hands: Hands) -> list[Face]:
    earlier, later = [face.box for face in before], [face.box for face in after]
    expected = [*earlier, *(box for box in later if not faces.is_among(box, earlier))]
    found = faces.find_near(frame.picture, expected, max_faces, hands)
    if found or (found is not None and not expected):
        seen = [face.box for face in found]
        lasting = [box for box in earlier if faces.is_among(box, later)]
        is_full = len(found) == max_faces
        if is_full or (
            len(found) >= min(len(before), len(after)) and all(faces.is_among(box, seen) for box in lasting)
        ):
            return found
    return faces.find(frame.picture, max_faces, hands)
