"""Makes an initial ResNeXt50 from ImageNet's ResNet50, block by block, on any pictures at hand.

Both networks pass features of the same shape from block to block, so each ResNeXt block can learn to do what the
ResNet50 block in its place does, from that block's own input. The sixteen losses are independent; every position of a
feature map is a training sample, which makes a few ten thousand pictures enough for a start that knows ImageNet's
features. The stem and the shortcuts have the same layout and are copied. A last phase runs the student end to end and
asks for the teacher's final features, so that the blocks' errors do not add up.

The idea is that of FitNets (Romero et al., ICLR 2015), applied to every block at once. Blocks may learn on pictures
of lower resolution first, as in progressive learning (Tan and Le, ICML 2021), without its growing regularisation.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from detector.model import build_backbone
from detector.training.keras_resnet50 import Bottleneck, KerasResNet50
from detector.training.pairs import normalised

LEAST = 32  # pixels of a side that leave one position at the last block


@dataclass(frozen=True)
class Plan:
    """How long and on what; times in seconds of wall clock."""

    side: int = 160  # of the random squares cut from the pictures, in pixels
    resolutions: tuple[int, ...] = (112,)  # to which the blocks' squares are scaled first; equal shares of the time
    batch: int = 16
    block_seconds: float = 1200
    joint_seconds: float = 600
    block_rate: float = 2e-3
    joint_rate: float = 4e-4
    seed: int = 0
    save_every_s: float = 180

    def __post_init__(self) -> None:
        if not all(LEAST <= resolution <= self.side for resolution in self.resolutions):
            raise ValueError(f"resolutions must lie between {LEAST} and {self.side} pixels, not {self.resolutions}.")


def initialise(teacher: KerasResNet50, pictures: NDArray[np.uint8], plan: Plan, target: Path) -> float:
    """Train a ResNeXt50 backbone after ``teacher`` and write its state dict to ``target`` (torch format).

    pictures: (N, H, W, 3) uint8 RGB with H and W of at least ``plan.side``; the last fortieth, at least one, is kept
    aside. Returns the squared error of the last block's features on those, over the features' variance: 0 for the
    teacher itself, and about 1 for a network that knows nothing. Raises ValueError where fewer than a batch are left.
    """
    kept = len(pictures) - max(1, len(pictures) // 40)
    if kept < plan.batch:
        raise ValueError(f"{len(pictures)} pictures are too few for batches of {plan.batch} and one kept aside.")
    torch.manual_seed(plan.seed)
    student = build_backbone("resnext50_32x4d").to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    teacher = teacher.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    _copy_what_fits(teacher, student)
    batches = _Batches(pictures[:kept], plan)
    _train_blocks(teacher, student, batches, plan, target)
    _train_jointly(teacher, student, batches, plan, target)
    torch.save(student.state_dict(), target)
    return _error_on(pictures[kept:], teacher, student, plan.side)


def blocks_of(backbone: nn.Module) -> list[nn.Module]:
    """The sixteen residual blocks in order."""
    return [block for name in ("layer1", "layer2", "layer3", "layer4") for block in getattr(backbone, name)]


@torch.no_grad()
def _copy_what_fits(teacher: KerasResNet50, student: nn.Module) -> None:
    """Stem and shortcuts; the biases of the teacher's convolutions move into the running means."""
    shortcuts = [
        (theirs.downsample, ours.get_submodule("downsample"))
        for theirs, ours in zip(teacher.blocks, blocks_of(student), strict=True)
        if isinstance(theirs, Bottleneck) and theirs.downsample is not None
    ]
    stem = nn.Sequential(student.get_submodule("conv1"), student.get_submodule("bn1"))
    for theirs, ours in [(teacher.stem, stem), *shortcuts]:
        given, given_norm = _convolution_and_norm(theirs)
        taken, taken_norm = _convolution_and_norm(ours)
        taken.weight.copy_(given.weight)
        scale = ((taken_norm.eps + given_norm.running_var) / (given_norm.eps + given_norm.running_var)).sqrt()
        taken_norm.weight.copy_(given_norm.weight * scale)
        taken_norm.bias.copy_(given_norm.bias)
        taken_norm.running_var.copy_(given_norm.running_var)
        taken_norm.running_mean.copy_(given_norm.running_mean - given.bias)


def _convolution_and_norm(pair: nn.Module) -> tuple[Any, Any]:
    """The first two children; typed loosely, as torch types the attributes of a module."""
    first, second = list(pair.children())[:2]
    return first, second


class _Batches:
    """Random squares of ``pictures``, flipped and re-lit."""

    def __init__(self, pictures: NDArray[np.uint8], plan: Plan) -> None:
        self.pictures, self.side, self.batch = pictures, plan.side, plan.batch
        self.random = np.random.default_rng(plan.seed)

    def next(self, resolution: int) -> Tensor:
        """The next squares, scaled to ``resolution``: (batch, 3, resolution, resolution), normalised."""
        side = self.side
        height, width = self.pictures.shape[1:3]
        squares = []
        for row in self.random.choice(len(self.pictures), self.batch, replace=False):
            top, left = self.random.integers(0, height - side + 1), self.random.integers(0, width - side + 1)
            square = self.pictures[row, top : top + side, left : left + side]
            square = square[:, ::-1] if self.random.random() < 0.5 else square
            squares.append(square if resolution == side else _shrunk(square, resolution))
        x = torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).float()
        gain = torch.from_numpy(self.random.uniform(0.7, 1.3, (self.batch, 1, 1, 1))).float()
        return normalised((x * gain).clamp(0, 255)).contiguous(memory_format=torch.channels_last)


def _shrunk(square: NDArray[np.uint8], resolution: int) -> NDArray[np.uint8]:
    return cv2.resize(square, (resolution, resolution), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


@torch.no_grad()
def _error_on(pictures: NDArray[np.uint8], teacher: KerasResNet50, student: nn.Module, side: int) -> float:
    """Relative error of the last features on the middle of every picture, in evaluation mode and single precision."""
    student.eval()
    top, left = (pictures.shape[1] - side) // 2, (pictures.shape[2] - side) // 2
    middles = torch.from_numpy(pictures[:, top : top + side, left : left + side].copy()).permute(0, 3, 1, 2)
    given, wanted = [], []
    for part in torch.split(middles, 16):
        x = normalised(part)
        wanted.append(teacher(x))
        x = _stem(student, x)
        for block in blocks_of(student):
            x = block(x)
        given.append(x)
    return _relative_error(torch.cat(given), torch.cat(wanted)).item()


def _stem(student: nn.Module, x: Tensor) -> Tensor:
    for name in ("conv1", "bn1", "relu", "maxpool"):
        x = student.get_submodule(name)(x)
    return x


def _train_blocks(teacher: KerasResNet50, student: nn.Module, batches: _Batches, plan: Plan, target: Path) -> None:
    student.train()
    blocks = blocks_of(student)
    student.requires_grad_(False)
    for block in blocks:
        block.requires_grad_(True)
        shortcut = getattr(block, "downsample", None)
        if shortcut is not None:  # copied, and kept as it is
            shortcut.requires_grad_(False).eval()
    weights = [weight for weight in student.parameters() if weight.requires_grad]
    clock = _Clock(
        torch.optim.AdamW(weights, lr=plan.block_rate, weight_decay=1e-4), plan.block_rate, plan.block_seconds
    )
    resolutions = (*plan.resolutions, plan.side)
    while clock.tick():
        x = batches.next(resolutions[min(int(clock.share * len(resolutions)), len(resolutions) - 1)])
        errors = []
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                y = teacher.stem(x)
            for theirs, ours in zip(teacher.blocks, blocks, strict=True):
                with torch.no_grad():
                    wanted = theirs(y)
                error = _relative_error(ours(y), wanted)
                error.backward()  # type: ignore[no-untyped-call]
                errors.append(error.detach())
                y = wanted
        clock.step()
        clock.report("blocks", torch.stack(errors).mean().item(), plan, student, target)


def _train_jointly(teacher: KerasResNet50, student: nn.Module, batches: _Batches, plan: Plan, target: Path) -> None:
    student.requires_grad_(True).train()
    clock = _Clock(
        torch.optim.AdamW(student.parameters(), lr=plan.joint_rate, weight_decay=1e-4),
        plan.joint_rate,
        plan.joint_seconds,
    )
    ends = [2, 6, 12, 15]  # the last block of every stage
    while clock.tick():
        x = batches.next(plan.side)
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                y, wanted = teacher.stem(x), []
                for index, block in enumerate(teacher.blocks):
                    y = block(y)
                    if index in ends:
                        wanted.append(y)
            given, seen = _stem(student, x), []
            for index, block in enumerate(blocks_of(student)):
                given = block(given)
                if index in ends:
                    seen.append(given)
            error = torch.stack([_relative_error(a, b) for a, b in zip(seen, wanted, strict=True)]).mean()
        error.backward()  # type: ignore[no-untyped-call]
        clock.step()
        clock.report("jointly", error.item(), plan, student, target)


def _relative_error(given: Tensor, wanted: Tensor) -> Tensor:
    """Mean squared error over the target's variance, both over everything, the channel included."""
    given, wanted = given.float(), wanted.float()
    return functional.mse_loss(given, wanted) / wanted.var().clamp_min(1e-8)


class _Clock:
    """A training phase of a given wall-clock length: learning rate, rates and reports."""

    def __init__(self, optimiser: torch.optim.Optimizer, rate: float, seconds: float) -> None:
        self.optimiser, self.rate, self.seconds = optimiser, rate, seconds
        self.started = self.reported = self.saved = time.monotonic()
        self.steps = 0
        self.share = 0.0  # of the phase's time that is over, at the last tick
        self.errors: list[float] = []

    def tick(self) -> bool:
        """Set this step's learning rate (warm-up, then cosine); False when the time is over."""
        self.share = (time.monotonic() - self.started) / max(self.seconds, 1e-9)
        warm = min(1.0, (self.steps + 1) / 50)
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate * warm * (0.02 + 0.98 * 0.5 * (1 + float(np.cos(np.pi * min(self.share, 1.0)))))
        return self.share < 1

    def step(self) -> None:
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.steps += 1

    def report(self, phase: str, error: float, plan: Plan, student: nn.Module, target: Path) -> None:
        self.errors.append(error)
        now = time.monotonic()
        if now - self.reported > 20:
            rate = self.steps * plan.batch / (now - self.started)
            left = self.seconds - (now - self.started)
            mean = float(np.mean(self.errors))
            print(f"{phase}: step {self.steps}, error {mean:.4f}, {rate:.1f} pictures/s, {left:.0f} s left", flush=True)
            self.reported, self.errors = now, []
        if now - self.saved > plan.save_every_s:
            torch.save(student.state_dict(), target)
            self.saved = now
