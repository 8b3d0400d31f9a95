"""Judges whether a video file can be analysed, and says what it holds."""

import contextlib
import itertools
import math
import re
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from detector.decoding import (
    decoded,
    explained,
    open_video,
    pixel_aspect,
    rotation,
    seek,
    shown_size,
    start_s,
    unreadable,
    video_stream,
)
from detector.errors import DetectorError
from detector.steady import demuxed, is_joinable
from detector.stream import Limits, StreamInfo, check_duration, check_pixels, checked_size

REFUSED_SIZE = re.compile(r"Picture size (\d+)x(\d+) ")  # in FFmpeg's log


def probe(path: Path, limits: Limits | None = None) -> StreamInfo:
    """What ``path`` holds, after decoding its first frame.

    Raises DetectorError: EMPTY, TOO_LARGE, UNREADABLE, UNSUPPORTED, NO_VIDEO_STREAM, TOO_LONG, TOO_MANY_PIXELS or
    TOO_DEMANDING. Costs one decoded frame, and a pass over the last packets, or over all, where the container does not
    say how long the stream is: always over all in MPEG streams, which takes one to three seconds for 2 GB.
    """
    limits = limits or Limits()
    size_bytes = checked_size(path, limits)
    try:
        with open_video(path, limits) as container:
            stream = video_stream(container, limits)
            check_pixels(stream.width, stream.height, limits)
            duration_s = max(_declared_duration(container, stream), _indexed_duration(stream))
            is_guess = is_joinable(container)
            if not is_guess:
                check_duration(duration_s, limits)
            first = _first_frame(path, container, stream, limits)
            check_pixels(first.width, first.height, limits)
            aspect = pixel_aspect(stream)
            width, height = shown_size(first, aspect)
            check_pixels(width, height, limits)
            turned = rotation(first)
            container_name, codec = container.format.name, stream.codec_context.name
            rate = float(stream.average_rate or stream.guessed_rate or 0)
            is_declared = bool(stream.duration) and not is_guess
        is_joined = False
        if not is_declared:
            measured_s, is_joined = _measured_duration(path, limits, duration_s)
            duration_s = measured_s or duration_s
            check_duration(duration_s, limits)
    except FFmpegError as error:
        raise explained(error) from error
    width, height = (height, width) if turned in (90, 270) else (width, height)
    return StreamInfo(container_name, codec, width, height, turned, duration_s, rate, size_bytes, aspect, is_joined)


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
    return max(0.0, float(last.timestamp * (stream.time_base or 0)) - start_s(stream))


def _first_frame(path: Path, container: InputContainer, stream: VideoStream, limits: Limits) -> VideoFrame:
    stream.thread_type = "SLICE"  # decoders of several frames at once begin the next before they give this one
    try:
        first = next(decoded(container.demux(stream), stream), None)
    except DetectorError:  # some decoders call it a lack of memory
        check_pixels(*_refused_size(path, limits), limits)
        raise
    if first is None:
        check_pixels(*_refused_size(path, limits), limits)
        raise unreadable()
    return first


def _refused_size(path: Path, limits: Limits) -> tuple[int, int]:
    """Of a picture that FFmpeg would not take memory for, as it said so; zeros when there was another reason.

    Nothing but FFmpeg's log tells. The log is kept off otherwise: it takes Python's lock, in the decoder's threads too.
    """
    largest = 0, 0
    av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture() as said, open_video(path, limits) as container:
            stream = video_stream(container, limits)
            stream.thread_type, stream.codec_context.thread_count = "NONE", 1
            for packet in itertools.islice(container.demux(stream), 3):
                with contextlib.suppress(FFmpegError):
                    packet.decode()
                for _level, _name, words in said:
                    if size := REFUSED_SIZE.search(words):
                        largest = max(largest, (int(size[1]), int(size[2])), key=math.prod)
    except (FFmpegError, DetectorError):
        pass
    finally:
        av.logging.set_level(None)
    return largest


def _measured_duration(path: Path, limits: Limits, from_s: float) -> tuple[float, bool]:
    """The end of the packets' time stamps, read from the last key frame before ``from_s`` on where that can be sought;
    and whether they begin again before it.

    For containers that declare no duration (a GIF, a cut-off WebM) or none of the stream's own (Matroska), and for MPEG
    streams, whose duration FFmpeg guesses: these are read whole, for their time stamps may begin again (steady.py).
    """
    end = 0.0
    breaks: list[None] = []
    with open_video(path, limits) as container:
        stream = video_stream(container, limits)
        base = float(stream.time_base or 0)
        if from_s > 0 and not is_joinable(container):
            seek(container, stream, from_s)
        for packet in demuxed(container, stream, lambda: breaks.append(None)):
            if packet.pts is not None:
                end = max(end, (packet.pts + (packet.duration or 0)) * base)
        return max(0.0, end - start_s(stream)), bool(breaks)
