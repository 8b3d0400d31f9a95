"""Does independent pieces of work in several threads at once, in an order that nobody can see.

What takes the time (OpenCV, dlib's finder, OpenVINO) lets go of Python's lock while it works.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

MAX_HANDS = 4  # each holds pictures of its own, so more would make the memory needed depend on the machine

A = TypeVar("A")
B = TypeVar("B")


def cores() -> int:
    """That this process may use: a container or an administrator may allow fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Hands:
    """Threads that work side by side; use as a context manager, and not inside a piece of work. One is none at all."""

    def __init__(self, count: int | None = None) -> None:
        """``count`` threads, or as many as there are cores; never more than MAX_HANDS."""
        count = min(MAX_HANDS, count or cores())
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="hand") if count > 1 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Wait for what is being done; what has not begun is left."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def map(self, work: Callable[[A], B], items: Iterable[A]) -> list[B]:
        """``work`` of each item, in the order of the items. Raises what the first piece of work raised that failed."""
        items = list(items)
        return [work(item) for item in items] if len(items) < 2 else list(self.each(work, items))

    def each(self, work: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
        """As ``map``, but each as soon as it is done and those before it are."""
        return map(work, items) if self._pool is None else self._pool.map(work, items)


ALONE = Hands(1)
