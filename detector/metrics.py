"""What is measured of scores: ranking, errors, calibration. Label 1 means fake; every score rises towards fake."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

LEAST_PER_LABEL = 2  # clips of each label, judged or not, that a data set needs to count in the matched AUC


class Roc(NamedTuple):
    """The ROC curve's corners, from (0, 0) to (1, 1); one corner for each different score."""

    false_alarms: NDArray[np.float64]  # share of genuine clips at or above the threshold
    hits: NDArray[np.float64]  # share of fake clips at or above it
    thresholds: NDArray[np.float64]  # falling; the first is infinite


@dataclass(frozen=True)
class ReliabilityBin:
    """The clips whose probability lies in [low, high); the last bin includes 1."""

    low: float
    high: float
    count: int
    weight: float  # share of all clips' weights, 0 to 1
    mean_probability: float
    share_fake: float


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve, ties counting half (Mann-Whitney).

    labels: (N,) of 0 and 1; scores: (N,). Raises ValueError unless both labels occur.
    """
    return _auc(*checked(labels, scores))


def matched_sets(
    labels: ArrayLike, datasets: Sequence[str], among: Collection[str] | None = None
) -> dict[str, NDArray[np.int64]]:
    """The indices of each data set with at least two clips of each label, by name in alphabetical order.

    Where only part of the clips has scores, the sets are to be those of all clips, whatever was scored: ``among`` names
    these, and each of them that still holds both labels belongs.
    """
    truth, names = np.asarray(labels, np.int64), np.asarray(datasets, object)
    chosen, least = (set(datasets), LEAST_PER_LABEL) if among is None else (set(datasets) & set(among), 1)
    members = {str(name): np.flatnonzero(names == name) for name in sorted(chosen)}
    return {
        name: indices
        for name, indices in members.items()
        if min(int(truth[indices].sum()), int((1 - truth[indices]).sum())) >= least
    }


def matched_auc(
    labels: ArrayLike, scores: ArrayLike, datasets: Sequence[str], among: Collection[str] | None = None
) -> float:
    """The mean of the AUCs inside each data set that holds both labels, so that telling data sets apart gains nothing.

    Which data sets count is said by ``matched_sets``. Raises ValueError when none does.
    """
    truth, values = checked(labels, scores)
    sets = matched_sets(truth, datasets, among)
    if not sets:
        raise ValueError("No data set holds both labels.")
    return float(np.mean([_auc(truth[members], values[members]) for members in sets.values()]))


def roc(labels: ArrayLike, scores: ArrayLike) -> Roc:
    """The ROC curve; "fake" is said from the threshold upwards. Raises ValueError unless both labels occur."""
    truth, values = checked(labels, scores)
    order = np.argsort(-values, kind="stable")
    truth, values = truth[order], values[order]
    last_of_ties = np.append(np.flatnonzero(np.diff(values)), len(values) - 1)
    hits = np.cumsum(truth)[last_of_ties]
    false_alarms = last_of_ties + 1 - hits
    return Roc(
        np.append(0.0, false_alarms / false_alarms[-1]),
        np.append(0.0, hits / hits[-1]),
        np.append(np.inf, values[last_of_ties]),
    )


def recall_at(labels: ArrayLike, scores: ArrayLike, false_alarms: float) -> float:
    """The share of fake clips found at the lowest threshold with at most ``false_alarms`` (0 to 1) of genuine ones.

    The threshold lies on a score that occurs: nothing is interpolated, so with fewer than 1 / ``false_alarms`` genuine
    clips not a single false alarm is allowed. Raises ValueError unless both labels occur.
    """
    curve = roc(labels, scores)
    return float(curve.hits[curve.false_alarms <= false_alarms + 1e-12].max())


def equal_error_rate(labels: ArrayLike, scores: ArrayLike) -> float:
    """The rate at which as many genuine clips are called fake as fake ones genuine, in shares of their kind.

    Where no threshold gives that exactly, the ROC's corners are joined by straight lines, as its area assumes, and the
    point between two of them is taken (not their convex hull). Raises ValueError unless both labels occur.
    """
    curve = roc(labels, scores)
    excess = curve.false_alarms - (1 - curve.hits)  # from -1 up to 1, never falling
    after = int(np.argmax(excess >= 0))
    before = after - 1
    share = -excess[before] / (excess[after] - excess[before])
    step = curve.false_alarms[after] - curve.false_alarms[before]
    return float(curve.false_alarms[before] + share * step)


def class_weights(labels: ArrayLike) -> NDArray[np.float64]:
    """(N,) weights with which both classes weigh the same: each clip 1 / n of its class, for labels (N,) of 0 and 1."""
    truth = np.asarray(labels, np.int64)
    return np.asarray(1.0 / np.bincount(truth, minlength=2)[truth], np.float64)


def reliability_bins(
    labels: ArrayLike, probabilities: ArrayLike, bins: int = 10, balanced: bool = False
) -> tuple[ReliabilityBin, ...]:
    """How often a probability came true: ``bins`` of equal width over [0, 1], empty ones left out.

    labels: (N,) of 0 and 1; probabilities: (N,) of fake, 0 to 1. With ``balanced`` clips have their ``class_weights``:
    what probabilities fitted with classes of equal weight promise. Raises ValueError for anything else.
    """
    truth, values = _arrays(labels, probabilities)
    if len(values) and not (values.min() >= 0 and values.max() <= 1):
        raise ValueError("Probabilities must lie between 0 and 1.")
    places = np.minimum((values * bins).astype(np.int64), bins - 1)
    weights = class_weights(truth) if balanced else np.ones(len(truth))
    return tuple(
        ReliabilityBin(
            low=float(place / bins),
            high=float((place + 1) / bins),
            count=int(inside.sum()),
            weight=float(weights[inside].sum() / weights.sum()),
            mean_probability=float(np.average(values[inside], weights=weights[inside])),
            share_fake=float(np.average(truth[inside], weights=weights[inside])),
        )
        for place in np.unique(places)
        for inside in [places == place]
    )


def expected_calibration_error(
    labels: ArrayLike, probabilities: ArrayLike, bins: int = 10, balanced: bool = False
) -> float:
    """The mean distance between the probability of fake and the share of fakes, over ten bins of equal width.

    Bins weigh by their clips (Naeini et al., 2015), and hold the probability of fake itself, from 0 to 1, not that of
    the likelier answer; with ``balanced`` both classes weigh the same. Raises ValueError when there are no clips.
    """
    found = reliability_bins(labels, probabilities, bins, balanced)
    if not found:
        raise ValueError("There is nothing to measure.")
    return float(sum(one.weight * abs(one.mean_probability - one.share_fake) for one in found))


def _auc(truth: NDArray[np.int64], values: NDArray[np.float64]) -> float:
    positive = int(truth.sum())
    negative = len(truth) - positive
    ranks = rankdata(values)
    return float((ranks[truth == 1].sum() - positive * (positive + 1) / 2) / (positive * negative))


def has_both(truth: NDArray[np.int64]) -> bool:
    """Whether labels (N,) hold 0 and 1."""
    return 0 < int(truth.sum()) < len(truth)


def _arrays(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    truth, values = np.asarray(labels, np.int64), np.asarray(scores, np.float64)
    if truth.shape != values.shape or truth.ndim != 1:
        raise ValueError("Labels and scores must be one-dimensional and of equal length.")
    if not np.isin(truth, (0, 1)).all():
        raise ValueError("Labels must be 0 or 1.")
    if not np.isfinite(values).all():
        raise ValueError("Scores must be finite.")
    return truth, values


def checked(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Labels and scores as arrays (N,); ValueError when they cannot be ranked."""
    truth, values = _arrays(labels, scores)
    if not has_both(truth):
        raise ValueError("Both labels, 0 and 1, must occur.")
    return truth, values
