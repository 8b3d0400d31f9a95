"""Draws training batches: pairs of one genuine and one fake crop that share their source and their degradation.

A pair is a fake clip beside a genuine clip of its source (or, as ``unpaired``, of its data set), or a genuine crop
beside a fake made of it: self-blended, with another person's face, restored, drawn again by a network beforehand, or
with the mouth of another moment.
Sources are drawn, not clips, since many clips come from few sources. Batch ``k`` depends on the seed and ``k`` alone,
so training resumes at any step.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset

from detector import imagenet
from detector.release import CropShape
from detector.training.composites import swap_face, swap_mouth
from detector.training.degrade import Chain
from detector.training.fakes import face_mask, mixed, restored, self_blend
from detector.training.packs import Clip, Pack
from detector.training.recipe import Mixture

Cut = tuple[NDArray[np.uint8], float]  # a picture and the margin it was cut with
DONORS = 12  # people among whom the one with the most similar landmarks lends a face
FACE_ALONE = 0.5  # share of regenerated pictures of which only the face is taken
DRAWN_RATIOS = (0.4, 0.6, 0.8, 1.0)  # of what a network has drawn; in full it is more painterly than today's fakes


class PairBatches(IterableDataset[tuple[Tensor, Tensor]]):
    """Endless batches from ``first_step``: uint8 RGB crops (2 * pairs, 3, S, S), labels (2 * pairs,), 1 for fake."""

    def __init__(
        self,
        videos: Pack,
        photographs: Pack,
        shape: CropShape,
        mixture: Mixture,
        seed: int,
        first_step: int,
        regenerated: Sequence[Pack] = (),
    ) -> None:
        """``regenerated``: crops of ``videos`` and ``photographs`` that a network has drawn again.

        Raises ValueError where the mixture wants such and there are none, or they are of other packs.
        """
        super().__init__()
        self.packs = [videos, photographs]
        self.shape, self.mixture, self.seed, self.first_step = shape, mixture, seed, first_step
        self.real, fakes = _by_source(videos, 0), _by_source(videos, 1)
        self.portraits = _by_source(photographs, 0)
        self.real_sets: dict[str, list[Clip]] = defaultdict(list)
        for clip in videos.clips:
            if clip.label == 0:
                self.real_sets[clip.dataset].append(clip)
        self.paired = {source: clips for source, clips in fakes.items() if source in self.real}
        self.unpaired = {
            source: clips
            for source, clips in fakes.items()
            if source not in self.real and all(clip.dataset in self.real_sets for clip in clips)
        }

        self.regenerated = [_matched(self.packs[place], regenerated) for place in range(2)]
        if mixture.regenerated and not any(self.regenerated):
            raise ValueError("the recipe wants regenerated fakes; make them with regenerate and give --regenerated")

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Of several workers each makes every n-th batch; the loader asks them in turn, so the order stays."""
        worker = torch.utils.data.get_worker_info()
        step, stride = (self.first_step, 1) if worker is None else (self.first_step + worker.id, worker.num_workers)
        while True:
            yield self.batch(np.random.default_rng([self.seed, step]))
            step += stride

    def batch(self, random: Generator) -> tuple[Tensor, Tensor]:
        ways = {
            self._paired: self.mixture.paired if self.paired else 0,
            self._unpaired: self.mixture.unpaired if self.unpaired else 0,
            self._blended: self.mixture.self_blended,
            self._swapped: self.mixture.swapped,
            self._restored: self.mixture.restored,
            self._regenerated: self.mixture.regenerated,
            self._other_mouth: self.mixture.mouth,
        }
        ways = {way: share for way, share in ways.items() if share}
        shares = np.array([*ways.values()]) / sum(ways.values())
        crops: list[NDArray[np.uint8]] = []
        for _ in range(self.mixture.pairs):
            way = [*ways][int(random.choice(len(ways), p=shares))]
            crops += self._degraded(way(random), random)
        x = torch.from_numpy(np.ascontiguousarray(np.stack(crops).transpose(0, 3, 1, 2)))
        return x, torch.tensor([0.0, 1.0]).repeat(self.mixture.pairs)

    def _blended(self, random: Generator) -> list[Cut]:
        pack, _, index = self._genuine(random)
        return [(one, pack.margin) for one in self_blend(pack.crop(index), pack.landmarks[index], random)]

    def _swapped(self, random: Generator) -> list[Cut]:
        pack, clip, index = self._genuine(random)
        wanted = pack.landmarks[index] / pack.size
        donors = [found for found in (self._genuine(random) for _ in range(DONORS)) if found[1].source != clip.source]
        if not donors:
            return self._blended(random)
        giver, _, donor = min(
            donors, key=lambda found: float(np.square(found[0].landmarks[found[2]] / found[0].size - wanted).sum())
        )
        target = pack.crop(index)
        fake = swap_face(target, pack.landmarks[index], giver.crop(donor), giver.landmarks[donor], random)
        return [(target, pack.margin), (fake, pack.margin)]

    def _restored(self, random: Generator) -> list[Cut]:
        pack, _, index = self._genuine(random)
        picture = pack.crop(index)
        return [(picture, pack.margin), (restored(picture, pack.landmarks[index], random), pack.margin)]

    def _regenerated(self, random: Generator) -> list[Cut]:
        """A genuine crop beside the one a network has drawn of it, in whole or as a face on it, in full or in part."""
        kinds = [place for place in range(2) if self.regenerated[place]]
        place = int(random.random() < self.mixture.photographs) if len(kinds) == 2 else kinds[0]
        pack, pairs = self.packs[place], self.regenerated[place]
        of_source = pairs[[*pairs][int(random.integers(len(pairs)))]]
        index, drawn_pack, drawn_index = of_source[int(random.integers(len(of_source)))]
        picture, drawn = pack.crop(index), drawn_pack.crop(drawn_index)
        mask = np.ones(picture.shape[:2], np.float32)
        if random.random() < FACE_ALONE:
            mask = face_mask(pack.landmarks[index], pack.size, random)
        drawn = mixed(drawn, picture, mask * random.choice(DRAWN_RATIOS))
        return [(picture, pack.margin), (drawn, pack.margin)]

    def _other_mouth(self, random: Generator) -> list[Cut]:
        pack, clip, index = self._genuine(random)
        picture, other = pack.crop(index), clip.first + int(random.integers(clip.count))
        source = picture if other == index else pack.crop(other)
        fake = swap_mouth(picture, pack.landmarks[index], source, pack.landmarks[other], random)
        return [(picture, pack.margin), (fake, pack.margin)]

    def _genuine(self, random: Generator) -> tuple[Pack, Clip, int]:
        """A genuine crop: its pack, its clip and its index."""
        from_photograph = random.random() < self.mixture.photographs
        clip = _draw(self.portraits if from_photograph else self.real, random)
        return self.packs[int(from_photograph)], clip, clip.first + int(random.integers(clip.count))

    def _paired(self, random: Generator) -> list[Cut]:
        fake = _draw(self.paired, random)
        partners = self.real[fake.source]
        return self._side_by_side(partners[int(random.integers(len(partners)))], fake, random)

    def _unpaired(self, random: Generator) -> list[Cut]:
        fake = _draw(self.unpaired, random)
        partners = self.real_sets[fake.dataset]
        return self._side_by_side(partners[int(random.integers(len(partners)))], fake, random)

    def _side_by_side(self, real: Clip, fake: Clip, random: Generator) -> list[Cut]:
        """The same moment of both, where they are the same recording."""
        place, videos = random.random(), self.packs[0]
        return [
            (videos.crop(clip.first + min(clip.count - 1, int(place * clip.count))), videos.margin)
            for clip in (real, fake)
        ]

    def _degraded(self, pictures: list[Cut], random: Generator) -> list[NDArray[np.uint8]]:
        chain = Chain.draw(random, random.uniform(self.mixture.mildest, 1.0))
        return [chain.apply(picture, margin, self.shape.size, self.shape.margin) for picture, margin in pictures]


def _by_source(pack: Pack, label: int) -> dict[str, list[Clip]]:
    clips: dict[str, list[Clip]] = defaultdict(list)
    for clip in pack.clips:
        if clip.label == label:
            clips[clip.source].append(clip)
    return dict(clips)


def _matched(pack: Pack, regenerated: Sequence[Pack]) -> dict[str, list[tuple[int, Pack, int]]]:
    """By source: the index of a crop of ``pack``, and the pack and the index of what was drawn of it."""
    genuine = {clip.file: clip for clip in pack.clips if clip.label == 0}
    found: dict[str, list[tuple[int, Pack, int]]] = defaultdict(list)
    for drawn in regenerated:
        for clip in drawn.clips:
            original = genuine.get(clip.file)
            if original is None:
                continue
            if (drawn.size, drawn.margin) != (pack.size, pack.margin):
                raise ValueError("regenerated crops are cut unlike those they were drawn of; make them of these packs")
            times = pack.time_s[original.first : original.first + original.count]
            for index in range(clip.first, clip.first + clip.count):
                nearest = int(np.abs(times - drawn.time_s[index]).argmin())
                found[original.source].append((original.first + nearest, drawn, index))
    return dict(found)


def _draw(clips: dict[str, list[Clip]], random: Generator) -> Clip:
    """A clip of a source, sources being equally likely."""
    sources = list(clips)
    of_source = clips[sources[int(random.integers(len(sources)))]]
    return of_source[int(random.integers(len(of_source)))]


def normalised(x: Tensor) -> Tensor:
    """(N, 3, S, S) RGB from 0 to 255 -> float with ImageNet's mean and standard deviation."""
    mean = torch.tensor(imagenet.MEAN, device=x.device).view(1, 3, 1, 1)
    std = torch.tensor(imagenet.STD, device=x.device).view(1, 3, 1, 1)
    return (x.float() / 255 - mean) / std


def loader(batches: PairBatches, workers: int) -> Any:
    """A loader that prepares batches in ``workers`` processes (0: in this one); their number changes no batch."""
    return torch.utils.data.DataLoader(
        batches, batch_size=None, num_workers=workers, prefetch_factor=4 if workers else None
    )
