"""Decoders forked from a warm process instead of started anew: the same child, limits and fences in less time.

The warm process has loaded what a decoder loads and nothing else. For each decoder it forks a keeper, which forks the
decoder, waits for it and tells how it ended. Talks over a socket that it inherits.
"""

import importlib
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from detector import reader_child, reader_process, sandbox

_NUMBER = struct.Struct("i")
_FDS = 64


class Forked:
    """A decoder, as detector/reader_process.py wants to see it."""

    def __init__(self, stdin: IO[bytes], stdout: IO[bytes], status: IO[bytes]) -> None:
        self.stdin, self.stdout, self._status = stdin, stdout, status
        (self.pid,) = _NUMBER.unpack(status.read(_NUMBER.size))
        self._code: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        if self._code is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("decoder", timeout or 0.0)
            (ended,) = _NUMBER.unpack(self._status.read(_NUMBER.size))
            self._code = os.waitstatus_to_exitcode(ended)
            self._status.close()
        return self._code


class Warm:
    """The warm process; ``start`` takes the place of reader_process.start."""

    def __enter__(self) -> Self:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.fuzz.warm", str(theirs.fileno())],
                cwd=reader_process.ROOT,
                env=reader_process._environment(),
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._socket.close()
        self._process.wait(20)

    def start(self, stderr: IO[bytes]) -> Forked:
        stdin, stdout, status = os.pipe(), os.pipe(), os.pipe()
        theirs = [stdin[0], stdout[1], stderr.fileno(), status[1]]
        socket.send_fds(self._socket, [b"x"], theirs)
        for file in (stdin[0], stdout[1], status[1]):
            os.close(file)
        files = (os.fdopen(stdin[1], "wb", 0), os.fdopen(stdout[0], "rb", 0), os.fdopen(status[0], "rb", 0))
        return Forked(*files)

    def children(self) -> set[int]:
        """Keepers that still wait for a decoder."""
        return {
            int(pid)
            for task in Path(f"/proc/{self._process.pid}/task").iterdir()
            for pid in (task / "children").read_text(encoding="ascii").split()
        }


def main() -> None:
    for name in reader_child.PRELOADED:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # keepers need no burial
    with socket.socket(fileno=int(sys.argv[1])) as told:
        while files := socket.recv_fds(told, 1, 4)[1]:
            if os.fork() == 0:
                told.close()
                _keep(files)
            for file in files:
                os.close(file)


def _keep(files: list[int]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    keeper, status = os.getpid(), files[3]
    decoder = os.fork()
    if decoder == 0:
        os.setsid()
        os.write(status, _NUMBER.pack(os.getpid()))
        for number, file in enumerate(files[:3]):
            os.dup2(file, number)
        os.closerange(3, _FDS)
        _decode(keeper)
    for file in files[:3]:
        os.close(file)
    os.write(status, _NUMBER.pack(os.waitpid(decoder, 0)[1]))
    os._exit(0)


def _decode(keeper: int) -> None:
    die_with = sandbox.die_with_parent
    sandbox.die_with_parent = lambda parent: die_with(keeper)
    code = 1
    try:
        code = reader_child.main()
    except BaseException:  # noqa: BLE001 -- as the interpreter does at its end
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
