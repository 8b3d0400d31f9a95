"""What happens to a picture on its way to a viewer, and the cut to the network's size: the same for real and fake.

``Chain`` draws its parameters once; applied to the pictures of a pair it does the same to each, so that blur, size,
compression and light never tell the class.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from detector import crops, jpeg
from detector.training.fakes import sharpen
from detector.training.h264 import recompress


@dataclass(frozen=True)
class Chain:
    """One way through the world."""

    flip: bool
    zoom: float  # margin of the cut over the model's margin
    shift: tuple[float, float]  # of the cut, as shares of its side
    roll_deg: float
    share: float  # of the size it is scaled down to, 1 for none
    blur: float  # standard deviation in pixels
    noise: float  # standard deviation, 0-255
    sharpening: float
    smoothing: float  # strength of the retouching (bilateral), 0 for none
    gamma: float
    saturation: float
    jpeg: tuple[int, ...]  # qualities, one after another
    crf: int  # of H.264, 0 for none
    kept_small: bool  # compressed at the size it was scaled down to, rather than after scaling up again
    seed: int

    @classmethod
    def draw(cls, random: Generator, strength: float = 1.0) -> "Chain":
        """A random chain; ``strength`` 0 is the plain cut."""

        def sometimes(chance: float) -> bool:
            return bool(random.random() < chance * strength)

        return cls(
            flip=bool(random.random() < 0.5) if strength else False,
            zoom=float(random.uniform(1 - 0.1 * strength, 1 + 0.12 * strength)),
            shift=(float(random.uniform(-0.04, 0.04) * strength), float(random.uniform(-0.04, 0.04) * strength)),
            roll_deg=float(random.normal(0, 4) * strength),
            share=float(random.uniform(0.35, 1.0)) if sometimes(0.4) else 1.0,
            blur=float(random.uniform(0.3, 1.6)) if sometimes(0.2) else 0.0,
            noise=float(random.uniform(1, 8)) if sometimes(0.25) else 0.0,
            sharpening=float(random.uniform(0.2, 1.0)) if sometimes(0.12) else 0.0,
            smoothing=float(random.uniform(10, 40)) if sometimes(0.1) else 0.0,
            gamma=float(np.exp(random.normal(0, 0.2))) if sometimes(0.5) else 1.0,
            saturation=float(random.uniform(0.5, 1.4)) if sometimes(0.4) else 1.0,
            jpeg=tuple(int(random.integers(35, 96)) for _ in range(int(sometimes(0.5)) + int(sometimes(0.15)))),
            crf=int(random.integers(18, 41)) if sometimes(0.4) else 0,
            kept_small=sometimes(0.6),
            seed=int(random.integers(2**31)),
        )

    def apply(self, picture: NDArray[np.uint8], margin: float, size: int, target_margin: float) -> NDArray[np.uint8]:
        """(S, S, 3) cut with ``margin`` -> (size, size, 3) cut with about ``target_margin``, degraded."""
        random = np.random.default_rng(self.seed)
        out = self._cut(picture, margin, size, target_margin)
        if self.smoothing:
            out = np.asarray(cv2.bilateralFilter(out, 5, self.smoothing, 3), np.uint8)
        if self.sharpening:
            out = sharpen(out, self.sharpening)
        if self.blur:
            out = np.asarray(cv2.GaussianBlur(out, (0, 0), self.blur), np.uint8)
        if self.share < 1:
            small = 2 * max(8, round(size * self.share / 2))
            out = np.asarray(cv2.resize(out, (small, small), interpolation=cv2.INTER_AREA), np.uint8)
        if not self.kept_small:
            out = _scaled(out, size)
        if self.gamma != 1 or self.saturation != 1:
            out = self._relight(out)
        if self.noise:
            noisy = out + random.normal(0, self.noise, out.shape)
            out = np.clip(noisy, 0, 255).astype(np.uint8)
        if self.crf:
            out = recompress(out, self.crf)
        for quality in self.jpeg:
            out = jpeg.decode(jpeg.encode(out, quality))
        out = _scaled(out, size)
        return out[:, ::-1] if self.flip else out

    def _cut(self, picture: NDArray[np.uint8], margin: float, size: int, target_margin: float) -> NDArray[np.uint8]:
        side = picture.shape[0] * min(1.0, target_margin * self.zoom / margin)
        x, y = (
            float(middle / 2 + shift * side) for middle, shift in zip(picture.shape[1::-1], self.shift, strict=True)
        )
        return crops.cut(picture, crops.Placement((x, y), side, self.roll_deg), size)

    def _relight(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        light = 255 * (picture.astype(np.float32) / 255) ** self.gamma
        grey = light.mean(axis=2, keepdims=True)
        return np.asarray(np.clip(grey + (light - grey) * self.saturation, 0, 255), np.uint8)


def _scaled(picture: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    if picture.shape[0] == size:
        return picture
    return np.asarray(cv2.resize(picture, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)
