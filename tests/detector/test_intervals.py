"""Intervals against a plain bootstrap, and where sources leave nothing to say."""

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from detector import intervals, metrics


def _sample(count: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Random labels and scores that rank somewhat better than chance."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, count)
    return labels, 0.25 * labels + 0.75 * random.random(count)


def test_interval_holds_the_auc_and_can_be_repeated() -> None:
    labels, scores = _sample(120, 3)
    groups = [f"source {index // 3}" for index in range(120)]

    interval = intervals.auc_interval(labels, scores, groups, seed=1, rounds=400)

    assert interval is not None
    assert interval.low < metrics.auc(labels, scores) < interval.high
    assert interval == intervals.auc_interval(labels, scores, groups, seed=1, rounds=400)
    assert interval != intervals.auc_interval(labels, scores, groups, seed=2, rounds=400)


def test_interval_is_not_narrowed_by_copies_of_the_same_sources() -> None:
    labels, scores = _sample(30, 4)
    groups = [f"source {index}" for index in range(30)]

    once = intervals.auc_interval(labels, scores, groups, rounds=400)
    copied = intervals.auc_interval(np.tile(labels, 9), np.tile(scores, 9), groups * 9, rounds=400)

    assert once == copied


def test_interval_matches_a_plain_bootstrap_of_single_clips() -> None:
    labels, scores = _sample(80, 5)
    random = np.random.default_rng(9)
    found: list[float] = []
    while len(found) < 1500:
        drawn = random.integers(80, size=80)
        if len(set(labels[drawn])) == 2:
            found.append(roc_auc_score(labels[drawn], scores[drawn]))

    interval = intervals.auc_interval(labels, scores, [str(index) for index in range(80)], rounds=1500)

    assert interval is not None
    np.testing.assert_allclose(interval, np.quantile(found, [0.025, 0.975]), atol=0.02)


def test_interval_is_none_where_sources_say_nothing() -> None:
    labels, scores = [1, 1, 0, 0], [0.9, 0.8, 0.1, 0.2]

    assert intervals.auc_interval(labels, scores, ["one"] * 4) is None
    assert intervals.auc_interval(labels, scores, ["a", "b", "c", "c"], rounds=200) == (1.0, 1.0)


def test_a_paired_interval_is_of_the_difference_on_the_same_draws() -> None:
    random = np.random.default_rng(3)
    labels = np.tile([0, 1], 60)
    datasets, groups = ["a"] * 60 + ["b"] * 60, [f"person {number // 4}" for number in range(120)]
    hard = random.normal(size=30).repeat(4)  # what sources share, by which single intervals are wide
    worse = labels * 0.5 + hard + random.normal(size=120) * 0.1
    better = worse + 0.5 * labels

    paired = intervals.matched_auc_difference_interval(labels, better, worse, datasets, groups, rounds=300)
    alone = intervals.matched_auc_interval(labels, better, datasets, groups, rounds=300)
    same = intervals.matched_auc_difference_interval(labels, better, better + 1, datasets, groups, rounds=50)

    assert paired is not None
    assert alone is not None
    gain = metrics.matched_auc(labels, better, datasets) - metrics.matched_auc(labels, worse, datasets)
    assert 0 < paired.low < gain < paired.high
    assert paired.high - paired.low < alone.high - alone.low
    assert same == (0, 0)


def test_matched_sets_can_be_fixed_from_outside() -> None:
    labels, scores, datasets = [0, 1, 1, 0, 0, 1, 1], [0.1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.65], list("aaabbbb")

    assert list(metrics.matched_sets(labels, datasets)) == ["b"]
    assert list(metrics.matched_sets(labels, datasets, ["a", "b", "c"])) == ["a", "b"]
    assert metrics.matched_auc(labels, scores, datasets, ["a"]) == 1.0
    found = intervals.ranking(labels, scores, datasets, list("1234567"), rounds=20, among=["a", "b"])
    assert found["matched_datasets"] == {"a": 1.0, "b": 0.25}
    assert found["matched_auc"] == 0.625


def test_matched_interval_holds_the_matched_auc() -> None:
    labels, scores = _sample(120, 6)
    datasets = [f"set {index % 3}" for index in range(120)]
    groups = [f"source {index // 6}" for index in range(120)]

    interval = intervals.matched_auc_interval(labels, scores, datasets, groups, rounds=300)

    assert interval is not None
    assert interval.low < metrics.matched_auc(labels, scores, datasets) < interval.high
    one_source = intervals.matched_auc_interval(labels, scores, datasets, ["one"] * 120, rounds=10)
    assert one_source is None


def test_recall_interval_holds_the_recall_and_finds_its_threshold_in_each_draw() -> None:
    labels, scores = _sample(200, 7)
    groups = [str(index) for index in range(200)]
    random = np.random.default_rng(3)
    found = []
    for _ in range(1500):
        drawn = random.integers(200, size=200)
        truth, values = labels[drawn], scores[drawn]
        threshold = np.sort(values[truth == 0])[::-1][int(0.05 * (truth == 0).sum())]
        found.append((values[truth == 1] > threshold).mean())

    interval = intervals.recall_interval(labels, scores, groups, 0.05, rounds=1500)

    assert interval is not None
    assert interval.low < metrics.recall_at(labels, scores, 0.05) < interval.high
    np.testing.assert_allclose(interval, np.quantile(found, [0.025, 0.975]), atol=0.03)
