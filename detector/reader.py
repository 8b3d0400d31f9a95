"""Reads a video in a confined child process: the only way in which serving lets anybody's file near a decoder.

One child for each Reader (reader_process.py). Nothing it says is believed, for the file may have taken it over: sizes,
counts and times are held against the limits before memory is taken.
"""

import contextlib
import dataclasses
import json
import logging
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from detector.errors import DetectorError, ErrorCode, ReaderError
from detector.process_usage import Usage
from detector.reader_messages import LENGTH, MAX_MESSAGE_BYTES
from detector.reader_process import Allowance, Child, crashed
from detector.sandbox import Confinement
from detector.stream import Limits, StreamInfo, check_duration, check_pixels, checked_size

__all__ = ["Allowance", "Reader", "ReaderError"]

logger = logging.getLogger(__name__)

_LATE_S = 2.0  # a frame may begin this much after the declared end
_REFUSALS = frozenset(
    {
        ErrorCode.UNREADABLE,
        ErrorCode.EMPTY,
        ErrorCode.UNSUPPORTED,
        ErrorCode.NO_VIDEO_STREAM,
        ErrorCode.TOO_LONG,
        ErrorCode.TOO_LARGE,
        ErrorCode.TOO_MANY_PIXELS,
        ErrorCode.TOO_DEMANDING,
    }
)

ShouldStop = Callable[[], bool] | None


class Reader:
    """Use as a context manager: the child starts at its entry, works while nobody waits, and is gone at its exit.

    Entering and the methods raise DetectorError: the refusals of video.py, TIMED_OUT, TOO_DEMANDING, DECODER_CRASHED,
    and CANCELLED when ``should_stop`` says so; and ReaderError where no child can be had.

    It belongs to the thread that entered it: the kernel kills the child when that thread ends (sandbox.py).
    """

    def __init__(self, path: Path, limits: Limits | None = None, allowance: Allowance | None = None) -> None:
        self.path, self.limits, self.allowance = path, limits or Limits(), allowance or Allowance()
        self._size_bytes = 0
        self._usage = Usage()
        self._running: Child | None = None
        self._confinement: Confinement | None = None
        self._info: StreamInfo | None = None

    def __enter__(self) -> Self:
        self._size_bytes = checked_size(self.path, self.limits)
        told = {"path": str(self.path.resolve()), "limits": dataclasses.asdict(self.limits)}
        self._running = Child(told, self.allowance)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child at once; harmless twice."""
        if self._running is not None:
            self._usage = dataclasses.replace(self._running.usage(), memory_bytes=0)
            self._running.close()
            self._running = None

    def confinement(self, should_stop: ShouldStop = None) -> Confinement:
        """Which fences of the kernel hold around the child, as it says before it opens the video."""
        if self._confinement is None:
            message = self._message(should_stop)
            with _sense():
                _expect(message, "ready")
                self._confinement = Confinement(bool(message["seccomp"]), int(message["landlock"]))
            self._child().has_begun = True
        return self._confinement

    def info(self, should_stop: ShouldStop = None) -> StreamInfo:
        """What the file holds, once its first frame has been decoded."""
        if self._info is None:
            self.confinement(should_stop)
            message = self._message(should_stop)
            with _sense():
                _expect(message, "info")
                self._info = _stream_info(message, self._size_bytes)
            check_pixels(self._info.width, self._info.height, self.limits)
            check_duration(self._info.duration_s, self.limits)
        return self._info

    def sample(
        self, count: int, should_stop: ShouldStop = None, max_side: int | None = None
    ) -> Iterator[tuple[int, float, NDArray[np.uint8]]]:
        """Yield (index, time_s, picture) as ``sampling.sample`` does; the child decodes two frames ahead.

        To be exhausted before anything else is asked of this Reader.
        """
        info = self.info(should_stop)
        self._child().tell({"count": count, "max_side": max_side})
        for index in range(count + 1):
            message = self._message(should_stop)
            with _sense():
                if message["kind"] == "end" and index > 0:
                    return
                _expect(message, "frame")
                width, height, time_s = int(message["width"]), int(message["height"]), float(message["time_s"])
                if index == count or message["index"] != index or width < 1 or height < 1:
                    raise ValueError(message)
                if not 0 <= time_s <= info.duration_s + _LATE_S:
                    raise ValueError(time_s)
            check_pixels(width, height, self.limits)
            picture = np.empty((height, width, 3), np.uint8)
            self._child().read_into(picture.data.cast("B"), should_stop)
            yield index, time_s, picture

    def usage(self) -> Usage:
        """What the child has used so far; once it is closed, what it had used by then."""
        running = self._running
        return self._usage if running is None else running.usage()

    def _message(self, should_stop: ShouldStop) -> dict[str, Any]:
        """The child's next message; raises the refusal that it may be."""
        head = bytearray(LENGTH.size)
        self._child().read_into(memoryview(head), should_stop)
        with _sense():
            (length,) = LENGTH.unpack(head)
            if length > MAX_MESSAGE_BYTES:
                raise ValueError(f"a message of {length} bytes")
        text = bytearray(length)
        self._child().read_into(memoryview(text), should_stop)
        with _sense():
            message = dict(json.loads(text))
            if message["kind"] != "error":
                return message
            code = ErrorCode(message["code"])
            if code not in _REFUSALS:
                raise ValueError(code)
            refusal = DetectorError(code, _plain(message["message"], 500))
        raise refusal

    def _child(self) -> Child:
        if self._running is None:
            raise ReaderError("The reader is not open.")
        return self._running


@contextlib.contextmanager
def _sense() -> Iterator[None]:
    """Turns an answer without sense into the crash that it is."""
    try:
        yield
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        logger.error("The decoder gave an answer without sense: %.500r", error)
        raise crashed() from error


def _expect(message: dict[str, Any], kind: str) -> None:
    if message["kind"] != kind:
        raise ValueError(f"{message['kind']!r} instead of {kind!r}")


def _stream_info(message: dict[str, Any], size_bytes: int) -> StreamInfo:
    found = StreamInfo(
        container=_plain(message["container"], 64),
        codec=_plain(message["codec"], 32),
        width=int(message["width"]),
        height=int(message["height"]),
        rotation_deg=int(message["rotation_deg"]),
        duration_s=float(message["duration_s"]),
        frame_rate=float(message["frame_rate"]),
        size_bytes=size_bytes,
        pixel_aspect=float(message["pixel_aspect"]),
        is_joined=bool(message["is_joined"]),
    )
    if found.width < 1 or found.height < 1 or found.rotation_deg not in (0, 90, 180, 270):
        raise ValueError(message)
    if not 0 < found.pixel_aspect < math.inf:
        raise ValueError(message)
    if not found.duration_s >= 0 or not 0 <= found.frame_rate < math.inf:
        raise ValueError(message)
    return found


def _plain(text: object, length: int) -> str:
    """At most so many printable characters of what the child says."""
    if not isinstance(text, str):
        raise TypeError(type(text))
    return "".join(character for character in text[:length] if character.isprintable())
