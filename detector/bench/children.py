"""Does work in new processes, one or several at once, so that nothing of what was measured before is left in them."""

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Barrier
from typing import Any, TypeVar

from detector.errors import DetectorError, ErrorCode

T = TypeVar("T")


class BenchError(Exception):
    """A measurement that could not be made; ``str`` is one whole sentence."""


def in_child(work: Callable[..., T], *arguments: object) -> T:
    """``work(*arguments)`` done by a new process, which is ended with this one.

    Raises DetectorError as the work does, and BenchError when the process dies.
    """
    [answer] = _all_in_children(work, [arguments])
    return answer


def together(work: Callable[..., T], each: Sequence[Sequence[object]]) -> list[T]:
    """``work(barrier, *arguments)`` for each at once, by a process each; they meet at the barrier when ready."""
    barrier: Barrier = multiprocessing.get_context("spawn").Barrier(len(each))
    return _all_in_children(work, [(barrier, *arguments) for arguments in each])


def _all_in_children(work: Callable[..., T], each: Sequence[Sequence[object]]) -> list[T]:
    running: list[tuple[BaseProcess, Connection]] = []
    answers: dict[int, Any] = {}
    try:
        for arguments in each:
            running.append(_start(work, arguments))  # noqa: PERF401 -- those begun are ended when the next cannot be
        while len(answers) < len(running):
            left = [place for place in range(len(running)) if place not in answers]
            ready = wait([running[place][1] for place in left])
            for place in left:
                if running[place][1] in ready:
                    answers[place] = _answer_of(*running[place])
    finally:
        for child, pipe in running:
            child.terminate()
            child.join()
            pipe.close()
    return [answers[place] for place in range(len(each))]


def _start(work: Callable[..., object], arguments: Sequence[object]) -> tuple[BaseProcess, Connection]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_answer, args=(theirs, work, arguments), daemon=True)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited: the child is deaf to Ctrl-C, and ended from here
    try:
        child.start()
    finally:
        signal.signal(signal.SIGINT, before)
    theirs.close()
    return child, ours


def _answer_of(child: BaseProcess, pipe: Connection) -> object:
    try:
        result, refusal = pipe.recv()
    except EOFError as error:
        child.join()
        raise BenchError(
            f"The measuring process ended with exit code {child.exitcode}; see above, or the machine ran out of memory."
        ) from error
    if refusal is not None:
        raise DetectorError(ErrorCode(refusal[0]), refusal[1])
    return result


def _answer(connection: Connection, work: Callable[..., object], arguments: Sequence[object]) -> None:
    """Send (result, None), or (None, code and sentence) of a refusal."""
    try:
        result = work(*arguments)
    except DetectorError as error:
        connection.send((None, (str(error.code), str(error))))
    else:
        connection.send((result, None))
