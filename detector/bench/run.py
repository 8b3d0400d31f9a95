"""Does what is to be measured, one thing after another, and gathers it as plain JSON."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from detector.bench import usual
from detector.bench.cases import BIT_RATES, ENCODED_S, FRAME_RATE, WIDTHS, Case, Clip
from detector.bench.children import in_child, together
from detector.bench.machine import Machine, shares_of_cores
from detector.bench.measure import Job, examine, take_part

FORMAT = 3  # of what ``run`` gives; 2 had no workers with cores of their own

Tell = Callable[[str], None]


def run(cases: Sequence[Case], on_step: Tell | None = None) -> dict[str, Any]:
    """Measure each case; everything measured, as plain JSON.

    Clips are made in a temporary folder, once each, which also gets the pictures of all analyses and is removed
    afterwards. ``on_step`` hears in words what is being done. Raises DetectorError as ``pipeline.analyze`` does, and
    BenchError when a measuring process dies.
    """
    tell, machine = on_step or _ignore, Machine()
    with tempfile.TemporaryDirectory(prefix="unmask-bench-") as folder:
        runs = [_measure(case, number, Path(folder), tell) for number, case in enumerate(cases)]
    return {"format": FORMAT, "measured_on": f"{datetime.now(UTC):%Y-%m-%d}", "machine": machine.facts(), "runs": runs}


def joined(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Several of what ``run`` gave as one, in their order: a long measurement may be made in parts.

    The day is that of the last, and other programs' share their mean. Raises ValueError where machines differ.
    """
    machines = [result["machine"] for result in results]
    if any(other[fact] != machines[0][fact] for other in machines for fact in ("cores", "processor", "memory_bytes")):
        raise ValueError("These measurements are of different machines; a page shows one.")
    shares = [machine["others_share"] for machine in machines if machine["others_share"] is not None]
    share = round(sum(shares) / len(shares), 3) if shares else None
    return {
        "format": FORMAT,
        "measured_on": max(result["measured_on"] for result in results),
        "machine": {**machines[0], "others_share": share},
        "runs": [run for result in results for run in result["runs"]],
    }


def _measure(case: Case, number: int, folder: Path, tell: Tell) -> dict[str, Any]:
    video = _make(case.source, folder, tell) if isinstance(case.source, Clip) else case.source
    job = Job(video, case.frames, case.model, folder / f"pictures-{number}", case.precision)
    tell(f"examining {video.name}, {case.frames} frames")
    measured = in_child(examine, job)
    floor = in_child(_floor, job, measured["crops"], measured["warm"])
    return {
        "video": video.name,
        "sample": _facts(case.source) if isinstance(case.source, Clip) else None,
        "frames_requested": case.frames,
        **measured,
        "floor": floor,
        "workers": _at_once(job, case.workers, measured["warm"], tell) if case.workers > 1 else None,
        "baseline": _baseline(job, measured["warm"], tell) if case.baseline else None,
    }


def _make(clip: Clip, folder: Path, tell: Tell) -> Path:
    """The clip's file, made unless it is there."""
    made = folder / clip.name
    if made.exists():
        return made
    if clip.turns > 1:
        once = _make(Clip(clip.height, ENCODED_S, clip.faces), folder, tell)
        in_child(_repeat, once, clip.turns, made)
    else:
        tell(f"making a sample clip of {clip.words}")
        in_child(_encode, made, clip)
    return made


def _facts(clip: Clip) -> dict[str, Any]:
    return {"height": clip.height, "seconds": clip.seconds, "faces": clip.faces}


def _at_once(job: Job, count: int, warm: dict[str, float], tell: Tell) -> dict[str, Any]:
    """What ``count`` workers reach that examine the same video at once, against one.

    First with all cores for all, as for the one; then, ``apart``, with an equal share of the cores for each, against
    one that has such a share: None where there are fewer cores than workers.
    """
    tell(f"examining {job.video.name} with {count} workers at once")
    jobs = [replace(job, pictures=job.pictures.with_name(f"{job.pictures.name}-{place}")) for place in range(count)]
    wall_s, cpu_s = _side_by_side([(one,) for one in jobs])
    shares = shares_of_cores(count)
    apart = None
    if shares:
        alone_s, _ = _side_by_side([(jobs[0], shares[0])])
        apart_s, _ = _side_by_side(list(zip(jobs, shares, strict=True)))
        apart = {
            "cores": len(shares[0]),
            "wall_s": round(apart_s, 4),
            "one_wall_s": round(alone_s, 4),
            "times_one": round(count * alone_s / apart_s, 2),
        }
    return {
        "count": count,
        "wall_s": round(wall_s, 4),
        "cpu_s": round(cpu_s, 4),
        "times_one": round(count * warm["wall_s"] / wall_s, 2),
        "apart": apart,
    }


def _side_by_side(each: Sequence[Sequence[object]]) -> tuple[float, float]:
    """Seconds on the clock from the first beginning to the last end, and of the processor, all together."""
    parts = together(take_part, each)
    wall_s = max(end for _, end, _ in parts) - min(begin for begin, _, _ in parts)
    return wall_s, sum(cpu_s for _, _, cpu_s in parts)


def _baseline(job: Job, warm: dict[str, Any], tell: Tell) -> dict[str, Any]:
    tell(f"examining {job.video.name} in the usual way")
    measured = usual.measure(job.video, job.frames, job.pictures.with_name(f"{job.pictures.name}-usual"))
    return measured if "left_out" in measured else measured | {"times_ours": usual.times_ours(measured, warm)}


def _floor(job: Job, crops: int, warm: dict[str, float]) -> dict[str, Any]:
    from detector.bench import floors  # noqa: PLC0415 -- needed in the child alone, so that the parent stays small

    return floors.of_run(floors.measure(job.video, job.frames, job.model, job.precision), crops, warm)


def _encode(path: Path, clip: Clip) -> None:
    from detector import sample_clip  # noqa: PLC0415 -- as above

    sample_clip.make_clip(
        path,
        seconds=clip.seconds,
        width=WIDTHS[clip.height],
        height=clip.height,
        frame_rate=FRAME_RATE,
        faces=clip.faces,
        bit_rate=BIT_RATES[clip.height],
    )


def _repeat(clip: Path, times: int, target: Path) -> None:
    from detector import sample_clip  # noqa: PLC0415 -- as above

    sample_clip.repeat_clip(clip, times, target)


def _ignore(step: str) -> None:
    """Nobody listens."""
