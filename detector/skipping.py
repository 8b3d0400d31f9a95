"""Tells a decoder which frames it need not decode: those that lie at no wanted time and that no other refers to.

Encoders of H.264 and HEVC mark such frames; there are many among those that are predicted from both sides. What is
wanted is decoded as ever: the others did not contribute to it. (HEVC's mark speaks of frames of one temporal layer;
encoders that mark a frame to which a higher layer refers are not known to us.) Where a frame stands among the others is
known some packets later only, for they come in the order of decoding: so packets are held back.
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
MAX_BYTES = 64 * 1024**2  # that are held back; a stream with larger packets is decoded whole
HELD_BACK = 17  # packets; one frame comes at most 16 too late (H.264 and HEVC, the size of the picture buffer)


IsWanted = Callable[[int | None, int], bool]


class Skipping:
    """For one stream, from one place in it on; where the times of frames are not known it leaves nothing out."""

    def __init__(self, container: InputContainer, stream: VideoStream, is_wanted: IsWanted) -> None:
        """``is_wanted`` is asked with the time stamps of the frame before (None for none) and of the frame itself."""
        self.is_allowed = False  # to be set where frames have proved to be whole pictures, not fields
        self._context, self._is_wanted = stream.codec_context, is_wanted
        self._is_timed = is_timed(container) and self._context.name in CODECS
        self._held = deque["VideoPacket"]()
        self._shown: list[int] = []  # time stamps of what is held back and of as many frames before, in order
        self._passed = deque[int]()  # those of the frames before, as they came

    def packets(self, packets: "Iterable[VideoPacket]") -> "Iterator[VideoPacket]":
        """``packets`` of the stream in their order; with each the decoder has been told whether to leave it out."""
        bytes_held = 0
        for packet in packets:
            self._held.append(packet)
            bytes_held += packet.size
            if packet.pts is None:
                self._is_timed = self._is_timed and not packet.size  # the last packet is empty and has no time
            elif not packet.is_discard:  # what an edit list cuts off is never shown, and no neighbour
                bisect.insort(self._shown, packet.pts)
            self._is_timed = self._is_timed and bytes_held <= MAX_BYTES
            while len(self._held) > (HELD_BACK if self._is_timed else 0):
                bytes_held -= self._held[0].size
                yield self._tell(self._held.popleft())
        while self._held:
            yield self._tell(self._held.popleft())

    def _tell(self, packet: "VideoPacket") -> "VideoPacket":
        is_left_out = False
        if packet.pts is not None and not packet.is_discard:
            if self.is_allowed and self._is_timed:
                is_left_out = not self._is_at_wanted(packet.pts)
            self._passed.append(packet.pts)
            if len(self._passed) > HELD_BACK:
                del self._shown[bisect.bisect_left(self._shown, self._passed.popleft())]
        self._context.skip_frame = "NONREF" if is_left_out else "DEFAULT"
        return packet

    def _is_at_wanted(self, pts: int) -> bool:
        place = bisect.bisect_left(self._shown, pts)
        return self._is_wanted(self._shown[place - 1] if place else None, pts)


def is_timed(container: InputContainer) -> bool:
    """Whether the container says of every frame when it is shown, and of which frames decoding may begin."""
    return not CONTAINERS.isdisjoint(container.format.name.split(","))
