"""Keeps a handful of programs running: starts them, restarts what dies with growing pauses, ends them all.

Knows nothing of what the programs do. Each runs in a process group of its own, so that Ctrl-C in a terminal reaches the
supervisor alone and the programs are ended in order; on Linux they also die with a supervisor that was killed.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

LEASH = Path(__file__).with_name("leash.py")
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
STEADY_S = 30.0  # a program that ran this long starts over with the first pause
GRACE_S = 6.0  # between SIGTERM and SIGKILL


@dataclass
class Child:
    """A program and the process that runs it now."""

    name: str
    command: Sequence[str]
    rank: int = 0  # higher ranks are ended first
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    due_at: float = 0.0
    pause_s: float = field(default=FIRST_PAUSE_S)

    def start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), *self.command]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603 -- ours
        self.started_at = time.monotonic()
        return self.process

    def signal_group(self, number: signal.Signals) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, number)


class Supervisor:
    """``run`` returns when ``stop`` is set and every program has ended."""

    def __init__(self, children: Sequence[Child], say: Callable[[str], None]) -> None:
        self.children = list(children)
        self.say = say
        self.stop = threading.Event()

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                for child in self.children:
                    self._look_after(child)
                self.stop.wait(0.2)
        finally:
            self.end()

    def _look_after(self, child: Child) -> None:
        now = time.monotonic()
        if child.process is None:
            if now >= child.due_at:
                child.start()
            return
        code = child.process.poll()
        if code is None:
            return
        child.signal_group(signal.SIGKILL)  # whatever it had started and left behind
        if now - child.started_at > STEADY_S:
            child.pause_s = FIRST_PAUSE_S
        self.say(f"The {child.name} ended ({_ending(code)}); it is started again in {child.pause_s:.1f} s.")
        child.process, child.due_at = None, now + child.pause_s
        child.pause_s = min(child.pause_s * 2, LONGEST_PAUSE_S)

    def end(self) -> None:
        """End every program, highest rank first; kill what has not ended in time."""
        for rank in sorted({child.rank for child in self.children}, reverse=True):
            running = [child for child in self.children if child.rank == rank and child.process is not None]
            for child in running:
                if child.process is not None:
                    child.process.terminate()
            end = time.monotonic() + GRACE_S
            for child in running:
                self._wait(child, end)

    def _wait(self, child: Child, end: float) -> None:
        if child.process is None:
            return
        try:
            child.process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.say(f"The {child.name} did not end in time and was killed.")
        child.signal_group(signal.SIGKILL)
        child.process.wait()
        child.process = None


def _ending(code: int) -> str:
    return f"exit status {code}" if code >= 0 else f"signal {-code}"
