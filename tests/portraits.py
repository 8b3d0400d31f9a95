"""Face crops of the public-domain portrait, with their landmarks, as packs hold them."""

import functools

import numpy as np
from numpy.typing import NDArray

from detector import crops, faces
from tests import videos

MARGIN = 2.0


@functools.cache
def crop(size: int = 160, mirrored: bool = False) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """(size, size, 3) RGB at MARGIN, and (68, 2) landmarks in its pixels; ``mirrored`` stands for a second person."""
    picture = np.ascontiguousarray(videos.portrait()[:, ::-1]) if mirrored else videos.portrait()
    face = faces.find(picture, 1)[0]
    placement = crops.place(face.landmarks, MARGIN)
    pixels = crops.align(picture, face, size, MARGIN).pixels
    return pixels, crops.landmarks_in_crop(face.landmarks, placement, size)


def changed(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(S, S): the largest difference of a channel."""
    return np.asarray(np.abs(before.astype(np.int64) - after.astype(np.int64)).max(axis=2))
