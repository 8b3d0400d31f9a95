"""Every figure against scikit-learn, or against a plain count by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import brentq
from sklearn.calibration import calibration_curve
from sklearn.metrics import roc_auc_score, roc_curve

from detector import intervals, metrics

Sample = tuple[NDArray[np.int64], NDArray[np.float64]]


def _sample(count: int, levels: int, seed: int) -> Sample:
    """Random labels (both occur) and scores with ties: few levels, many ties."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, count)
    labels[:2] = 0, 1
    scores = np.clip(0.25 * labels + random.random(count) * 0.75, 0, 1)
    return labels, np.round(scores * levels) / levels


GRID = [_sample(count, levels, seed) for count in (2, 3, 10, 60) for levels in (1, 2, 7, 1000) for seed in range(5)]

scored = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0]) | st.floats(0, 1))
).filter(lambda pairs: {label for label, _ in pairs} == {0, 1})


def _unzipped(pairs: list[tuple[int, float]]) -> Sample:
    return np.array([label for label, _ in pairs]), np.array([score for _, score in pairs])


def _eer_by_root(labels: NDArray[np.int64], scores: NDArray[np.float64]) -> float:
    """The equal error rate by finding, along scikit-learn's curve, where false alarms and misses cross."""
    false_alarms, hits, _ = roc_curve(labels, scores, drop_intermediate=False)
    along = np.arange(len(hits))

    def difference(place: float) -> float:
        return float(np.interp(place, along, false_alarms) - (1 - np.interp(place, along, hits)))

    place = brentq(difference, 0, len(hits) - 1, xtol=1e-12)
    return float(np.interp(place, along, false_alarms))


@pytest.mark.parametrize(("labels", "scores"), GRID)
def test_auc_is_scikit_learns(labels: NDArray[np.int64], scores: NDArray[np.float64]) -> None:
    assert metrics.auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


@pytest.mark.parametrize(("labels", "scores"), GRID)
def test_roc_is_scikit_learns(labels: NDArray[np.int64], scores: NDArray[np.float64]) -> None:
    curve = metrics.roc(labels, scores)

    for ours, theirs in zip(curve, roc_curve(labels, scores, drop_intermediate=False), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


@pytest.mark.parametrize(("labels", "scores"), GRID)
def test_equal_error_rate_is_where_the_errors_cross(labels: NDArray[np.int64], scores: NDArray[np.float64]) -> None:
    assert metrics.equal_error_rate(labels, scores) == pytest.approx(_eer_by_root(labels, scores), abs=1e-9)


@pytest.mark.parametrize(("labels", "scores"), GRID)
def test_reliability_is_scikit_learns(labels: NDArray[np.int64], scores: NDArray[np.float64]) -> None:
    inner = np.clip(scores * 0.98 + 0.003, 0, 1)  # off the edges, which scikit-learn counts to the bin below
    shares, means = calibration_curve(labels, inner, n_bins=10)

    bins = metrics.reliability_bins(labels, inner)

    np.testing.assert_allclose([one.share_fake for one in bins], shares)
    np.testing.assert_allclose([one.mean_probability for one in bins], means)
    counts = np.array([one.count for one in bins])
    expected = float((counts * np.abs(shares - means)).sum() / len(labels))
    assert metrics.expected_calibration_error(labels, inner) == pytest.approx(expected)


@settings(max_examples=150, deadline=None)
@given(scored)
def test_figures_agree_on_any_scores(pairs: list[tuple[int, float]]) -> None:
    labels, scores = _unzipped(pairs)
    curve = metrics.roc(labels, scores)

    area = metrics.auc(labels, scores)

    assert area == pytest.approx(np.trapezoid(curve.hits, curve.false_alarms))
    assert metrics.auc(1 - labels, -scores) == pytest.approx(area, abs=1e-9)
    assert metrics.equal_error_rate(labels, scores) == pytest.approx(_eer_by_root(labels, scores), abs=1e-9)
    assert 0 <= metrics.expected_calibration_error(labels, scores) <= 1
    assert sum(one.count for one in metrics.reliability_bins(labels, scores)) == len(labels)


def test_probabilities_on_an_edge_belong_to_the_bin_above() -> None:
    bins = metrics.reliability_bins([0, 1, 1], [0.0, 0.5, 1.0])

    assert [(one.low, one.high, one.count) for one in bins] == [(0.0, 0.1, 1), (0.5, 0.6, 1), (0.9, 1.0, 1)]


def test_calibration_error_by_hand() -> None:
    # Bin 0.2-0.3: mean .25, one of four fake. Bin 0.8-0.9: mean .8, one of two fake.
    labels, probabilities = [0, 0, 0, 1, 1, 0], [0.25, 0.25, 0.25, 0.25, 0.8, 0.8]

    assert metrics.expected_calibration_error(labels, probabilities) == pytest.approx(2 / 6 * 0.3)


def test_balanced_calibration_error_by_hand() -> None:
    # Genuine clips weigh 1/4 of a half, fake ones 1/2. Bin 0.2-0.3: three genuine, one fake: weights 3/8 and 1/4.
    labels, probabilities = [0, 0, 0, 1, 1, 0], [0.25, 0.25, 0.25, 0.25, 0.8, 0.8]

    low, high = metrics.reliability_bins(labels, probabilities, balanced=True)

    assert (low.count, low.weight, low.share_fake) == pytest.approx((4, 5 / 8, 2 / 5))
    assert (high.count, high.weight, high.share_fake) == pytest.approx((2, 3 / 8, 2 / 3))
    error = metrics.expected_calibration_error(labels, probabilities, balanced=True)
    assert error == pytest.approx(5 / 8 * (2 / 5 - 0.25) + 3 / 8 * (0.8 - 2 / 3))


def test_what_is_calibrated_for_equal_classes_shows_no_error_when_fakes_are_many() -> None:
    """In every bin genuine and fake stand at the odds the probability says, once each class weighs the same."""
    labels, probabilities = list[int](), list[float]()
    for tenth in range(10):
        probability = (tenth + 0.5) / 10
        counts = (round(200 * (1 - probability)), round(600 * probability))  # three fakes to a genuine clip
        for label, count in enumerate(counts):
            labels += [label] * count
            probabilities += [probability] * count

    assert metrics.expected_calibration_error(labels, probabilities, balanced=True) == pytest.approx(0)
    assert metrics.expected_calibration_error(labels, probabilities) > 0.1


@settings(max_examples=50, deadline=None)
@given(scored)
def test_balanced_is_what_repeating_the_rarer_class_gives(pairs: list[tuple[int, float]]) -> None:
    labels, scores = _unzipped(pairs)
    fakes = int(labels.sum())
    times = np.where(labels == 1, len(labels) - fakes, fakes)

    repeated = metrics.expected_calibration_error(np.repeat(labels, times), np.repeat(scores, times))

    assert metrics.expected_calibration_error(labels, scores, balanced=True) == pytest.approx(repeated)


@pytest.mark.parametrize(
    ("labels", "scores", "words"),
    [
        ([1, 1], [0.1, 0.2], "Both labels"),
        ([], [], "Both labels"),
        ([0, 1], [0.1], "equal length"),
        ([0, 2], [0.1, 0.2], "0 or 1"),
        ([0, 1], [0.1, math.nan], "finite"),
    ],
)
def test_nonsense_is_refused(labels: list[int], scores: list[float], words: str) -> None:
    for figure in (metrics.auc, metrics.equal_error_rate, metrics.roc):
        with pytest.raises(ValueError, match=words):
            figure(labels, scores)


def test_what_is_no_probability_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        metrics.reliability_bins([0, 1], [-0.1, 0.5])
    with pytest.raises(ValueError, match="nothing"):
        metrics.expected_calibration_error([], [])


def test_matched_auc_is_the_mean_inside_data_sets_with_both_labels() -> None:
    # Sorted by data set alone the scores rank perfectly; inside "a" they are at .75, inside "b" at .5.
    labels = [0, 0, 1, 1, 0, 0, 1, 1, 1, 0, 1]
    scores = [0.1, 0.3, 0.2, 0.4, 0.7, 0.7, 0.7, 0.7, 0.9, 0.0, 1.0]
    datasets = ["a"] * 4 + ["b"] * 4 + ["only fake", "single pair", "single pair"]

    assert list(metrics.matched_sets(labels, datasets)) == ["a", "b"]
    assert metrics.matched_auc(labels, scores, datasets) == pytest.approx((0.75 + 0.5) / 2)


def test_matched_figures_are_refused_without_a_matched_data_set() -> None:
    labels, scores, datasets = [0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4], ["a", "a", "b", "b"]

    with pytest.raises(ValueError, match="No data set"):
        metrics.matched_auc(labels, scores, datasets)
    with pytest.raises(ValueError, match="No data set"):
        intervals.matched_auc_interval(labels, scores, datasets, datasets)


@pytest.mark.parametrize(("labels", "scores"), GRID)
@pytest.mark.parametrize("limit", [0.0, 0.01, 0.05, 0.3])
def test_recall_is_the_best_that_scikit_learns_curve_has_within_the_limit(
    labels: NDArray[np.int64], scores: NDArray[np.float64], limit: float
) -> None:
    false_alarms, hits, _ = roc_curve(labels, scores, drop_intermediate=False)

    assert metrics.recall_at(labels, scores, limit) == max(hits[false_alarms <= limit])


def test_recall_allows_no_false_alarm_among_few_and_one_of_twenty_at_five_percent() -> None:
    genuine = [index / 100 for index in range(20)]  # the highest is .19
    fakes = [0.05, 0.185, 0.5, 0.6]

    assert metrics.recall_at([0] * 20 + [1] * 4, genuine + fakes, 0.01) == 0.5
    assert metrics.recall_at([0] * 20 + [1] * 4, genuine + fakes, 0.05) == 0.75
