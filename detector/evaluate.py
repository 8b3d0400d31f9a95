"""Measures the detector on videos whose truth is known: runs the pipeline over a manifest and gathers every figure.

An interrupted run goes on where it stopped when it is given the same folder again.
"""

import json
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from detector import evaluate_figures, evaluate_runs, metadata_baseline
from detector.evaluate_kinds import Kinds, with_kinds
from detector.evaluate_rows import Clip, Conditions, ManifestError, Result, ResultsFile, read_manifest
from detector.evaluate_runs import Plan
from detector.pipeline import Settings
from detector.precision import Precision, suffix
from detector.release import CONFIG, Release, sha256_of

RESULTS, EVALUATION, ROC, RELIABILITY = "results.csv", "evaluation.json", "roc.png", "reliability.png"

Runner = Callable[[Sequence[Clip], Plan], Generator[Result]]


@dataclass(frozen=True)
class Order:
    """What is evaluated."""

    manifest: Path
    split: str | None
    release: Release
    settings: Settings
    jobs: int
    kinds: Kinds | None = None  # of footage, for clips of which the manifest does not say it
    baseline_from: str | None = None  # split to train the metadata baseline on; none without
    precision: Precision = Precision.FLOAT32


def evaluate(
    order: Order,
    out_dir: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    run: Runner = evaluate_runs.results,
) -> dict[str, Any]:
    """The figures of every clip of the manifest's split, as plain JSON values.

    ``out_dir`` (made where missing) gets results.csv as clips finish, then evaluation.json, roc.png and
    reliability.png; clips that are there already, judged by the same model with as many frames in the same
    precision, are not run again, and rows of anything else are replaced. ``on_progress`` hears how many clips of how
    many are done. Raises ManifestError, and DetectorError when the model cannot be used; a clip that cannot be analysed
    is a failure in the figures.
    """
    clips = with_kinds(read_manifest(order.manifest, order.split), order.kinds or {})
    order.release.verify()
    baseline = _baseline(order, clips)
    config_sha256 = sha256_of(order.release.folder / CONFIG)
    conditions = Conditions(order.release.sha256, config_sha256, order.settings.frames, order.precision)
    if out_dir is not None:
        out_dir.mkdir(parents=True, exist_ok=True)
    file = ResultsFile(out_dir / RESULTS, conditions) if out_dir else None
    found = {result.clip.file: result for result in (file.finished(clips) if file else [])}
    if file:
        file.write(found.values())
    waiting = [clip for clip in clips if clip.file not in found]
    say = on_progress or _ignore
    say(len(found), len(clips))
    with closing(run(waiting, Plan(order.release.folder, order.settings, order.jobs, order.precision))) as running:
        for result in running:
            found[result.clip.file] = result
            if file:
                file.append(result)
            say(len(found), len(clips))
    results = [found[clip.file] for clip in clips]
    evaluation = {**_heading(order, conditions, results), **evaluate_figures.measure(results)}
    if baseline is not None:
        judged = {result.clip.file for result in evaluate_figures.judged(results)[2]}
        evaluation["metadata_baseline"] = baseline.figures(judged, evaluate_figures.set_names(clips))
    if out_dir and file:
        file.write(results)
        _keep(evaluation, results, order, out_dir)
    return evaluation


def _baseline(order: Order, clips: Sequence[Clip]) -> metadata_baseline.Scored | None:
    """What metadata say of the same clips, before the long part begins, so that a refusal comes at once."""
    if order.baseline_from is None:
        return None
    if order.baseline_from == order.split or order.split is None:
        raise ManifestError(
            f"The metadata baseline learns from the split {order.baseline_from}; give another one to be evaluated."
        )
    return metadata_baseline.score(read_manifest(order.manifest, order.baseline_from), clips)


def _heading(order: Order, conditions: Conditions, results: Sequence[Result]) -> dict[str, Any]:
    release = order.release
    return {
        "manifest": order.manifest.name,
        "manifest_sha256": sha256_of(order.manifest),
        "split": order.split,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": {
            "name": release.name,
            "version": release.version,
            "sha256": release.sha256,
            "config_sha256": conditions.config_sha256,
            "threshold_fake": release.decision.threshold_fake,
            "threshold_real": release.decision.threshold_real,
        },
        "frames": conditions.frames,
        "precision": conditions.precision,
        "seconds": round(sum(result.seconds for result in results), 1),
    }


def _keep(evaluation: dict[str, Any], results: Sequence[Result], order: Order, out_dir: Path) -> None:
    from detector import evaluate_plots  # noqa: PLC0415 -- slow import

    text = json.dumps(evaluation, indent=2, ensure_ascii=False, allow_nan=False)
    (out_dir / EVALUATION).write_text(text + "\n", encoding="utf-8")
    model = f"{order.release.name} {order.release.version}{suffix(order.precision)}"
    title = f"{model}, {order.split or 'all'}, {order.settings.frames} frames"
    evaluate_plots.draw_roc(results, title, out_dir / ROC)
    evaluate_plots.draw_reliability(results, title, out_dir / RELIABILITY)


def _ignore(done: int, total: int) -> None:
    """Nobody listens to the progress."""
