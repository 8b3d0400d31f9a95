"""A real worker is killed in the middle of an analysis; nothing is lost, and the next one finishes it."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import django_rq
import pytest
import redis
from django.conf import settings as site
from django.db import connection

from analysis import tasks
from analysis.models import Analysis
from deepfakesite import valkey
from tests.analysis.builders import make_analysis, make_user
from tests.running import environment

WAIT_S = 90.0  # slow machines start slowly; usually it takes a few seconds


@pytest.fixture
def folder(transactional_db: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data of an installation: the tables of the test's database, and a queue server."""
    path = tmp_path_factory.mktemp("site")
    site.MEDIA_ROOT = path / "media"  # put back by the fixture that gives each test its own
    with subprocess.Popen(
        valkey.command(path / "valkey.sock", path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        assert valkey.wait_until_answers(f"unix://{path / 'valkey.sock'}", server)
        yield path
        server.terminate()


def save_database(folder: Path) -> None:
    """Copies the test's database to where the installation's programs look for theirs."""
    connection.ensure_connection()
    with sqlite3.connect(folder / "unmask.sqlite3") as target:
        connection.connection.backup(target)
    target.close()


def row_of(folder: Path) -> dict[str, Any]:
    with sqlite3.connect(folder / "unmask.sqlite3") as database:
        database.row_factory = sqlite3.Row
        row = database.execute("SELECT * FROM analysis_analysis").fetchone()
    database.close()
    return dict(row)


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, "It took too long."
        time.sleep(0.1)


@contextlib.contextmanager
def start_worker(folder: Path, *arguments: str) -> "Iterator[subprocess.Popen[bytes]]":
    """A worker of that installation, which does not outlive the block, whatever went wrong in it."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.analysis.slow_worker", *arguments],
        cwd=site.BASE_DIR,
        env=environment(folder, DJANGO_SETTINGS_MODULE="deepfakesite.settings", LEASE_S="2", HEARTBEAT_S="0.5"),
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    ) as worker:
        try:
            yield worker
            worker.wait(WAIT_S)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)


def test_killed_worker_loses_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    analysis: Analysis = make_analysis(owner=make_user())
    save_database(folder)
    server = redis.Redis(unix_socket_path=str(folder / "valkey.sock"))
    queue = django_rq.get_queue("default", commit_mode="auto", connection=server)
    monkeypatch.setattr(tasks, "_queue", lambda: queue)
    assert tasks.enqueue(analysis)

    with start_worker(folder) as worker:
        wait_for(lambda: row_of(folder)["state"] == "running" and row_of(folder)["share"] > 0)
        first_lease = row_of(folder)["lease_expires_at"]
        wait_for(lambda: row_of(folder)["lease_expires_at"] > first_lease)  # it lives, and keeps its lease
        os.killpg(worker.pid, signal.SIGKILL)
    killed = row_of(folder)
    assert (killed["state"], killed["attempt"]) == ("running", 1)

    wait_for(lambda: row_of(folder)["lease_expires_at"] < str(datetime.now(UTC)))
    with start_worker(folder, "quick") as worker:  # it reconciles first, as the supervisor does at its start
        assert worker.wait(WAIT_S) == 0
    server.close()

    done = row_of(folder)
    assert done["id"] == analysis.pk.hex
    assert (done["state"], done["attempt"], done["lost_leases"], done["verdict"]) == ("done", 2, 1, "FAKE")
    kept = {path.relative_to(folder / "media" / "analyses").parts[1][:2] for path in folder.rglob("*-crop.jpg")}
    assert kept == {"2-"}
