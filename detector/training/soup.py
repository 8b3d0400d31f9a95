"""Averages the weights of several runs that began with the same backbone (Wortsman et al., ICML 2022).

Runs that differ in seed or mixture end in one valley when few weights move; the average does better than most of them
and costs no more to serve.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from detector.release import CropShape, NetworkShape


def average(runs: Sequence[Path], target: Path) -> None:
    """Write to ``target`` a checkpoint whose averaged weights are the mean of those of ``runs``.

    It can be completed by ``temporal`` and exported, not trained on. Raises OSError where a run has no checkpoint and
    ValueError where they are of different networks.
    """
    states: list[dict[str, Any]] = [
        torch.load(run / "checkpoint.pt", map_location="cpu", weights_only=True) for run in runs
    ]
    first = states[0]
    for run, state in zip(runs, states, strict=True):
        if _shapes(state) != _shapes(first) or state["averaged"].keys() != first["averaged"].keys():
            raise ValueError(f"{run} is a run of another network than {runs[0]}; average runs of one recipe")
    mean = {
        name: torch.stack([state["averaged"][name].double() for state in states]).mean(dim=0).to(value.dtype)
        for name, value in first["averaged"].items()
    }
    target.mkdir(parents=True, exist_ok=True)
    kept = {part: first[part] for part in ("network", "crop", "mixture", "learning")}
    steps = [state["step"] for state in states]
    torch.save(
        {**kept, "averaged": mean, "steps": steps, "runs": [str(run.name) for run in runs]}, target / "checkpoint.pt"
    )


def _shapes(state: dict[str, Any]) -> tuple[NetworkShape, CropShape]:
    """As objects, so that a field that came later counts as its default."""
    return NetworkShape(**state["network"]), CropShape(**state["crop"])
