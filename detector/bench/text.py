"""What was measured, as lines for a terminal: a table for each run, with its floor and the usual way beside it."""

from collections.abc import Iterator
from typing import Any

NOTHING = "–"


def as_table(result: dict[str, Any]) -> str:
    """What ``run.run`` gave. Seconds on the clock and of the processor stand side by side."""
    machine = result["machine"]
    lines = [f"{machine['cores']} cores, {machine['processor']}, {machine['system']}, Python {machine['python']}"]
    if machine["others_share"] is not None:
        lines.append(f"Other programs took {machine['others_share']:.0%} of the processor time meanwhile.")
    for run in result["runs"]:
        lines += ["", *_run(run)]
    return "\n".join(lines)


def _run(run: dict[str, Any]) -> Iterator[str]:
    what = f"{run['width']} x {run['height']}, {run['duration_s']:.1f} s"
    found = f"{run['frames_analyzed']} frames, people: {run['people']}"
    yield f"{run['video']}: {what}; {found}; {run['model']}"
    usual = run["baseline"] if run["baseline"] and "left_out" not in run["baseline"] else None
    heads = ("cold", "processor", "warm", "processor", *(("usual", "processor", "times ours") if usual else ()))
    yield f"  {'seconds':<10}" + "".join(f"{head:>12}" for head in heads)
    for stage in run["cold"]["stages"]:
        yield _row(stage, *(one and one["stages"].get(stage) for one in (run["cold"], run["warm"], usual)), usual)
    yield _row("total", run["cold"], run["warm"], usual, usual)
    yield from _floor(run)
    if run["workers"]:
        at_once = run["workers"]
        yield f"  {at_once['count']} workers at once: {at_once['times_one']:.2f} times the throughput of one"
        if apart := at_once["apart"]:
            yield f"  with an equal share of the cores each: {apart['times_one']:.2f} times one with such a share"
    yield f"  peak memory {run['peak_memory_bytes'] / 1e6:.0f} MB" + (
        f"; the usual way {usual['peak_memory_bytes'] / 1e6:.0f} MB" if usual else ""
    )
    if run["baseline"] and not usual:
        yield f"  the usual way is left out: {run['baseline']['left_out']}"


def _row(stage: str, *spent_and_usual: dict[str, Any] | None) -> str:
    *spent, usual = spent_and_usual
    if usual is None:
        spent = spent[:2]
    cells = [cell for one in spent for cell in (_seconds(one, "wall_s"), _seconds(one, "cpu_s"))]
    if usual is not None:
        times = usual["times_ours"].get(stage)
        cells.append(NOTHING if times is None or times["wall_s"] is None else f"{times['wall_s']:.1f}")
    return f"  {stage:<10}" + "".join(f"{cell:>12}" for cell in cells)


def _floor(run: dict[str, Any]) -> Iterator[str]:
    floor = run["floor"]
    words = {
        "decode": f"{floor['frames_to_decode']} of {floor['frames_in_video']} frames",
        "network": f"{run['crops'] * floor['multiply_adds_per_crop'] / 1e9:.0f} billion multiply-adds",
    }
    for name, how in words.items():
        yield f"  floor of {name}: {floor[name]['wall_s']:.2f} s ({floor[name]['cpu_s']:.2f} s processor) for {how}"
    times = floor["times_floor"]
    yield (
        f"  both: {floor['wall_s']:.2f} s ({floor['cpu_s']:.2f} s processor); "
        f"warm is {times['wall_s']} times that ({times['cpu_s']} times in processor time)"
    )


def _seconds(spent: dict[str, float] | None, unit: str) -> str:
    return NOTHING if spent is None else f"{spent[unit]:.2f}"
