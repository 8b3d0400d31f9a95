"""Writes a model folder (half-precision weights, model.toml, checksums) and compares it with the network it came from.

The card and the metrics come from ``card``.
"""

import json
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from detector.inference import load_network
from detector.model import Detector
from detector.release import (
    BASES,
    CARD,
    CHECKSUMS,
    CONFIG,
    METRICS,
    WEIGHTS,
    Calibration,
    CropShape,
    Decision,
    Release,
    load_release,
    sha256_of,
)
from detector.training.packs import Pack
from detector.training.pairs import normalised
from detector.weights import BACKBONE, load_base

TOLERANCE = 0.03  # of one plus the largest logit: what rounding the weights to half precision may cost


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

    Of a network with a base only what differs from it is written; the base must lie in models/bases beside ``folder``.
    Matrices and kernels are stored in half precision; vectors (normalisation, biases) stay single, since variances can
    be smaller than half precision holds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {}
    shared = {} if model.config.base is None else load_base(folder.parent / BASES / model.config.base)
    for key, value in model.state_dict().items():
        base = shared.get(key.removeprefix(BACKBONE)) if key.startswith(BACKBONE) else None
        kept = base is not None and np.array_equal(base, value.detach().cpu().numpy())
        if not kept and not key.endswith("num_batches_tracked"):
            tensors[key] = value.detach().cpu().contiguous().to(torch.float16 if value.ndim > 1 else torch.float32)
    save_file(tensors, folder / WEIGHTS)
    write_config(Release(name, version, folder, "", model.config, crop, calibration, decision))


def write_config(release: Release) -> None:
    """Write model.toml of ``release``, then the checksums of its folder."""
    sections: dict[str, dict[str, Any]] = {
        "network": asdict(release.network),
        "crop": asdict(release.crop),
        "calibration": asdict(release.calibration),
        "decision": asdict(release.decision),
    }
    lines = [f'name = "{release.name}"', f'version = "{release.version}"']
    for section, values in sections.items():
        given = {key: value for key, value in values.items() if value is not None}
        lines += ["", f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in given.items())]
    (release.folder / CONFIG).write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_checksums(release.folder)


@torch.no_grad()
def parity(model: Detector, folder: Path, pack: Pack, count: int = 16) -> float:
    """The largest difference between the frame logits of ``model`` and of the release in ``folder`` as it is served.

    Over ``count`` crops of ``pack`` at even distances. Raises ValueError when it is more than half-precision weights
    explain.
    """
    chosen = np.linspace(0, len(pack.time_s) - 1, count).round().astype(int)
    crops = np.stack([pack.crop(int(index)) for index in chosen])
    served = load_network(load_release(folder)).frames(crops).logits
    x = normalised(torch.from_numpy(np.ascontiguousarray(crops.transpose(0, 3, 1, 2))))
    trained, _ = model.eval().frame_maps(model.features(x))
    difference = float(np.abs(served - trained.numpy()).max())
    if difference > TOLERANCE * (1 + float(trained.abs().max())):
        raise ValueError(f"the served network differs from the trained one by {difference:.3f} in the logit")
    return difference


def write_checksums(folder: Path) -> None:
    """Write SHA256SUMS over the files that are there."""
    names = [name for name in (WEIGHTS, CONFIG, CARD, METRICS) if (folder / name).exists()]
    base = tomllib.loads((folder / CONFIG).read_text(encoding="utf-8"))["network"].get("base")
    if base is not None:
        names.append(f"../{BASES}/{base}")
    lines = [f"{sha256_of(folder / name)}  {name}\n" for name in names]
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")
