"""What the measuring processes do: examine a video cold and warm, or at the same moment as others."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from detector.process_usage import Usage, of_process

if TYPE_CHECKING:
    from detector.inference import Network
    from detector.report import Report

WARMING_FRAMES = 10
LOOKING_EVERY_S = 0.02
START_S = 900.0  # that one waits for the others before all begin


@dataclass(frozen=True)
class Job:
    """An analysis to be measured."""

    video: Path
    frames: int
    model: Path | None
    pictures: Path  # the folder that they are written to
    precision: str = "float32"  # to compute in where the processor can


class Meter:
    """Seconds on the clock and of the processor since it was made; ended children of this process count too."""

    def __init__(self) -> None:
        self._wall_s, self._cpu_s = time.perf_counter(), _cpu_s()

    def read(self) -> dict[str, float]:
        return rounded(time.perf_counter() - self._wall_s, _cpu_s() - self._cpu_s)


class MemoryWatch:
    """The most memory that this process held, with a child beside it, at one time; looked at fifty times a second.

    Use as a context manager.
    """

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._beside: Callable[[], Usage] = Usage
        self._is_over = threading.Event()
        self._looking = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._looking.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._looking.join()
        self._note()

    @contextmanager
    def also(self, usage: "Callable[[], Usage]") -> Iterator[None]:
        """Count what ``usage`` tells, too, inside the block."""
        self._beside = usage
        try:
            yield
        finally:
            self._beside = Usage

    def _look(self) -> None:
        while not self._is_over.wait(LOOKING_EVERY_S):
            self._note()

    def _note(self) -> None:
        now = of_process(os.getpid()).memory_bytes + self._beside().memory_bytes
        self.peak_bytes = max(self.peak_bytes, now)


def rounded(wall_s: float, cpu_s: float) -> dict[str, float]:
    """A time as the measurements tell it."""
    return {"wall_s": round(wall_s, 4), "cpu_s": round(cpu_s, 4)}


def examine(job: Job) -> dict[str, Any]:
    """Examine the video twice in this process, which must be a new one."""
    memory, whole = MemoryWatch(), Meter()
    with memory:
        network, loading = _load(job)
        first = _analyse(job, network, memory)
        cold = whole.read()
        second = _analyse(job, network, memory)
    report = second.report
    return {
        "width": report.video.width,
        "height": report.video.height,
        "duration_s": report.video.duration_s,
        "frames_analyzed": report.frames_analyzed,
        "people": len(report.tracks),
        "crops": sum(len(track.samples) for track in report.tracks),
        "model": _model_in_words(report),
        "verdict": report.verdict.value,
        "probability_fake": report.probability_fake,
        "cold": {"stages": {**loading, **first.stages}, **cold},
        "warm": {"stages": second.stages, **second.whole},
        "peak_memory_bytes": max(memory.peak_bytes, peak_memory_bytes()),  # never less than this process alone
    }


def take_part(barrier: Barrier, job: Job, cores: Sequence[int] = ()) -> tuple[float, float, float]:
    """Examine the video, warm, from the moment at which all others are ready too; on ``cores`` alone, if any are given.

    Begin and end on the monotonic clock, which the processes of a machine share, and processor seconds.
    """
    if cores:
        os.sched_setaffinity(0, cores)  # which the decoder inherits
    network, _ = _load(job, len(cores) or None)
    _analyse(replace(job, frames=WARMING_FRAMES), network)
    barrier.wait(START_S)
    meter, begin_s = Meter(), time.monotonic()
    _analyse(job, network)
    return begin_s, time.monotonic(), meter.read()["cpu_s"]


def peak_memory_bytes() -> int:
    """Of this process so far."""
    return of_process(os.getpid()).peak_memory_bytes


@dataclass(frozen=True)
class _Analysed:
    stages: dict[str, dict[str, float]]
    whole: dict[str, float]
    report: "Report"


def _load(job: Job, threads: int | None = None) -> tuple["Network", dict[str, dict[str, float]]]:
    """The network, and what it took to import the libraries and to load it."""
    meter = Meter()
    from detector import inference, pipeline, precision, release  # noqa: F401, PLC0415 -- slow import, which is measured

    imported = meter.read()
    meter = Meter()
    chosen = release.load_release(job.model) if job.model else release.default_release()
    network = inference.load_network(chosen, threads, precision.Precision(job.precision))
    return network, {"import": imported, "load": meter.read()}


def _analyse(job: Job, network: "Network", memory: "MemoryWatch | None" = None) -> _Analysed:
    from detector import pipeline  # noqa: PLC0415 -- slow import, made before
    from detector.reader import Reader  # noqa: PLC0415 -- as above
    from detector.stopwatch import Spent, Stopwatch  # noqa: PLC0415 -- as above

    watch, meter = Stopwatch(), Meter()
    settings = pipeline.Settings(frames=job.frames)
    with Reader(job.video, settings.limits) as reader, memory.also(reader.usage) if memory else nullcontext():
        report = pipeline.analyze(
            job.video,
            network,
            settings,
            out_dir=job.pictures,
            reader=reader,
            stopwatch=watch,
            draw_frames=False,  # as a worker does
        )
    whole = meter.read()
    spent = {name: watch.spent.get(name, Spent()) for name in pipeline.TIMED}
    stages = {name: rounded(one.wall_s, one.cpu_s) for name, one in spent.items()}
    return _Analysed(stages, whole, report)


def _model_in_words(report: "Report") -> str:
    from detector.precision import suffix  # noqa: PLC0415 -- as above

    return f"{report.model.name} {report.model.version}{suffix(report.model.precision)}"


def _cpu_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
