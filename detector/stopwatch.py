"""Adds up what the stages of a piece of work take: seconds on the clock and seconds of the processor.

Stages may run side by side in several threads: then their seconds on the clock overlap, and together may exceed the
whole. Processor time is that of this process with all its threads, and what passes while several stages run is divided
evenly among them, so that the stages together never have more of it than the process used.
"""

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass
class Spent:
    """What one stage took, all its times together."""

    wall_s: float = 0.0
    cpu_s: float = 0.0


class Stopwatch:
    """Seconds by stage. A stage may be entered often and from several threads, but a thread is in one at a time."""

    def __init__(self) -> None:
        self.spent: dict[str, Spent] = {}
        self._lock = threading.Lock()
        self._running: list[str] = []
        self._settled_cpu_s = 0.0

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """What is done inside counts for the stage ``name``, an exception or not."""
        with self._lock:
            self._settle()
            self._running.append(name)
            spent = self.spent.setdefault(name, Spent())
        began = time.perf_counter()
        try:
            yield
        finally:
            took = time.perf_counter() - began
            with self._lock:
                spent.wall_s += took
                self._settle()
                self._running.remove(name)

    def each(self, name: str, items: Iterable[T]) -> Iterator[T]:
        """``items``; the wait for each counts for the stage ``name``."""
        iterator = iter(items)
        while True:
            with self.stage(name):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item

    def add(self, name: str, cpu_s: float) -> None:
        """Processor time that another process spent on the stage ``name``."""
        with self._lock:
            self.spent.setdefault(name, Spent()).cpu_s += cpu_s

    def _settle(self) -> None:
        """Give the processor time since the last change to the stages that ran meanwhile."""
        now_s = time.process_time()
        for name in self._running:
            self.spent[name].cpu_s += (now_s - self._settled_cpu_s) / len(self._running)
        self._settled_cpu_s = now_s
