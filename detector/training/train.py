"""Trains the backbone and the frame head on pairs of crops; resumes from its checkpoint."""

import copy
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from detector import metrics
from detector.model import Detector
from detector.release import CropShape
from detector.training.packs import Pack
from detector.training.pairs import Mixture, PairBatches, loader, normalised


@dataclass(frozen=True)
class Plan:
    """One run; it ends when its seconds or its steps are spent, both counted across resumptions."""

    seconds: float = 3600
    steps: int | None = None
    rate: float = 3e-4
    head_rate: float = 1e-3
    weight_decay: float = 0.02
    average: float = 0.99  # decay of the averaged weights, which are what counts
    validate_every_s: float = 600
    save_every_s: float = 180
    workers: int = 1
    seed: int = 0
    size: int = 160
    margin: float = 1.45


def train(videos: Pack, photographs: Pack, validation: Pack, initial: Path | None, plan: Plan, folder: Path) -> None:
    """Train until the plan is spent; checkpoint.pt and log.jsonl in ``folder`` carry it on when called again.

    ``initial`` is a backbone's state dict from ``initialise``. The result is ``averaged`` in checkpoint.pt.
    """
    folder.mkdir(parents=True, exist_ok=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(plan.seed)
    run = _Run(plan, folder, device)
    run.begin(initial)
    batches = PairBatches(videos, photographs, CropShape(plan.size, plan.margin), Mixture(), plan.seed, run.step)
    losses: list[float] = []
    for x, labels in loader(batches, plan.workers):
        if not run.spend():
            break
        losses.append(run.learn(x.to(device), labels.to(device)))
        if run.step % 20 == 0:
            run.log({"loss": float(np.mean(losses[-20:]))})
        if run.due("validate", plan.validate_every_s):
            run.log(validate(run.averaged, validation, device))
        if run.due("save", plan.save_every_s):
            run.save()
    run.log(validate(run.averaged, validation, device))
    run.save()


def load_averaged(folder: Path, device: torch.device) -> Detector:
    """The averaged weights of the run in ``folder``, in evaluation mode. Raises OSError when there is no checkpoint."""
    state = torch.load(folder / "checkpoint.pt", map_location=device, weights_only=True)
    model: Detector = Detector().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    model.load_state_dict(state["averaged"])
    model.eval()
    return model


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

    def __init__(self, plan: Plan, folder: Path, device: torch.device) -> None:
        self.plan, self.folder, self.device = plan, folder, device
        self.model = Detector().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        heads = [*self.model.frame_head.parameters()]
        self.optimiser = torch.optim.AdamW(
            [
                {"params": self.model.backbone.parameters(), "peak": plan.rate},
                {"params": heads, "peak": plan.head_rate},
            ],
            lr=plan.rate,
            weight_decay=plan.weight_decay,
        )
        self.averaged = copy.deepcopy(self.model)
        self.step, self.spent_s = 0, 0.0
        self.clock = time.monotonic()
        self.last = {"validate": self.clock, "save": self.clock}

    def begin(self, initial: Path | None) -> None:
        checkpoint = self.folder / "checkpoint.pt"
        if checkpoint.exists():
            state = torch.load(checkpoint, map_location=self.device, weights_only=True)
            self.model.load_state_dict(state["model"])
            self.averaged.load_state_dict(state["averaged"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step, self.spent_s = state["step"], state["spent_s"]
        elif initial is not None:
            weights = torch.load(initial, map_location=self.device, weights_only=True)
            self.model.backbone.load_state_dict(weights)
            self.averaged.backbone.load_state_dict(weights)

    def spend(self) -> bool:
        """Count the time since the last call and set the learning rates; False when the plan's time is over."""
        now = time.monotonic()
        self.spent_s, self.clock = self.spent_s + now - self.clock, now
        share = self.spent_s / self.plan.seconds
        if self.plan.steps is not None:
            share = max(share, self.step / self.plan.steps)
        share = min(1.0, share)
        shape = min(1.0, (self.step + 1) / 100) * (0.02 + 0.98 * 0.5 * (1 + float(np.cos(np.pi * share))))
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * shape
        return share < 1

    def learn(self, x: torch.Tensor, labels: torch.Tensor) -> float:
        """One step on uint8 crops; returns the loss."""
        self.model.train()
        images = normalised(x).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16):
            features = self.model.features(images)
        logits, _ = self.model.frame_maps(functional.dropout2d(features.float(), 0.2))
        loss = functional.binary_cross_entropy_with_logits(logits, labels * 0.96 + 0.02)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self.optimiser.step()
        self.step += 1
        self._average()
        return float(loss.detach())

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(self.plan.average, (1 + self.step) / (10 + self.step))
        for mean, now in zip(self.averaged.parameters(), self.model.parameters(), strict=True):
            mean.lerp_(now, 1 - decay)
        for mean, now in zip(self.averaged.buffers(), self.model.buffers(), strict=True):
            mean.copy_(now)

    def due(self, what: str, every_s: float) -> bool:
        if time.monotonic() - self.last[what] < every_s:
            return False
        self.last[what] = time.monotonic()
        return True

    def log(self, values: dict[str, Any]) -> None:
        pictures = self.step * 2 * Mixture().pairs
        line = {
            "step": self.step,
            "spent_s": round(self.spent_s),
            "pictures_per_s": round(pictures / max(1.0, self.spent_s), 1),
        }
        text = json.dumps({**line, **values})
        print(text, flush=True)
        with (self.folder / "log.jsonl").open("a") as log:
            log.write(text + "\n")

    def save(self) -> None:
        state = {
            "model": self.model.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "spent_s": self.spent_s,
            "plan": asdict(self.plan),
        }
        partial = self.folder / "checkpoint.partial"
        torch.save(state, partial)
        partial.replace(self.folder / "checkpoint.pt")
