"""Writes a model folder: half-precision weights, model.toml, checksums; the card and the metrics come from ``card``."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from detector.model import Detector
from detector.release import CARD, CHECKSUMS, CONFIG, METRICS, WEIGHTS, Calibration, CropShape, Decision, sha256_of


def write_release(
    folder: Path,
    name: str,
    version: str,
    model: Detector,
    crop: CropShape,
    calibration: Calibration,
    decision: Decision,
) -> None:
    """Write weights and configuration to ``folder`` (made where missing), then its checksums.

    Matrices and kernels are stored in half precision; vectors (normalisation, biases) stay single, since variances can
    be smaller than half precision holds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for key, value in model.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            tensors[key] = value.detach().cpu().contiguous().to(torch.float16 if value.ndim > 1 else torch.float32)
    save_file(tensors, folder / WEIGHTS)
    sections: dict[str, dict[str, Any]] = {
        "network": asdict(model.config),
        "crop": asdict(crop),
        "calibration": asdict(calibration),
        "decision": asdict(decision),
    }
    lines = [f'name = "{name}"', f'version = "{version}"']
    for section, values in sections.items():
        lines += ["", f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    (folder / CONFIG).write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_checksums(folder)


def write_checksums(folder: Path) -> None:
    """Write SHA256SUMS over the files that are there."""
    names = [name for name in (WEIGHTS, CONFIG, CARD, METRICS) if (folder / name).exists()]
    lines = [f"{sha256_of(folder / name)}  {name}\n" for name in names]
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")
