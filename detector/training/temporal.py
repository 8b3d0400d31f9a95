"""Trains the temporal head on features of whole tracks; the backbone stays as ``train`` left it.

Features are computed once for several versions of every clip, one plain and others degraded, each beside a fake made of
it where it is genuine (``clip_fakes``), and kept in memory. Only sources that are there as
genuine and as fake are learnt from, so that a source never tells the class.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from detector.model import Detector
from detector.release import CropShape
from detector.training.clip_fakes import Frames, clip_fake
from detector.training.degrade import Chain
from detector.training.packs import Clip, Pack
from detector.training.pairs import normalised

DONORS = 8  # clips among which a swapped face is looked for


@dataclass(frozen=True)
class Plan:
    """One training of the temporal head."""

    versions: int = 2  # degraded versions of every clip beside the plain one
    crops: int | None = None  # of each clip, at even distances; all when not given
    steps: int = 600
    batch: int = 48
    rate: float = 1e-3
    weight_decay: float = 0.05
    shortest: int = 5  # frames of the sequences drawn
    seed: int = 0


@dataclass(frozen=True)
class Sequence:
    """The pooled features of one version of a clip, in order of time."""

    features: Tensor  # (T, C)
    label: int
    source: str


def train_temporal(
    model: Detector, videos: Pack, shape: CropShape, plan: Plan, device: torch.device
) -> list[dict[str, Any]]:
    """Train ``model.temporal_head`` in place and return the log."""
    torch.manual_seed(plan.seed)
    random = np.random.default_rng(plan.seed)
    pairs = _pairs(sequences(model, videos, shape, plan, random, device))
    head = model.temporal_head.to(device).train()
    optimiser = torch.optim.AdamW(head.parameters(), lr=plan.rate, weight_decay=plan.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, plan.steps)
    log, losses = [], []
    for step in range(1, plan.steps + 1):
        chosen = [one for _ in range(plan.batch // 2) for one in _draw(pairs, random)]
        pooled, mask = _padded([_part(one.features, plan.shortest, random) for one in chosen])
        labels = torch.tensor([one.label for one in chosen], device=device)
        noise = 1 + 0.1 * torch.randn_like(pooled)
        loss = functional.cross_entropy(
            head(pooled.to(device) * noise.to(device), mask.to(device)), labels, label_smoothing=0.1
        )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if step % 100 == 0:
            log.append({"temporal_step": step, "loss": round(float(np.mean(losses[-100:])), 4)})
            print(log[-1], flush=True)
    head.eval()
    return log


@torch.no_grad()
def sequences(
    model: Detector, videos: Pack, shape: CropShape, plan: Plan, random: Generator, device: torch.device
) -> list[Sequence]:
    """Every version of every clip."""
    model.eval()
    genuine, fake = ({clip.source for clip in videos.clips if clip.label == label} for label in (0, 1))
    made = [clip for clip in videos.clips if clip.source in genuine and (clip.label == 0 or clip.source in fake)]
    found = []
    for index, clip in enumerate(made):
        frames = _frames(videos, clip, plan.crops)
        for number in range(1 + plan.versions):
            chain, own = Chain.draw(random, 1.0 if number else 0.0), random.spawn(1)[0]
            found.append(_sequence(model, _version(videos, frames, shape, chain), clip.label, clip, device))
            if clip.label == 0:
                faked = Frames(clip_fake(frames, own, _donor(videos, clip, plan.crops, own)), frames.landmarks)
                found.append(_sequence(model, _version(videos, faked, shape, chain), 1, clip, device))
        if (index + 1) % 50 == 0:
            print(f"features of {index + 1} of {len(made)} clips", flush=True)
    return found


def _version(videos: Pack, frames: Frames, shape: CropShape, chain: Chain) -> NDArray[np.uint8]:
    """(T, S, S, 3) crops as they come out of ``chain``, each with noise of its own."""
    chains = [replace(chain, seed=chain.seed + number) for number in range(len(frames.pictures))]
    return np.stack(
        [
            one.apply(picture, videos.margin, shape.size, shape.margin)
            for one, picture in zip(chains, frames.pictures, strict=True)
        ]
    )


def _frames(videos: Pack, clip: Clip, count: int | None) -> Frames:
    count = min(clip.count, count or clip.count)
    places = (clip.first + np.linspace(0, clip.count - 1, count).round()).astype(int)
    return Frames([videos.crop(int(index)) for index in places], [videos.landmarks[index] for index in places])


def _donor(videos: Pack, clip: Clip, count: int | None, random: Generator) -> Frames | None:
    """The genuine clip of another source, out of DONORS drawn, whose face stands most like that of ``clip``."""
    others = [other for other in videos.clips if other.label == 0 and other.source != clip.source]
    if not others:
        return None
    drawn = [others[int(random.integers(len(others)))] for _ in range(DONORS)]
    wanted = videos.landmarks[clip.first : clip.first + clip.count].mean(axis=0)
    nearest = min(drawn, key=lambda other: float(np.square(videos.landmarks[other.first] - wanted).sum()))
    return _frames(videos, nearest, count)


def _sequence(model: Detector, crops: NDArray[np.uint8], label: int, clip: Clip, device: torch.device) -> Sequence:
    x = torch.from_numpy(np.ascontiguousarray(crops.transpose(0, 3, 1, 2))).to(device)
    with torch.autocast(device.type, torch.bfloat16):
        features = model.features(normalised(x).contiguous(memory_format=torch.channels_last))
    return Sequence(features.float().mean(dim=(2, 3)).cpu(), label, clip.source)


def _pairs(found: list[Sequence]) -> list[tuple[list[Sequence], list[Sequence]]]:
    """The genuine and the fake sequences of every source."""
    by_source: dict[str, tuple[list[Sequence], list[Sequence]]] = {}
    for one in found:
        by_source.setdefault(one.source, ([], []))[one.label].append(one)
    return [pair for pair in by_source.values() if all(pair)]


def _draw(pairs: list[tuple[list[Sequence], list[Sequence]]], random: Generator) -> list[Sequence]:
    """A genuine and a fake sequence of one source, sources being equally likely."""
    return [of_label[int(random.integers(len(of_label)))] for of_label in pairs[int(random.integers(len(pairs)))]]


def _part(features: Tensor, shortest: int, random: Generator) -> Tensor:
    """A stretch of random length, at times of every second frame."""
    stride = 2 if len(features) >= 2 * shortest and random.random() < 0.3 else 1
    features = features[int(random.integers(stride)) :: stride]
    length = int(random.integers(min(shortest, len(features)), len(features) + 1))
    start = int(random.integers(len(features) - length + 1))
    return features[start : start + length]


def _padded(parts: list[Tensor]) -> tuple[Tensor, Tensor]:
    longest = max(map(len, parts))
    pooled = torch.stack([functional.pad(part, (0, 0, 0, longest - len(part))) for part in parts])
    mask = torch.tensor([[index < len(part) for index in range(longest)] for part in parts])
    return pooled, mask
