"""Draws an evaluation: the ROC curve, the reliability diagram and AUC against severity, as PNG."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from detector import metrics
from detector.evaluate_figures import judged, members_of_sets
from detector.evaluate_rows import Result

INK, QUIET, STRONG = "#1f2328", "#9aa0a6", "#1a5fb4"


def draw_roc(results: Sequence[Result], title: str, target: Path) -> None:
    """The ROC curve over all judged clips, with those of the matched data sets behind it."""
    figure, axes = _square(title, "genuine clips called fake (share)", "fake clips called fake (share)")
    truth, values, _ = judged(results)
    if len(set(truth)) < 2:
        _say_nothing(axes, "A ROC curve needs judged clips of both labels.")
        _save(figure, target)
        return
    sets = members_of_sets(results)
    for shade, (name, members) in zip(np.linspace(0.45, 0.8, max(1, len(sets))), sets.items(), strict=False):
        labels, scores, _ = judged(members)
        curve = metrics.roc(labels, scores)
        words = f"{name}: {metrics.auc(labels, scores):.2f} (n = {len(members)})"
        axes.plot(curve.false_alarms, curve.hits, color=str(shade), linewidth=1, label=words)
    curve = metrics.roc(truth, values)
    axes.plot(
        curve.false_alarms,
        curve.hits,
        color=STRONG,
        linewidth=2.2,
        label=f"all: {metrics.auc(truth, values):.2f} (n = {len(truth)})",
    )
    axes.legend(loc="lower right", title="area under the curve", frameon=False, fontsize=8, title_fontsize=8)
    _save(figure, target)


def draw_reliability(results: Sequence[Result], title: str, target: Path) -> None:
    """How often fakes were among the clips given a probability, both labels weighing the same.

    The numbers at the points count the clips; the points' size is the weight that these have.
    """
    figure, axes = _square(
        title, "calibrated probability of fake", "share of fakes, genuine and fake weighing the same"
    )
    labels, scores, _ = judged(results)
    if len(set(labels)) < 2:
        _say_nothing(axes, "Reliability needs judged clips of both labels.")
        _save(figure, target)
        return
    bins = metrics.reliability_bins(labels, scores, balanced=True)
    means, shares = [one.mean_probability for one in bins], [one.share_fake for one in bins]
    weights = np.array([one.weight for one in bins])
    axes.plot(means, shares, color=STRONG, linewidth=1.2)
    axes.scatter(means, shares, s=20 + 180 * weights / weights.max(), color=STRONG, alpha=0.75, zorder=3)
    for one in bins:
        below = one.share_fake > 0.9
        axes.annotate(
            str(one.count),
            (one.mean_probability, one.share_fake),
            xytext=(0, -13 if below else 9),
            textcoords="offset points",
            ha="center",
            va="top" if below else "bottom",
            fontsize=8,
            color=INK,
        )
    error, raw = (metrics.expected_calibration_error(labels, scores, balanced=value) for value in (True, False))
    words = f"expected calibration error {error:.3f}; {raw:.3f} with every clip weighing the same"
    axes.set_title(f"{title}\n{words}", fontsize=10)
    _save(figure, target)


def draw_robustness(robustness: dict[str, Any], target: Path) -> None:
    """AUC against severity, a panel for each kind of damage, from the clips as given on the left.

    ``robustness`` is what ``robustness.sweep`` returned. Whiskers are 95 % intervals over sources.
    """
    measured = robustness["degradations"]
    given = [one for one in measured if one["family"] == "none"]
    families = list(dict.fromkeys(one["family"] for one in measured if one["family"] != "none"))
    figure = Figure(figsize=(2.3 * max(1, len(families)) + 0.6, 3.4), dpi=144, layout="constrained")
    FigureCanvasAgg(figure)
    model, names = robustness["model"], families or ["as given"]
    figure.suptitle(
        f"{model['name']} {model['version']}, {robustness['split'] or 'all'}, {robustness['clips']} clips, "
        f"{robustness['frames']} frames",
        fontsize=10,
    )
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for axes, family in zip(panels, names, strict=True):
        shown = [*given, *(one for one in measured if one["family"] == family)]
        if family == "brightness":  # which is damaged both ways
            shown.sort(key=lambda one: one["severity"] or 1)
        _draw_severities(axes, shown, "auc", QUIET, 0.06, "overall")
        _draw_severities(axes, shown, "matched_auc", STRONG, -0.06, "matched")
        axes.set_title(family, fontsize=9)
        axes.set_xticks(range(len(shown)), [_tick(one) for one in shown], fontsize=8)
        axes.set(ylim=(0.0, 1.02), xlim=(-0.4, len(shown) - 0.6))
        axes.axhline(0.5, color=QUIET, linewidth=1, linestyle=(0, (4, 3)))
        axes.grid(color="#e6e8eb", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("area under the ROC curve")
    panels[0].legend(loc="lower left", frameon=False, fontsize=8)
    _save(figure, target)


def _draw_severities(
    axes: Axes, shown: Sequence[dict[str, Any]], name: str, colour: str, shift: float, words: str
) -> None:
    points = [(place + shift, one[name], one[f"{name}_interval"]) for place, one in enumerate(shown)]
    points = [point for point in points if point[1] is not None]
    axes.plot([x for x, _, _ in points], [y for _, y, _ in points], color=colour, marker="o", markersize=4, label=words)
    for x, _, bounds in points:
        if bounds:
            axes.plot([x, x], bounds, color=colour, linewidth=1)


def _tick(one: dict[str, Any]) -> str:
    if one["family"] == "none":
        return "given"
    return f"CRF {one['severity']:g}" if one["family"] == "compression" else f"{one['severity']:g}"


def _square(title: str, along: str, up: str) -> tuple[Figure, Axes]:
    """Unit axes with the diagonal in them."""
    figure = Figure(figsize=(5.6, 5.6), dpi=144, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal", xlabel=along, ylabel=up)
    axes.set_title(title, fontsize=10)
    axes.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle=(0, (4, 3)))
    axes.grid(color="#e6e8eb", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _say_nothing(axes: Axes, sentence: str) -> None:
    axes.text(0.5, 0.55, sentence, ha="center", color=INK)


def _save(figure: Figure, target: Path) -> None:
    figure.savefig(target, format="png")
