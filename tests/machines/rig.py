"""A site of two machines to do harm to: one serves, one works, and they share three servers and nothing else."""

import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import redis
from psycopg.rows import dict_row

from deepfakesite.supervision import LEASH
from tests.faults.person import Person, small_clip
from tests.faults.rig import PATIENCE, STAND_IN, START_TIMEOUT_S, Rig
from tests.machines.servers import Servers, running_servers
from tests.running import MANAGE, ROOT, Site, environment, processes_of, wait_until_gone


@dataclass(frozen=True)
class Shared:
    """What the machines keep together, looked at past the site."""

    servers: Servers
    machines: tuple[Path, ...]

    def rows(self, question: str, *values: Any) -> list[dict[str, Any]]:
        with psycopg.connect(self.servers.database.dsn(), row_factory=dict_row) as connection:
            found = connection.execute(question.replace("?", "%s").encode(), values).fetchall()
        return [{name: _plain(value) for name, value in row.items()} for row in found]

    def stored(self) -> dict[str, int]:
        return self.servers.bucket.objects()

    def sha256(self, name: str) -> str:
        return hashlib.sha256(self.servers.bucket.content(name)).hexdigest()

    def folders(self) -> list[Path]:
        return list(self.machines)


def _plain(value: Any) -> Any:
    return value.hex if isinstance(value, uuid.UUID) else value


@dataclass
class Machines(Rig):
    """``folder`` is the DATA_DIR of the machine that serves, ``work_folder`` that of the one that works."""

    servers: Servers | None = None
    working: "subprocess.Popen[bytes] | None" = None

    @property
    def shared(self) -> Servers:
        assert self.servers is not None
        return self.servers

    @property
    def kept(self) -> Shared:
        return Shared(self.shared, (self.folder, self.work_folder))

    @property
    def work_folder(self) -> Path:
        return self.folder.with_name("work")

    def start(self) -> None:
        for folder in (self.folder, self.work_folder):
            folder.mkdir(exist_ok=True)
        serving = self._up(self.folder, "--only", "web", "--port", str(self.port))
        self.site = Site(f"http://127.0.0.1:{self.port}", self.folder, serving, self.folder / "up.log")
        self.working = self._up(self.work_folder, "--only", "worker", "--workers", str(self.workers))
        self.site.wait_until_healthy(START_TIMEOUT_S * PATIENCE)

    def _up(self, folder: Path, *arguments: str) -> "subprocess.Popen[bytes]":
        with (folder / "up.log").open("ab") as output:
            return subprocess.Popen(
                [sys.executable, str(LEASH), str(os.getpid()), sys.executable, str(MANAGE), "up", *arguments],
                env=environment(folder, **self.shared.variables(), **self.variables),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def end(self) -> None:
        if self.working is not None:
            self.working.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.working.wait(20)
            for pid in processes_of(self.work_folder):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, 9)
            self.working.wait()
            wait_until_gone(self.work_folder, 10.0)
        super().end()

    def worker_processes(self) -> set[int]:
        return processes_of(self.work_folder, "manage.py worker")

    def queue_processes(self) -> set[int]:
        process = self.shared.queue.server.process
        assert process is not None
        return {process.pid}

    def queue(self) -> "redis.Redis":
        return self.shared.queue.client()

    def log_since_mark(self) -> str:
        return super().log_since_mark() + (self.work_folder / "up.log").read_text(encoding="utf-8", errors="replace")


@contextlib.contextmanager
def running_machines(workers: int = 1) -> Iterator[Machines]:
    """Servers, two machines and a person; ended and removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="unmask-machines-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with running_servers(folder) as servers:
            rig = Machines(folder / "web", STAND_IN, workers, servers=servers)
            try:
                rig.start()
                rig.clip = small_clip(folder)
                rig.person = Person(rig.site.url)
                rig.person.register("person@example.org")
                yield rig
            finally:
                rig.end()
