"""Trains the backbone and the frame head on pairs of crops; resumes from its checkpoint."""

import copy
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from detector import metrics
from detector.model import Detector
from detector.release import CropShape, NetworkShape
from detector.training import head_first
from detector.training.networks import load_tuned, new_model
from detector.training.packs import Pack
from detector.training.pairs import PairBatches, loader, normalised
from detector.training.recipe import Recipe
from detector.training.teacher import Teacher, resized
from detector.vit_shape import PATCH, SIZE

HEAD_SEED = 500_009  # added to the run's seed, so that the head is fitted on batches that training does not see


def train(
    videos: Pack,
    photographs: Pack,
    validation: Pack,
    backbone: Mapping[str, Tensor] | None,
    recipe: Recipe,
    folder: Path,
    workers: int = 1,
    teacher: Teacher | None = None,
    start: Mapping[str, Tensor] | None = None,
    regenerated: Sequence[Pack] = (),
) -> None:
    """Train until the recipe's time is spent; checkpoint.pt and log.jsonl in ``folder`` carry it on when called again.

    ``backbone`` is the state dict to start from, frozen parts included. A ``teacher`` says of every crop how likely it
    thinks it a fake, and the recipe says how much that counts beside the label; it must cut faces with the same margin.
    A new run begins with the tuned weights ``start``, where they are given (see ``networks.start_of``), and then with
    their head, whatever the recipe's ``head_batches``.
    ``regenerated``: see ``pairs.PairBatches``.
    The result is ``averaged`` in checkpoint.pt.
    """
    _check(recipe, videos, validation, backbone is not None, teacher)
    folder.mkdir(parents=True, exist_ok=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    learning = recipe.learning
    run = _Run(recipe, backbone, folder, device, start)
    run.resume()
    shape = recipe.crop if teacher is None else teacher.crop

    def drawn_from(seed: int, step: int) -> PairBatches:
        return PairBatches(videos, photographs, shape, recipe.mixture, seed, step, regenerated)

    if learning.head_batches and run.step == 0 and start is None:
        first = islice(loader(drawn_from(learning.seed + HEAD_SEED, 0), workers), learning.head_batches)
        run.fit_head(first)
    batches = drawn_from(learning.seed, run.step)
    losses: list[float] = []
    for x, labels in loader(batches, workers):
        if not run.spend():
            break
        crops, wanted = x.to(device), labels.to(device) * 0.96 + 0.02
        if teacher is not None:
            wanted = torch.lerp(wanted, teacher.fake(crops), learning.taught)
        losses.append(run.learn(resized(crops, recipe.crop.size), wanted))
        if run.step % 20 == 0:
            run.log({"loss": float(np.mean(losses[-20:]))})
        if run.due("validate", learning.validate_every_s):
            run.log(validate(run.averaged, validation, device, learning.clip_crops))
        if run.due("save", learning.save_every_s):
            run.save()
    run.log(validate(run.averaged, validation, device, learning.clip_crops))
    run.save()


def _check(recipe: Recipe, videos: Pack, validation: Pack, has_backbone: bool, teacher: Teacher | None) -> None:
    """Raises ValueError where what ``train`` was given does not fit together."""
    if teacher is not None and teacher.crop.margin != recipe.crop.margin:
        raise ValueError("The teacher cuts faces with another margin than the recipe; give both the same.")
    validation.check(recipe.crop)
    shared = {clip.source for clip in videos.clips} & {clip.source for clip in validation.clips}
    if shared:
        raise ValueError(f"{min(shared)} is a source in training and validation; prepare them apart")
    if recipe.network.base is not None and not has_backbone:
        raise ValueError(f"the recipe tunes {recipe.network.base}; give it with --initial")


def pair_order_loss(logits: Tensor) -> Tensor:
    """(2 P,) logits of P pairs, genuine before fake -> the mean logistic loss of their order.

    After RankNet (Burges et al., ICML 2005). What both of a pair share (the person, the scene, the degradation) moves
    both logits and cancels here.
    """
    genuine, fake = logits.view(-1, 2).unbind(dim=1)
    return functional.softplus(genuine - fake).mean()


@torch.no_grad()
def validate(model: Detector, pack: Pack, device: torch.device, per_clip: int = 6) -> dict[str, Any]:
    """Overall and matched AUC of the mean frame logit over ``per_clip`` crops of every clip of ``pack``."""
    scores = clip_scores(model, pack, device, per_clip)
    labels = np.array([clip.label for clip in pack.clips])
    sets = metrics.matched_sets(labels, [clip.dataset for clip in pack.clips])
    by_set = {name: round(metrics.auc(labels[rows], scores[rows]), 4) for name, rows in sets.items()}
    matched = round(float(np.mean(list(by_set.values()))), 4) if by_set else None
    return {"auc": round(metrics.auc(labels, scores), 4), "matched_auc": matched, "by_set": by_set}


@torch.no_grad()
def clip_scores(model: Detector, pack: Pack, device: torch.device, per_clip: int) -> NDArray[np.float64]:
    """The mean frame logit of every clip, (M,)."""
    model.eval()
    scores = []
    for clip in pack.clips:
        chosen = np.unique(np.linspace(0, clip.count - 1, per_clip).round().astype(int)) + clip.first
        crops = np.stack([pack.crop(int(index)) for index in chosen]).transpose(0, 3, 1, 2)
        x = normalised(torch.from_numpy(np.ascontiguousarray(crops)).to(device)).contiguous(
            memory_format=torch.channels_last
        )
        with torch.autocast(device.type, torch.bfloat16):
            features = model.features(x)
        scores.append(float(model.frame_maps(features.float())[0].mean()))
    return np.array(scores)


class _Run:
    """The state of a run and how it is kept."""

    def __init__(
        self,
        recipe: Recipe,
        backbone: Mapping[str, Tensor] | None,
        folder: Path,
        device: torch.device,
        start: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.recipe, self.learning, self.folder, self.device = recipe, recipe.learning, folder, device
        self.has_backbone = backbone is not None
        self.model = new_model(recipe.network, backbone, device)
        if start is not None:
            load_tuned(self.model, start, self.has_backbone)
        self.model.temporal_head.requires_grad_(False)
        if self.learning.tuned == "norms":
            for module in self.model.backbone.modules():
                tuned = isinstance(module, nn.LayerNorm)
                for parameter in module.parameters(recurse=False):
                    parameter.requires_grad_(tuned)
        body = [weight for weight in self.model.backbone.parameters() if weight.requires_grad]
        self.optimiser = torch.optim.AdamW(
            [
                {"params": body, "peak": self.learning.rate},
                {"params": [*self.model.frame_head.parameters()], "peak": self.learning.head_rate},
            ],
            lr=self.learning.rate,
            weight_decay=self.learning.weight_decay,
        )
        self.averaged = copy.deepcopy(self.model)
        self.step, self.spent_s = 0, 0.0
        self.clock = time.monotonic()
        self.last = {"validate": self.clock, "save": self.clock}

    def resume(self) -> None:
        checkpoint = self.folder / "checkpoint.pt"
        if checkpoint.exists():
            state = torch.load(checkpoint, map_location=self.device, weights_only=True)
            shapes = NetworkShape(**state["network"]), CropShape(**state["crop"])
            if shapes != (self.recipe.network, self.recipe.crop):
                raise ValueError(f"{checkpoint} is of another network than the recipe; give another folder")
            if "model" not in state:
                raise ValueError(f"{checkpoint} is a mean of runs and cannot be trained on; give another folder")
            load_tuned(self.model, state["model"], self.has_backbone)
            load_tuned(self.averaged, state["averaged"], self.has_backbone)
            peaks = [group["peak"] for group in self.optimiser.param_groups]
            self.optimiser.load_state_dict(state["optimiser"])
            for group, peak in zip(self.optimiser.param_groups, peaks, strict=True):
                group["peak"] = peak  # the recipe's, which may have changed
            self.step, self.spent_s = state["step"], state["spent_s"]

    def fit_head(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Fit the frame head before the first step; its time is told, and does not count as the run's."""
        fitted = head_first.fit(self.model, batches, self.recipe.crop.size)
        self.clock = time.monotonic()
        self.averaged.frame_head.load_state_dict(self.model.frame_head.state_dict())
        self.log({f"head_{name}": value for name, value in asdict(fitted).items()})

    def spend(self) -> bool:
        """Count the time since the last call and set the learning rates; False when the plan's time is over."""
        now = time.monotonic()
        self.spent_s, self.clock = self.spent_s + now - self.clock, now
        share = self._share()
        shape = min(1.0, (self.step + 1) / 100) * (0.02 + 0.98 * 0.5 * (1 + float(np.cos(np.pi * share))))
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * shape
        return share < 1

    def _share(self) -> float:
        """Of the run that is over, 0 to 1."""
        share = self.spent_s / self.learning.seconds
        if self.learning.steps is not None:
            share = max(share, self.step / self.learning.steps)
        return min(1.0, share)

    def learn(self, x: torch.Tensor, wanted: torch.Tensor) -> float:
        """One step on uint8 crops and the wanted probabilities of fake; returns the loss.

        What is random in it depends on the seed and the step alone.
        """
        torch.manual_seed(self.learning.seed + 1_000_003 * self.step)
        self.model.train()
        images = normalised(x).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16):
            features = self.model.features(images, self._kept())
        logits, _ = self.model.frame_maps(functional.dropout2d(features.float(), 0.2))
        loss = functional.binary_cross_entropy_with_logits(logits, wanted)
        if self.learning.ranked:
            loss = loss + self.learning.ranked * pair_order_loss(logits)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_((one for one in self.model.parameters() if one.requires_grad), 5.0)
        self.optimiser.step()
        self.step += 1
        self._average()
        return float(loss.detach())

    def _kept(self) -> Tensor | None:
        """The patches of this step, the same for both of a pair, so that what is left out never tells the class."""
        count = self.learning.kept_patches
        if count is None or self._share() > 1 - self.learning.whole_share:
            return None
        drawn = np.random.default_rng([self.learning.seed, self.step, 1]).permutation((SIZE // PATCH) ** 2)
        return torch.from_numpy(np.sort(drawn[:count])).to(self.device)

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(self.learning.average, (1 + self.step) / (10 + self.step))
        for mean, now in zip(self.averaged.parameters(), self.model.parameters(), strict=True):
            if now.requires_grad:
                mean.lerp_(now, 1 - decay)
        for kept, seen in zip(self.averaged.buffers(), self.model.buffers(), strict=True):
            kept.copy_(seen)

    def _left_s(self) -> float:
        """Seconds until the run's end at the pace so far."""
        left = self.learning.seconds - self.spent_s
        if self.learning.steps is not None and self.step:
            left = min(left, (self.learning.steps - self.step) * self.spent_s / self.step)
        return max(0.0, left)

    def due(self, what: str, every_s: float) -> bool:
        if time.monotonic() - self.last[what] < every_s:
            return False
        self.last[what] = time.monotonic()
        return True

    def log(self, values: dict[str, Any]) -> None:
        pictures = self.step * 2 * self.recipe.mixture.pairs
        line = {
            "step": self.step,
            "spent_s": round(self.spent_s),
            "pictures_per_s": round(pictures / max(1.0, self.spent_s), 1),
            "left_s": round(self._left_s()),
        }
        text = json.dumps({**line, **values})
        print(text, flush=True)
        with (self.folder / "log.jsonl").open("a") as log:
            log.write(text + "\n")

    def save(self) -> None:
        state = {
            "model": self._tuned(self.model),
            "averaged": self._tuned(self.averaged),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "spent_s": self.spent_s,
            "network": asdict(self.recipe.network),
            "crop": asdict(self.recipe.crop),
            "mixture": asdict(self.recipe.mixture),
            "learning": asdict(self.learning),
        }
        partial = self.folder / "checkpoint.partial"
        torch.save(state, partial)
        partial.replace(self.folder / "checkpoint.pt")

    def _tuned(self, model: Detector) -> dict[str, Tensor]:
        """What the run changes, running statistics included; frozen weights are where they came from."""
        frozen = {name for name, weight in self.model.named_parameters() if not weight.requires_grad}
        return {name: value for name, value in model.state_dict().items() if name not in frozen}
