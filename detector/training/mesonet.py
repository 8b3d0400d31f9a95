"""MesoNet (Afchar et al., WIFS 2018) with its published weights, to compare with: Meso4 and MesoInception-4.

Built from the paper and from the names and shapes in the weight files (Keras' HDF5, Apache-2.0); for evaluation only.
The files hold no LeakyReLU for Meso4's hidden layer; the published code has one of 0.1 in both networks, and so do we.
"""

import re
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from detector.errors import DetectorError, ErrorCode

SIDE = 256
EPSILON = 1e-3  # Keras' default of batch normalisation
SLOPE = 0.1
MESO4, INCEPTION = 4, 16  # how many convolutions each network has

Layer = dict[str, NDArray[np.float32]]


class Stage(nn.Module):
    """One or several convolutions side by side, then normalisation and pooling."""

    def __init__(self, branches: nn.ModuleList, channels: int, pool: int) -> None:
        super().__init__()
        self.branches = branches
        self.norm = nn.BatchNorm2d(channels, EPSILON)
        self.pool = nn.MaxPool2d(pool)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, channels, H / pool, W / pool)."""
        joined = torch.cat([branch(x) for branch in self.branches], dim=1)
        return self.pool(self.norm(joined))  # type: ignore[no-any-return]


class MesoNet(nn.Module):
    """(N, 3, 256, 256) RGB between 0 and 1 -> (N,) probability of *real*, as the authors trained it."""

    def __init__(self, inception: bool) -> None:
        super().__init__()
        first = [_mixed(3, (1, 4, 4, 2)), _mixed(11, (2, 4, 4, 2))] if inception else [_plain(3, 8, 3), _plain(8, 8, 5)]
        width = 12 if inception else 8
        self.stages = nn.Sequential(
            Stage(first[0], 11 if inception else 8, 2),
            Stage(first[1], width, 2),
            Stage(_plain(width, 16, 5), 16, 2),
            Stage(_plain(16, 16, 5), 16, 4),
        )
        self.hidden = nn.Linear(1024, 16)
        self.activation = nn.LeakyReLU(SLOPE)
        self.decide = nn.Linear(16, 1)

    def forward(self, x: Tensor) -> Tensor:
        flat = self.stages(x).permute(0, 2, 3, 1).flatten(1)  # Keras lays channels last
        return torch.sigmoid(self.decide(self.activation(self.hidden(flat))))[:, 0]

    @torch.no_grad()
    def probability_fake(self, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        """crops: (N, 256, 256, 3) uint8 RGB -> (N,)."""
        x = torch.from_numpy(np.ascontiguousarray(crops.transpose(0, 3, 1, 2))).float() / 255
        return 1 - np.asarray(self(x), np.float64)


def load(path: Path) -> MesoNet:
    """The network in the Keras weight file ``path``, in evaluation mode.

    Raises DetectorError(MODEL_DAMAGED) when the file holds another network, OSError when it cannot be read.
    """
    layers = _layers(path)
    convolutions = _in_order(layers, "conv2d")
    if len(convolutions) not in (MESO4, INCEPTION):
        raise DetectorError(
            ErrorCode.MODEL_DAMAGED, f"{path} holds no MesoNet; give one of its published weight files."
        )
    network = MesoNet(len(convolutions) == INCEPTION)
    try:
        _fill(network, convolutions, _in_order(layers, "batch_normalization"), _in_order(layers, "dense"))
    except (KeyError, RuntimeError, ValueError) as error:
        raise DetectorError(
            ErrorCode.MODEL_DAMAGED, f"{path} holds no MesoNet; give one of its published weight files."
        ) from error
    return network.eval()


def _plain(channels: int, out: int, side: int) -> nn.ModuleList:
    return nn.ModuleList([nn.Sequential(nn.Conv2d(channels, out, side, padding="same"), nn.ReLU())])


def _mixed(channels: int, out: tuple[int, int, int, int]) -> nn.ModuleList:
    """The paper's inception module: 1x1, then 3x3 after 1x1 at dilation 1, 2 and 3."""
    branches = nn.ModuleList([nn.Sequential(nn.Conv2d(channels, out[0], 1), nn.ReLU())])
    for dilation, width in enumerate(out[1:], start=1):
        wide = nn.Conv2d(width, width, 3, padding="same", dilation=dilation)
        branches.append(nn.Sequential(nn.Conv2d(channels, width, 1), nn.ReLU(), wide, nn.ReLU()))
    return branches


def _fill(network: MesoNet, convolutions: list[Layer], norms: list[Layer], dense: list[Layer]) -> None:
    ours = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    for module, layer in zip(ours, convolutions, strict=True):
        _copy(module.weight, layer["kernel"].transpose(3, 2, 0, 1))
        _copy(module.bias, layer["bias"])
    ours_norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm, layer in zip(ours_norms, norms, strict=True):
        for target, name in (
            (norm.weight, "gamma"),
            (norm.bias, "beta"),
            (norm.running_mean, "moving_mean"),
            (norm.running_var, "moving_variance"),
        ):
            _copy(target, layer[name])
    for linear, layer in zip((network.hidden, network.decide), dense, strict=True):
        _copy(linear.weight, layer["kernel"].T)
        _copy(linear.bias, layer["bias"])


def _copy(target: Tensor | None, values: NDArray[np.float32]) -> None:
    if target is None or tuple(target.shape) != values.shape:
        raise ValueError("A weight has another shape.")
    with torch.no_grad():
        target.copy_(torch.from_numpy(np.ascontiguousarray(values)))


def _in_order(layers: dict[str, Layer], kind: str) -> list[Layer]:
    """Layers of a kind by the number in their name, which is the order in which they were made."""
    named = [(int(match[1]), layers[name]) for name in layers if (match := re.fullmatch(rf"{kind}_(\d+)", name))]
    return [layer for _, layer in sorted(named, key=lambda pair: pair[0])]


def _layers(path: Path) -> dict[str, Layer]:
    """Every layer's weights under their short names."""
    try:
        import h5py  # noqa: PLC0415 -- needed for this comparison alone
    except ImportError as error:
        raise DetectorError(
            ErrorCode.MODEL_MISSING, "MesoNet's weight files need the package h5py; install requirements-dev.txt."
        ) from error
    with h5py.File(path, "r") as file:
        return {
            name: {key.split(":")[0]: np.asarray(values, np.float32) for key, values in group.get(name, {}).items()}
            for name, group in file.items()
        }
