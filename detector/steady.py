"""Lets time run on in MPEG streams, whose time stamps begin again where one file was put behind another.

That is how such files are mostly joined (``cat``); a DVD's chapters may lie so too. All is played, one after another.
Damaged time stamps look much the same; nothing is lost for them but that time runs on a little differently.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

if TYPE_CHECKING:
    VideoPacket: TypeAlias = Packet[VideoStream]

JOINABLE = frozenset({"mpeg", "mpegts"})  # of FFmpeg's names; their duration it guesses from a few time stamps
FALL_S = 0.5  # frames out of their order step back by less
LEAP_S = 10.0  # longer than frames lie apart; the ffmpeg program takes such a leap for a break too


def demuxed(
    container: InputContainer, stream: VideoStream, on_break: Callable[[], None] | None = None
) -> "Iterator[VideoPacket]":
    """The packets of ``stream`` from here on, in JOINABLE containers by one clock that never begins again.

    ``on_break`` is called wherever it would have.
    """
    packets = container.demux(stream)
    if not is_joinable(container):
        return packets
    return _running_on(packets, float(stream.time_base or 1), on_break or _ignore)


def is_joinable(container: InputContainer) -> bool:
    """Whether time stamps may begin again in it; where they do, it cannot be sought by them."""
    return container.format.name in JOINABLE


def _running_on(packets: "Iterable[VideoPacket]", base: float, on_break: Callable[[], None]) -> "Iterator[VideoPacket]":
    """``packets``; what comes after a break follows the end of what came before it.

    A break is where times of decoding fall by more than FALL_S, or leap ahead by more than LEAP_S, as damaged ones do
    and those before the first one, to which FFmpeg adds 26.5 hours; and where they leap back to where they last fell.
    """
    fall, leap = round(FALL_S / base), round(LEAP_S / base)
    offset = end = interval = 0
    last: int | None = None  # the time of decoding before, as it is in the file
    left: int | None = None  # the one before the last fall
    for packet in packets:
        at = packet.pts if packet.dts is None else packet.dts
        if at is None:
            yield packet
            continue
        shown = at if packet.pts is None else packet.pts
        if not at - fall <= shown <= at + leap:  # as FFmpeg may guess it, right before a break, from what comes after
            shown = at if last is None else max(at, end - offset)
        if last is None:
            end = shown
        elif at < last - fall or at > last + leap or (left is not None and at > last + fall and abs(at - left) <= fall):
            offset = end - shown
            left = last if at < last else None
            on_break()
        elif at > last:
            interval = min(at - last, fall)
        last = at
        end = max(end, shown + offset + (packet.duration or interval))
        packet.pts = None if packet.pts is None else shown + offset
        packet.dts = None if packet.dts is None else at + offset
        yield packet


def _ignore() -> None:
    """Nobody asks for breaks."""
