"""MesoNet against a plain computation in Keras' own layout, with random weights in a file as Keras writes it."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import correlate2d

from detector.errors import DetectorError, ErrorCode
from detector.training import mesonet

Picture = NDArray[np.float64]  # (H, W, C)
Stage = Callable[[Picture], Picture]

# Convolutions in the order in which they were made: channels in, channels out, side.
MESO4 = [(3, 8, 3), (8, 8, 5), (8, 16, 5), (16, 16, 5)]
INCEPTION = [
    *[(3, 1, 1), (3, 4, 1), (4, 4, 3), (3, 4, 1), (4, 4, 3), (3, 2, 1), (2, 2, 3)],
    *[(11, 2, 1), (11, 4, 1), (4, 4, 3), (11, 4, 1), (4, 4, 3), (11, 2, 1), (2, 2, 3)],
    *[(12, 16, 5), (16, 16, 5)],
]
NORMS = {4: (8, 8, 16, 16), 16: (11, 12, 16, 16)}


class Weights:
    """Random weights of one network, and what Keras would make of them."""

    def __init__(self, shapes: list[tuple[int, int, int]], seed: int) -> None:
        random = np.random.default_rng(seed)
        self.inception = len(shapes) == 16
        self.convolutions = [
            (random.normal(0, 0.7 / np.sqrt(k * k * i), (k, k, i, o)), random.normal(0, 0.1, o)) for i, o, k in shapes
        ]
        self.norms = [
            tuple(random.uniform(0.5, 1.5, width) for _ in range(4)) for width in NORMS[len(shapes)]
        ]  # gamma, beta, mean, variance
        self.dense = [
            (random.normal(0, shape[0] ** -0.5, shape), random.normal(0, 0.1, shape[1]))
            for shape in ((1024, 16), (16, 1))
        ]  # scaled so that the answer lies between the extremes, where errors show

    def write(self, path: Path, first: int = 1) -> Path:
        """Layers are numbered from ``first``, since Keras counts on through a session."""
        with h5py.File(path, "w") as file:
            for place, (kernel, bias) in enumerate(self.convolutions, first):
                _write(file, f"conv2d_{place}", {"kernel": kernel, "bias": bias})
            for place, norm in enumerate(self.norms, first):
                names = ("gamma", "beta", "moving_mean", "moving_variance")
                _write(file, f"batch_normalization_{place}", dict(zip(names, norm, strict=True)))
            for place, (kernel, bias) in enumerate(self.dense, first):
                _write(file, f"dense_{place}", {"kernel": kernel, "bias": bias})
            file.create_group("flatten_1")
        return path

    def probability_real(self, picture: Picture) -> float:
        stages = [self._inception(0), self._inception(7)] if self.inception else [self._plain(0), self._plain(1)]
        last = len(self.convolutions) - 2
        x = picture
        for place, stage in enumerate([*stages, self._plain(last), self._plain(last + 1)]):
            gamma, beta, mean, variance = self.norms[place]
            x = gamma * (stage(x) - mean) / np.sqrt(variance + 1e-3) + beta
            pool = 4 if place == 3 else 2
            x = x.reshape(x.shape[0] // pool, pool, x.shape[1] // pool, pool, -1).max(axis=(1, 3))
        hidden = x.reshape(-1) @ self.dense[0][0] + self.dense[0][1]
        hidden = np.where(hidden > 0, hidden, 0.1 * hidden)
        return float(1 / (1 + np.exp(-(hidden @ self.dense[1][0] + self.dense[1][1])[0])))

    def _plain(self, place: int) -> Stage:
        return lambda x: _convolved(x, *self.convolutions[place], 1)

    def _inception(self, place: int) -> Stage:
        def stage(x: Picture) -> Picture:
            parts = [_convolved(x, *self.convolutions[place], 1)]
            for dilation in (1, 2, 3):
                narrow = _convolved(x, *self.convolutions[place + 2 * dilation - 1], 1)
                parts.append(_convolved(narrow, *self.convolutions[place + 2 * dilation], dilation))
            return np.concatenate(parts, axis=2)

        return stage


def _write(file: h5py.File, name: str, values: dict[str, NDArray[np.float64]]) -> None:
    for key, array in values.items():
        file.create_dataset(f"{name}/{name}/{key}:0", data=array.astype(np.float32))


def _convolved(x: Picture, kernel: NDArray[np.float64], bias: NDArray[np.float64], dilation: int) -> Picture:
    """Same size, zeros around, then the rectifier."""
    side = (kernel.shape[0] - 1) * dilation + 1
    wide = np.zeros((side, side, *kernel.shape[2:]))
    wide[::dilation, ::dilation] = kernel
    out = np.zeros((*x.shape[:2], kernel.shape[3]))
    for leaving in range(kernel.shape[3]):
        for entering in range(kernel.shape[2]):
            out[:, :, leaving] += correlate2d(x[:, :, entering], wide[:, :, entering, leaving], mode="same")
    return np.maximum(out + bias, 0)


@pytest.mark.parametrize(("shapes", "first"), [(MESO4, 5), (INCEPTION, 1)], ids=["Meso4", "MesoInception-4"])
def test_the_network_is_what_keras_would_compute(
    tmp_path: Path, shapes: list[tuple[int, int, int]], first: int
) -> None:
    weights = Weights(shapes, 3)
    crop = np.random.default_rng(4).integers(0, 256, (256, 256, 3)).astype(np.uint8)
    crop = crop // 3 + np.arange(256, dtype=np.uint8)[:, None, None] // 2  # darker at the top

    network = mesonet.load(weights.write(tmp_path / "weights.h5", first))
    as_given, turned = network.probability_fake(np.stack([crop, crop[::-1]]))

    assert as_given == pytest.approx(1 - weights.probability_real(crop / 255), abs=1e-5)
    assert abs(as_given - turned) > 1e-4  # ten times what the comparison allows


def test_other_weights_are_refused(tmp_path: Path) -> None:
    three = Weights(MESO4, 1)
    three.convolutions.pop()
    other = Weights(MESO4, 1)
    other.dense[0] = (np.zeros((10, 16)), other.dense[0][1])

    for place, weights in enumerate((three, other)):
        with pytest.raises(DetectorError, match="holds no MesoNet") as refusal:
            mesonet.load(weights.write(tmp_path / f"{place}.h5"))
        assert refusal.value.code is ErrorCode.MODEL_DAMAGED
    (tmp_path / "text.h5").write_text("no weights")
    with pytest.raises(OSError, match="open"):
        mesonet.load(tmp_path / "text.h5")
