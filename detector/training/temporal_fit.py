"""Fits a temporal head to sequences of pooled features, for as long as sources that were left out gain from it.

The backbone has learnt from the same sources, so its features of them are clearer than those of new people, and a head
that trains on learns the sources themselves. Cross-validation by whole sources says when to stop.
"""

from collections.abc import Sequence as Many
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor, nn
from torch.nn import functional

from detector.model import TemporalHead
from detector.release import NetworkShape


@dataclass(frozen=True)
class Sequence:
    """The pooled features of one version of a clip, in order of time."""

    features: Tensor  # (T, C)
    label: int
    source: str


Pairs = list[tuple[list[Sequence], list[Sequence]]]  # the genuine and the fake sequences of every source


@dataclass(frozen=True)
class Fitting:
    """How a head learns. The learning rate falls to nothing over each number of steps that is tried."""

    steps: tuple[int, ...] = (25, 50, 100, 200, 400)  # the best of these, by sources left out
    folds: int = 4
    batch: int = 48
    rate: float = 1e-3
    weight_decay: float = 0.05
    dropout: float = 0.3  # of the features, the same channels along a sequence
    shortest: int = 5  # frames of the sequences drawn
    seed: int = 0


def fit(
    shape: NetworkShape, found: Many[Sequence], fitting: Fitting, device: torch.device
) -> tuple[TemporalHead, list[dict[str, Any]]]:
    """The head, in evaluation mode, and what each number of steps did for the sources left out of it.

    Of the sequences ``found`` those count whose source is there as genuine and as fake, so that a source never tells
    the class. Raises ValueError when there are fewer such sources than folds.
    """
    pairs = _pairs(found)
    if len(pairs) < fitting.folds:
        raise ValueError(
            f"the temporal head needs at least {fitting.folds} sources that are there as genuine and as fake, and the "
            f"pack holds {len(pairs)}; prepare one with more videos"
        )
    losses: dict[int, float] = {}
    if len(fitting.steps) > 1:
        for steps in fitting.steps:
            losses[steps] = left_out_loss(shape, pairs, fitting, steps, device)
            print(f"temporal head, {steps} steps: loss {losses[steps]:.4f} on sources left out", flush=True)
    best = min(losses, key=lambda steps: losses[steps]) if losses else fitting.steps[0]
    log = [{"steps": steps, "left_out_loss": round(loss, 4)} for steps, loss in losses.items()]
    return _trained(shape, pairs, fitting, best, device), [*log, {"temporal_steps": best}]


def left_out_loss(shape: NetworkShape, pairs: Pairs, fitting: Fitting, steps: int, device: torch.device) -> float:
    """Mean cross-entropy of the sources of each fold under a head trained on the others for ``steps``.

    Sources weigh the same, and so do the genuine and the fake sequences of each.
    """
    order = np.random.default_rng(fitting.seed).permutation(len(pairs))
    losses = []
    for fold in range(fitting.folds):
        left_out = set(order[fold :: fitting.folds].tolist())
        rest = [pair for index, pair in enumerate(pairs) if index not in left_out]
        head = _trained(shape, rest, fitting, steps, device)
        losses += [_loss(head, pairs[index], device) for index in sorted(left_out)]
    return float(np.mean(losses))


def _trained(shape: NetworkShape, pairs: Pairs, fitting: Fitting, steps: int, device: torch.device) -> TemporalHead:
    torch.manual_seed(fitting.seed)
    random = np.random.default_rng(fitting.seed)
    head = TemporalHead(shape).to(device).train()
    optimiser = torch.optim.AdamW(head.parameters(), lr=fitting.rate, weight_decay=fitting.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        chosen = [one for _ in range(fitting.batch // 2) for one in _draw(pairs, random)]
        pooled, mask = _padded([_part(one.features, fitting.shortest, random) for one in chosen])
        labels = torch.tensor([one.label for one in chosen], device=device)
        pooled = pooled.to(device) * (1 + 0.1 * torch.randn_like(pooled)).to(device)
        pooled = functional.dropout1d(pooled.transpose(1, 2), fitting.dropout).transpose(1, 2)
        loss = functional.cross_entropy(head(pooled, mask.to(device)), labels, label_smoothing=0.1)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(head.parameters(), 5.0)
        optimiser.step()
        schedule.step()
    return head.eval()


@torch.no_grad()
def _loss(head: TemporalHead, pair: tuple[list[Sequence], list[Sequence]], device: torch.device) -> float:
    of_labels = []
    for label, sequences in enumerate(pair):
        pooled, mask = _padded([one.features for one in sequences])
        logits = head(pooled.to(device), mask.to(device))
        wanted = torch.full((len(sequences),), label, device=device)
        of_labels.append(float(functional.cross_entropy(logits, wanted)))
    return float(np.mean(of_labels))


def _pairs(found: Many[Sequence]) -> Pairs:
    """The genuine and the fake sequences of every source."""
    by_source: dict[str, tuple[list[Sequence], list[Sequence]]] = {}
    for one in found:
        by_source.setdefault(one.source, ([], []))[one.label].append(one)
    return [pair for pair in by_source.values() if all(pair)]


def _draw(pairs: Pairs, random: Generator) -> list[Sequence]:
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
