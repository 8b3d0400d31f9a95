"""Reads a release's weights: its own, laid over the base that several versions of a model share.

A base is stored once, in models/bases, as it was published; a matrix may be int8 with one scale per row (NAME and
NAME.scale). A release that names a base holds only the weights it has tuned.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from detector.release import Release

SCALE = ".scale"
BACKBONE = "backbone."

Arrays = dict[str, NDArray[np.generic]]


def stored(release: Release) -> Arrays:
    """Every weight under the names of model.Detector's state dict, int8 matrices as they lie on disk.

    Raises OSError or safetensors.SafetensorError when a file cannot be read.
    """
    own: Arrays = dict(load_file(release.weights))
    if release.base is None:
        return own
    shared = {BACKBONE + name: array for name, array in load_file(release.base).items()}
    return {name: array for name, array in shared.items() if name.removesuffix(SCALE) not in own} | own


def single_precision(arrays: Arrays) -> dict[str, NDArray[np.float32]]:
    """The same weights as float32, int8 matrices multiplied out."""
    out = {}
    for name, array in arrays.items():
        if not name.endswith(SCALE):
            scale = arrays.get(name + SCALE)
            out[name] = array.astype(np.float32)
            if scale is not None:
                out[name] *= scale.astype(np.float32)[:, None]
    return out


def load_base(path: Path) -> dict[str, NDArray[np.float32]]:
    """The backbone in the base file ``path``, as float32 under the names of the backbone's state dict."""
    return single_precision(dict(load_file(path)))
