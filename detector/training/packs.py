"""Packs: the face crops of many videos or photographs in one file, made by ``prepare`` and read by everything else.

A pack is a NumPy .npz without pickles: the crops as JPEG, their landmarks, times and quality, and a table of the clips
they come from. Crops of one clip are neighbours, in order of time, and show one person.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector import jpeg
from detector.release import CropShape


@dataclass(frozen=True)
class Clip:
    """Where the crops come from; label 1 is fake."""

    file: str
    label: int
    dataset: str
    source: str  # identity or original video; never in two splits
    method: str
    first: int = 0  # index of its first crop
    count: int = 0


@dataclass(frozen=True)
class CropRow:
    """One crop on its way into a pack."""

    pixels: NDArray[np.uint8]  # (S, S, 3) RGB
    landmarks: NDArray[np.float32]  # (68, 2) in pixels of the crop
    time_s: float
    face_px: int
    sharpness: float


@dataclass(frozen=True)
class Pack:
    """A pack in memory: N crops still as JPEG, M clips."""

    clips: list[Clip]
    jpegs: NDArray[np.uint8]
    offsets: NDArray[np.int64]  # (N + 1,)
    landmarks: NDArray[np.float32]  # (N, 68, 2)
    time_s: NDArray[np.float32]
    face_px: NDArray[np.int32]
    sharpness: NDArray[np.float32]
    size: int
    margin: float

    def crop(self, index: int) -> NDArray[np.uint8]:
        """Crop ``index`` as (S, S, 3) RGB."""
        encoded = self.jpegs[self.offsets[index] : self.offsets[index + 1]]
        return jpeg.decode(encoded)

    def check(self, crop: CropShape) -> None:
        """Raises ValueError when the crops are not cut as ``crop`` says."""
        if (self.size, self.margin) != (crop.size, crop.margin):
            raise ValueError(
                f"the pack is cut at {self.size} px with a margin of {self.margin:g}, and the model takes {crop.size} "
                f"px with {crop.margin:g}; prepare it with --size {crop.size} --margin {crop.margin:g}"
            )


def write(path: Path, rows: Iterable[tuple[Clip, list[CropRow]]], size: int, margin: float, quality: int) -> int:
    """Write a pack and return its number of crops; clips without a crop are left out."""
    clips: list[Clip] = []
    jpegs: list[bytes] = []
    kept: list[CropRow] = []
    for clip, crops in rows:
        if not crops:
            continue
        clips.append(Clip(**{**asdict(clip), "first": len(kept), "count": len(crops)}))
        for crop in crops:
            jpegs.append(jpeg.encode(crop.pixels, quality, full_colour=True))
            kept.append(crop)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        clips=np.frombuffer(json.dumps([asdict(clip) for clip in clips]).encode(), np.uint8),
        jpegs=np.frombuffer(b"".join(jpegs), np.uint8),
        offsets=np.cumsum([0, *map(len, jpegs)]).astype(np.int64),
        landmarks=np.array([crop.landmarks for crop in kept], np.float32).reshape(-1, 68, 2),
        time_s=np.array([crop.time_s for crop in kept], np.float32),
        face_px=np.array([crop.face_px for crop in kept], np.int32),
        sharpness=np.array([crop.sharpness for crop in kept], np.float32),
        shape=np.array([size, margin]),
    )
    return len(kept)


def read(path: Path) -> Pack:
    """Raises OSError or KeyError when ``path`` is no pack."""
    with np.load(path, allow_pickle=False) as arrays:
        size, margin = arrays["shape"]
        return Pack(
            clips=[Clip(**row) for row in json.loads(arrays["clips"].tobytes())],
            jpegs=arrays["jpegs"],
            offsets=arrays["offsets"],
            landmarks=arrays["landmarks"],
            time_s=arrays["time_s"],
            face_px=arrays["face_px"],
            sharpness=arrays["sharpness"],
            size=int(size),
            margin=float(margin),
        )
