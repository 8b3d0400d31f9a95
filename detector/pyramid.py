"""A picture halved again and again, so that shrinking many parts of it far reads its pixels once."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


class Pyramid:
    """A (H, W, 3) uint8 picture and its halves, each the exact mean of four pixels of the one before.

    An odd last row or column has no part in the halves, so a pixel of level k lies exactly under 2**k by 2**k pixels.
    """

    def __init__(self, picture: Picture, levels: int) -> None:
        """``levels`` is how many halves are wanted; fewer are made where a side would vanish."""
        self.pictures: Sequence[Picture] = [picture]
        for _ in range(levels):
            height, width = (side // 2 for side in picture.shape[:2])
            if min(height, width) < 1:
                break
            even = picture[: 2 * height, : 2 * width]
            picture = np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
            self.pictures = [*self.pictures, picture]

    def cut(self, left: int, top: int, width: int, height: int, least: int) -> tuple[Picture, int, int, int]:
        """That part at the coarsest level at which its longer side still has ``least`` pixels, or as it is.

        With the part come the corner at which it really begins, in pixels of the picture, and how many such pixels one
        of its own spans.
        """
        level = min(halvings(max(width, height), least), len(self.pictures) - 1)
        span = 2**level
        x, y = left // span, top // span
        part = self.pictures[level][y : max(y + 1, (top + height) // span), x : max(x + 1, (left + width) // span)]
        return part, x * span, y * span, span


def halvings(side: int, least: int) -> int:
    """How often ``side`` can be halved and still have ``least`` pixels."""
    return max(0, (side // least).bit_length() - 1)


def halved(picture: Picture, least: int) -> Picture:
    """The picture halved as often as its shorter side still has ``least`` pixels."""
    return Pyramid(picture, halvings(min(picture.shape[:2]), least)).pictures[-1]
