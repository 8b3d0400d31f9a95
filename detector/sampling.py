"""Reads frames at regular intervals from a video, and decodes no more for them than it must.

Short intervals are read from the beginning to the end, without frames that nothing needs (skipping.py), and so are MPEG
streams in which time stamps begin again (steady.py). Long ones are reached by key frame, and where a key frame lies
close enough to a wanted time, it is taken itself. Two decoders then work side by side (lanes.py): one that begins again
at every key frame keeps its threads waiting.
"""

import bisect
import contextlib
import itertools
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.index import IndexEntry
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from detector.decoding import (
    decoded,
    explained,
    first_alone,
    open_video,
    pts_at,
    rotation,
    seek,
    shown_size,
    start_s,
    unreadable,
    video_stream,
)
from detector.errors import DetectorError, ErrorCode
from detector.lanes import Timed, side_by_side
from detector.skipping import Skipping, is_timed
from detector.steady import demuxed
from detector.stream import Limits, StreamInfo, check_pixels

SEEK_BEYOND_S = 1.0  # samples further apart than this are reached by key frame where that skips frames
EASE = 0.25  # of the interval: a key frame that near is taken instead, where samples lie further apart than that
LANES = 2  # decoders side by side, on any machine, so that the frames do not depend on it
LANE_PIXELS = 1920 * 1200  # of a frame, at most: each decoder holds frames of its own
OWN_KEY = 0.75  # share of the targets, at least, that are reached from key frames of their own where there are lanes
SOON = 0.5  # of the interval: so soon after each target there is a frame where there are lanes
SAME_S = 1e-6  # times that differ by less are one
STRAY_S = 1.0  # a frame this far beyond the end has a wrong time stamp


def sample(
    path: Path,
    info: StreamInfo,
    count: int,
    should_stop: Callable[[], bool] | None = None,
    *,
    limits: Limits | None = None,
    max_side: int | None = None,
) -> Iterator[tuple[int, float, NDArray[np.uint8]]]:
    """Yield (index, time_s, picture) of up to ``count`` frames at regular intervals over the whole video.

    Pictures are (H, W, 3) uint8 RGB, upright and with square pixels, scaled down to ``max_side`` where that is given.
    The targets are the middles of ``count`` equal parts of the video; each gives the first frame at or after it, and no
    frame comes twice, so a short video yields fewer. Where targets lie more than SEEK_BEYOND_S apart, a key frame
    within EASE of that distance is taken instead, unless time stamps begin again. Frames after a damaged place are
    missing rather than an error, and what is taken for a damaged one may lie a few frames later; when none is left, the
    last one before is taken. Raises DetectorError: UNREADABLE when nothing can be decoded, TOO_MANY_PIXELS,
    TOO_DEMANDING, CANCELLED when ``should_stop`` says so; several threads may ask it. Two decoded frames are held at a
    time, or one more than there are lanes.
    """
    limits = limits or Limits()
    found = 0
    frames = _Frames(path, info, count, limits, should_stop or _never)
    try:
        for time_s, frame in frames:
            width, height = shown_size(frame, info.pixel_aspect)
            check_pixels(width, height, limits)
            yield found, time_s, _upright(frame, width, height, max_side)
            found += 1
    except FFmpegError as error:
        raise explained(error) from error
    if not found:
        raise unreadable()


@dataclass(frozen=True)
class _Frames:
    """The frames wanted, with their times, by one decoder or by several side by side."""

    path: Path
    info: StreamInfo
    count: int
    limits: Limits
    should_stop: Callable[[], bool]

    def __iter__(self) -> Iterator[Timed]:
        gap_s = self.info.duration_s / self.count
        targets = [(index + 0.5) * gap_s for index in range(self.count)]
        shares: list[list[float]] = [targets]
        if gap_s > SEEK_BEYOND_S and self.info.width * self.info.height <= LANE_PIXELS:
            shares = self._shares(targets)
        found = False
        if len(shares) > 1:
            for timed in side_by_side([self._lane(share, len(shares)) for share in shares]):
                found = True
                yield timed
        if not found:
            yield from self._lane(targets, 1)

    def _shares(self, targets: list[float]) -> list[list[float]]:
        """The targets of each lane, those that are reached from one key frame in the same; or all for one lane.

        That is where many share a key frame, so that one lane would wait for the other, and where frames lie so far
        apart, or the index tells so little of them, that what one target is given might be what the next one is.
        """
        with open_video(self.path, self.limits) as container:
            sampler = _Sampler(container, video_stream(container, self.limits), self.info, self.count, targets)
            if not (sampler.is_sought and all(map(sampler.has_frame_soon, targets))):
                return [targets]
            keys = map(sampler.key_before, targets)
            groups = [[*group] for _, group in itertools.groupby(zip(keys, targets, strict=True), key=itemgetter(0))]
        if len(groups) < max(LANES, OWN_KEY * len(targets)):
            return [targets]
        return [[target_s for group in groups[lane::LANES] for _, target_s in group] for lane in range(LANES)]

    def _lane(self, targets: Sequence[float], lanes: int) -> Generator[Timed]:
        with open_video(self.path, self.limits) as container:
            stream = video_stream(container, self.limits)
            stream.codec_context.thread_count = max(1, stream.codec_context.thread_count // lanes)
            sampler = _Sampler(container, stream, self.info, self.count, targets)
            yield from sampler.frames(self.should_stop)
            if lanes == 1 and sampler.spare is not None:
                yield sampler.spare


class _Sampler:
    """Goes through one stream once."""

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        info: StreamInfo,
        count: int,
        targets: Sequence[float],
    ) -> None:
        """``targets``: all ``count`` times wanted, or this lane's share of them."""
        self._container, self._stream, self._info = container, stream, info
        self._gap_s = info.duration_s / count
        self._tolerance_s = min(0.5 / info.frame_rate, self._gap_s) if info.frame_rate > 0 else 0.0
        self._targets = [*targets]  # those that are left
        self.spare: Timed | None = None  # the last frame of a video that has none from the first target on
        self._newest_s = self._given_s = self._sought_s = -1.0  # the newest frame, what was given, the target sought
        self._has_key_frames = is_timed(container)
        self.is_sought = self._gap_s > SEEK_BEYOND_S and not info.is_joined  # whether targets are
        if self.is_sought and "matroska" in container.format.name:
            for time_s in (self._targets[0], 0.0):  # its index is read only when something is sought
                seek(container, stream, time_s)
        self._delay_s = self._index_delay_s()
        self._skipping: Skipping
        self._reading: Iterator[VideoFrame] | None = self._from_here()  # None where the decoder has been emptied

    def frames(self, should_stop: Callable[[], bool]) -> Iterator[Timed]:
        """Those wanted, with their times; then, where there were none, ``spare`` is what there is."""
        wanted = len(self._targets)
        while self._targets:
            if should_stop():
                raise DetectorError(ErrorCode.CANCELLED, "The analysis was cancelled.")
            if (alone := self._key_frame_or_place()) is not None:
                self.spare = None
                yield alone
            if alone is not None or self._reading is None:
                continue
            frame = next(self._reading, None)
            if frame is None:
                break
            time_s = self._time_s(frame)
            self._skipping.is_allowed = not frame.interlaced_frame
            self._newest_s = max(self._newest_s, time_s)
            if self._gives(time_s):
                self.spare = None
                yield time_s, frame
            elif len(self._targets) == wanted:
                self.spare = time_s, frame
        if not self._targets:
            self.spare = None

    def _gives(self, time_s: float) -> bool:
        """Whether a frame at ``time_s`` is wanted and was not given; takes away the targets that it serves."""
        reached = self._reached(time_s) if time_s > self._given_s else 0
        if reached:
            del self._targets[:reached]
            self._given_s = time_s
        return reached > 0

    def key_before(self, time_s: float) -> float | None:
        """When the key frame is shown from which a frame at ``time_s`` is reached, where the container's index says."""
        return self._key_s(time_s, backward=True)

    def has_frame_soon(self, target_s: float) -> bool:
        """Whether the index tells of a frame that is shown at or after ``target_s``, but not much."""
        entry = self._entry(target_s, backward=False, any_frame=True)
        return entry is not None and self._indexed_s(entry) - target_s <= SOON * self._gap_s

    def _key_frame_or_place(self) -> Timed | None:
        """Once for each target far from the others: a key frame nearby, or None and a better place to read on from.

        A target that cannot be reached is given up.
        """
        if not self.is_sought or self._sought_s >= self._targets[0]:
            return None
        self._sought_s = self._targets[0]  # whatever the container's index promises
        alone = self._key_frame_nearby()
        if alone is None:
            self._approach()
            return None
        self._given_s = alone[0]
        del self._targets[: max(1, self._reached(self._given_s))]
        return alone

    def _from_here(self) -> Iterator[VideoFrame]:
        self._skipping = Skipping(self._container, self._stream, self._is_wanted)
        demux = demuxed if self._info.is_joined else InputContainer.demux
        return decoded(self._skipping.packets(demux(self._container, self._stream)), self._stream)

    def _is_wanted(self, before: int | None, pts: int) -> bool:
        """Whether the frame with the time stamp ``pts`` is the first to reach a target that is left."""
        reached = self._reached(self._shown_s(pts))
        return reached > 0 and (before is None or self._reached(self._shown_s(before)) < reached)

    def _shown_s(self, pts: int) -> float:
        return max(0.0, float(pts * (self._stream.time_base or 0)) - start_s(self._stream))

    def _reached(self, time_s: float) -> int:
        """How many of the targets that are left a frame at ``time_s`` reaches."""
        return bisect.bisect_right(self._targets, time_s, key=lambda target_s: target_s - self._tolerance_s)

    def _approach(self) -> None:
        """Go to the last key frame before the next target where that skips frames; give it up if it is out of reach."""
        key_s = self._key_s(self._targets[0], backward=True)
        is_ahead = key_s is not None and key_s > self._newest_s + SAME_S
        if (self._reading is None or is_ahead) and seek(self._container, self._stream, self._targets[0]):
            self._reading = self._from_here()
        if self._reading is None:
            self._targets.pop(0)

    def _key_frame_nearby(self) -> Timed | None:
        """The key frame closest to the next target, decoded by itself; None where there is none close enough."""
        if not self._has_key_frames:
            return None
        target_s, reach_s = self._targets[0], EASE * self._gap_s
        around = (self._key_s(target_s, backward=True), self._key_s(target_s, backward=False))
        near = [key_s for key_s in around if key_s is not None and abs(key_s - target_s) <= reach_s]
        key_s = min(near, key=lambda at_s: abs(at_s - target_s), default=None)
        if key_s is None or key_s <= self._newest_s + SAME_S or not seek(self._container, self._stream, key_s):
            return None
        self._reading = None
        self._stream.codec_context.skip_frame = "DEFAULT"
        frame = first_alone(self._container, self._stream)
        if frame is None or frame.pts is None:
            return None
        time_s = self._time_s(frame)
        if time_s <= self._newest_s or abs(time_s - target_s) > reach_s + self._tolerance_s:
            return None
        self._newest_s = time_s
        return time_s, frame

    def _key_s(self, time_s: float, *, backward: bool) -> float | None:
        """When the last key frame before ``time_s``, or the first after it, is shown by the container's index."""
        entry = self._entry(time_s, backward=backward, any_frame=False)
        return self._indexed_s(entry) if entry is not None and entry.is_keyframe else None

    def _entry(self, time_s: float, *, backward: bool, any_frame: bool) -> IndexEntry | None:
        """The container's index at the last frame before ``time_s``, or at the first after it."""
        entries = self._stream.index_entries
        place = -1
        with contextlib.suppress(OverflowError):  # of a time base without sense
            pts = pts_at(self._stream, time_s - self._delay_s)
            place = entries.search_timestamp(pts, backward=backward, any_frame=any_frame) if len(entries) else -1
        return entries[place] if place >= 0 else None

    def _indexed_s(self, entry: IndexEntry) -> float:
        """When what ``entry`` speaks of is shown."""
        return float(entry.timestamp * (self._stream.time_base or 0)) - start_s(self._stream) + self._delay_s

    def _index_delay_s(self) -> float:
        """By how much key frames are shown after the times in the index, which in MP4 are times of decoding."""
        first = self._stream.index_entries[0] if len(self._stream.index_entries) else None
        if first is None:
            return 0.0
        return max(0.0, start_s(self._stream) - float(first.timestamp * (self._stream.time_base or 0)))

    def _time_s(self, frame: VideoFrame) -> float:
        """When ``frame`` is shown; soon after the newest, where that is not said or lies well beyond the end."""
        if frame.pts is not None and (time_s := self._shown_s(frame.pts)) <= self._info.duration_s + STRAY_S:
            return time_s
        return max(0.0, self._newest_s) + 2 * self._tolerance_s


def _upright(frame: VideoFrame, width: int, height: int, max_side: int | None) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB: ``frame`` scaled to ``width`` and ``height``, or less for ``max_side``, and then turned."""
    scale = min(1.0, max_side / max(width, height)) if max_side else 1.0
    width, height = max(1, round(width * scale)), max(1, round(height * scale))
    picture = frame.to_ndarray(format="rgb24", width=width, height=height)
    return np.ascontiguousarray(np.rot90(picture, rotation(frame) // 90))


def _never() -> bool:
    return False
