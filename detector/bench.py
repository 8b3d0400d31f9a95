"""Measures how long an analysis takes, by stage, and how much memory it needs, on this machine.

Each video is examined twice by one new process: cold (libraries and network still to be loaded, the disk's cache as it
happens to be) and warm, as by a worker whose network is loaded. The peak memory is that of the whole process and of the
one that decodes, each at its highest.
"""

import multiprocessing
import os
import platform
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from detector.errors import DetectorError, ErrorCode

WIDTHS = {360: 640, 720: 1280, 1080: 1920, 2160: 3840}  # of the sample clip, by height
FRAME_RATE = 30

T = TypeVar("T")
Seconds = dict[str, float]


class BenchError(Exception):
    """A measurement that could not be made; ``str`` is one whole sentence."""


@dataclass(frozen=True)
class Measurement:
    """What one video cost."""

    video: str
    width: int
    height: int
    duration_s: float
    frames_analyzed: int
    people: int
    cold_s: Seconds  # by stage, with "import" and "load"; "total" is all of them
    warm_s: Seconds  # by stage and "total"
    cold_cpu_s: float  # of all cores together: what is left of the time when others keep the machine busy
    warm_cpu_s: float
    peak_memory_bytes: int


def bench(
    videos: Sequence[Path],
    frames: int,
    model: Path | None = None,
    *,
    sample_height: int = 1080,
    sample_s: float = 10.0,
    on_step: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Measure a sample clip of ``sample_s`` seconds, then ``videos``; everything measured, as plain JSON.

    The clip is made in a temporary folder, which also gets the pictures of all analyses and is removed afterwards.
    ``on_step`` hears in words what is being done. Raises DetectorError as ``pipeline.analyze`` does, and BenchError
    when a measuring process dies.
    """
    tell = on_step or _ignore
    with tempfile.TemporaryDirectory(prefix="unmask-bench-") as folder:
        clip = Path(folder) / f"sample-{sample_height}p.mp4"
        tell(f"making a sample clip of {sample_s:g} s at {sample_height}p")
        _in_child(_make_sample, clip, sample_s, sample_height)
        measured = []
        for number, video in enumerate([clip, *videos]):
            tell(f"examining {video.name}")
            pictures = Path(folder) / f"pictures-{number}"
            measured.append(_in_child(_measure, video, frames, model, pictures))
    return {
        "machine": {
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "processor": platform.machine(),
            "system": platform.platform(),
            "python": platform.python_version(),
        },
        "frames_requested": frames,
        "videos": [asdict(each) for each in measured],
    }


def as_table(result: dict[str, Any]) -> str:
    """What ``bench`` returned as lines of text: one row for each stage, one table for each video."""
    machine = result["machine"]
    lines = [f"{machine['cores']} cores, {machine['system']}, Python {machine['python']}"]
    for video in result["videos"]:
        cold, warm = video["cold_s"], video["warm_s"]
        stages = [stage for stage in cold if stage != "total"]
        what = f"{video['width']} x {video['height']}, {video['duration_s']:.1f} s"
        found = f"{video['frames_analyzed']} frames, people: {video['people']}"
        lines += ["", f"{video['video']}: {what}; {found}", f"  {'stage':<10}{'cold':>9}{'warm':>9}"]
        for stage in [*stages, "total"]:
            again = f"{warm[stage]:7.2f} s" if stage in warm else f"{'–':>9}"
            lines.append(f"  {stage:<10}{cold[stage]:7.2f} s{again}")
        lines.append(f"  {'CPU time':<10}{video['cold_cpu_s']:7.2f} s{video['warm_cpu_s']:7.2f} s")
        lines.append(f"  peak memory {video['peak_memory_bytes'] / 1e6:.0f} MB")
    return "\n".join(lines)


def _measure(path: Path, frames: int, model: Path | None, pictures: Path) -> Measurement:
    """Examine ``path`` twice in this process, which must be a new one."""
    clock = time.perf_counter()
    from detector import inference, pipeline, release  # noqa: PLC0415 -- slow import, and its time is measured

    import_s = time.perf_counter() - clock
    clock = time.perf_counter()
    network = inference.load_network(release.load_release(model) if model else release.default_release())
    load_s = time.perf_counter() - clock
    settings = pipeline.Settings(frames=frames)
    cold = pipeline.analyze(path, network, settings, out_dir=pictures)
    cold_cpu_s = time.process_time()
    warm = pipeline.analyze(path, network, settings, out_dir=pictures)
    stages = {stage: seconds for stage, seconds in cold.timings_s.items() if stage != "total"}
    total_s = import_s + load_s + cold.timings_s["total"]
    return Measurement(
        video=path.name,
        width=cold.video.width,
        height=cold.video.height,
        duration_s=cold.video.duration_s,
        frames_analyzed=cold.frames_analyzed,
        people=len(cold.tracks),
        cold_s={"import": round(import_s, 3), "load": round(load_s, 3), **stages, "total": round(total_s, 3)},
        warm_s=warm.timings_s,
        cold_cpu_s=round(cold_cpu_s, 3),
        warm_cpu_s=round(time.process_time() - cold_cpu_s, 3),
        peak_memory_bytes=_peak_memory_bytes(),
    )


def _make_sample(path: Path, seconds: float, height: int) -> None:
    from detector import sample_clip  # noqa: PLC0415 -- needed in the child alone, so that the parent stays small

    sample_clip.make_clip(path, seconds=seconds, width=WIDTHS[height], height=height, frame_rate=FRAME_RATE)


def _peak_memory_bytes() -> int:
    """Of this process so far. Linux counts what its parent had when it was started, so parents must be small."""
    peak = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return peak if sys.platform == "darwin" else peak * 1024


def _in_child(work: Callable[..., T], *arguments: object) -> T:
    """``work(*arguments)`` done by a new process, which is ended with this one."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_answer, args=(theirs, work, arguments), daemon=True)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited: the child is deaf to Ctrl-C, and ended from here
    try:
        child.start()
    finally:
        signal.signal(signal.SIGINT, before)
    theirs.close()
    try:
        result, refusal = ours.recv()
    except EOFError as error:
        child.join()
        raise BenchError(
            f"The measuring process ended with exit code {child.exitcode}; see above, or the machine ran out of memory."
        ) from error
    finally:
        child.terminate()
        child.join()
    if refusal is not None:
        raise DetectorError(ErrorCode(refusal[0]), refusal[1])
    answer: T = result
    return answer


def _answer(connection: Connection, work: Callable[..., object], arguments: tuple[object, ...]) -> None:
    """Send (result, None), or (None, code and sentence) of a refusal."""
    try:
        result = work(*arguments)
    except DetectorError as error:
        connection.send((None, (str(error.code), str(error))))
    else:
        connection.send((result, None))


def _ignore(step: str) -> None:
    """Nobody listens."""
