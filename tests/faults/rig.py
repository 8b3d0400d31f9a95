"""A whole site to do harm to: started in a folder of its own, with hands on each of its processes, and a person."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from deepfakesite.supervision import LEASH
from tests.faults import invariants
from tests.faults.person import Answer, Person, another, small_clip
from tests.running import MANAGE, ROOT, Site, environment, free_port, processes_of, wait_until_gone

PATIENCE = float(os.environ.get("FAULTS_PATIENCE", "1"))  # times as long for everything, where others need the machine
LEASE_S, HEARTBEAT_S = 4.0 * PATIENCE**0.5, 0.5  # a starved worker cannot keep a short one
START_TIMEOUT_S = 300.0  # a machine that is busy with other things is not a fault
PATIENCE_S = 60.0  # for anything that a round waits for before or beside the recovery
STAND_IN = {
    "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
    "LEASE_S": str(LEASE_S),
    "HEARTBEAT_S": str(HEARTBEAT_S),
    "JOB_TIMEOUT_S": "900",
    "MIN_FREE_BYTES": "0",  # or no upload would ever meet a full disk
}


class TookTooLong(Exception):
    """Something that a round needed did not come about."""


def wait_for(condition: Callable[[], Any], what: str, timeout_s: float = PATIENCE_S, every_s: float = 0.05) -> None:
    end = time.monotonic() + timeout_s * PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise TookTooLong(f"It did not come about in {timeout_s * PATIENCE:.0f} s: {what}.")
        time.sleep(every_s)


@dataclass
class Rig:
    """One installation, its supervisor and its person."""

    folder: Path
    variables: dict[str, str]
    workers: int = 1
    port: int = field(default_factory=free_port)
    clip: bytes = b""
    struck_at: float = 0.0
    site: Site = field(init=False)
    person: Person = field(init=False)
    _mark: int = 0
    _content: bytes = b""

    def start(self) -> None:
        """Start the supervisor, which starts the rest; healthy when this returns."""
        up = [sys.executable, str(MANAGE), "up", "--port", str(self.port), "--workers", str(self.workers)]
        log = self.folder / "up.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, str(LEASH), str(os.getpid()), *up],  # it ends when the rounds are broken off
                env=environment(self.folder, **self.variables),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.site = Site(f"http://127.0.0.1:{self.port}", self.folder, process, log)
        self.site.wait_until_healthy(START_TIMEOUT_S * PATIENCE)

    def end(self) -> None:
        """End everything, by force where need be."""
        if self.site.process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.site.stop()
        for pid in processes_of(self.folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.site.process.wait()
        wait_until_gone(self.folder, 10.0)

    # What a person does

    def upload(self, more_bytes: int = 32) -> str:
        """An upload that must be acknowledged; the analysis's key."""
        answer = self.try_upload(more_bytes)
        assert answer.pk, f"The upload was answered with {answer.status} {answer.sentences}."
        return answer.pk

    def try_upload(self, more_bytes: int = 32) -> Answer:
        self._content = another(self.clip, more_bytes)
        return self.person.upload(self._content)

    def upload_again(self) -> str:
        """The file that was sent last once more, which is another analysis of the same video."""
        answer = self.person.upload(self._content)
        assert answer.pk, f"The same file once more was answered with {answer.status} {answer.sentences}."
        return answer.pk

    @property
    def kept(self) -> invariants.Kept:
        """Where one looks at what is kept."""
        return invariants.OneMachine(self.folder)

    @property
    def work_folder(self) -> Path:
        """The DATA_DIR of the machine on which jobs run."""
        return self.folder

    def row(self, pk: str) -> dict[str, Any]:
        return invariants.analyses(self.kept)[pk]

    # Where a job stands

    def hold(self, point: str) -> None:
        """Let the next job wait at this point of the stand-in's."""
        (self.work_folder / f"held-{point}").unlink(missing_ok=True)
        (self.work_folder / "hold").write_text(point, encoding="ascii")

    def wait_until_held(self, point: str) -> None:
        wait_for((self.work_folder / f"held-{point}").exists, f"a job at the point {point}")

    def let_go(self) -> None:
        """No job waits any more, and none will."""
        (self.work_folder / "hold").unlink(missing_ok=True)

    # Harm

    def strike(self, number: signal.Signals, pids: set[int]) -> None:
        """Send a signal to these processes at this moment, which is that of the fault."""
        assert pids, "There is nobody to send a signal to."
        self.struck()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def struck(self) -> None:
        self.struck_at = time.monotonic()

    def worker_processes(self) -> set[int]:
        """The workers and the processes of their jobs."""
        return processes_of(self.folder, "manage.py worker")

    def web_processes(self) -> set[int]:
        return processes_of(self.folder, "gunicorn")

    def queue_processes(self) -> set[int]:
        return processes_of(self.folder, "valkey-server")

    def queue(self) -> "redis.Redis":
        return redis.Redis(unix_socket_path=str(self.folder / "valkey.sock"), socket_timeout=5)

    # Coming to rest

    def come_to_rest(self, limit_s: float) -> tuple[float, list[str]]:
        """Wait until every promise is kept; seconds since the fault, and what was still broken after ``limit_s``."""
        found = ["The site has not been looked at."]
        while found and time.monotonic() - self.struck_at < limit_s * PATIENCE:
            time.sleep(0.2)
            found = self.complaints()
        return time.monotonic() - self.struck_at, found

    def complaints(self) -> list[str]:
        hanging = invariants.unfinished(self.kept)
        if hanging:
            return [f"The analysis {pk} hangs in {self.row(pk)['state']}." for pk in hanging]
        found = invariants.breaches(self.kept, self.person.acknowledged)
        status, health = self.site.health() if not found else (200, {})
        return found if status == 200 else [f"The site is not healthy: {health or 'it does not answer'}."]

    def log_since_mark(self) -> str:
        """What the site has printed since the last call."""
        text = self.site.output()
        new, self._mark = text[self._mark :], len(text)
        return new


def parent_of(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("PPid:"))


@contextlib.contextmanager
def running_rig(
    *, workers: int = 1, disk_bytes: int = 0, clip: bytes = b"", variables: dict[str, str] | None = None
) -> Iterator[Rig]:
    """A site with a person; with ``disk_bytes`` on a disk of its own of that size. Ended and removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="unmask-faults-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with _small_disk(folder, disk_bytes) if disk_bytes else contextlib.nullcontext():
            rig = Rig(folder, STAND_IN if variables is None else variables, workers)
            try:
                rig.start()
                rig.clip = clip or small_clip(folder)
                rig.person = Person(rig.site.url)
                rig.person.register("person@example.org")
                yield rig
            finally:
                rig.end()


@contextlib.contextmanager
def _small_disk(folder: Path, size_bytes: int) -> Iterator[None]:
    """A file system of that size at ``folder``, in memory. Mounting needs root."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=0700", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        raise PermissionError(
            f"A small disk could not be mounted ({mounted.stderr.strip()}). Run this as root, or under: "
            "unshare --user --map-root-user --mount"
        )
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


@contextlib.contextmanager
def full_disk(rig: Rig, leave_bytes: int = 0) -> Iterator[None]:
    """Fill the rig's own disk up to the last ``leave_bytes``; the room comes back at the end."""
    ballast = rig.folder / "ballast"
    block = b"\0" * 65536
    try:
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(block)
        if leave_bytes:
            os.truncate(ballast, max(0, ballast.stat().st_size - leave_bytes))
        yield
    finally:
        ballast.unlink(missing_ok=True)
