"""The life of the confined child process in which a video is decoded: its start, its bytes, its time, its end.

What the bytes mean is for reader.py. The child is a fresh interpreter in a session of its own, with nothing of this
process's environment; it takes its rights away itself (sandbox.py) before it opens the video.
"""

import contextlib
import dataclasses
import logging
import math
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from detector.errors import DetectorError, ErrorCode, ReaderError
from detector.process_usage import Usage, of_process
from detector.reader_messages import packed, write_all
from detector.sandbox import Bounds

logger = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "detector.reader_child")
ROOT = Path(__file__).resolve().parent.parent  # where the child finds its modules
_ASK_EVERY_S = 0.2  # whether to stop, while waiting
_STDERR_BYTES = 2000


@dataclass(frozen=True)
class Allowance:
    """What reading one video may cost."""

    memory_bytes: int = 3 * 1024**3  # of the child's address space
    cpu_s: float = 3600.0  # of the child, over all its threads
    wait_s: float = 1800.0  # that this process waits for it, all waits together


class Process(Protocol):
    """What is needed of a process; subprocess.Popen has it."""

    @property
    def pid(self) -> int: ...
    @property
    def stdin(self) -> IO[bytes] | None: ...
    @property
    def stdout(self) -> IO[bytes] | None: ...
    def wait(self, timeout: float | None = None) -> int: ...


def start(stderr: IO[bytes]) -> Process:
    """A fresh interpreter, which waits to be told what to read; a session of its own, ended as a whole."""
    return subprocess.Popen(  # noqa: S603 -- a fixed command
        COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        bufsize=0,
        cwd=ROOT,
        env=_environment(),
        start_new_session=True,
    )


def _environment() -> dict[str, str]:
    """Nothing of this process's environment but where programs lie: no secrets, no proxies, no settings."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",  # an arena for each thread would use up the address space
        "MALLOC_MMAP_THRESHOLD_": "8388608",  # what a frame of 4K took is given back at once
    }


class Child:
    """A running child; made with what it is told first.

    Raises ReaderError where none can be had, ValueError where JSON cannot say what it is told.
    """

    def __init__(self, told: dict[str, Any], allowance: Allowance) -> None:
        self.has_begun = False  # to be set once it has said so: until then a death is no fault of the video
        self._left_s = allowance.wait_s
        bounds = Bounds(memory_bytes=allowance.memory_bytes, cpu_s=max(1, math.ceil(allowance.cpu_s)))
        first = packed({"parent": os.getpid(), "bounds": dataclasses.asdict(bounds), **told})  # fails before it starts
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 -- closed by close(); it has no name on the disk
        try:
            self._process = start(self._stderr)
        except OSError as error:
            self._stderr.close()
            raise ReaderError(f"The process that reads videos cannot be started: {error}.") from error
        self._send(first)

    def close(self) -> None:
        """Kill the child with all it may have started, at once; harmless twice."""
        if self._stderr.closed:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._stderr.close()

    def usage(self) -> Usage:
        """What it has used so far."""
        return of_process(self._process.pid)

    def tell(self, message: dict[str, Any]) -> None:
        """Send ``message``. Nothing is said when the child is gone; that is seen when it is read."""
        self._send(packed(message))

    def _send(self, content: bytes) -> None:
        assert self._process.stdin is not None  # noqa: S101 -- for the types: it was asked for
        with contextlib.suppress(BrokenPipeError):
            write_all(self._process.stdin.fileno(), content)

    def read_into(self, target: memoryview, should_stop: Callable[[], bool] | None) -> None:
        """Fill ``target`` with what the child writes, waiting no longer than is left to it.

        Raises DetectorError: CANCELLED, TIMED_OUT, TOO_DEMANDING or DECODER_CRASHED; ReaderError before it has begun.
        """
        assert self._process.stdout is not None  # noqa: S101 -- for the types: it was asked for
        pipe = self._process.stdout.fileno()
        poll = select.poll()
        poll.register(pipe, select.POLLIN)
        while target:
            if should_stop is not None and should_stop():
                raise DetectorError(ErrorCode.CANCELLED, "The analysis was cancelled.")
            clock = time.monotonic()
            is_there = poll.poll(1000 * min(_ASK_EVERY_S, max(0.0, self._left_s)))
            self._left_s -= time.monotonic() - clock
            if is_there:
                count = os.readv(pipe, [target])
                if count == 0:
                    raise self._death()
                target = target[count:]
            elif self._left_s <= 0:
                raise _timed_out()

    def _death(self) -> Exception:
        """What the end of the child means."""
        try:
            code = self._process.wait(timeout=5.0)
        except subprocess.TimeoutExpired:  # it closed its end and goes on
            code = 0
        said = self._said()
        if code == -signal.SIGXCPU:
            return _timed_out()
        if code == -signal.SIGKILL:
            logger.warning("The decoder was killed, perhaps because the machine had no memory left.")
            return _too_demanding()
        if any(sign in said for sign in ("MemoryError", "Cannot allocate memory", "can't start new thread")):
            return _too_demanding()
        if not self.has_begun and code >= 0:
            last = said.splitlines()[-1].rstrip(".") if said else "it said nothing"
            error = ReaderError(f"The process that reads videos ended with exit code {code} before it began: {last}.")
            error.add_note(said)  # a traceback shows it
            return error
        logger.warning("The decoder died (exit code %d): %s", code, said)
        return crashed()

    def _said(self) -> str:
        """The end of what it wrote to stderr."""
        self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, self._stderr.tell() - _STDERR_BYTES))
        return self._stderr.read(_STDERR_BYTES).decode("utf-8", "replace").strip()


def crashed() -> DetectorError:
    """The child died, or says what cannot be."""
    return DetectorError(
        ErrorCode.DECODER_CRASHED,
        "The decoder broke down over the video, which is damaged or manipulated; convert it to MP4 (H.264).",
    )


def _timed_out() -> DetectorError:
    return DetectorError(
        ErrorCode.TIMED_OUT, "Decoding the video took longer than is allowed here; cut out the part that matters."
    )


def _too_demanding() -> DetectorError:
    return DetectorError(
        ErrorCode.TOO_DEMANDING,
        "Decoding the video takes more memory than is allowed here; convert it to an ordinary MP4 (H.264).",
    )
