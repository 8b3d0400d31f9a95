"""Reads a release's weights: its own, laid over the base that several versions of a model share.

A base is stored once, in models/bases, as it was published; a matrix may be int8 with one scale per row (NAME and
NAME.scale). A release that names a base holds only the weights it has tuned.
"""

from collections.abc import Iterator, Mapping
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


class SinglePrecision(Mapping[str, NDArray[np.float32]]):
    """The same weights as float32, int8 matrices multiplied out; each is made when it is asked for, and not kept."""

    def __init__(self, arrays: Arrays) -> None:
        self._arrays = arrays

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        if name.endswith(SCALE):
            raise KeyError(name)
        array = self._arrays[name].astype(np.float32)
        scale = self._arrays.get(name + SCALE)
        return array if scale is None else array * scale.astype(np.float32)[:, None]

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._arrays if not name.endswith(SCALE))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def load_base(path: Path) -> dict[str, NDArray[np.float32]]:
    """The backbone in the base file ``path``, as float32 under the names of the backbone's state dict."""
    return dict(SinglePrecision(dict(load_file(path))))
