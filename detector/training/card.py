"""Writes a model's card and metrics from what ``evaluate``, ``robustness``, ``peers`` and ``heads`` measured."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detector.errors import DetectorError, ErrorCode
from detector.precision import Precision
from detector.release import CARD, CONFIG, METRICS, Calibration, Release, load_release, sha256_of
from detector.training import card_tables as tables
from detector.training.calibrate import HIGHEST, Targets
from detector.training.export import write_checksums
from detector.training.markdown_table import percent

Figures = dict[str, Any]
TARGETS = Targets()
IDENTITY = Calibration(1, 0, 1, 0)  # what an imported checkpoint has until it is calibrated
WRITTEN_BY = {  # what measured each part of a card, and a key that its figures have had since they mean what they do
    "validation": ("evaluate", "matched_dropped"),
    "test": ("evaluate", "matched_dropped"),
    "robustness": ("robustness", "compared"),
    "peers": ("peers", "packs"),
    "heads": ("heads", "differences"),
}
PLACEHOLDER = re.compile(r"@@\w*(?:@@)?")  # of a description that is not finished


@dataclass(frozen=True)
class More:
    """Further JSON files of what was measured; each adds its table to the card."""

    robustness: Sequence[Path] = ()  # what robustness wrote, of one split each
    peers: Path | None = None  # what peers wrote
    heads: Path | None = None  # what heads wrote


def write_card(folder: Path, description: Path, validation: Path, test: Path, more: More | None = None) -> None:
    """Write card.md, metrics.json and the checksums of the model in ``folder``.

    ``description`` is the card's opening in Markdown, without a title; ``validation`` and ``test`` are evaluate's JSON
    files. Before anything is written, raises DetectorError(MODEL_DAMAGED) when a file measured another model or (where
    thresholds have a part) another model.toml, and ValueError when it was made by an earlier version, when validation
    and test are not two splits, or when the description still holds a placeholder.
    """
    release, more = load_release(folder), more or More()
    words = description.read_text(encoding="utf-8")
    if (left := PLACEHOLDER.search(words)) is not None:
        raise ValueError(f"{description} still holds the placeholder {left[0]}; write first what belongs there.")
    measured = {"validation": _read(validation), "test": _read(test)}
    swept = [_read(path) for path in more.robustness]
    compared = None if more.peers is None else _read(more.peers)
    heads = None if more.heads is None else _read(more.heads)
    for name, figures in (*measured.items(), *(("robustness", one) for one in swept)):
        _check_model(name, figures, release, of_config=True)
    for name, others in (("peers", compared), ("heads", heads)):
        if others is not None:
            _check_model(name, others, release, of_config=False)
    _check_splits(measured["validation"], measured["test"])
    text = card(release, words, measured, swept, compared, heads)
    metrics: Figures = {
        **{name: measured["test"][name] for name in ("error_rates", "quality_bands") if name in measured["test"]},
        **measured,
        **({"robustness": swept} if swept else {}),
        **({"peers": compared} if compared else {}),
        **({"heads": heads} if heads else {}),
    }
    (folder / METRICS).write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    (folder / CARD).write_text(text, encoding="utf-8")
    write_checksums(folder)


def card(
    release: Release,
    description: str,
    measured: dict[str, Figures],
    swept: Sequence[Figures] = (),
    compared: Figures | None = None,
    heads: Figures | None = None,
) -> str:
    """The card in Markdown: the description, then every table."""
    parts = [f"# {release.name} {release.version}", description.strip(), _decisions(release)]
    of_all = (tables.summary, tables.recall, tables.answers, tables.wrong, tables.bands, tables.kinds)
    parts += [table(measured) for table in of_all]
    parts += [tables.robustness(one) for one in swept]
    parts += [tables.peers(compared)] if compared else []
    parts += [tables.heads(heads)] if heads else []
    for name, figures in measured.items():
        parts += [tables.sets(name, figures), tables.methods(name, figures)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _read(path: Path) -> Figures:
    try:
        figures = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON file; give what the command of that name wrote.") from error
    if not isinstance(figures, dict) or "model" not in figures:
        raise ValueError(f"{path} does not say which model it is of; measure again, with this version.")
    return figures


def _check_model(name: str, figures: Figures, release: Release, of_config: bool) -> None:
    """Whether ``figures`` are of this very release; with ``of_config`` of its calibration and thresholds too."""
    model = figures["model"] or {}
    if model.get("sha256") != release.sha256:
        raise DetectorError(ErrorCode.MODEL_DAMAGED, f"The {name} figures are of another model; measure this one.")
    if of_config and model.get("config_sha256") != sha256_of(release.folder / CONFIG):
        raise DetectorError(
            ErrorCode.MODEL_DAMAGED,
            f"The {name} figures were measured with another model.toml, so with other thresholds; measure again.",
        )
    if not of_config and (model.get("name"), model.get("version")) != (release.name, release.version):
        raise DetectorError(ErrorCode.MODEL_DAMAGED, f"The {name} figures are of another version; measure this one.")
    command, key = WRITTEN_BY[name]
    if figures.get("precision", Precision.FLOAT32) != Precision.FLOAT32:
        raise ValueError(f"The {name} figures were measured in {figures['precision']}; a card shows those of float32.")
    if key not in figures:
        raise ValueError(
            f"The {name} figures were made by another command or an earlier version, and mean something else; run "
            f"`{command}` again."
        )


def _check_splits(validation: Figures, test: Figures) -> None:
    splits = [figures.get("split") for figures in (validation, test)]
    same_file = validation.get("manifest_sha256") == test.get("manifest_sha256")
    if splits[0] == splits[1] and (same_file or splits[0] is not None):
        raise ValueError(f"Validation and test figures are both of the split {splits[0] or 'all'}; measure two splits.")
    if None in splits and same_file:
        raise ValueError("Validation or test figures are of all clips of one manifest; measure two splits of it.")
    if splits[0] == "test" or splits[1] in ("train", "val", "validation"):
        raise ValueError(
            f"The validation figures are of the split {splits[0]}, the test figures of {splits[1]}; give each its own."
        )


def _decisions(release: Release) -> str:
    decision = release.decision
    return (
        "## Decisions\n\n"
        f"FAKE is said from {'a calibrated probability' if _is_fitted(release) else 'an uncalibrated score'} of "
        f"{decision.threshold_fake:.3f}, "
        f"REAL up to {decision.threshold_real:.3f}; "
        "between the two the answer is INCONCLUSIVE. With several people in the video the odds needed for FAKE are "
        f"multiplied by their number{_power(decision.genuine_tail)}.{_share(release)}\n\n"
        + (_fitted(release) if _is_fitted(release) else UNFITTED)
        + "\n\nSet by hand, and fitted on nothing: a person is judged from "
        f"{decision.min_frames} usable frames on, of faces at least {decision.min_face_px} px wide with a sharpness "
        f"(variance of the Laplacian at 128 px) of at least {decision.min_sharpness:g}"
        + (f"; the LSTM takes {decision.window} frames at a time." if release.network.recurrence == "lstm" else ".")
    )


UNFITTED = (
    "Nothing was fitted: the scores are those of the weights as they were imported, and the thresholds were set by "
    "hand. `calibrate` fits both on validation clips. The test clips influenced nothing."
)


def _is_fitted(release: Release) -> bool:
    """Whether ``calibrate`` or ``export`` fitted calibration and thresholds, which they do together."""
    return release.calibration != IDENTITY


def _fitted(release: Release) -> str:
    decision = release.decision
    never = [
        f" On the validation clips {verdict} could keep this nowhere: the model practically never says it."
        for verdict, threshold in (("FAKE", decision.threshold_fake), ("REAL", 1 - decision.threshold_real))
        if threshold >= HIGHEST
    ]
    return (
        f"Calibration{'' if decision.genuine_tail == 1 else ', that power'}"
        f"{', that share' if release.network.recurrence == 'lstm' else ''} and both thresholds were fitted on the "
        "validation clips, genuine and fake weighing the same; the test clips influenced nothing. What "
        "rests on them (answers, wrong verdicts, calibration error) is therefore in-sample in the rows of validation "
        "below, and flatters; the rows of test are not. "
        f"A verdict is given where, on the validation clips, at most {percent(TARGETS.wrong)} of such verdicts were "
        f"wrong, at most {percent(TARGETS.real_called_fake)} of the genuine clips were called FAKE and at most "
        f"{percent(TARGETS.fake_called_real)} of the fake ones REAL." + "".join(never)
    )


def _power(genuine_tail: float) -> str:
    return "" if genuine_tail == 1 else f" to the power of {genuine_tail:.2f}"


def _share(release: Release) -> str:
    if release.network.recurrence != "lstm":
        return ""
    share = release.decision.temporal_share
    return (
        f" A person's score is {percent(share)} the LSTM's logit and {percent(1 - share)} the mean of the frames' "
        "logits."
    )
