"""What is measured of scores: ranking, errors, calibration. Label 1 means fake; every score rises towards fake."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve, ties counting half (Mann-Whitney).

    labels: (N,) of 0 and 1; scores: (N,). Raises ValueError unless both labels occur.
    """
    truth, values = _checked(labels, scores)
    positive = int(truth.sum())
    negative = len(truth) - positive
    ranks = rankdata(values)
    return float((ranks[truth == 1].sum() - positive * (positive + 1) / 2) / (positive * negative))


def _checked(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    truth, values = np.asarray(labels, np.int64), np.asarray(scores, np.float64)
    if truth.shape != values.shape or truth.ndim != 1:
        raise ValueError("Labels and scores must be one-dimensional and of equal length.")
    if set(np.unique(truth)) != {0, 1}:
        raise ValueError("Both labels, 0 and 1, must occur.")
    return truth, values
