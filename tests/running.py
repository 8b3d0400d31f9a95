"""A site that is really started by ``manage.py up``, for tests that look at it from outside."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MANAGE = ROOT / "manage.py"
START_TIMEOUT_S = 90.0  # slow machines start slowly; usually it takes a few seconds


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(folder: Path, **more: str) -> dict[str, str]:
    """This process's environment, for a site whose data lie in ``folder`` and nowhere else."""
    own = {
        "DATA_DIR": str(folder),
        "DATABASE_URL": f"sqlite:///{folder / 'unmask.sqlite3'}",
        "REDIS_URL": "",
        "SECRET_KEY": "",
        "PYTHONUNBUFFERED": "1",
    }
    return {**os.environ, **own, **more}


def manage(folder: Path, *arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
    """Run a management command on that installation to its end."""
    return subprocess.run(
        [sys.executable, str(MANAGE), *arguments],
        env=environment(folder, **more),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@dataclass
class Site:
    """A running site: where it is, where its data lie, and the supervisor's process."""

    url: str
    folder: Path
    process: "subprocess.Popen[bytes]"
    log: Path

    def get(self, path: str) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=10) as response:  # our own address
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def health(self) -> tuple[int, dict[str, Any]]:
        """Status code and answer of /healthz; status 0 while nothing listens."""
        try:
            status, body = self.get("/healthz")
            return status, json.loads(body)
        except (OSError, json.JSONDecodeError):
            return 0, {}

    def wait_until_healthy(self, timeout_s: float = START_TIMEOUT_S) -> None:
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if self.health()[0] == 200:
                return
            assert self.process.poll() is None, f"The site ended:\n{self.output()}"
            time.sleep(0.2)
        raise AssertionError(f"The site did not become healthy: {self.health()}\n{self.output()}")

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout_s: float = 20.0) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout_s)


@contextlib.contextmanager
def running_site(folder: Path, **more: str) -> Iterator[Site]:
    """Start the site in ``folder`` on a free port and wait until it is healthy; ended afterwards in any case."""
    folder.mkdir(parents=True, exist_ok=True)
    port, log = free_port(), folder / "up.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, str(MANAGE), "up", "--port", str(port)],
            env=environment(folder, **more),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    site = Site(f"http://127.0.0.1:{port}", folder, process, log)
    try:
        site.wait_until_healthy()
        yield site
    finally:
        if process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                site.stop()
        for pid in processes_of(folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def processes_of(folder: Path, containing: str = "") -> set[int]:
    """Every process on this machine that was started for the installation in ``folder`` (Linux: read from /proc)."""
    wanted = f"DATA_DIR={folder}".encode()
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            variables = (entry / "environ").read_bytes().split(b"\0")
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            mine = wanted in variables or str(folder) in command  # the queue server overwrites its own environment
            if mine and command and containing in command:
                found.add(int(entry.name))
    return found


def wait_until_gone(folder: Path, timeout_s: float) -> set[int]:
    """What is left of that installation's processes after at most ``timeout_s``."""
    end = time.monotonic() + timeout_s
    while (left := processes_of(folder)) and time.monotonic() < end:
        time.sleep(0.1)
    return left
