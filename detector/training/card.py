"""Writes a model's card and metrics from what ``evaluate``, ``robustness``, ``peers`` and ``heads`` measured."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detector.errors import DetectorError, ErrorCode
from detector.release import CARD, METRICS, Release, load_release
from detector.training import card_tables as tables
from detector.training.calibrate import HIGHEST, Targets
from detector.training.export import write_checksums
from detector.training.markdown_table import percent

Figures = dict[str, Any]
TARGETS = Targets()


@dataclass(frozen=True)
class More:
    """Further JSON files of what was measured; each adds its table to the card."""

    robustness: Sequence[Path] = ()  # what robustness wrote, of one split each
    peers: Path | None = None  # what peers wrote
    heads: Path | None = None  # what heads wrote


def write_card(folder: Path, description: Path, validation: Path, test: Path, more: More | None = None) -> None:
    """Write card.md, metrics.json and the checksums of the model in ``folder``.

    ``description`` is the card's opening in Markdown, without a title; ``validation`` and ``test`` are evaluate's JSON
    files. Raises DetectorError(MODEL_DAMAGED) when a file measured another model, before anything is written.
    """
    release, more = load_release(folder), more or More()
    measured = {"validation": _read(validation), "test": _read(test)}
    swept = [_read(path) for path in more.robustness]
    compared = None if more.peers is None else _read(more.peers)
    heads = None if more.heads is None else json.loads(more.heads.read_text(encoding="utf-8"))
    named = [*measured.items(), *(("robustness", one) for one in swept)]
    if compared is not None:
        named.append(("peers", compared))
    for name, figures in named:
        if (figures["model"] or {}).get("sha256") != release.sha256:
            raise DetectorError(ErrorCode.MODEL_DAMAGED, f"The {name} figures are of another model; measure this one.")
    text = card(release, description.read_text(encoding="utf-8"), measured, swept, compared, heads)
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
    heads: list[Figures] | None = None,
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
    figures: Figures = json.loads(path.read_text(encoding="utf-8"))
    return figures


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
        f"multiplied by their number{_power(decision.genuine_tail)}.\n\n"
        f"A person is judged from {decision.min_frames} usable frames on: faces at least {decision.min_face_px} px "
        f"wide with a sharpness (variance of the Laplacian at 128 px) of at least {decision.min_sharpness:g}. "
        "Calibration and thresholds were fitted on the validation clips, both classes weighing the same; "
        "the test clips influenced nothing. "
        f"A verdict is given where, on those clips, at most {percent(TARGETS.wrong)} of such verdicts were wrong, "
        f"at most {percent(TARGETS.real_called_fake)} of the genuine clips were called FAKE and at most "
        f"{percent(TARGETS.fake_called_real)} of the fake ones REAL. " + " ".join(never)
    )


def _power(genuine_tail: float) -> str:
    return "" if genuine_tail == 1 else f" to the power of {genuine_tail:.2f}"
