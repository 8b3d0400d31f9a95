"""What an analysis may cost, and whether it was kept: on two cores, warm, with 60 frames of one person.

The seconds are for ResNeXt50; another model may take twice as long.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from detector.bench.cases import REFERENCE, Clip
from detector.bench.text import NOTHING

FAST = "resnext50-lstm"  # the model that the seconds are for; they are doubled for any other
ALLOWED_S = {REFERENCE: 3.0, Clip(height=2160): 6.0, Clip(seconds=600.0): 10.0}
FRAMES = 60
PEAK_BYTES = 700e6
TIMES_USUAL, TIMES_ONE, TIMES_FLOOR = 25.0, 1.7, 2.0


@dataclass(frozen=True)
class Row:
    """One line of the budget."""

    what: str
    allowed: str
    measured: str
    at_best: str  # what processor time alone would allow, where that says more
    is_kept: bool


def rows(result: dict[str, Any]) -> Iterator[Row]:
    """Whatever the budget says of the runs in ``result``, in their order; runs of other clips are passed over."""
    cores = result["machine"]["cores"]
    for run in result["runs"]:
        clip = _clip(run)
        if clip in ALLOWED_S and run["frames_requested"] == FRAMES:
            yield from _of_run(run, clip, cores)


def _of_run(run: dict[str, Any], clip: Clip, cores: int) -> Iterator[Row]:
    warm, name = run["warm"], f"{clip.words}, {run['model']}"
    allowed_s = ALLOWED_S[clip] * (1 if run["model"].startswith(FAST) else 2)
    at_best = f"{warm['cpu_s'] / cores:.1f} s"
    yield Row(name, f"{allowed_s:g} s", f"{warm['wall_s']:.1f} s", at_best, warm["wall_s"] <= allowed_s)
    peak = run["peak_memory_bytes"]
    yield Row(f"{name}: peak memory", _megabytes(PEAK_BYTES), _megabytes(peak), NOTHING, peak <= PEAK_BYTES)
    yield _times_floor(run, name)
    if run["workers"]:
        yield _times_one(run["workers"], name)
    if run["baseline"] and "left_out" not in run["baseline"] and run["model"].startswith(FAST):
        times = run["baseline"]["times_ours"]["total"]
        what = f"{name}: times as fast as the usual way"
        is_kept = times["wall_s"] >= TIMES_USUAL
        yield Row(what, f"≥ {TIMES_USUAL:g}", f"{times['wall_s']:.1f}", f"{times['cpu_s']:.1f} times", is_kept)


def _times_one(workers: dict[str, Any], name: str) -> Row:
    """Against one with as many cores as each of several has: one that has them all leaves little to gain."""
    apart, what = workers["apart"], f"{name}: {workers['count']} workers at once, times the throughput of one"
    if apart:
        what += f" with as many cores as each ({apart['cores']})"
    times = (apart or workers)["times_one"]
    return Row(what, f"≥ {TIMES_ONE:g}", f"{times:.2f}", NOTHING, times >= TIMES_ONE)


def _times_floor(run: dict[str, Any], name: str) -> Row:
    times = run["floor"]["times_floor"]
    return Row(
        f"{name}: times the floor",
        f"≤ {TIMES_FLOOR:g}",
        f"{times['wall_s']}",
        f"{times['cpu_s']} times",
        times["wall_s"] is not None and times["wall_s"] <= TIMES_FLOOR,
    )


def _clip(run: dict[str, Any]) -> Clip | None:
    return Clip(**run["sample"]) if run["sample"] else None


def _megabytes(size: float) -> str:
    return f"{size / 1e6:.0f} MB"
