"""Writes a model folder (half-precision weights, model.toml, checksums) and compares it with the network it came from.

The card and the metrics come from ``card``.
"""

import json
import shutil
import tomllib
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

from detector.inference import load_network
from detector.model import Detector
from detector.release import (
    BASES,
    CARD,
    CHECKSUMS,
    CONFIG,
    INT8,
    METRICS,
    WEIGHTS,
    Calibration,
    CropShape,
    Decision,
    Release,
    load_release,
    sha256_of,
)
from detector.training import calibrate
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
    (folder / WEIGHTS).write_bytes(save(tensors))  # save_file would keep the file to its owner
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
    """The largest difference between the logits of ``model`` and of the release in ``folder`` as it is served.

    Of single frames, over ``count`` crops of ``pack`` at even distances, and of these crops as a track. Raises
    ValueError when it is more than half-precision weights explain.
    """
    chosen = np.linspace(0, len(pack.time_s) - 1, count).round().astype(int)
    crops = np.stack([pack.crop(int(index)) for index in chosen])
    network = load_network(load_release(folder))
    served = network.frames(crops)
    features = model.eval().features(normalised(torch.from_numpy(np.ascontiguousarray(crops.transpose(0, 3, 1, 2)))))
    window = min(count, network.release.decision.window)
    track = model.temporal_head(features.mean(dim=(2, 3))[None, :window], torch.ones(1, window, dtype=torch.bool))[0]
    trained = np.append(model.frame_maps(features)[0].numpy(), float(track[1] - track[0]))
    given = np.append(served.logits, network.track_logit(served.pooled[:window]))
    difference = float(np.abs(given - trained).max())
    if difference > TOLERANCE * (1 + float(np.abs(trained).max())):
        raise ValueError(f"the served network differs from the trained one by {difference:.3f} in the logit")
    return difference


def export(
    model: Detector, crop: CropShape, validation: Pack, name: str, version: str, root: Path, decision: Decision
) -> tuple[Path, float]:
    """Write the model folder NAME-VERSION under ``root``, calibrated on ``validation``; the folder and its ``parity``.

    ``decision`` gives the bounds that are not fitted. The folder appears when it is whole; nothing stays of one that
    fails. Raises ValueError where there is one of that name.
    """
    folder, draft = root / f"{name}-{version}", root / f".{name}-{version}"
    if folder.exists():
        raise ValueError(f"{folder} is there already; give another version")
    validation.check(crop)
    try:
        write_release(draft, name, version, model, crop, Calibration(1, 0, 1, 0), decision)
        difference = parity(model, draft, validation)
        release = load_release(draft)
        fitted, thresholds = calibrate.calibrate(load_network(release), validation, decision, calibrate.Targets())
        write_config(replace(release, calibration=fitted, decision=thresholds))
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return folder, difference


def write_checksums(folder: Path) -> None:
    """Write SHA256SUMS over the files that are there."""
    names = [name for name in (WEIGHTS, CONFIG, INT8, CARD, METRICS) if (folder / name).exists()]
    base = tomllib.loads((folder / CONFIG).read_text(encoding="utf-8"))["network"].get("base")
    if base is not None:
        names.append(f"../{BASES}/{base}")
    lines = [f"{sha256_of(folder / name)}  {name}\n" for name in names]
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")
