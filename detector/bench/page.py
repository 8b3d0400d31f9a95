"""Writes what was measured into docs/performance.md: its tables between two marks, its figures and its JSON beside it.

The page's own words are not touched. The figures and the JSON lie in the folder of the page's name without its suffix.
"""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from detector import marked
from detector.bench import budget, figures
from detector.bench.cases import REFERENCE
from detector.bench.text import NOTHING

BEGIN, END = "<!-- bench: begin (made by `python -m detector bench --write`) -->", "<!-- bench: end -->"
MEASURED = "measured.json"
BUSY_SHARE = 0.05  # of the machine, from which others are worth a word

Run = dict[str, Any]


def write(page: Path, result: dict[str, Any]) -> None:
    """Renew the page, its figures and its JSON. Raises ValueError, and leaves all alone, when it lacks a mark."""
    folder = page.with_suffix("")
    text = "\n".join(_without_ends(markdown(result, folder.name)))
    marked.replace(page, BEGIN, END, text)
    folder.mkdir(exist_ok=True)
    (folder / MEASURED).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for name, figure in figures.draw(result).items():
        figures.save(figure, folder / name)


def markdown(result: dict[str, Any], folder: str) -> Iterator[str]:
    """The lines between the marks; ``folder`` is where the figures lie."""
    yield _begin(result)
    yield ""
    yield from _budget(result)
    reference = of_reference(result)
    if reference is not None:
        yield from _stages(reference)
    drawn = figures.draw(result)
    for name, words in figures.WORDS.items():
        if name in drawn:
            yield from (f"![{words}]({folder}/{name})", "")
    yield from _runs(result)
    yield ""
    for run in result["runs"]:
        if run["baseline"] and "left_out" in run["baseline"]:
            yield f"The usual way is left out on {run['video']}: {run['baseline']['left_out']}"


def of_reference(result: dict[str, Any]) -> Run | None:
    """The run of the reference clip with the first model; the first run where that was not measured."""
    runs: list[Run] = result["runs"]
    return next((run for run in runs if run["video"] == REFERENCE.name), runs[0] if runs else None)


def _begin(result: dict[str, Any]) -> str:
    machine = result["machine"]
    day = date.fromisoformat(result["measured_on"])
    sentence = (
        f"Measured on {day:%d %B %Y} on a machine with {machine['cores']} cores ({machine['processor']}) and "
        f"{machine['memory_bytes'] / 1024**3:.0f} GiB of memory, {machine['system']}, Python {machine['python']}."
    )
    share = machine["others_share"]
    if share is None or share < BUSY_SHARE:
        return sentence
    return (
        f"{sentence} **The machine was busy**: other programs took {share:.0%} of its processor time meanwhile. On a "
        "quiet one the clock shows less; what the processor took, and ratios, say more here."
    )


def _budget(result: dict[str, Any]) -> Iterator[str]:
    rows = list(budget.rows(result))
    if not rows:
        yield from (
            "None of the clips that the budget speaks of was measured; `make performance` measures them all.",
            "",
        )
        return
    yield "| budget, warm, 60 frames | allowed | measured | of the processor, ÷ cores | kept |"
    yield "| --- | ---: | ---: | ---: | --- |"
    for row in rows:
        yield f"| {row.what} | {row.allowed} | {row.measured} | {row.at_best} | {'yes' if row.is_kept else '**no**'} |"
    yield ""


def _stages(run: Run) -> Iterator[str]:
    usual = run["baseline"] if run["baseline"] and "left_out" not in run["baseline"] else None
    yield (
        f"Where the time goes: {run['video']}, {run['frames_analyzed']} frames, {run['model']}. Seconds on the clock, "
        "and of the processor in brackets."
    )
    yield ""
    yield "| stage | cold | warm | floor | the usual way | times ours |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for stage in run["cold"]["stages"]:
        parts = (run["cold"], run["warm"], usual)
        cells = [_both((part or {"stages": {}})["stages"].get(stage)) for part in parts]
        yield _line(stage, cells, run["floor"].get(stage), usual)
    yield _line("total", [_both(part) for part in (run["cold"], run["warm"], usual)], run["floor"], usual)
    yield ""


def _line(stage: str, cells: list[str], floor: Any, usual: Run | None) -> str:
    cold, warm, theirs = cells
    times = usual["times_ours"].get(stage) if usual else None
    least = _both(floor) if isinstance(floor, dict) else NOTHING
    return f"| {stage} | {cold} | {warm} | {least} | {theirs} | {_both_times(times)} |"


def _runs(result: dict[str, Any]) -> Iterator[str]:
    yield "| video | faces | frames | model | cold | warm | floor | warm ÷ floor | peak memory |"
    yield "| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: |"
    for run in result["runs"]:
        faces = run["people"]
        yield (
            f"| {run['video']} | {faces} | {run['frames_analyzed']} | {run['model']} | {_both(run['cold'])} "
            f"| {_both(run['warm'])} | {_both(run['floor'])} | {_both_times(run['floor']['times_floor'])} "
            f"| {run['peak_memory_bytes'] / 1e6:.0f} MB |"
        )


def _both(spent: dict[str, float] | None) -> str:
    return NOTHING if spent is None else f"{spent['wall_s']:.2f} ({spent['cpu_s']:.2f})"


def _both_times(times: dict[str, float | None] | None) -> str:
    if times is None or times["wall_s"] is None or times["cpu_s"] is None:
        return NOTHING
    return f"{times['wall_s']:.1f} ({times['cpu_s']:.1f})"


def _without_ends(lines: Iterator[str]) -> list[str]:
    kept = list(lines)
    while kept and not kept[-1]:
        kept.pop()
    return kept
