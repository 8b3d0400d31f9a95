"""One picture through H.264 and back, as a frame of a video would have gone."""

from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray


def recompress(picture: NDArray[np.uint8], crf: int) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB with even sides, encoded as a key frame at constant rate factor ``crf`` and decoded again."""
    height, width = picture.shape[:2]
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.thread_count = Fraction(1, 25), 1
    encoder.options = {"preset": "veryfast", "tune": "zerolatency", "crf": str(crf)}
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    frame.pts = 0
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    decoded = [frame for packet in packets for frame in decoder.decode(packet)]
    decoded += decoder.decode(None)
    return np.asarray(decoded[0].to_ndarray(format="rgb24"), np.uint8)
