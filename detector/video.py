"""Opens a video file, judges whether it can be analysed, and reads frames at regular intervals from it.

Only local files of allowed containers are opened: FFmpeg is told to follow no other protocol, so that a playlist or a
reference inside a container reaches nothing. Times come from presentation time stamps, never from counting frames.
"""

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image

from detector.errors import DetectorError, ErrorCode

FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,mpeg,mpegts"  # FFmpeg's demuxer names
READ = "MP4, MOV, MKV, WebM, AVI or GIF"
# How files of these kinds begin: ISO base media and QuickTime, Matroska, AVI, GIF.
BEGINNING = re.compile(rb".{4}(ftyp|moov|mdat|wide|free|skip|pnot)|\x1aE\xdf\xa3|RIFF.{4}AVI |GIF8[79]a", re.DOTALL)
OPTIONS = {"protocol_whitelist": "file", "format_whitelist": FORMATS}
SEEK_BEYOND_S = 1.0  # samples further apart than this are reached by key frame where that skips frames


@dataclass(frozen=True)
class Limits:
    """What is refused; the defaults suit a server that strangers upload to."""

    max_bytes: int = 2 * 1024**3
    max_duration_s: float = 3600.0
    max_pixels: int = 3840 * 2160 * 2  # of one frame


@dataclass(frozen=True)
class StreamInfo:
    """The first video stream of a file, after its rotation metadata."""

    container: str
    codec: str
    width: int
    height: int
    rotation_deg: int  # counter-clockwise turn that makes the coded picture upright: 0, 90, 180 or 270
    duration_s: float
    frame_rate: float  # average, frames a second
    size_bytes: int


def probe(path: Path, limits: Limits | None = None) -> StreamInfo:
    """What ``path`` holds, after decoding its first frame.

    Raises DetectorError: EMPTY, TOO_LARGE, UNREADABLE, UNSUPPORTED, NO_VIDEO_STREAM, TOO_LONG or TOO_MANY_PIXELS.
    Costs one decoded frame, and a pass over the packets where the container does not say how long it is.
    """
    limits = limits or Limits()
    size_bytes = _checked_size(path, limits)
    try:
        with _open(path) as container:
            stream = _video_stream(container)
            _check_pixels(stream.width * stream.height, limits)
            duration_s = _declared_duration(container, stream)
            _check_duration(duration_s, limits)
            first = next(container.decode(stream), None)
            if first is None:
                raise _unreadable()
            _check_pixels(first.width * first.height, limits)
            rotation = _rotation(first)
            container_name, codec = container.format.name, stream.codec_context.name
            rate = float(stream.average_rate or stream.guessed_rate or 0)
            is_of_all_streams = not stream.duration and len(container.streams) > 1
        if duration_s <= 0 or is_of_all_streams:
            duration_s = _measured_duration(path, duration_s) or duration_s
            _check_duration(duration_s, limits)
    except FFmpegError as error:
        raise _unreadable() from error
    width, height = (first.height, first.width) if rotation in (90, 270) else (first.width, first.height)
    return StreamInfo(container_name, codec, width, height, rotation, duration_s, rate, size_bytes)


def sample(
    path: Path, info: StreamInfo, count: int, should_stop: Callable[[], bool] | None = None
) -> Iterator[tuple[int, float, NDArray[np.uint8]]]:
    """Yield (index, time_s, picture) of up to ``count`` frames at regular intervals over the whole video.

    Pictures are (H, W, 3) uint8 RGB and upright. The targets are the middles of ``count`` equal parts of the video;
    each gives the first frame at or after it, and no frame comes twice, so a short video yields fewer. Frames after a
    damaged place are missing rather than an error. Raises DetectorError: UNREADABLE when nothing can be decoded,
    CANCELLED when ``should_stop`` says so. One decoded frame is held at a time.
    """
    try:
        with _open(path) as container:
            frames = _regular_frames(container, _video_stream(container), info, count, should_stop)
            found = 0
            for time_s, frame in frames:
                yield found, time_s, _upright(frame)
                found += 1
    except FFmpegError as error:
        raise _unreadable() from error
    if not found:
        raise _unreadable()


def save_poster(path: Path, info: StreamInfo, target: Path, max_width: int = 640) -> None:
    """Write a JPEG of a frame from about a tenth into the video, at most ``max_width`` wide; ``info`` is probe's."""
    _index, _time_s, picture = next(sample(path, info, 5))  # the middle of the first fifth
    image = Image.fromarray(picture)
    image.thumbnail((max_width, max_width))
    image.save(target, "JPEG", quality=82)


def _open(path: Path) -> InputContainer:
    try:
        container = av.open(str(path), options=OPTIONS)
    except (FFmpegError, ValueError) as error:
        raise (_unreadable() if _begins_like_a_video(path) else _unsupported()) from error
    if not isinstance(container, InputContainer):
        raise TypeError("av.open gave an output container")
    return container


def _begins_like_a_video(path: Path) -> bool:
    with path.open("rb") as file:
        return BEGINNING.match(file.read(16)) is not None


def _checked_size(path: Path, limits: Limits) -> int:
    try:
        size_bytes = path.stat().st_size
    except OSError as error:
        raise DetectorError(ErrorCode.UNREADABLE, "The file cannot be found or opened; check its path.") from error
    if not path.is_file():
        raise DetectorError(ErrorCode.UNREADABLE, "This is not a file; give the path of a video file.")
    if size_bytes == 0:
        raise DetectorError(ErrorCode.EMPTY, "The file is empty (0 bytes); choose the video again.")
    if size_bytes > limits.max_bytes:
        raise DetectorError(
            ErrorCode.TOO_LARGE,
            f"The file has {size_bytes / 1e6:.0f} MB, more than the {limits.max_bytes / 1e6:.0f} MB allowed here; "
            "shorten it or make it smaller.",
        )
    return size_bytes


def _video_stream(container: InputContainer) -> VideoStream:
    moving = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    for stream in moving:
        if stream.codec_context is not None:
            stream.thread_type = "AUTO"
            return stream
    if moving:
        raise _unsupported()
    raise DetectorError(
        ErrorCode.NO_VIDEO_STREAM,
        "The file holds no moving picture, only sound or data; choose a file with video in it.",
    )


def _check_pixels(pixels: int, limits: Limits) -> None:
    if pixels > limits.max_pixels:
        raise DetectorError(
            ErrorCode.TOO_MANY_PIXELS,
            f"Each frame has {pixels / 1e6:.1f} megapixels, more than the {limits.max_pixels / 1e6:.1f} allowed here; "
            "scale the video down.",
        )


def _check_duration(duration_s: float, limits: Limits) -> None:
    if duration_s > limits.max_duration_s:
        raise DetectorError(
            ErrorCode.TOO_LONG,
            f"The video lasts {duration_s / 60:.0f} minutes, longer than the {limits.max_duration_s / 60:.0f} "
            "allowed here; cut out the part that matters.",
        )


def _unreadable() -> DetectorError:
    return DetectorError(
        ErrorCode.UNREADABLE,
        "No picture of the video can be decoded; it is damaged. Get another copy or convert it to MP4.",
    )


def _unsupported() -> DetectorError:
    return DetectorError(
        ErrorCode.UNSUPPORTED,
        f"The file is no video, or of a kind that is not read here; use an {READ} file with an ordinary codec.",
    )


def _declared_duration(container: InputContainer, stream: VideoStream) -> float:
    if stream.duration and stream.time_base:
        return max(0.0, float(stream.duration * stream.time_base))
    if container.duration:
        return max(0.0, container.duration / av.time_base)
    return 0.0


def _measured_duration(path: Path, from_s: float) -> float:
    """The end of the packets' time stamps, read from the last key frame before ``from_s`` on where that can be sought.

    For containers that declare no duration (a GIF, a cut-off WebM) or only that of their longest stream (Matroska).
    """
    end = 0.0
    with _open(path) as container:
        stream = _video_stream(container)
        base = float(stream.time_base or 0)
        if from_s > 0:
            with contextlib.suppress(FFmpegError):
                container.seek(_pts(stream, from_s), stream=stream, backward=True)
        for packet in container.demux(stream):
            if packet.pts is not None:
                end = max(end, (packet.pts + (packet.duration or 0)) * base)
        return max(0.0, end - _start_s(stream))


def _rotation(frame: VideoFrame) -> int:
    return round(frame.rotation / 90) * 90 % 360


def _upright(frame: VideoFrame) -> NDArray[np.uint8]:
    picture = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(picture, _rotation(frame) // 90))


def _start_s(stream: VideoStream) -> float:
    return float((stream.start_time or 0) * (stream.time_base or 0))


def _regular_frames(
    container: InputContainer,
    stream: VideoStream,
    info: StreamInfo,
    count: int,
    should_stop: Callable[[], bool] | None,
) -> Iterator[tuple[float, VideoFrame]]:
    gap_s = info.duration_s / count
    targets = [(index + 0.5) * gap_s for index in range(count)]
    tolerance_s = 0.5 / info.frame_rate if info.frame_rate > 0 else 0.0
    frames = _decoded(container, stream)
    newest_s = sought_s = -1.0
    while targets:
        if should_stop is not None and should_stop():
            raise DetectorError(ErrorCode.CANCELLED, "The analysis was cancelled.")
        if gap_s > SEEK_BEYOND_S and sought_s < targets[0] and _skips_frames(stream, newest_s, targets[0]):
            sought_s = targets[0]  # once for each target, whatever the container's index promises
            container.seek(_pts(stream, targets[0]), stream=stream, backward=True)
            frames = _decoded(container, stream)
        frame = next(frames, None)
        if frame is None:
            return
        if frame.pts is None or frame.time_base is None:
            time_s = max(0.0, newest_s) + 2 * tolerance_s
        else:
            time_s = max(0.0, float(frame.pts * frame.time_base) - _start_s(stream))
        newest_s = max(newest_s, time_s)
        if time_s >= targets[0] - tolerance_s:
            while targets and time_s >= targets[0] - tolerance_s:
                targets.pop(0)
            yield time_s, frame


def _decoded(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Frames from here on; a damaged packet is passed over, as players do."""
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except FFmpegError:
            continue


def _pts(stream: VideoStream, time_s: float) -> int:
    return round((time_s + _start_s(stream)) / float(stream.time_base or 1))


def _skips_frames(stream: VideoStream, newest_s: float, target_s: float) -> bool:
    """Whether the last key frame before the target lies beyond what was decoded, by the container's index."""
    entries = stream.index_entries
    position = entries.search_timestamp(_pts(stream, target_s), backward=True, any_frame=False) if len(entries) else -1
    if position < 0:
        return False
    entry = entries[position]
    if entry is None or not entry.is_keyframe:
        return False
    return float(entry.timestamp * (stream.time_base or 0)) - _start_s(stream) > newest_s + 1e-6
