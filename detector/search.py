"""Decides which sampled frames are searched for faces everywhere, and which only where their neighbours show faces.

Every few frames one is searched in full, and so is the first and the last of every shot. The frames between two such
are searched as a whole and close to the faces of both. Where a face is missing that both show, or there are fewer faces
than in either, or nobody is found though one of them shows somebody, the frame is searched in full after all; a face
that neither shows is found between them if it is large enough to be seen in the whole picture. Frames that lie too far
apart in time for this are all searched in full.
"""

from collections import deque
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

    For every frame that is asked for one is searched, so that whatever makes them works meanwhile. Holds up to
    MAX_BETWEEN + 2 frames besides the one handed on. ``stopwatch`` gets the stage detect. Raises what the source of the
    frames raises.
    """
    watch = stopwatch or Stopwatch()
    runs, behind = _Runs(), deque[_Behind]()
    before: list[Face] = []  # of the last frame that was searched in full

    def searched() -> tuple[Shown, list[Face]]:
        one = behind.popleft()
        with watch.stage("detect"):
            found = one.after if one.is_last else _between(one, max_faces, hands)
        return one.frame, found

    def search_last(run: list[Shown]) -> list[Face]:
        with watch.stage("detect"):
            after = faces.find(run[-1].picture, max_faces, hands)
        behind.extend(_Behind(frame, before, after, frame is run[-1]) for frame in run)
        run.clear()  # what is behind is let go of one by one
        return after

    for frame in frames:
        for run in runs.with_next(frame):
            before = search_last(run)
        if behind:
            yield searched()
    for run in runs.rest():
        before = search_last(run)
    while behind:
        yield searched()


@dataclass(frozen=True)
class _Behind:
    """A frame whose faces are still to be found, with those of the frames before and after it, searched in full."""

    frame: Shown
    before: list[Face]
    after: list[Face]
    is_last: bool  # then ``after`` is its own


class _Runs:
    """Divides frames into runs, of which the last is to be searched in full and the others are not."""

    def __init__(self) -> None:
        self._waiting: list[Shown] = []
        self._begun_s = self._newest_s = 0.0  # of the last frame of the last run, and of the newest frame

    def with_next(self, frame: Shown) -> Iterator[list[Shown]]:
        """The runs that are whole now that this frame has come."""
        if frame.begins_shot:  # then the last of the old shot has nothing after it
            yield from self.rest()
        self._waiting.append(frame)
        next_s = 2 * frame.time_s - self._newest_s  # when the next frame is to be expected
        self._newest_s = frame.time_s
        is_first = frame.begins_shot or frame.index == 0
        if is_first or len(self._waiting) > MAX_BETWEEN or next_s - self._begun_s > MAX_SPAN_S:
            self._begun_s = frame.time_s
            yield from self.rest()

    def rest(self) -> Iterator[list[Shown]]:
        """What waits, as a run; nothing when nothing does."""
        if self._waiting:
            run, self._waiting = self._waiting, []
            yield run


def _between(one: _Behind, max_faces: int, hands: Hands) -> list[Face]:
    frame = one.frame
    earlier, later = [face.box for face in one.before], [face.box for face in one.after]
    expected = [*earlier, *(box for box in later if not faces.is_among(box, earlier))]
    found = faces.find_near(frame.picture, expected, max_faces, hands)
    if found or (found is not None and not expected):
        seen = [face.box for face in found]
        lasting = [box for box in earlier if faces.is_among(box, later)]
        is_full = len(found) == max_faces
        if is_full or (
            len(found) >= min(len(one.before), len(one.after)) and all(faces.is_among(box, seen) for box in lasting)
        ):
            return found
    return faces.find(frame.picture, max_faces, hands)
