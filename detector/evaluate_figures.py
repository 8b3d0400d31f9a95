"""From an evaluation's results to its figures. A clip without a probability is counted, and never becomes a score."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from detector import intervals, metrics, quality
from detector.evaluate_rows import LABELS, Clip, Result
from detector.report import Verdict

ROUNDS, SEED = 2000, 0
FAILED = "FAILED"
FALSE_ALARMS = (0.01, 0.05)  # shares of the genuine clips at which the recall is told
NO_KIND = "not stated"
DEFINITIONS = {
    "judged": "Clips that got a probability; only these have part in AUC, equal error rate and calibration error.",
    "left_out": "Clips without a probability: no face found, too little to judge, or the analysis failed.",
    "auc": "Area under the ROC curve of the video's probability of fake; null unless both labels occur.",
    "auc_interval": "95 % percentile bootstrap over sources, 2000 rounds.",
    "equal_error_rate": "Where false alarms and misses are equally frequent on the ROC curve joined by straight lines.",
    "calibration_error": "Expected calibration error of the probability of fake, ten bins of equal width, both labels "
    "weighing the same (each clip 1 / n of its label), as they did when the calibration was fitted.",
    "calibration_error_unweighted": "The same with every clip weighing the same, so that it moves with the share of "
    "fakes among the clips.",
    "verdicts": "Share of each answer among all clips of the true label, failures included.",
    "matched_auc": "Mean of the AUCs inside the matched data sets: those with at least two clips of each label, judged "
    "or not, less those in matched_dropped.",
    "matched_sets": "How many data sets are matched by the labels alone.",
    "matched_dropped": "Those of them that have no AUC, since no clip of one label was judged.",
    "recall": "Share of the fakes found at the lowest threshold with at most so many genuine clips above it (allowed).",
    "matched_recall": "The same over the clips of the matched data sets alone, with one threshold for all; null where "
    "they hold too few genuine clips for even one false alarm.",
    "methods": "The fakes of one method against all genuine clips.",
    "kinds": "Genuine clips by the kind of footage: the share of each answer.",
    "bands": "Clips by how well they show the face: small (median width below small_below_px), else blurred (median "
    "sharpness below blurred_below), else clear.",
    "error_rates": "Of the FAKE and REAL verdicts given, how many were wrong.",
    "quality_bands": "error_rates by band; bands with fewer than ``least`` such verdicts are put together.",
}

Figures = dict[str, Any]


def measure(results: Sequence[Result]) -> Figures:
    """All figures as plain JSON values, rounded to four digits; what cannot be measured is None. Takes seconds."""
    fakes = sorted({result.clip.method for result in results if result.clip.label})
    genuine = [result for result in results if not result.clip.label]
    by_method = {
        name: [result for result in results if result.clip.label and result.clip.method == name] for name in fakes
    }
    by_set = {
        name: [result for result in results if result.clip.dataset == name]
        for name in sorted({result.clip.dataset for result in results})
    }
    return {
        "overall": part(results),
        **matched(results),
        "recall": [_recall(results, share) for share in FALSE_ALARMS],
        "error_rates": _error_rates(results),
        "quality_bands": _quality_bands(results),
        "bands": _bands(results),
        "kinds": _kinds(genuine),
        "datasets": {name: part(members) for name, members in by_set.items()},
        "methods": {name: _method(members, genuine) for name, members in by_method.items()},
        "definitions": DEFINITIONS,
    }


def judged(results: Sequence[Result]) -> tuple[list[int], list[float], list[Result]]:
    """Labels and probabilities of those that got one, and these themselves."""
    pairs = [(result, result.probability_fake) for result in results if result.probability_fake is not None]
    return [result.clip.label for result, _ in pairs], [value for _, value in pairs], [result for result, _ in pairs]


def part(results: Sequence[Result]) -> Figures:
    """The figures of one set of results."""
    labels, scores, _ = judged(results)
    has_both = len(set(labels)) == 2
    return {
        "n": len(results),
        **{word: sum(result.clip.label == label for result in results) for word, label in LABELS.items()},
        "sources": len({result.clip.source for result in results}),
        "judged": len(labels),
        "left_out": _left_out(results),
        **_ranking(results),
        "equal_error_rate": _rounded(metrics.equal_error_rate(labels, scores)) if has_both else None,
        **_calibration_errors(labels, scores),
        "verdicts": {word: _shares([one for one in results if one.clip.label == n]) for word, n in LABELS.items()},
        "failures": dict(sorted(Counter(result.failure for result in results if result.failure).items())),
    }


def _calibration_errors(labels: Sequence[int], scores: Sequence[float]) -> Figures:
    names = {"calibration_error": True, "calibration_error_unweighted": False}
    if len(set(labels)) < 2:
        return dict.fromkeys(names)
    return {
        name: _rounded(metrics.expected_calibration_error(labels, scores, balanced=balanced))
        for name, balanced in names.items()
    }


def _ranking(results: Sequence[Result]) -> Figures:
    labels, scores, members = judged(results)
    if len(set(labels)) < 2:
        return {"auc": None, "auc_interval": None}
    sources = [result.clip.source for result in members]
    interval = intervals.auc_interval(labels, scores, sources, SEED, ROUNDS)
    return {"auc": _rounded(metrics.auc(labels, scores)), "auc_interval": _bounds(interval)}


def set_names(clips: Sequence[Clip]) -> list[str]:
    """The matched data sets among ``clips``, by their labels alone: whatever a model judges, they stay the same."""
    return list(metrics.matched_sets([clip.label for clip in clips], [clip.dataset for clip in clips]))


def members_of_sets(results: Sequence[Result]) -> dict[str, list[Result]]:
    """The judged results of each matched data set that has an AUC."""
    labels, _, members = judged(results)
    among = set_names([result.clip for result in results])
    sets = metrics.matched_sets(labels, [result.clip.dataset for result in members], among)
    return {name: [members[index] for index in at] for name, at in sets.items()}


def matched(results: Sequence[Result], among: Sequence[str] | None = None) -> Figures:
    """The matched AUC with its interval, the AUC of each matched data set, and which of ``among`` had to drop out.

    ``among`` names the matched data sets; those of ``results`` without it.
    """
    labels, scores, members = judged(results)
    names, sources = [result.clip.dataset for result in members], [result.clip.source for result in members]
    among = set_names([result.clip for result in results]) if among is None else among
    sets = metrics.matched_sets(labels, names, among)
    truth, values = np.array(labels), np.array(scores)
    found: Figures = {
        "matched_auc": None,
        "matched_auc_interval": None,
        "matched_datasets": {name: _rounded(metrics.auc(truth[at], values[at])) for name, at in sets.items()},
        "matched_sets": len(among),
        "matched_dropped": [name for name in among if name not in sets],
    }
    if sets:
        interval = intervals.matched_auc_interval(labels, scores, names, sources, SEED, ROUNDS, among)
        found["matched_auc"] = _rounded(metrics.matched_auc(labels, scores, names, among))
        found["matched_auc_interval"] = _bounds(interval)
    return found


def _recall(results: Sequence[Result], share: float) -> Figures:
    members = judged(results)[2]
    inside = [result for of_set in members_of_sets(results).values() for result in of_set]
    genuine = [sum(not one.clip.label for one in those) for those in (members, inside)]
    value, interval = _recall_of(members, share)
    matched_value, matched_interval = _recall_of(inside, share) if genuine[1] * share >= 1 else (None, None)
    return {
        "false_alarms": share,
        "genuine": genuine[0],
        "allowed": int(genuine[0] * share + 1e-9),
        "recall": value,
        "interval": interval,
        "matched_genuine": genuine[1],
        "matched_recall": matched_value,
        "matched_interval": matched_interval,
    }


def _recall_of(results: Sequence[Result], share: float) -> tuple[float | None, list[float] | None]:
    labels, scores, members = judged(results)
    if len(set(labels)) < 2:
        return None, None
    sources = [result.clip.source for result in members]
    interval = intervals.recall_interval(labels, scores, sources, share, SEED, ROUNDS)
    return _rounded(metrics.recall_at(labels, scores, share)), _bounds(interval)


def _quality_bands(results: Sequence[Result]) -> Figures:
    return quality.rates(
        [
            (result.verdict, (result.verdict is Verdict.FAKE) != bool(result.clip.label), result.quality)
            for result in results
            if result.verdict in (Verdict.FAKE, Verdict.REAL) and result.quality is not None
        ]
    )


def _bands(results: Sequence[Result]) -> Figures:
    shown = {band: [one for one in results if one.quality and one.quality.band() is band] for band in quality.Band}
    return {str(band): part(members) for band, members in shown.items()}


def _kinds(genuine: Sequence[Result]) -> Figures:
    kinds = sorted({result.clip.kind for result in genuine if result.clip.kind})
    members = {kind: [result for result in genuine if result.clip.kind == kind] for kind in [*kinds, ""]}
    return {
        kind or NO_KIND: {
            "n": len(those),
            "sources": len({result.clip.source for result in those}),
            "judged": len(judged(those)[0]),
            "verdicts": _shares(those),
        }
        for kind, those in members.items()
        if those
    }


def _method(fakes: Sequence[Result], genuine: Sequence[Result]) -> Figures:
    return {
        "n": len(fakes),
        "judged": len(judged(fakes)[0]),
        **_ranking([*fakes, *genuine]),
        "verdicts": _shares(fakes),
    }


def _error_rates(results: Sequence[Result]) -> Figures:
    rates = {}
    for verdict, truth in ((Verdict.FAKE, LABELS["fake"]), (Verdict.REAL, LABELS["real"])):
        given = [result for result in results if result.verdict is verdict]
        wrong = sum(result.clip.label != truth for result in given)
        rates[str(verdict)] = {"n": len(given), "wrong": wrong}
    return rates


def _left_out(results: Sequence[Result]) -> dict[str, int]:
    without = [result for result in results if result.probability_fake is None]
    return {
        "no_face": sum(result.verdict is Verdict.NO_FACE for result in without),
        "too_little_to_judge": sum(result.verdict is Verdict.INCONCLUSIVE for result in without),
        "failed": sum(bool(result.failure) for result in without),
    }


def _shares(results: Sequence[Result]) -> dict[str, float | None]:
    """The share of each answer; None where there are no clips."""
    answers = Counter(FAILED if result.verdict is None else str(result.verdict) for result in results)
    names = [*(str(verdict) for verdict in Verdict), FAILED]
    return {name: _rounded(answers[name] / len(results)) if results else None for name in names}


def _bounds(interval: intervals.Interval | None) -> list[float] | None:
    return None if interval is None else [_rounded(bound) for bound in interval]


def _rounded(value: float) -> float:
    return round(value, 4)
