"""Starts the usual way (detector/training/usual_way.py), which needs PyTorch, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

COMMAND = (sys.executable, "-m", "detector.training", "usual-way")
ROOT = Path(__file__).resolve().parents[2]
REFUSED = 2
UNITS = ("wall_s", "cpu_s")


def measure(video: Path, frames: int, pictures: Path) -> dict[str, Any]:
    """What the usual way cost on ``video``; or, where it cannot be done here or dies, only ``left_out``: why.

    Its memory is what it may well die of, and what was measured before it must not be lost for that.
    """
    arguments = [str(video.resolve()), "--frames", str(frames), "--out", str(pictures)]
    # Threads of torch that wait for each other sleep: on a busy machine they would else turn in circles for most of the
    # time, and that would be counted as the usual way's work.
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(  # noqa: S603 -- our own program
        [*COMMAND, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    last = (done.stderr.strip().splitlines() or [""])[-1]  # and not what comes before it, which would name our folders
    if done.returncode == REFUSED:
        return {"left_out": last.partition(": ")[2]}
    if done.returncode != 0:
        return {
            "left_out": f"It ended with exit code {done.returncode}. {last}".strip().replace(str(video), video.name)
        }
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def times_ours(baseline: dict[str, Any], warm: dict[str, Any]) -> dict[str, Any]:
    """How many times ours the usual way took, by stage and in all; stages that one of them lacks are left out."""
    pairs = {"total": (baseline, warm)} | {
        stage: (spent, warm["stages"][stage]) for stage, spent in baseline["stages"].items() if stage in warm["stages"]
    }
    return {
        name: {unit: round(theirs[unit] / ours[unit], 1) if ours[unit] > 0 else None for unit in UNITS}
        for name, (theirs, ours) in pairs.items()
    }
