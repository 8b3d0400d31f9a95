"""Writes a model's card and metrics from what ``python -m detector evaluate`` measured on validation and test."""

import json
from pathlib import Path
from typing import Any

from detector.errors import DetectorError, ErrorCode
from detector.release import CARD, METRICS, Release, load_release
from detector.training.calibrate import HIGHEST, Targets
from detector.training.export import write_checksums

Figures = dict[str, Any]
TARGETS = Targets()


def write_card(folder: Path, description: Path, validation: Path, test: Path) -> None:
    """Write card.md, metrics.json and the checksums of the model in ``folder``.

    ``description`` is the card's opening in Markdown, without a title; the other two are evaluate's JSON files. Raises
    DetectorError(MODEL_DAMAGED) when one of them measured another model.
    """
    release = load_release(folder)
    measured = {name: json.loads(path.read_text(encoding="utf-8")) for name, path in _named(validation, test)}
    for name, figures in measured.items():
        if figures["model"]["sha256"] != release.sha256:
            raise DetectorError(ErrorCode.MODEL_DAMAGED, f"The {name} figures are of another model; evaluate this one.")
    metrics = {"error_rates": measured["test"]["error_rates"], **measured}
    (folder / METRICS).write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    (folder / CARD).write_text(card(release, description.read_text(encoding="utf-8"), measured), encoding="utf-8")
    write_checksums(folder)


def card(release: Release, description: str, measured: dict[str, Figures]) -> str:
    """The card in Markdown: the description, then every table."""
    parts = [f"# {release.name} {release.version}", description.strip(), _decisions(release)]
    parts += [_summary(measured), _answers(measured), _wrong(measured)]
    for name, figures in measured.items():
        parts += [_sets(name, figures), _methods(name, figures)]
    return "\n\n".join(parts) + "\n"


def _named(validation: Path, test: Path) -> list[tuple[str, Path]]:
    return [("validation", validation), ("test", test)]


def _decisions(release: Release) -> str:
    decision = release.decision
    never = [
        f"On the validation clips {verdict} could keep this nowhere: the model practically never says it."
        for verdict, threshold in (("FAKE", decision.threshold_fake), ("REAL", 1 - decision.threshold_real))
        if threshold >= HIGHEST
    ]
    return (
        "## Decisions\n\n"
        f"FAKE is said from a calibrated probability of {decision.threshold_fake:.3f}, "
        f"REAL up to {decision.threshold_real:.3f}; "
        "between the two the answer is INCONCLUSIVE. With several people in the video the odds needed for FAKE are "
        "multiplied by their number.\n\n"
        f"A person is judged from {decision.min_frames} usable frames on: faces at least {decision.min_face_px} px "
        f"wide with a sharpness (variance of the Laplacian at 128 px) of at least {decision.min_sharpness:g}. "
        "Calibration and thresholds were fitted on the validation clips, both classes weighing the same; "
        "the test clips influenced nothing. "
        f"A verdict is given where, on those clips, at most {_percent(TARGETS.wrong)} of such verdicts were wrong, "
        f"at most {_percent(TARGETS.real_called_fake)} of the genuine clips were called FAKE and at most "
        f"{_percent(TARGETS.fake_called_real)} of the fake ones REAL. " + " ".join(never)
    )


def _summary(measured: dict[str, Figures]) -> str:
    rows = []
    for name, figures in measured.items():
        overall = figures["overall"]
        rows.append(
            [
                name,
                overall["n"],
                _interval(figures["matched_auc"], figures["matched_auc_interval"]),
                _interval(overall["auc"], overall["auc_interval"]),
                _number(overall["equal_error_rate"]),
                _number(overall["calibration_error"]),
                sum(overall["left_out"].values()),
            ]
        )
    head = [
        "clips",
        "n",
        "matched AUC [95 %]",
        "overall AUC [95 %]",
        "equal error rate",
        "calibration error",
        "not judged",
    ]
    return (
        f"## Measured\n\nWith {measured['test']['frames']} frames a video, through the whole pipeline as it is served. "
        "Matched AUC is the mean of the AUCs inside the data sets that hold both labels; overall AUC mixes sources "
        "that differ in more than the truth. Intervals by bootstrap over sources.\n\n" + _table(head, rows)
    )


def _answers(measured: dict[str, Figures]) -> str:
    rows = []
    for name, figures in measured.items():
        for label in ("real", "fake"):
            shares = figures["overall"]["verdicts"][label]
            answers = [_percent(shares[word]) for word in ("REAL", "FAKE", "INCONCLUSIVE", "NO_FACE")]
            rows.append([name, label, figures["overall"][label], *answers])
    head = ["clips", "truth", "n", "REAL", "FAKE", "INCONCLUSIVE", "NO_FACE"]
    return "## Answers by truth\n\n" + _table(head, rows)


def _wrong(measured: dict[str, Figures]) -> str:
    rows = []
    for name, figures in measured.items():
        for verdict, rate in figures["error_rates"].items():
            rows.append([name, verdict, rate["n"], rate["wrong"]])
    return "## How often a verdict was wrong\n\n" + _table(["clips", "verdict", "given", "wrong"], rows)


def _sets(name: str, figures: Figures) -> str:
    rows = [
        [
            dataset,
            values["real"],
            values["fake"],
            _interval(values["auc"], values["auc_interval"]),
            *(_percent(values["verdicts"][label]["FAKE"]) for label in ("real", "fake")),
        ]
        for dataset, values in figures["datasets"].items()
    ]
    head = ["data set", "real", "fake", "AUC [95 %]", "real called FAKE", "fake called FAKE"]
    return f"## By data set: {name}\n\n" + _table(head, rows)


def _methods(name: str, figures: Figures) -> str:
    rows = [
        [
            method or "not stated",
            values["n"],
            _interval(values["auc"], values["auc_interval"]),
            *(_percent(values["verdicts"][verdict]) for verdict in ("FAKE", "REAL", "INCONCLUSIVE")),
        ]
        for method, values in figures["methods"].items()
    ]
    head = ["method", "n", "AUC against all genuine [95 %]", "FAKE", "REAL", "INCONCLUSIVE"]
    return f"## By method: {name}\n\n" + _table(head, rows)


def _table(head: list[str], rows: list[list[Any]]) -> str:
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines)


def _interval(value: float | None, bounds: list[float] | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" + (f" [{bounds[0]:.3f}, {bounds[1]:.3f}]" if bounds else "")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f} %"
