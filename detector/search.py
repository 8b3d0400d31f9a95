"""Decides which sampled frames are searched for faces everywhere, and which only where their neighbours show faces.

Every few frames one is searched in full, and so is the first and the last of every shot. The frames between two such
are searched close to the faces of both; of a face that moved from one to the other, close to where it would be had it
moved evenly; and as a whole where one shows a face that the other does not, or neither shows any. Where a face is
missing that both show, or there are fewer faces than in either, or nobody is found though one of them shows somebody,
the frame is searched in full after all. So a face that comes and goes between two frames that both show others alone is
not looked for. Frames that lie too far apart in time for this are all searched in full.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector import faces
from detector.faces import Box, Face, Places
from detector.hands import ALONE, Hands
from detector.stopwatch import Stopwatch

MAX_BETWEEN = 3  # frames between two that are searched in full, all of which are held,
MAX_BETWEEN_LARGE = 2  # or where a frame has more pixels than
LARGE_PIXELS = 1920 * 1200
MAX_SPAN_S = 0.75  # which lie no further apart than this
MAX_MOVE = 3.0  # between two such, in widths of the face; one that is further away is another,
ALIKE = 0.6  # and so is one that has less than this share of its width


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
    MAX_BETWEEN + 1 frames besides the one handed on, of large ones one less. ``stopwatch`` gets the stage detect.
    Raises what the source of the frames raises.
    """
    watch = stopwatch or Stopwatch()
    runs, behind = _Runs(), deque[_Behind]()
    before: list[Face] = []  # of the last frame that was searched in full,
    before_s = 0.0  # and its time

    def searched() -> tuple[Shown, list[Face]]:
        one = behind.popleft()
        with watch.stage("detect"):
            found = one.after if one.is_last else _between(one, max_faces, hands)
        return one.frame, found

    def search_last(run: list[Shown]) -> tuple[list[Face], float]:
        with watch.stage("detect"):
            after = faces.find(run[-1].picture, max_faces, hands)
        last_s = run[-1].time_s
        for frame in run:
            share = (frame.time_s - before_s) / (last_s - before_s) if last_s > before_s else 1.0
            behind.append(_Behind(frame, before, after, share, frame is run[-1]))
        run.clear()  # what is behind is let go of one by one
        return after, last_s

    for frame in frames:
        for run in runs.with_next(frame):
            before, before_s = search_last(run)
        if behind:
            yield searched()
    for run in runs.rest():
        before, before_s = search_last(run)
    while behind:
        yield searched()


@dataclass(frozen=True)
class _Behind:
    """A frame whose faces are still to be found, with those of the frames before and after it, searched in full."""

    frame: Shown
    before: list[Face]
    after: list[Face]
    share: float  # of the time between those two that has passed, 0 to 1
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
        is_large = frame.picture.shape[0] * frame.picture.shape[1] > LARGE_PIXELS
        most = MAX_BETWEEN_LARGE if is_large else MAX_BETWEEN
        is_first = frame.begins_shot or frame.index == 0
        if is_first or len(self._waiting) > most or next_s - self._begun_s > MAX_SPAN_S:
            self._begun_s = frame.time_s
            yield from self.rest()

    def rest(self) -> Iterator[list[Shown]]:
        """What waits, as a run; nothing when nothing does."""
        if self._waiting:
            run, self._waiting = self._waiting, []
            yield run


def _between(one: _Behind, max_faces: int, hands: Hands) -> list[Face]:
    frame = one.frame
    places = _places([face.box for face in one.before], [face.box for face in one.after], one.share)
    found = faces.find_near(frame.picture, places, max_faces, hands)
    if found or not places:
        seen = [face.box for face in found]
        is_full = len(found) == max_faces
        if is_full or (len(found) >= min(len(one.before), len(one.after)) and _are_there(places, seen)):
            return found
    return faces.find(frame.picture, max_faces, hands)


def _places(earlier: Sequence[Box], later: Sequence[Box], share: float) -> Places:
    """When ``share`` of the time from ``earlier`` to ``later`` has passed; a face moved where both are nearest."""
    going = [box for box in earlier if not faces.is_among(box, later)]
    coming = [box for box in later if not faces.is_among(box, earlier)]
    moved = [
        (box, to)
        for box in going
        if (to := _nearest(box, coming)) is not None and _nearest(to, going) == box and _may_be_one(box, to)
    ]
    ends = [end for pair in moved for end in pair]
    return Places(
        lasting=[box for box in earlier if box not in going],
        coming_or_going=[box for box in (*going, *coming) if box not in ends],
        on_the_way=[_on_the_way(box, to, share) for box, to in moved],
    )


def _are_there(places: Places, seen: Sequence[Box]) -> bool:
    """Whether all that both frames show is among what was ``seen``; what moved, as another face, near its place."""
    if not all(faces.is_among(box, seen) for box in places.lasting):
        return False
    others = [box for box in seen if not faces.is_among(box, places.lasting)]
    for box in places.on_the_way:
        near = _nearest(box, others)
        if near is None or _distance(box, near) > faces.NEAR_FACES / 2 * (box[2] - box[0]):
            return False
        others.remove(near)
    return True


def _nearest(box: Box, others: Sequence[Box]) -> Box | None:
    return min(others, key=lambda other: _distance(box, other), default=None)


def _may_be_one(box: Box, other: Box) -> bool:
    widths = box[2] - box[0], other[2] - other[0]
    return min(widths) >= ALIKE * max(widths) and _distance(box, other) <= MAX_MOVE * max(widths)


def _distance(box: Box, other: Box) -> float:
    """Between the middles, in pixels."""
    return float(np.hypot(box[0] + box[2] - other[0] - other[2], box[1] + box[3] - other[1] - other[3]) / 2)


def _on_the_way(box: Box, to: Box, share: float) -> Box:
    x0, y0, x1, y1 = ((1 - share) * one + share * other for one, other in zip(box, to, strict=True))
    return x0, y0, x1, y1
