"""What is measured of scores: ranking, errors, calibration. Label 1 means fake; every score rises towards fake."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

LEAST_PER_LABEL = 2  # clips of each label that a data set needs to count in the matched AUC
CONFIDENCE = 0.95


class Interval(NamedTuple):
    """The bounds of a 95 % bootstrap interval."""

    low: float
    high: float


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
    mean_probability: float
    share_fake: float


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve, ties counting half (Mann-Whitney).

    labels: (N,) of 0 and 1; scores: (N,). Raises ValueError unless both labels occur.
    """
    return _auc(*_checked(labels, scores))


def auc_interval(
    labels: ArrayLike, scores: ArrayLike, groups: Sequence[str], seed: int = 0, rounds: int = 2000
) -> Interval | None:
    """95 % percentile bootstrap interval of the AUC over ``groups``, such as the people or originals behind the clips.

    Whole groups are drawn with replacement, since clips of one source are no independent evidence (Davison and
    Hinkley, 1997, section 3.8). Draws that lack a label are left out. None where that leaves nothing to say: fewer
    than two groups, or most draws with one label only. Raises ValueError as ``auc`` does.
    """
    truth, values = _checked(labels, scores)
    draws = _Draws(groups, len(truth))
    if draws.count < 2:
        return None
    random = np.random.default_rng(seed)

    def measure() -> float | None:
        drawn = draws.draw(random)
        return _auc(truth[drawn], values[drawn]) if _has_both(truth[drawn]) else None

    return _interval(measure, rounds)


def matched_sets(labels: ArrayLike, datasets: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """The indices of each data set with at least two clips of each label, by name in alphabetical order."""
    truth, names = np.asarray(labels, np.int64), np.asarray(datasets, object)
    members = {str(name): np.flatnonzero(names == name) for name in sorted(set(datasets))}
    return {
        name: indices
        for name, indices in members.items()
        if min(int(truth[indices].sum()), int((1 - truth[indices]).sum())) >= LEAST_PER_LABEL
    }


def matched_auc(labels: ArrayLike, scores: ArrayLike, datasets: Sequence[str]) -> float:
    """The mean of the AUCs inside each data set that holds both labels, so that telling data sets apart gains nothing.

    A data set counts when it has at least two clips of each label. Raises ValueError when none has.
    """
    truth, values = _checked(labels, scores)
    sets = matched_sets(truth, datasets)
    if not sets:
        raise ValueError("No data set holds both labels.")
    return float(np.mean([_auc(truth[members], values[members]) for members in sets.values()]))


def matched_auc_interval(
    labels: ArrayLike,
    scores: ArrayLike,
    datasets: Sequence[str],
    groups: Sequence[str],
    seed: int = 0,
    rounds: int = 2000,
) -> Interval | None:
    """95 % percentile bootstrap interval of ``matched_auc``; groups are drawn anew inside each data set.

    A data set that a draw leaves with one label is drawn again, up to twenty times. None where a set has fewer than two
    groups or hardly ever holds both labels. Raises ValueError when no data set holds both.
    """
    truth, values = _checked(labels, scores)
    sets = matched_sets(truth, datasets)
    if not sets:
        raise ValueError("No data set holds both labels.")
    parts = []
    for members in sets.values():
        draws = _Draws([groups[index] for index in members], len(members))
        if draws.count < 2:
            return None
        parts.append((truth[members], values[members], draws))
    random = np.random.default_rng(seed)

    def measure() -> float | None:
        found = []
        for part_truth, part_values, draws in parts:
            for _ in range(20):
                drawn = draws.draw(random)
                if _has_both(part_truth[drawn]):
                    found.append(_auc(part_truth[drawn], part_values[drawn]))
                    break
            else:
                return None
        return float(np.mean(found))

    return _interval(measure, rounds)


def roc(labels: ArrayLike, scores: ArrayLike) -> Roc:
    """The ROC curve; "fake" is said from the threshold upwards. Raises ValueError unless both labels occur."""
    truth, values = _checked(labels, scores)
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


def reliability_bins(labels: ArrayLike, probabilities: ArrayLike, bins: int = 10) -> tuple[ReliabilityBin, ...]:
    """How often a probability came true: ``bins`` of equal width over [0, 1], empty ones left out.

    labels: (N,) of 0 and 1; probabilities: (N,) of fake, 0 to 1. Raises ValueError when they are something else.
    """
    truth, values = _arrays(labels, probabilities)
    if len(values) and not (values.min() >= 0 and values.max() <= 1):
        raise ValueError("Probabilities must lie between 0 and 1.")
    places = np.minimum((values * bins).astype(np.int64), bins - 1)
    return tuple(
        ReliabilityBin(
            low=float(place / bins),
            high=float((place + 1) / bins),
            count=int((places == place).sum()),
            mean_probability=float(values[places == place].mean()),
            share_fake=float(truth[places == place].mean()),
        )
        for place in np.unique(places)
    )


def expected_calibration_error(labels: ArrayLike, probabilities: ArrayLike, bins: int = 10) -> float:
    """The mean distance between the probability of fake and the share of fakes, over ten bins of equal width.

    Bins weigh by their clips (Naeini et al., 2015), and hold the probability of fake itself, from 0 to 1, not that of
    the likelier answer. Raises ValueError when there are no clips.
    """
    found = reliability_bins(labels, probabilities, bins)
    if not found:
        raise ValueError("There is nothing to measure.")
    counts = np.array([one.count for one in found])
    gaps = np.array([abs(one.mean_probability - one.share_fake) for one in found])
    return float((counts * gaps).sum() / counts.sum())


class _Draws:
    """Draws whole groups with replacement."""

    def __init__(self, groups: Sequence[str], count: int) -> None:
        if len(groups) != count:
            raise ValueError("Every clip needs a group.")
        names = np.asarray(groups, object)
        self._members = [np.flatnonzero(names == name) for name in sorted(set(groups))]
        self.count = len(self._members)

    def draw(self, random: np.random.Generator) -> NDArray[np.int64]:
        chosen = random.integers(self.count, size=self.count)
        return np.concatenate([self._members[index] for index in chosen])


def _interval(measure: Callable[[], float | None], rounds: int) -> Interval | None:
    found = [value for value in (measure() for _ in range(rounds)) if value is not None]
    if 2 * len(found) < rounds or not found:
        return None
    low, high = np.quantile(found, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(low), float(high))


def _auc(truth: NDArray[np.int64], values: NDArray[np.float64]) -> float:
    positive = int(truth.sum())
    negative = len(truth) - positive
    ranks = rankdata(values)
    return float((ranks[truth == 1].sum() - positive * (positive + 1) / 2) / (positive * negative))


def _has_both(truth: NDArray[np.int64]) -> bool:
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


def _checked(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    truth, values = _arrays(labels, scores)
    if not _has_both(truth):
        raise ValueError("Both labels, 0 and 1, must occur.")
    return truth, values
