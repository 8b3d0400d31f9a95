"""95 % percentile bootstrap intervals over sources, such as the people or originals behind the clips.

Whole sources are drawn with replacement, since clips of one source are no independent evidence (Davison and Hinkley,
1997, section 3.8). Label 1 means fake.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detector import metrics

CONFIDENCE = 0.95

Statistic = Callable[[NDArray[np.int64], NDArray[np.float64]], float]


class Interval(NamedTuple):
    """The bounds of a 95 % bootstrap interval."""

    low: float
    high: float


def interval(
    statistic: Statistic,
    labels: ArrayLike,
    scores: ArrayLike,
    groups: Sequence[str],
    seed: int = 0,
    rounds: int = 2000,
) -> Interval | None:
    """The interval of ``statistic(labels, scores)`` over ``groups``.

    Draws that lack a label are left out. None where that leaves nothing to say: fewer than two groups, or most draws
    with one label only. Raises ValueError as ``metrics.auc`` does.
    """
    truth, values = metrics.checked(labels, scores)
    draws = _Draws(groups, len(truth))
    if draws.count < 2:
        return None
    random = np.random.default_rng(seed)

    def measure() -> float | None:
        drawn = draws.draw(random)
        return statistic(truth[drawn], values[drawn]) if metrics.has_both(truth[drawn]) else None

    return _percentiles(measure, rounds)


def auc_interval(
    labels: ArrayLike, scores: ArrayLike, groups: Sequence[str], seed: int = 0, rounds: int = 2000
) -> Interval | None:
    """The interval of ``metrics.auc``; see ``interval``."""
    return interval(metrics.auc, labels, scores, groups, seed, rounds)


def recall_interval(
    labels: ArrayLike,
    scores: ArrayLike,
    groups: Sequence[str],
    false_alarms: float,
    seed: int = 0,
    rounds: int = 2000,
) -> Interval | None:
    """The interval of ``metrics.recall_at``, its threshold found anew in each draw; see ``interval``."""

    def statistic(truth: NDArray[np.int64], values: NDArray[np.float64]) -> float:
        return metrics.recall_at(truth, values, false_alarms)

    return interval(statistic, labels, scores, groups, seed, rounds)


def matched_auc_interval(
    labels: ArrayLike,
    scores: ArrayLike,
    datasets: Sequence[str],
    groups: Sequence[str],
    seed: int = 0,
    rounds: int = 2000,
    among: Collection[str] | None = None,
) -> Interval | None:
    """The interval of ``metrics.matched_auc``; groups are drawn anew inside each data set.

    A data set that a draw leaves with one label is drawn again, up to twenty times. None where a set has fewer than two
    groups or hardly ever holds both labels. Raises ValueError when no data set holds both.
    """
    return _matched_interval([scores], labels, datasets, groups, seed, rounds, among)


def matched_auc_difference_interval(
    labels: ArrayLike,
    scores: ArrayLike,
    others: ArrayLike,
    datasets: Sequence[str],
    groups: Sequence[str],
    seed: int = 0,
    rounds: int = 2000,
    among: Collection[str] | None = None,
) -> Interval | None:
    """The interval of the matched AUC of ``scores`` less that of ``others`` on the same clips.

    Paired: both are measured on the same draws, so that what they share (hard sources) does not widen it. Else as
    ``matched_auc_interval``.
    """
    return _matched_interval([scores, others], labels, datasets, groups, seed, rounds, among)


def _matched_interval(
    columns: Sequence[ArrayLike],
    labels: ArrayLike,
    datasets: Sequence[str],
    groups: Sequence[str],
    seed: int,
    rounds: int,
    among: Collection[str] | None,
) -> Interval | None:
    """The interval of the first column's matched AUC, less the second's where there is one."""
    values = np.stack([metrics.checked(labels, scores)[1] for scores in columns])
    truth = np.asarray(labels, np.int64)
    sets = metrics.matched_sets(truth, datasets, among)
    if not sets:
        raise ValueError("No data set holds both labels.")
    parts = []
    for members in sets.values():
        draws = _Draws([groups[index] for index in members], len(members))
        if draws.count < 2:
            return None
        parts.append((truth[members], values[:, members], draws))
    random = np.random.default_rng(seed)

    def measure() -> float | None:
        found = []
        for part_truth, part_values, draws in parts:
            for _ in range(20):
                drawn = draws.draw(random)
                if metrics.has_both(part_truth[drawn]):
                    found.append([metrics.auc(part_truth[drawn], column[drawn]) for column in part_values])
                    break
            else:
                return None
        first, *rest = np.mean(found, axis=0)
        return float(first - sum(rest))

    return _percentiles(measure, rounds)


def ranking(
    labels: ArrayLike,
    scores: ArrayLike,
    datasets: Sequence[str],
    groups: Sequence[str],
    seed: int = 0,
    rounds: int = 2000,
    among: Collection[str] | None = None,
) -> dict[str, Any]:
    """Matched AUC, the AUC of each matched data set and overall AUC, with intervals, as plain JSON values.

    ``among`` names the data sets that can count as matched, as for ``metrics.matched_sets``. Four digits are kept. None
    stands where a figure cannot be had. Raises ValueError unless both labels occur.
    """
    truth, values = metrics.checked(labels, scores)
    sets = metrics.matched_sets(truth, datasets, among)
    found: dict[str, Any] = {
        "matched_auc": None,
        "matched_auc_interval": None,
        "matched_datasets": {name: round(metrics.auc(truth[at], values[at]), 4) for name, at in sets.items()},
        "auc": round(metrics.auc(truth, values), 4),
        "auc_interval": _plain(auc_interval(truth, values, groups, seed, rounds)),
    }
    if sets:
        found["matched_auc"] = round(metrics.matched_auc(truth, values, datasets, among), 4)
        found["matched_auc_interval"] = _plain(
            matched_auc_interval(truth, values, datasets, groups, seed, rounds, among),
        )
    return found


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


def _plain(found: Interval | None) -> list[float] | None:
    return None if found is None else [round(bound, 4) for bound in found]


def _percentiles(measure: Callable[[], float | None], rounds: int) -> Interval | None:
    found = [value for value in (measure() for _ in range(rounds)) if value is not None]
    if 2 * len(found) < rounds or not found:
        return None
    low, high = np.quantile(found, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(low), float(high))
