"""The logistic function, for gates and for calibration alike."""

from typing import overload

import numpy as np
from numpy.typing import NDArray


@overload
def sigmoid(x: float) -> float: ...


@overload
def sigmoid(x: NDArray[np.float32]) -> NDArray[np.float32]: ...


def sigmoid(x: float | NDArray[np.float32]) -> float | NDArray[np.float32]:
    """1 / (1 + exp(-x)) without overflow; of an array, of each of its numbers."""
    if isinstance(x, np.ndarray):
        return np.asarray(0.5 * (1 + np.tanh(0.5 * x)), np.float32)
    return 0.5 * (1 + float(np.tanh(0.5 * x)))
