"""Analyses many clips in child processes; a video that kills its process is a failure of that video alone."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from detector import quality
from detector.errors import DetectorError, ErrorCode
from detector.evaluate_rows import Clip, Result
from detector.inference import Network, load_network
from detector.pipeline import Settings, analyze
from detector.precision import Precision
from detector.release import load_release

CRASHED = "crashed"  # the process died, such as for want of memory

Answer = Result | tuple[str, str]

_network: Network | None = None  # of this child process


@dataclass(frozen=True)
class Plan:
    """How clips are analysed."""

    model: Path  # the release's folder
    settings: Settings
    jobs: int  # processes
    precision: Precision = Precision.FLOAT32

    @property
    def threads(self) -> int:
        """Cores for each process's network."""
        return max(1, len(os.sched_getaffinity(0)) // self.jobs)


Work = Callable[[Clip, Plan], Answer]


def results(clips: Sequence[Clip], plan: Plan, work: Work | None = None) -> Generator[Result]:
    """Yield the result of each clip as it is ready, in any order.

    ``work`` runs in the child, and analyses the clip unless told otherwise. Raises DetectorError when the model cannot
    be used.
    """
    work = work or examine_here
    waiting = list(clips)
    while waiting:
        suspects: list[Clip] = []
        yield from _together(waiting, plan, suspects, work)
        for clip in suspects:  # one of them ended its process: each alone tells which
            yield from _alone(clip, plan, work)


def examine(clip: Clip, network: Network, settings: Settings) -> Result:
    """Analyse one clip; a refusal becomes the result's failure."""
    started = time.perf_counter()
    try:
        report = analyze(clip.path, network, settings)
    except DetectorError as error:
        return Result(clip, None, None, (), 0, 0, time.perf_counter() - started, str(error.code))
    return Result(
        clip=clip,
        verdict=report.verdict,
        probability_fake=report.probability_fake,
        reasons=tuple(str(reason) for reason in report.reasons),
        frames_analyzed=report.frames_analyzed,
        people=len(report.tracks),
        seconds=time.perf_counter() - started,
        failure="",
        quality=quality.of_report(report),
    )


def _together(waiting: list[Clip], plan: Plan, suspects: list[Clip], work: Work) -> Iterator[Result]:
    """Results of clips, which leave ``waiting``; those that ran when a process died go to ``suspects``."""
    with _processes(plan, min(plan.jobs, len(waiting))) as pool:
        futures = _submit(pool, waiting, plan, work)
        for future in as_completed(futures):
            clip = futures[future]
            try:
                result = _outcome(future)
            except BrokenProcessPool:
                suspects += _started(futures, waiting, plan)
                break
            waiting.remove(clip)
            yield result
    for clip in suspects:
        waiting.remove(clip)


def _started(futures: dict[Future[Answer], Clip], waiting: list[Clip], plan: Plan) -> list[Clip]:
    """The clips without a result that may have been running: clips are begun in order, a few ahead."""
    done = [future for future in futures if future.done() and future.exception() is None]
    without = [clip for future, clip in futures.items() if future not in done and clip in waiting]
    return without[: plan.jobs + 1]


def _alone(clip: Clip, plan: Plan, work: Work) -> Iterator[Result]:
    started = time.perf_counter()
    with _processes(plan, 1) as pool:
        try:
            yield _outcome(next(iter(_submit(pool, [clip], plan, work))))
        except BrokenProcessPool:
            yield Result(clip, None, None, (), 0, 0, time.perf_counter() - started, CRASHED)


@contextmanager
def _processes(plan: Plan, count: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of fresh processes, each to load the network for itself; ended at once when its user is interrupted."""
    context = multiprocessing.get_context("spawn")  # OpenVINO must not be carried over a fork
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(count, context)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _submit(pool: ProcessPoolExecutor, clips: Sequence[Clip], plan: Plan, work: Work) -> dict[Future[Answer], Clip]:
    """Hand the clips over; the processes, which start here, are deaf to Ctrl-C: their parent ends them."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return {pool.submit(work, clip, plan): clip for clip in clips}
    finally:
        signal.signal(signal.SIGINT, before)


def examine_here(clip: Clip, plan: Plan) -> Answer:
    """Runs in the child: the result, or code and sentence of why the model cannot be used."""
    global _network  # noqa: PLW0603 -- a process keeps its network between clips
    if _network is None:
        try:
            _network = load_network(load_release(plan.model), plan.threads, plan.precision)
        except DetectorError as error:
            return str(error.code), str(error)
    return examine(clip, _network, plan.settings)


def _outcome(future: Future[Answer]) -> Result:
    answer = future.result()
    if isinstance(answer, tuple):
        raise DetectorError(ErrorCode(answer[0]), answer[1])
    return answer
