"""Trains the temporal head on features of whole tracks; the backbone stays as ``train`` left it.

Features are computed once for several versions of every clip, one plain and others degraded, each beside a fake made of
it where it is genuine (``clip_fakes``), and kept in memory. Only sources that are there as
genuine and as fake are learnt from, so that a source never tells the class.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray

from detector.model import Detector, TemporalHead
from detector.release import CropShape
from detector.training import temporal_fit
from detector.training.clip_fakes import Frames, clip_fake
from detector.training.degrade import Chain
from detector.training.packs import Clip, Pack
from detector.training.pairs import normalised
from detector.training.temporal_fit import Fitting, Sequence

DONORS = 8  # clips among which a swapped face is looked for


@dataclass(frozen=True)
class Plan:
    """What the temporal head is shown, and how it learns."""

    versions: int = 2  # degraded versions of every clip beside the plain one
    crops: int | None = None  # of each clip, at even distances; all when not given
    width: int | None = None  # of the head, projection and state alike; the recipe's when not given
    seed: int = 0
    fitting: Fitting = field(default_factory=Fitting)


def train_temporal(
    model: Detector, videos: Pack, shape: CropShape, plan: Plan, device: torch.device
) -> list[dict[str, Any]]:
    """Give ``model`` a temporal head that has learnt from ``videos``, in place, and return the log."""
    found = sequences(model, videos, shape, plan, np.random.default_rng(plan.seed), device)
    if plan.width is not None:
        model.config = replace(model.config, projected=plan.width, hidden=plan.width)
    model.temporal_head, log = temporal_fit.fit(model.config, found, plan.fitting, device)
    return log


def save_head(model: Detector, path: Path, log: list[dict[str, Any]]) -> None:
    """Write the temporal head of ``model``, its shape and the ``log`` of its training to ``path`` (torch format)."""
    shape = {"projected": model.config.projected, "hidden": model.config.hidden}
    torch.save({**shape, "head": model.temporal_head.state_dict(), "log": log}, path)


def load_head(model: Detector, path: Path) -> None:
    """Give ``model`` the temporal head that ``save_head`` wrote. Raises OSError where there is none."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    model.config = replace(model.config, projected=state["projected"], hidden=state["hidden"])
    model.temporal_head = TemporalHead(model.config)
    model.temporal_head.load_state_dict(state["head"])
    model.eval()


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
