"""An evaluation as plain text: the figures that count first, beside those that flatter."""

from collections.abc import Sequence
from typing import Any

from detector.precision import suffix

Figures = dict[str, Any]


def of(evaluation: Figures) -> str:
    """What ``evaluate.evaluate`` returned, as lines of text."""
    overall, model = evaluation["overall"], evaluation["model"]
    name = f"{model['name']} {model['version']}{suffix(evaluation['precision'])}"
    parts = [
        f"{name} on {_clips(overall)}, {evaluation['frames']} frames each; {_left_out(overall)}",
        _ranking(evaluation),
        "\n".join(_recall(figures) for figures in evaluation["recall"]),
        _answers(evaluation),
        _wrong(evaluation),
        _shares("genuine clips by kind of footage", evaluation["kinds"]),
        _bands(evaluation),
        _sets(evaluation),
    ]
    return "\n\n".join(part for part in parts if part)


def _clips(overall: Figures) -> str:
    truth = f"{overall['real']} genuine, {overall['fake']} fake"
    return f"{overall['n']} videos ({truth}) of {overall['sources']} sources"


def _left_out(overall: Figures) -> str:
    count = sum(overall["left_out"].values())
    return "all were judged." if not count else f"{count} were not judged."


def _ranking(evaluation: Figures) -> str:
    overall, baseline = evaluation["overall"], evaluation.get("metadata_baseline")
    rows = [
        ["", "matched AUC", "overall AUC"],
        ["this model", *_aucs({**overall, **evaluation})],
        *([["metadata alone, no face seen", *_aucs(baseline)]] if baseline else []),
    ]
    error, gap = overall["calibration_error"], overall["equal_error_rate"]
    if error is None:
        return _table(rows)
    raw = overall["calibration_error_unweighted"]
    more = f"\ncalibration error {error:.3f} with both labels weighing the same ({raw:.3f} with every clip doing so), "
    more += f"equal error rate {gap:.3f}"
    return _table(rows) + more


def _aucs(figures: Figures) -> list[str]:
    return [
        _interval(figures["matched_auc"], figures["matched_auc_interval"]),
        _interval(figures["auc"], figures["auc_interval"]),
    ]


def _recall(figures: Figures) -> str:
    allowed, genuine = figures["allowed"], figures["genuine"]
    line = (
        f"recall at {figures['false_alarms']:.0%} false alarms ({allowed} of {genuine} genuine clips): "
        f"{_interval(figures['recall'], figures['interval'])}"
    )
    if figures["matched_recall"] is None:
        return line
    return line + f"; in the matched data sets {_interval(figures['matched_recall'], figures['matched_interval'])}"


def _answers(evaluation: Figures) -> str:
    overall = evaluation["overall"]
    members = {
        word: {"n": overall[label], "verdicts": overall["verdicts"][label]}
        for word, label in (("genuine", "real"), ("fake", "fake"))
    }
    return _shares("answers by truth", members)


def _wrong(evaluation: Figures) -> str:
    lines = [
        f"{verdict} was said {rate['n']} times, wrongly {rate['wrong']} times"
        for verdict, rate in evaluation["error_rates"].items()
    ]
    for verdict, groups in evaluation["quality_bands"]["rates"].items():
        lines += [
            f"  {verdict} on {' or '.join(group['bands'])} pictures: {group['n']} times, wrongly {group['wrong']}"
            for group in groups
            if len(groups) > 1
        ]
    return "\n".join(lines)


def _shares(title: str, members: Figures) -> str:
    if not members:
        return ""
    names = ("REAL", "FAKE", "INCONCLUSIVE", "NO_FACE", "FAILED")
    rows = [[title, "n", *names]]
    for name, values in members.items():
        rows.append([name, str(values["n"]), *(_percent(values["verdicts"][answer]) for answer in names)])
    return _table(rows)


def _bands(evaluation: Figures) -> str:
    rows = [["by quality of the pictures", "genuine", "fake", "overall AUC"]]
    for name, values in evaluation["bands"].items():
        rows.append([name, str(values["real"]), str(values["fake"]), _interval(values["auc"], values["auc_interval"])])
    return _table(rows)


def _sets(evaluation: Figures) -> str:
    rows = [["matched data set", "genuine", "fake", "AUC"]]
    for name in evaluation["matched_datasets"]:
        values = evaluation["datasets"][name]
        rows.append([name, str(values["real"]), str(values["fake"]), _interval(values["auc"], values["auc_interval"])])
    parts = [_table(rows)] if len(rows) > 1 else []
    if evaluation["matched_dropped"]:
        dropped, of = ", ".join(evaluation["matched_dropped"]), evaluation["matched_sets"]
        parts.append(f"{len(rows) - 1} of {of} matched data sets count; no clip of one label was judged in {dropped}")
    return "\n".join(parts)


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _interval(value: float | None, bounds: Sequence[float] | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" + (f" [{bounds[0]:.3f}, {bounds[1]:.3f}]" if bounds else "")


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"
