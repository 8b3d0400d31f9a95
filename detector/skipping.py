"""Tells a decoder which frames it need not decode: those that lie at no wanted time and that no other refers to.

Encoders of H.264 and HEVC mark such frames; there are many among those that are predicted from both sides. What is
wanted is decoded as ever, to the bit. Where a frame stands among the others is known some packets later only, for they
come in the order of decoding: so packets are held back.
"""

import bisect
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

if TYPE_CHECKING:
    VideoPacket: TypeAlias = Packet[VideoStream]

CODECS = frozenset({"h264", "hevc"})
CONTAINERS = frozenset({"mp4", "matroska"})  # of FFmpeg's names; AVI, for one, has times of decoding alone
HELD_BACK = 17  # packets; one frame comes at most 16 too late (H.264 and HEVC, the size of the picture buffer)


class Skipping:
    """For one stream, from one place in it on; where the times of frames are not known it leaves nothing out."""

    def __init__(
        self, container: InputContainer, stream: VideoStream, is_wanted: Callable[[int | None, int], bool]
    ) -> None:
        """``is_wanted`` is asked with the time stamps of the frame before (None for none) and of the frame itself."""
        self.is_allowed = False  # to be set where frames have proved to be whole pictures, not fields
        self._context, self._is_wanted = stream.codec_context, is_wanted
        self._shown: list[int] = []  # time stamps, in order, of what is held back and of some frames before
        is_known = not CONTAINERS.isdisjoint(container.format.name.split(","))
        self._is_timed = is_known and self._context.name in CODECS

    def packets(self, packets: "Iterable[VideoPacket]") -> "Iterator[VideoPacket]":
        """``packets`` of the stream in their order; with each the decoder has been told whether to leave it out."""
        held = deque["VideoPacket"]()
        for packet in packets:
            held.append(packet)
            if packet.pts is not None:
                bisect.insort(self._shown, packet.pts)
            elif packet.size:
                self._is_timed = False
            if len(held) > HELD_BACK:
                yield self._tell(held.popleft())
        while held:
            yield self._tell(held.popleft())

    def _tell(self, packet: "VideoPacket") -> "VideoPacket":
        is_left_out = False
        if self.is_allowed and self._is_timed and packet.pts is not None:
            is_left_out = not self._is_at_wanted(packet.pts)
        self._context.skip_frame = "NONREF" if is_left_out else "DEFAULT"
        return packet

    def _is_at_wanted(self, pts: int) -> bool:
        place = bisect.bisect_left(self._shown, pts)
        before = self._shown[place - 1] if place else None
        del self._shown[: max(0, place - HELD_BACK)]
        return self._is_wanted(before, pts)
