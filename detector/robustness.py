"""How well the detector holds when videos are damaged: the whole pipeline on degraded copies, by severity.

An interrupted sweep goes on where it stopped when it is given the same folder again.
"""

import functools
import json
import math
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from detector import evaluate_figures, evaluate_runs
from detector.degradation import NONE, SWEEP, Degradation, write_degraded
from detector.errors import DetectorError
from detector.evaluate import RESULTS
from detector.evaluate_rows import Clip, Conditions, ManifestError, Result, ResultsFile, read_manifest
from detector.evaluate_runs import Answer, Plan
from detector.pipeline import Settings
from detector.release import CONFIG, Release, sha256_of

ROBUSTNESS, PLOT = "robustness.json", "robustness.png"
SEED = 0
PARAMETERS = "degradation.json"  # beside a degradation's results: what it did to the clips
DEFINITIONS = {
    "clips": "The same for every degradation: drawn in turn from each data set and label, and there from each source.",
    "compared": "Clips that were judged under every degradation; both AUC are of these alone, so that a degradation "
    "under which hard clips are no longer judged gains nothing. One that left fewer than half of the clips judged has "
    "no AUC, and is not counted here.",
    "judged": "Clips that this degradation left judged.",
    "matched_auc": "Mean of the AUCs inside the data sets with at least two of the clips for each label, judged or "
    "not, less those in matched_dropped.",
    "auc": "Over all compared clips; their sources differ in more than the truth.",
    "verdicts": "Share of each answer among all clips of the true label, failures included.",
}

Runner = Callable[[Sequence[Clip], Plan, Degradation], Generator[Result]]


@dataclass(frozen=True)
class Order:
    """What is swept."""

    manifest: Path
    split: str | None
    release: Release
    settings: Settings
    jobs: int
    limit: int | None = None  # clips; all without
    sweep: tuple[Degradation, ...] = SWEEP


def sweep(
    order: Order,
    out_dir: Path,
    on_progress: Callable[[int, int], None] | None = None,
    on_step: Callable[[str], None] | None = None,
    run: Runner | None = None,
) -> dict[str, Any]:
    """The figures of every degradation, as plain JSON values.

    ``out_dir`` (made where missing) gets a folder with results.csv for each degradation, then robustness.json and
    robustness.png; clips that are there already under the same conditions and degraded with the same parameters are not
    run again. ``on_progress`` hears how many analyses of how many are done, ``on_step`` a line after each degradation,
    with the figures of what was judged under it. Raises ManifestError, and DetectorError when the model cannot be used.
    """
    clips = chosen(read_manifest(order.manifest, order.split), order.limit)
    order.release.verify()
    run = run or degraded_results
    total, found, started = len(clips) * len(order.sweep), dict[Degradation, list[Result]](), time.monotonic()
    for place, degradation in enumerate(order.sweep):
        tell = functools.partial(_tell, on_progress, place * len(clips), total)
        found[degradation] = _results(order, clips, degradation, out_dir / degradation.name, tell, run)
        if on_step is not None:
            alone = _figures(degradation, found[degradation], {clip.file for clip in clips})
            matched, overall = (_shown(alone[name]) for name in ("matched_auc", "auc"))
            left_min = math.ceil((time.monotonic() - started) / len(found) * (len(order.sweep) - len(found)) / 60)
            count = f"{alone['judged']} of {len(clips)} judged"
            on_step(f"{degradation.name}: {count}, matched AUC {matched}, overall {overall}; {left_min} min left")
    compared = _judged_throughout(found)
    robustness = {
        **_heading(order, clips),
        "compared": len(compared),
        "degradations": [
            _figures(degradation, results, compared if _is_comparable(results) else ())
            for degradation, results in found.items()
        ],
        "definitions": DEFINITIONS,
    }
    text = json.dumps(robustness, indent=2, ensure_ascii=False, allow_nan=False)
    (out_dir / ROBUSTNESS).write_text(text + "\n", encoding="utf-8")
    from detector import evaluate_plots  # noqa: PLC0415 -- slow import

    evaluate_plots.draw_robustness(robustness, out_dir / PLOT)
    return robustness


def chosen(clips: Sequence[Clip], limit: int | None) -> list[Clip]:
    """Up to ``limit`` clips, in the manifest's order.

    Data sets and labels lend one each in turn, and inside them sources do, so that few clips still hold as many matched
    data sets and sources as they can. A shuffle with a fixed seed decides the rest.
    """
    if limit is None or limit >= len(clips):
        return list(clips)
    random = np.random.default_rng(SEED)
    groups: dict[tuple[str, int], dict[str, list[Clip]]] = {}
    for index in random.permutation(len(clips)):
        clip = clips[index]
        groups.setdefault((clip.dataset, clip.label), {}).setdefault(clip.source, []).append(clip)
    queues = [_in_turn(list(groups[name].values())) for name in sorted(groups)]
    wanted = {clip.file for clip in _in_turn(queues)[:limit]}
    return [clip for clip in clips if clip.file in wanted]


def degraded_results(clips: Sequence[Clip], plan: Plan, degradation: Degradation) -> Generator[Result]:
    """Yield the result of a degraded copy of each clip, as ``evaluate_runs.results`` does."""
    return evaluate_runs.results(clips, plan, functools.partial(_examine_degraded, degradation))


def _examine_degraded(degradation: Degradation, clip: Clip, plan: Plan) -> Answer:
    """Runs in the child; the copy is gone afterwards."""
    if degradation == NONE:
        return evaluate_runs.examine_here(clip, plan)
    with tempfile.TemporaryDirectory(prefix="unmask-robustness-") as folder:
        copy = Path(folder) / "degraded.mp4"
        try:
            write_degraded(clip.path, degradation, copy, plan.settings.limits)
        except DetectorError as error:
            return Result(clip, None, None, (), 0, 0, 0.0, str(error.code))
        limits = replace(plan.settings.limits, max_bytes=sys.maxsize)  # the given file kept to it; noise is bulky
        settings = replace(plan.settings, limits=limits)
        answer = evaluate_runs.examine_here(replace(clip, path=copy), replace(plan, settings=settings))
    return replace(answer, clip=clip) if isinstance(answer, Result) else answer


def _results(
    order: Order,
    clips: Sequence[Clip],
    degradation: Degradation,
    folder: Path,
    tell: Callable[[int], None],
    run: Runner,
) -> list[Result]:
    folder.mkdir(parents=True, exist_ok=True)
    release = order.release
    conditions = Conditions(release.sha256, sha256_of(release.folder / CONFIG), order.settings.frames)
    file = ResultsFile(folder / RESULTS, conditions)
    _forget_other_parameters(folder, degradation)
    found = {result.clip.file: result for result in file.finished(clips)}
    file.write(found.values())
    tell(len(found))
    waiting = [clip for clip in clips if clip.file not in found]
    with closing(run(waiting, Plan(release.folder, order.settings, order.jobs), degradation)) as running:
        for result in running:
            found[result.clip.file] = result
            file.append(result)
            tell(len(found))
    return [found[clip.file] for clip in clips]


def _forget_other_parameters(folder: Path, degradation: Degradation) -> None:
    """Leave results in ``folder`` only where they were made by what ``degradation`` does today."""
    note, text = folder / PARAMETERS, json.dumps(degradation.parameters, indent=2) + "\n"
    if not (note.is_file() and note.read_text(encoding="utf-8") == text):
        (folder / RESULTS).unlink(missing_ok=True)
        note.write_text(text, encoding="utf-8")


def _judged_throughout(found: Mapping[Degradation, Sequence[Result]]) -> set[str]:
    """The files of the clips that got a probability under every degradation that can be compared."""
    files = [
        {result.clip.file for result in evaluate_figures.judged(results)[2]}
        for results in found.values()
        if _is_comparable(results)
    ]
    return set.intersection(*files) if files else set()


def _is_comparable(results: Sequence[Result]) -> bool:
    """Whether at least half of the clips got a probability."""
    return 2 * len(evaluate_figures.judged(results)[2]) >= len(results)


def _figures(degradation: Degradation, results: Sequence[Result], compared: Collection[str]) -> dict[str, Any]:
    """Answers over all clips; AUC over those of the files ``compared``."""
    whole = evaluate_figures.part(results)
    kept = [result for result in results if result.clip.file in compared]
    ranked = evaluate_figures.part(kept)
    matched = evaluate_figures.matched(kept, evaluate_figures.set_names([result.clip for result in results]))
    return {
        "name": degradation.name,
        "family": degradation.family,
        "severity": degradation.severity,
        "words": degradation.words,
        **matched,
        **{name: ranked[name] for name in ("auc", "auc_interval")},
        **{name: whole[name] for name in ("n", "real", "fake", "judged", "left_out", "verdicts")},
    }


def _heading(order: Order, clips: Sequence[Clip]) -> dict[str, Any]:
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
            "config_sha256": sha256_of(release.folder / CONFIG),
        },
        "frames": order.settings.frames,
        "clips": len(clips),
        "genuine": sum(not clip.label for clip in clips),
        "sources": len({clip.source for clip in clips}),
    }


def parse_sweep(names: Sequence[str] | None) -> tuple[Degradation, ...]:
    """The degradations of these families, after the clips as given; all without names. Raises ManifestError."""
    families = {degradation.family for degradation in SWEEP} - {NONE.family}
    for name in names or ():
        if name not in families:
            raise ManifestError(f"No degradation is called {name}; choose among {', '.join(sorted(families))}.")
    return tuple(one for one in SWEEP if not names or one == NONE or one.family in names)


def _in_turn(queues: Sequence[Sequence[Clip]]) -> list[Clip]:
    """The first of each, then the second of each, and so on."""
    longest = max(map(len, queues), default=0)
    return [queue[place] for place in range(longest) for queue in queues if place < len(queue)]


def _tell(on_progress: Callable[[int, int], None] | None, before: int, total: int, done: int) -> None:
    if on_progress is not None:
        on_progress(before + done, total)


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
