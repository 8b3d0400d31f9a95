"""What is known of a video's stream, and which videos are refused.

Apart from video.py so that a process which only hears about a video loads no decoder.
"""

import math
from dataclasses import dataclass
from pathlib import Path

from detector.errors import DetectorError, ErrorCode

MAX_SIDE = 16_384  # pixels of a frame's longer side; x264 writes no more, and a JPEG ends at 65,500
MAX_THREADS = (
    4  # of a decoder; each holds frames of its own, so more would make the memory needed depend on the machine
)


@dataclass(frozen=True)
class Limits:
    """What is refused; the defaults suit a server that strangers upload to."""

    max_bytes: int = 2 * 1024**3
    max_duration_s: float = 3600.0
    max_pixels: int = 3840 * 2160 * 2  # of one frame


@dataclass(frozen=True)
class StreamInfo:
    """The first video stream of a file, upright and in square pixels."""

    container: str
    codec: str
    width: int
    height: int
    rotation_deg: int  # counter-clockwise turn that makes the coded picture upright: 0, 90, 180 or 270
    duration_s: float
    frame_rate: float  # average, frames a second
    size_bytes: int
    pixel_aspect: float = 1.0  # a coded pixel's width over its height
    is_joined: bool = False  # its time stamps begin again somewhere (steady.py)


def checked_size(path: Path, limits: Limits) -> int:
    """Bytes of the file at ``path``; raises DetectorError: UNREADABLE, EMPTY or TOO_LARGE."""
    try:
        size_bytes = path.stat().st_size
        if not path.is_file():
            raise DetectorError(ErrorCode.UNREADABLE, "This is not a file; give the path of a video file.")
        path.open("rb").close()  # it may be there and not for us to read
    except OSError as error:
        raise DetectorError(ErrorCode.UNREADABLE, "The file cannot be found or opened; check its path.") from error
    if size_bytes == 0:
        raise DetectorError(ErrorCode.EMPTY, "The file is empty (0 bytes); choose the video again.")
    if size_bytes > limits.max_bytes:
        raise DetectorError(
            ErrorCode.TOO_LARGE,
            f"The file has {size_bytes:,} bytes, more than the {limits.max_bytes:,} allowed here; "
            "shorten it or make it smaller.",
        )
    return size_bytes


def check_pixels(width: int, height: int, limits: Limits) -> None:
    """Raise DetectorError (TOO_MANY_PIXELS) for a frame of more pixels than the limit or with a side above MAX_SIDE."""
    pixels, side = width * height, max(width, height)
    if pixels > limits.max_pixels:
        raise DetectorError(
            ErrorCode.TOO_MANY_PIXELS,
            f"Each frame has {pixels:,} pixels, more than the {limits.max_pixels:,} allowed here; "
            "scale the video down.",
        )
    if side > MAX_SIDE:
        raise DetectorError(
            ErrorCode.TOO_MANY_PIXELS,
            f"Each frame is {side:,} pixels long, more than the {MAX_SIDE:,} that are read; scale the video down.",
        )


def check_duration(duration_s: float, limits: Limits) -> None:
    """Raise DetectorError (TOO_LONG) for a video longer than the limit, or of no finite length."""
    if not math.isfinite(duration_s):
        raise DetectorError(ErrorCode.TOO_LONG, "The video has no end by what it says; convert it to MP4 (H.264).")
    if duration_s > limits.max_duration_s:
        # What was found is rounded up and the limit down, so that they never read the same.
        found, limit = _time(math.ceil(duration_s)), _time(_rounded_down(limits.max_duration_s))
        raise DetectorError(
            ErrorCode.TOO_LONG,
            f"The video lasts {found}, longer than the {limit} allowed here; cut out the part that matters.",
        )


def _rounded_down(seconds: float) -> float:
    """Whole seconds; less than one is left as it is."""
    return math.floor(seconds) or seconds


def _time(seconds: float) -> str:
    """A length of time in minutes and seconds."""
    minutes, rest = divmod(seconds, 60)
    if minutes == 0:
        return f"{rest} s"
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"
