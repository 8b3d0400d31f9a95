"""Draws training batches: pairs of one genuine and one fake crop that share their source and their degradation.

Half of the pairs are self-blended from a genuine crop; the others take a fake clip and a genuine clip of the same
source where there is one, else of the same data set. Sources are drawn, not clips, since many clips come from few
sources. Batch ``k`` depends on the seed and ``k`` alone, so training resumes at any step.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset

from detector.release import CropShape
from detector.training.degrade import Chain
from detector.training.fakes import self_blend
from detector.training.packs import Clip, Pack

Place = tuple[int, int]  # which pack, which crop


@dataclass(frozen=True)
class Mixture:
    """What batches are made of."""

    pairs: int = 16  # in a batch
    self_blended: float = 0.5  # share of the pairs
    photographs: float = 0.6  # share of photographs among the sources of self-blending


class PairBatches(IterableDataset[tuple[Tensor, Tensor]]):
    """Endless batches from ``first_step``: uint8 RGB crops (2 * pairs, 3, S, S), labels (2 * pairs,), 1 for fake."""

    def __init__(
        self, videos: Pack, photographs: Pack, shape: CropShape, mixture: Mixture, seed: int, first_step: int
    ) -> None:
        super().__init__()
        self.packs = [videos, photographs]
        self.shape, self.mixture, self.seed, self.first_step = shape, mixture, seed, first_step
        self.real, self.fake = _by_source(videos, 0), _by_source(videos, 1)
        self.portraits = _by_source(photographs, 0)
        self.real_sets: dict[str, list[Clip]] = defaultdict(list)
        for clip in videos.clips:
            if clip.label == 0:
                self.real_sets[clip.dataset].append(clip)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        step = self.first_step
        while True:
            yield self.batch(np.random.default_rng([self.seed, step]))
            step += 1

    def batch(self, random: Generator) -> tuple[Tensor, Tensor]:
        crops: list[NDArray[np.uint8]] = []
        for _ in range(self.mixture.pairs):
            blend = random.random() < self.mixture.self_blended
            crops += self._blended(random) if blend else self._given(random)
        x = torch.from_numpy(np.ascontiguousarray(np.stack(crops).transpose(0, 3, 1, 2)))
        return x, torch.tensor([0.0, 1.0]).repeat(self.mixture.pairs)

    def _blended(self, random: Generator) -> list[NDArray[np.uint8]]:
        from_photograph = random.random() < self.mixture.photographs
        clip = _draw(self.portraits if from_photograph else self.real, random)
        pack = self.packs[int(from_photograph)]
        index = clip.first + int(random.integers(clip.count))
        picture = pack.crop(index)
        pair = self_blend(picture, pack.landmarks[index], random)
        return self._degraded([(one, pack.margin) for one in pair], random)

    def _given(self, random: Generator) -> list[NDArray[np.uint8]]:
        fake = _draw(self.fake, random)
        partners = self.real.get(fake.source) or self.real_sets.get(fake.dataset)
        real = partners[int(random.integers(len(partners)))] if partners else _draw(self.real, random)
        place = random.random()  # the same moment of both, where they are the same recording
        videos = self.packs[0]
        chosen = [videos.crop(clip.first + min(clip.count - 1, int(place * clip.count))) for clip in (real, fake)]
        return self._degraded([(picture, videos.margin) for picture in chosen], random)

    def _degraded(self, pictures: list[tuple[NDArray[np.uint8], float]], random: Generator) -> list[NDArray[np.uint8]]:
        chain = Chain.draw(random)
        return [chain.apply(picture, margin, self.shape.size, self.shape.margin) for picture, margin in pictures]


def _by_source(pack: Pack, label: int) -> dict[str, list[Clip]]:
    clips: dict[str, list[Clip]] = defaultdict(list)
    for clip in pack.clips:
        if clip.label == label:
            clips[clip.source].append(clip)
    return dict(clips)


def _draw(clips: dict[str, list[Clip]], random: Generator) -> Clip:
    """A clip of a source, sources being equally likely."""
    sources = list(clips)
    of_source = clips[sources[int(random.integers(len(sources)))]]
    return of_source[int(random.integers(len(of_source)))]


def normalised(x: Tensor) -> Tensor:
    """uint8 (N, 3, S, S) RGB -> float with ImageNet's mean and standard deviation."""
    mean = torch.tensor([0.485, 0.456, 0.406], device=x.device).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225], device=x.device).view(1, 3, 1, 1)
    return (x.float() / 255 - mean) / std


def loader(batches: PairBatches, workers: int) -> Any:
    """A loader that prepares batches in ``workers`` processes (0: in this one)."""
    if workers > 1:
        raise ValueError("One worker at most: batches are numbered within one process.")
    return torch.utils.data.DataLoader(
        batches, batch_size=None, num_workers=workers, prefetch_factor=4 if workers else None
    )
