"""Degraded copies of a video, as they arise on a clip's way through cameras, editors and messengers.

A copy is a file like any other and goes through the whole pipeline, so that finding the face suffers too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from detector.errors import DetectorError, ErrorCode
from detector.sampling import sample
from detector.stream import Limits
from detector.video import probe

Picture = NDArray[np.uint8]
Change = Callable[[Picture, int], Picture]  # an (H, W, 3) RGB picture and its number in the video

REVISION = 1  # of what the degradations below do; raise it with every change that alters a copy
PRESET = "veryfast"  # of x264
FAITHFUL_CRF = 14  # of copies that are degraded otherwise: x264 leaves hardly a trace there
TIME_BASE = Fraction(1, 90_000)


@dataclass(frozen=True)
class Degradation:
    """One kind of damage at one severity."""

    family: str  # compression, size, blur, noise or brightness; "none" leaves the file as it is
    severity: float
    words: str  # the severity for people

    @property
    def name(self) -> str:
        """Such as "compression-32", for folders and options."""
        return f"{self.family}-{self.severity:g}" if self.family != "none" else "none"

    @property
    def parameters(self) -> dict[str, str | float]:
        """All that decides what a copy looks like: results under other parameters are not of this degradation."""
        if self.family == "none":
            return {"family": "none"}
        crf = self.severity if self.family == "compression" else FAITHFUL_CRF
        return {"family": self.family, "severity": self.severity, "crf": crf, "preset": PRESET, "revision": REVISION}


NONE = Degradation("none", 0, "as given")
SWEEP = (
    NONE,
    Degradation("compression", 23, "H.264 CRF 23"),
    Degradation("compression", 32, "H.264 CRF 32"),
    Degradation("compression", 40, "H.264 CRF 40"),
    Degradation("size", 0.5, "half size"),
    Degradation("size", 0.25, "quarter size"),
    Degradation("blur", 0.4, "Gaussian blur, σ 0.4 % of the shorter side"),
    Degradation("blur", 0.8, "Gaussian blur, σ 0.8 % of the shorter side"),
    Degradation("noise", 6, "Gaussian noise, σ 6 of 255"),
    Degradation("noise", 15, "Gaussian noise, σ 15 of 255"),
    Degradation("brightness", 0.5, "half as bright"),
    Degradation("brightness", 1.6, "1.6 times as bright, clipped"),
)


def write_degraded(source: Path, degradation: Degradation, target: Path, limits: Limits | None = None) -> None:
    """Write an H.264 copy of ``source`` with every frame degraded, upright and silent, to ``target`` (.mp4).

    The same pictures are encoded every time; with sides that are no multiples of 16, x264 may still give other last
    digits. Times are kept. A picture of odd size loses its last row or column, which
    4:2:0 cannot hold. Raises DetectorError as ``video.probe`` does, which holds ``source`` to ``limits``. About 20 ms a
    megapixel on one core.
    """
    info = probe(source, limits)
    change = _change(degradation)
    crf = round(degradation.severity) if degradation.family == "compression" else FAITHFUL_CRF
    rate = Fraction(info.frame_rate or 25).limit_denominator(1001)
    moments = 2 * max(1, round(info.duration_s * rate))  # two to a frame, so that sampling passes over none
    try:
        with av.open(str(target), "w") as container:
            stream = container.add_stream("libx264", rate=rate, options={"crf": str(crf), "preset": PRESET})
            stream.pix_fmt, stream.time_base = "yuv420p", TIME_BASE
            stream.codec_context.thread_count = 1
            last = -1
            for index, time_s, picture in sample(source, info, moments, limits=limits):
                changed = _even(change(picture, index))
                if index == 0:
                    stream.height, stream.width = changed.shape[:2]
                frame = av.VideoFrame.from_ndarray(changed, format="rgb24")
                last = max(last + 1, round(time_s / TIME_BASE))
                frame.pts, frame.time_base = last, TIME_BASE
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    except FFmpegError as error:
        raise DetectorError(
            ErrorCode.UNREADABLE, f"No copy of {source.name} could be made for the robustness sweep."
        ) from error


def _change(degradation: Degradation) -> Change:
    amount = degradation.severity
    changes: dict[str, Change] = {
        "none": lambda picture, _: picture,
        "compression": lambda picture, _: picture,
        "size": lambda picture, _: _scaled(picture, amount),
        "blur": lambda picture, _: _blurred(picture, amount),
        "noise": _Noise(amount),
        "brightness": lambda picture, _: np.asarray(cv2.convertScaleAbs(picture, alpha=amount), np.uint8),
    }
    return changes[degradation.family]


def _scaled(picture: Picture, factor: float) -> Picture:
    size = tuple(max(16, round(side * factor)) for side in picture.shape[1::-1])
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _blurred(picture: Picture, percent: float) -> Picture:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), min(picture.shape[:2]) * percent / 100), np.uint8)


class _Noise:
    """Gaussian noise of standard deviation ``sigma`` in every channel: one field, shifted for each frame."""

    def __init__(self, sigma: float) -> None:
        self.sigma = sigma
        self._field: NDArray[np.int16] | None = None
        self._random = np.random.default_rng(0)

    def __call__(self, picture: Picture, index: int) -> Picture:
        if self._field is None or self._field.shape != picture.shape:
            self._field = np.rint(self._random.normal(0, self.sigma, picture.shape)).astype(np.int16)
        shift = tuple(int(self._random.integers(side)) for side in picture.shape[:2])
        noisy = picture + np.roll(self._field, shift, (0, 1))
        return np.asarray(np.clip(noisy, 0, 255), np.uint8)


def _even(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    return np.ascontiguousarray(picture[: height // 2 * 2, : width // 2 * 2])
