"""JPEG in and out, with RGB on our side."""

import cv2
import numpy as np
from numpy.typing import NDArray

FRAME_QUALITY = 85  # of whole frames; with boxes on it, encoded once more at the same, one loses next to nothing


def encode(picture: NDArray[np.uint8], quality: int, full_colour: bool = False) -> bytes:
    """A (H, W, 3) uint8 RGB picture as JPEG; ``full_colour`` keeps chroma at full resolution.

    Raises ValueError when it cannot be one: a side has 65,500 pixels at most.
    """
    sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444 if full_colour else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    is_encoded, encoded = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    if not is_encoded:
        height, width = picture.shape[:2]
        raise ValueError(f"A picture of {width} x {height} pixels cannot be made a JPEG.")
    return encoded.tobytes()


def decode(encoded: bytes | NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The (H, W, 3) uint8 RGB picture of a JPEG. Raises ValueError when it is none."""
    buffer = np.frombuffer(encoded, np.uint8) if isinstance(encoded, bytes) else encoded
    picture = cv2.imdecode(buffer, cv2.IMREAD_COLOR) if len(buffer) else None
    if picture is None:
        raise ValueError("These bytes are no JPEG.")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
