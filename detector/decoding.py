"""Opens a video file, picks the stream that moves, and decodes it.

Only local files of allowed containers are opened: FFmpeg is told to follow no other protocol, so that a playlist or a
reference inside a container reaches nothing. Times come from presentation time stamps, never from counting frames.

Whoever opens what strangers sent does it through reader.py, which calls this in a confined process.
"""

import contextlib
import mmap
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from detector.errors import DetectorError, ErrorCode
from detector.hands import cores
from detector.stream import MAX_SIDE, MAX_THREADS, Limits

FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,mpeg,mpegts"  # FFmpeg's demuxer names
READ = "MP4, MOV, MKV, WebM, AVI or GIF"
# How files of these kinds begin: ISO base media and QuickTime, Matroska, AVI, GIF.
BEGINNING = re.compile(rb".{4}(ftyp|moov|mdat|wide|free|skip|pnot)|\x1aE\xdf\xa3|RIFF.{4}AVI |GIF8[79]a", re.DOTALL)
OPTIONS = {"protocol_whitelist": "file", "format_whitelist": FORMATS}
EDGE_PIXELS = 2 * 1024**2  # that a decoder may add to a frame so that its sides are multiples of its blocks
SPARE_BYTES, SPARE_FRAMES, PIXEL_BYTES = 8 * 1024**2, 4, 3  # less memory than that is a shortage
LEAST_ASPECT, MOST_ASPECT = 1.01, 4.0  # of pixels, the longer side over the shorter; others count as square
_INT64 = 2**63


def open_video(path: Path, limits: Limits) -> InputContainer:
    """The container at ``path``. Raises DetectorError: UNREADABLE, UNSUPPORTED or TOO_DEMANDING."""
    try:
        container = av.open(str(path), options={**OPTIONS, **_most_pixels(limits)})
    except (FFmpegError, ValueError) as error:
        if isinstance(error, MemoryError):
            raise explained(error) from error
        raise (unreadable() if _begins_like_a_video(path) else _unsupported()) from error
    if not isinstance(container, InputContainer):
        raise TypeError("av.open gave an output container")
    return container


def _most_pixels(limits: Limits) -> dict[str, str]:
    """FFmpeg's option; no frame has more than MAX_SIDE allows, and FFmpeg takes no more than 31 bits."""
    return {"max_pixels": str(min(limits.max_pixels, MAX_SIDE**2) + EDGE_PIXELS)}


def _begins_like_a_video(path: Path) -> bool:
    with path.open("rb") as file:
        return BEGINNING.match(file.read(16)) is not None


def video_stream(container: InputContainer, limits: Limits) -> VideoStream:
    """The first stream of moving pictures, decoded in threads. Raises DetectorError: UNSUPPORTED, NO_VIDEO_STREAM."""
    moving = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    for stream in moving:
        if stream.codec_context is not None:
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = min(MAX_THREADS, cores())
            stream.codec_context.options = _most_pixels(limits)
            return stream
    if moving:
        raise _unsupported()
    raise DetectorError(
        ErrorCode.NO_VIDEO_STREAM,
        "The file holds no moving picture, only sound or data; choose a file with video in it.",
    )


def decoded(packets: "Iterable[Packet[VideoStream]]", stream: VideoStream) -> Iterator[VideoFrame]:
    """The frames in these packets of ``stream``; a damaged packet is passed over, as players do."""
    for packet in packets:
        try:
            yield from packet.decode()
        except FFmpegError as error:
            _check_memory(error, stream)


def first_alone(container: InputContainer, stream: VideoStream) -> VideoFrame | None:
    """The frame in the next packet, which must need no other; None where it is damaged.

    The decoder is emptied: nothing can be decoded with it but after another ``seek``.
    """
    packet = next((packet for packet in container.demux(stream) if packet.size), None)
    if packet is None or not packet.is_keyframe:
        return None
    frames = [*decoded((packet,), stream)]
    try:
        frames += stream.codec_context.decode(None)
    except FFmpegError as error:
        _check_memory(error, stream)
    return frames[0] if frames and frames[0].key_frame else None


def _check_memory(error: FFmpegError, stream: VideoStream) -> None:
    """Raise TOO_DEMANDING where what failed in decoding may have failed for lack of memory."""
    if isinstance(error, MemoryError) or _is_memory_short(stream):
        raise _too_demanding() from error


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


def start_s(stream: VideoStream) -> float:
    """The time stamp at which the stream begins, from which all other times are counted."""
    return float((stream.start_time or 0) * (stream.time_base or 0))


def seek(container: InputContainer, stream: VideoStream, time_s: float) -> bool:
    """Go to the last key frame before ``time_s``; False, and nothing is changed, where that cannot be done."""
    pts = pts_at(stream, time_s)
    if abs(pts) >= _INT64:
        return False
    with contextlib.suppress(FFmpegError):
        container.seek(pts, stream=stream, backward=True)
        return True
    return False


def pts_at(stream: VideoStream, time_s: float) -> int:
    """``time_s`` after the stream's beginning as a time stamp of the stream."""
    return round((time_s + start_s(stream)) / float(stream.time_base or 1))


def pixel_aspect(stream: VideoStream) -> float:
    """A pixel's width over its height; 1 for one next to square, and for a shape that no camera or disc has."""
    aspect = float(stream.sample_aspect_ratio or 1)
    longer = max(aspect, 1 / aspect) if aspect > 0 else 1.0
    return aspect if LEAST_ASPECT < longer < MOST_ASPECT else 1.0


def shown_size(frame: VideoFrame, aspect: float) -> tuple[int, int]:
    """Width and height that ``frame`` has in square pixels, as players show it, not turned yet; none of it is lost."""
    if aspect > 1:
        return round(frame.width * aspect), frame.height
    return frame.width, round(frame.height / aspect)


def rotation(frame: VideoFrame) -> int:
    """Counter-clockwise turn that makes the frame upright: 0, 90, 180 or 270 degrees."""
    return round(frame.rotation / 90) * 90 % 360


def explained(error: Exception) -> DetectorError:
    """What stopped the decoder: mostly damage, but running out of memory is no property of the file alone."""
    return _too_demanding() if isinstance(error, MemoryError) else unreadable()


def unreadable() -> DetectorError:
    """Nothing in the file can be decoded."""
    return DetectorError(
        ErrorCode.UNREADABLE,
        "No picture of the video can be decoded; it is damaged. Get another copy or convert it to MP4.",
    )


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
