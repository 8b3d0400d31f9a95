"""Opens a video file, judges whether it can be analysed, and reads frames at regular intervals from it.

Only local files of allowed containers are opened: FFmpeg is told to follow no other protocol, so that a playlist or a
reference inside a container reaches nothing. Times come from presentation time stamps, never from counting frames.

Whoever opens what strangers sent does it through reader.py, which calls this in a confined process.
"""

import contextlib
import itertools
import mmap
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from detector.errors import DetectorError, ErrorCode
from detector.stream import MAX_THREADS, Limits, StreamInfo, check_duration, check_pixels, checked_size

FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,mpeg,mpegts"  # FFmpeg's demuxer names
READ = "MP4, MOV, MKV, WebM, AVI or GIF"
REFUSED_SIZE = re.compile(r"Picture size (\d+)x(\d+) ")  # in FFmpeg's log
# How files of these kinds begin: ISO base media and QuickTime, Matroska, AVI, GIF.
BEGINNING = re.compile(rb".{4}(ftyp|moov|mdat|wide|free|skip|pnot)|\x1aE\xdf\xa3|RIFF.{4}AVI |GIF8[79]a", re.DOTALL)
GUESSING = frozenset({"mpeg", "mpegts"})  # whose duration FFmpeg takes from a few time stamps
OPTIONS = {"protocol_whitelist": "file", "format_whitelist": FORMATS}
SEEK_BEYOND_S = 1.0  # samples further apart than this are reached by key frame where that skips frames
EDGE_PIXELS = 2 * 1024**2  # that a decoder may add to a frame so that its sides are multiples of its blocks
SPARE_BYTES, SPARE_FRAMES, PIXEL_BYTES = 8 * 1024**2, 4, 3  # less memory than that is a shortage
STRAY_S = 1.0  # a frame this far beyond the end has a wrong time stamp
_INT64 = 2**63


def probe(path: Path, limits: Limits | None = None) -> StreamInfo:
    """What ``path`` holds, after decoding its first frame.

    Raises DetectorError: EMPTY, TOO_LARGE, UNREADABLE, UNSUPPORTED, NO_VIDEO_STREAM, TOO_LONG, TOO_MANY_PIXELS or
    TOO_DEMANDING. Costs one decoded frame, and a pass over the last packets, or over all, where the container does not
    say how long the stream is.
    """
    limits = limits or Limits()
    size_bytes = checked_size(path, limits)
    try:
        with _open(path, limits) as container:
            stream = _video_stream(container, limits)
            check_pixels(stream.width * stream.height, limits)
            duration_s = max(_declared_duration(container, stream), _indexed_duration(stream))
            check_duration(duration_s, limits)
            first = _first_frame(path, container, stream, limits)
            check_pixels(first.width * first.height, limits)
            rotation = _rotation(first)
            container_name, codec = container.format.name, stream.codec_context.name
            rate = float(stream.average_rate or stream.guessed_rate or 0)
            is_declared = bool(stream.duration) and container.format.name not in GUESSING
        if not is_declared:
            duration_s = _measured_duration(path, limits, duration_s) or duration_s
            check_duration(duration_s, limits)
    except FFmpegError as error:
        raise _explained(error) from error
    width, height = (first.height, first.width) if rotation in (90, 270) else (first.width, first.height)
    return StreamInfo(container_name, codec, width, height, rotation, duration_s, rate, size_bytes)


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

    Pictures are (H, W, 3) uint8 RGB and upright, scaled down to ``max_side`` pixels where that is given. The targets
    are the middles of ``count`` equal parts of the video; each gives the first frame at or after it, and no frame comes
    twice, so a short video yields fewer. Frames after a damaged place are missing rather than an error; when none is
    left, the last one before is taken. Raises DetectorError: UNREADABLE when nothing can be decoded, TOO_MANY_PIXELS,
    TOO_DEMANDING, CANCELLED when ``should_stop`` says so. Two decoded frames are held at a time.
    """
    limits = limits or Limits()
    try:
        with _open(path, limits) as container:
            frames = _regular_frames(container, _video_stream(container, limits), info, count, should_stop)
            found = 0
            for time_s, frame in frames:
                check_pixels(frame.width * frame.height, limits)
                yield found, time_s, _upright(frame, max_side)
                found += 1
    except FFmpegError as error:
        raise _explained(error) from error
    if not found:
        raise _unreadable()


def _open(path: Path, limits: Limits) -> InputContainer:
    try:
        container = av.open(str(path), options={**OPTIONS, "max_pixels": str(limits.max_pixels + EDGE_PIXELS)})
    except (FFmpegError, ValueError) as error:
        if isinstance(error, MemoryError):
            raise _explained(error) from error
        raise (_unreadable() if _begins_like_a_video(path) else _unsupported()) from error
    if not isinstance(container, InputContainer):
        raise TypeError("av.open gave an output container")
    return container


def _begins_like_a_video(path: Path) -> bool:
    with path.open("rb") as file:
        return BEGINNING.match(file.read(16)) is not None


def _video_stream(container: InputContainer, limits: Limits) -> VideoStream:
    moving = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    for stream in moving:
        if stream.codec_context is not None:
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = min(MAX_THREADS, os.cpu_count() or 1)
            stream.codec_context.options = {"max_pixels": str(limits.max_pixels + EDGE_PIXELS)}
            return stream
    if moving:
        raise _unsupported()
    raise DetectorError(
        ErrorCode.NO_VIDEO_STREAM,
        "The file holds no moving picture, only sound or data; choose a file with video in it.",
    )


def _unreadable() -> DetectorError:
    return DetectorError(
        ErrorCode.UNREADABLE,
        "No picture of the video can be decoded; it is damaged. Get another copy or convert it to MP4.",
    )


def _explained(error: Exception) -> DetectorError:
    """What stopped the decoder: mostly damage, but running out of memory is no property of the file alone."""
    return _too_demanding() if isinstance(error, MemoryError) else _unreadable()


def _too_demanding() -> DetectorError:
    return DetectorError(
        ErrorCode.TOO_DEMANDING,
        "Decoding the video takes more memory than is allowed here; convert it to an ordinary MP4 (H.264).",
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


def _indexed_duration(stream: VideoStream) -> float:
    """When the last frame begins by the container's index, which may know of more than the header declares; else 0."""
    entries = stream.index_entries
    last = entries[len(entries) - 1] if len(entries) else None
    if last is None:
        return 0.0
    return max(0.0, float(last.timestamp * (stream.time_base or 0)) - _start_s(stream))


def _first_frame(path: Path, container: InputContainer, stream: VideoStream, limits: Limits) -> VideoFrame:
    try:
        first = next(_decoded(container, stream), None)
    except DetectorError:  # some decoders call it a lack of memory
        check_pixels(_refused_pixels(path, limits), limits)
        raise
    if first is None:
        check_pixels(_refused_pixels(path, limits), limits)
        raise _unreadable()
    return first


def _refused_pixels(path: Path, limits: Limits) -> int:
    """Of a picture that FFmpeg would not take memory for, as it said so; 0 when that is not why nothing was decoded.

    Nothing but FFmpeg's log tells. The log is kept off otherwise: it takes Python's lock, in the decoder's threads too.
    """
    pixels = 0
    av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture() as said, _open(path, limits) as container:
            stream = _video_stream(container, limits)
            stream.thread_type, stream.codec_context.thread_count = "NONE", 1
            for packet in itertools.islice(container.demux(stream), 3):
                with contextlib.suppress(FFmpegError):
                    packet.decode()
                for _level, _name, words in said:
                    if size := REFUSED_SIZE.search(words):
                        pixels = max(pixels, int(size[1]) * int(size[2]))
    except (FFmpegError, DetectorError):
        pass
    finally:
        av.logging.set_level(None)
    return pixels


def _measured_duration(path: Path, limits: Limits, from_s: float) -> float:
    """The end of the packets' time stamps, read from the last key frame before ``from_s`` on where that can be sought.

    For containers that declare no duration (a GIF, a cut-off WebM) or none of the stream's own (Matroska).
    """
    end = 0.0
    with _open(path, limits) as container:
        stream = _video_stream(container, limits)
        base = float(stream.time_base or 0)
        if from_s > 0:
            _seek(container, stream, from_s)
        for packet in container.demux(stream):
            if packet.pts is not None:
                end = max(end, (packet.pts + (packet.duration or 0)) * base)
        return max(0.0, end - _start_s(stream))


def _rotation(frame: VideoFrame) -> int:
    return round(frame.rotation / 90) * 90 % 360


def _upright(frame: VideoFrame, max_side: int | None) -> NDArray[np.uint8]:
    scale = min(1.0, max_side / max(frame.width, frame.height)) if max_side else 1.0
    width, height = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
    picture = frame.to_ndarray(format="rgb24", width=width, height=height)
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
    tolerance_s = min(0.5 / info.frame_rate, gap_s) if info.frame_rate > 0 else 0.0
    frames = _decoded(container, stream)
    newest_s = sought_s = -1.0
    spare: tuple[float, VideoFrame] | None = None  # for a video of which nothing can be read from the first target on
    while targets:
        if should_stop is not None and should_stop():
            raise DetectorError(ErrorCode.CANCELLED, "The analysis was cancelled.")
        if gap_s > SEEK_BEYOND_S and sought_s < targets[0] and _skips_frames(stream, newest_s, targets[0]):
            sought_s = targets[0]  # once for each target, whatever the container's index promises
            if _seek(container, stream, targets[0]):
                frames = _decoded(container, stream)
        frame = next(frames, None)
        if frame is None:
            if spare is not None:
                yield spare
            return
        time_s = _time_s(stream, frame, info.duration_s)
        if time_s is None:
            time_s = max(0.0, newest_s) + 2 * tolerance_s
        newest_s = max(newest_s, time_s)
        if _reaches(targets, time_s, tolerance_s):
            spare = None
            yield time_s, frame
        elif len(targets) == count:
            spare = time_s, frame


def _reaches(targets: list[float], time_s: float, tolerance_s: float) -> bool:
    """Whether a frame at ``time_s`` is wanted; takes away the ``targets`` that it serves."""
    is_wanted = False
    while targets and time_s >= targets[0] - tolerance_s:
        targets.pop(0)
        is_wanted = True
    return is_wanted


def _time_s(stream: VideoStream, frame: VideoFrame, duration_s: float) -> float | None:
    """When ``frame`` is shown; None when that is not said, or lies well beyond the end."""
    if frame.pts is None or frame.time_base is None:
        return None
    time_s = max(0.0, float(frame.pts * frame.time_base) - _start_s(stream))
    return time_s if time_s <= duration_s + STRAY_S else None


def _decoded(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Frames from here on; a damaged packet is passed over, as players do."""
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except FFmpegError as error:
            if isinstance(error, MemoryError) or _is_memory_short(stream):
                raise _too_demanding() from error
            continue


def _is_memory_short(stream: VideoStream) -> bool:
    """Whether so little of the address space is left that the decoder may have failed for that.

    Some decoders report a frame that they could not take memory for as damage; passing over it would make the result
    depend on the memory there is.
    """
    context = stream.codec_context
    needed = SPARE_BYTES + SPARE_FRAMES * PIXEL_BYTES * max(0, context.width) * max(0, context.height)
    try:
        mmap.mmap(-1, needed).close()
    except OSError:
        return True
    return False


def _seek(container: InputContainer, stream: VideoStream, time_s: float) -> bool:
    """Go to the last key frame before ``time_s``; False, and nothing is changed, where that cannot be done."""
    pts = _pts(stream, time_s)
    if abs(pts) >= _INT64:
        return False
    with contextlib.suppress(FFmpegError):
        container.seek(pts, stream=stream, backward=True)
        return True
    return False


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
