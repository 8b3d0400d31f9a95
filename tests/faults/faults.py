"""The faults: each brings about one kind of harm in the real processes of a rig, at the moment that hurts most.

A fault makes uploads, does its harm, lets go of what it held, and returns what it did not like about how the site
behaved meanwhile, as sentences. That everything comes to rest afterwards is looked at by the round, for all alike.
"""

import contextlib
import http.client
import random
import signal
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from rq import Queue
from rq.serializers import JSONSerializer

from tests.faults import invariants
from tests.faults.person import another
from tests.faults.rig import LEASE_S, Rig, full_disk, parent_of, wait_for
from tests.faults.stand_in import POINTS, STAGES

LOCKED_S = 10.0
DISK_BYTES = 64 * 1024**2
BIG_BYTES = 3 * 1024**2  # an upload that takes several pieces, and more than a full disk has left
CLOCK = "clock"

Inject = Callable[[Rig, random.Random], list[str]]
BROKEN_OFF = (OSError, http.client.HTTPException)


@dataclass(frozen=True)
class Fault:
    """``limit_s`` is the promise: within this time everything has come to rest, with the rig's short lease."""

    name: str
    words: str
    inject: Inject
    limit_s: float
    rounds: int  # of 200
    workers: int = 1
    disk_bytes: int = 0
    variables: dict[str, str] = field(default_factory=dict)
    as_shipped: bool = False  # the real detector, and the settings that an installation starts with

    @property
    def kind(self) -> tuple[Any, ...]:
        """Of the site that it wants."""
        return self.workers, self.disk_bytes, tuple(self.variables), self.as_shipped


def kill_worker(rig: Rig, chance: random.Random, *, point: str) -> list[str]:
    """The worker and its job's process die while one analysis is at ``point`` and another waits."""
    rig.hold(point)
    rig.upload()
    rig.upload_again()
    rig.wait_until_held(point)
    rig.strike(signal.SIGKILL, rig.worker_processes())
    rig.let_go()
    return []


def kill_job(rig: Rig, chance: random.Random) -> list[str]:
    """The job's process dies, the worker lives."""
    point = chance.choice(POINTS[1:-1])
    rig.hold(point)
    pk = rig.upload()
    rig.wait_until_held(point)
    rig.strike(signal.SIGKILL, {_job_process(rig, pk)})
    rig.let_go()
    return []


def kill_web_in_upload(rig: Rig, chance: random.Random) -> list[str]:
    """The web server dies somewhere in an upload, or in the moments after the last byte, while an analysis runs."""
    rig.upload()
    sending = rig.person.begin(another(rig.clip, BIG_BYTES))
    whole = chance.random() < 0.4
    sending.send(1.0 if whole else chance.uniform(0.05, 0.95))
    time.sleep(chance.uniform(0.0, 2.0) if whole else 0.2)
    processes = rig.web_processes()
    main = {pid for pid in processes if parent_of(pid) not in processes}
    rig.strike(signal.SIGKILL, main if chance.random() < 0.5 else processes)
    with contextlib.suppress(*BROKEN_OFF):
        sending.finish()
    return []


def kill_queue(rig: Rig, chance: random.Random) -> list[str]:
    """The queue's server dies while analyses run and wait; an upload that comes meanwhile is taken all the same."""
    point = _run_one_and_wait_two(rig, chance)
    rig.strike(signal.SIGKILL, rig.queue_processes())
    answer = rig.try_upload()
    rig.let_go()
    return [] if answer.pk else [f"An upload without a queue at {point} was answered with {answer.status}."]


def empty_queue(rig: Rig, chance: random.Random) -> list[str]:
    """FLUSHALL while analyses run and wait."""
    _run_one_and_wait_two(rig, chance)
    with contextlib.closing(rig.queue()) as queue:
        rig.struck()
        queue.flushall()
    rig.let_go()
    return []


def fill_disk_in_upload(rig: Rig, chance: random.Random) -> list[str]:
    """No room for an upload: it is refused with a sentence and keeps nothing; once there is room, it is taken."""
    complaints = []
    script = chance.random() < 0.5
    with full_disk(rig, leave_bytes=chance.choice([0, 64 * 1024, BIG_BYTES // 2])):
        rig.struck()
        try:
            answer = rig.person.upload(another(rig.clip, BIG_BYTES), script=script)
        except BROKEN_OFF as error:
            complaints.append(f"An upload onto a full disk broke off ({error!r}).")
        else:
            said = answer.sentences if script else answer.body
            if answer.pk or answer.status != 507 or "no room" not in str(said):
                complaints.append(f"An upload onto a full disk was answered with {answer.status} {answer.sentences}.")
    rig.upload()
    return complaints


def fill_disk_in_storing(rig: Rig, chance: random.Random) -> list[str]:
    """No room for the result: the analysis fails with a sentence or waits, and the one behind it is done."""
    point = chance.choice(["judging", "drawing", "storing"])
    rig.hold(point)
    rig.upload()
    rig.upload()
    rig.wait_until_held(point)
    with full_disk(rig):
        rig.struck()
        rig.let_go()
        time.sleep(chance.uniform(1.0, 6.0))
    return []


def lock_database(rig: Rig, chance: random.Random) -> list[str]:
    """Somebody else writes to the database for ten seconds, while analyses run and wait and an upload comes."""
    _run_one_and_wait_two(rig, chance)
    with (
        contextlib.closing(sqlite3.connect(rig.folder / "unmask.sqlite3", isolation_level=None)) as other,
        ThreadPoolExecutor(1) as beside,
    ):
        other.execute("PRAGMA busy_timeout = 20000")
        other.execute("BEGIN IMMEDIATE")
        rig.struck()
        coming = beside.submit(rig.try_upload)
        rig.let_go()
        time.sleep(LOCKED_S)
        other.execute("ROLLBACK")
        answer = coming.result()
    return [] if answer.pk else [f"An upload to a locked database was answered with {answer.status}."]


def set_clock(rig: Rig, chance: random.Random, *, hours: float) -> list[str]:
    """The clock is set while analyses run and wait: a worker that lives keeps what it has."""
    _run_one_and_wait_two(rig, chance)
    pk = next(pk for pk in invariants.unfinished(rig.kept) if rig.row(pk)["state"] == "running")
    rig.struck()
    with _clock(rig, hours):
        time.sleep(LEASE_S + 2)
        row = rig.row(pk)
        rig.let_go()
        wait_for(lambda: not invariants.unfinished(rig.kept), "an outcome while the clock is wrong")
    return [] if row["attempt"] == 1 else [f"A living worker lost its analysis when the clock was set by {hours} h."]


def set_clock_and_kill_worker(rig: Rig, chance: random.Random, *, hours: float) -> list[str]:
    """The clock is set, and the worker dies before it could renew its lease: nothing hangs until the old hour."""
    _run_one_and_wait_two(rig, chance)
    with _clock(rig, hours):
        rig.strike(signal.SIGKILL, rig.worker_processes())
        rig.let_go()
        wait_for(lambda: not invariants.unfinished(rig.kept), "an outcome while the clock is wrong")
    return []


def kill_supervisor(rig: Rig, chance: random.Random) -> list[str]:
    """The supervisor dies and is started again at once, as a service manager would."""
    _run_one_and_wait_two(rig, chance)
    rig.strike(signal.SIGKILL, {rig.site.process.pid})
    rig.site.process.wait()
    rig.let_go()
    rig.start()
    return []


def run_twice(rig: Rig, chance: random.Random) -> list[str]:
    """The same attempt stands in the queue twice, and two workers take it at the same moment."""
    rig.hold("taken")
    pk = rig.upload()
    with contextlib.closing(rig.queue()) as connection:
        queue = Queue("default", connection=connection, serializer=JSONSerializer)
        queue.enqueue_call(
            func="analysis.tasks.run_analysis", args=(str(uuid.UUID(pk)), 1), job_id=f"copy-{pk}", timeout=60
        )
        wait_for(lambda: queue.count == 0, "both jobs in hands")
    time.sleep(chance.uniform(0.0, 0.4))
    rig.struck()
    rig.let_go()
    return []


def freeze_worker(rig: Rig, chance: random.Random) -> list[str]:
    """A worker stands still for longer than its lease, and goes on after another one has the analysis."""
    point = chance.choice(["faces", "drawing", "storing"])
    rig.hold(point)
    pk = rig.upload()
    rig.wait_until_held(point)
    job = _job_process(rig, pk)
    frozen = {job, parent_of(job)}
    rig.strike(signal.SIGSTOP, frozen)
    try:
        wait_for(lambda: rig.row(pk)["attempt"] == 2, "the frozen worker's analysis taken back")
        rig.let_go()
        if chance.random() < 0.5:
            wait_for(lambda: rig.row(pk)["state"] == "done", "the other worker's result")
    finally:
        rig.let_go()
        rig.strike(signal.SIGCONT, frozen)
    return []


def kill_worker_as_shipped(rig: Rig, chance: random.Random) -> list[str]:
    """The real detector, and every pause as an installation has it."""
    stage = chance.choice(STAGES)
    pk = rig.upload()
    wait_for(lambda: rig.row(pk)["stage"] == stage or rig.row(pk)["state"] == "done", f"the stage {stage}")
    rig.strike(signal.SIGKILL, rig.worker_processes())
    return []


def _run_one_and_wait_two(rig: Rig, chance: random.Random) -> str:
    point = chance.choice(STAGES)
    rig.hold(point)
    rig.upload()
    rig.upload_again()
    if chance.random() < 0.5:
        rig.upload()
    else:
        rig.upload_again()
    rig.wait_until_held(point)
    return point


def _job_process(rig: Rig, pk: str) -> int:
    wait_for(lambda: ":" in rig.row(pk)["worker"], "the job's process")
    return int(rig.row(pk)["worker"].rpartition(":")[2])


@contextlib.contextmanager
def _clock(rig: Rig, hours: float) -> Iterator[None]:
    file = rig.folder / CLOCK
    file.write_text(str(hours * 3600), encoding="ascii")
    try:
        yield
    finally:
        file.write_text("0", encoding="ascii")


def _all() -> Iterator[Fault]:
    short = 60.0  # usually the lease and a few seconds; on a busy machine the worker alone takes long to start
    where = {
        "taken": "before it has claimed the analysis",
        "storing": "while it stores the pictures",
        "stored": "after the result is stored, before the job has ended",
    }
    for point in POINTS:
        words = f"worker killed {where.get(point, f'in the stage “{point}”')}"
        yield Fault(f"worker-{point}", words, partial(kill_worker, point=point), short, 6)
    yield Fault("job", "the job's own process killed", kill_job, short, 10)
    yield Fault("web", "web server killed in an upload", kill_web_in_upload, short, 24)
    yield Fault("queue-killed", "queue server killed while analyses wait and run", kill_queue, short, 20)
    yield Fault("queue-emptied", "queue emptied (FLUSHALL) while analyses wait and run", empty_queue, short, 20)
    yield Fault("disk-upload", "disk full in an upload", fill_disk_in_upload, short, 14, disk_bytes=DISK_BYTES)
    yield Fault(
        "disk-storing", "disk full while a result is stored", fill_disk_in_storing, short, 14, disk_bytes=DISK_BYTES
    )
    yield Fault("locked", "database locked for 10 s by another writer", lock_database, LOCKED_S + short, 8)
    clock: dict[str, Any] = {"limit_s": short, "variables": {"FAULTS_CLOCK": "1"}}
    yield Fault("clock-back", "clock set back 1 h, the worker lives", partial(set_clock, hours=-1), rounds=4, **clock)
    yield Fault("clock-on", "clock set on 3 h, the worker lives", partial(set_clock, hours=3), rounds=4, **clock)
    for hours, direction in ((-1, "back 1 h"), (3, "on 3 h")):
        inject = partial(set_clock_and_kill_worker, hours=hours)
        name = f"clock-{'back' if hours < 0 else 'on'}-worker"
        yield Fault(name, f"clock set {direction}, and the worker killed", inject, rounds=4, **clock)
    yield Fault("supervisor", "supervisor killed and started again at once", kill_supervisor, short, 14)
    yield Fault("twice", "the same attempt in the queue twice, for two workers", run_twice, short, 10, workers=2)
    yield Fault("frozen", "a worker frozen beyond its lease, then going on", freeze_worker, short, 8, workers=2)
    yield Fault(
        "as-shipped",
        "worker killed in the real detector, settings as shipped",
        kill_worker_as_shipped,
        180,
        4,
        as_shipped=True,
    )


FAULTS = tuple(sorted(_all(), key=lambda fault: fault.kind))  # those on one kind of site stand together
ROUNDS = sum(fault.rounds for fault in FAULTS)
