"""The faults of tests/faults that concern several machines, and those that only a site of several machines knows."""

import random
import time
from functools import partial

from tests.faults import faults
from tests.faults.faults import Fault
from tests.faults.rig import Rig
from tests.machines.rig import Machines

UNREACHABLE_S = 4.0
LIMIT_S = 90.0


def restart_database(rig: Rig, chance: random.Random) -> list[str]:
    """PostgreSQL breaks down and comes back while one analysis runs and another waits."""
    machines = _machines(rig)
    rig.hold("judging")
    rig.upload()
    rig.upload_again()
    rig.wait_until_held("judging")
    rig.struck()
    machines.shared.database.restart()
    rig.let_go()
    answer = rig.try_upload()
    return [] if answer.pk else [f"An upload after the database had come back was answered with {answer.status}."]


def lose_storage(rig: Rig, chance: random.Random, *, point: str) -> list[str]:
    """The storage cannot be reached for a while when a job is at ``point``: it waits and then goes on."""
    relay = _machines(rig).shared.bucket.relay
    rig.hold(point)
    pk = rig.upload()
    rig.wait_until_held(point)
    rig.struck()
    relay.cut()
    rig.let_go()
    time.sleep(UNREACHABLE_S)
    relay.mend()
    complaints = []
    if rig.row(pk)["state"] in {"failed", "cancelled"}:
        complaints.append(f"The analysis did not wait for the storage: {rig.row(pk)['error_code']}.")
    return complaints


def lose_storage_in_upload(rig: Rig, chance: random.Random) -> list[str]:
    """An upload that cannot be kept is refused with a sentence; once the storage is back, it is taken."""
    relay = _machines(rig).shared.bucket.relay
    rig.struck()
    relay.cut()
    try:
        answer = rig.try_upload()
    finally:
        relay.mend()
    rig.upload()
    said = " ".join(answer.sentences)
    if answer.pk or answer.status != 503 or "does not answer at the moment" not in said:
        return [f"An upload without a storage was answered with {answer.status} {said!r}."]
    return []


def _machines(rig: Rig) -> Machines:
    assert isinstance(rig, Machines)
    return rig


def _reused(name: str) -> Fault:
    return next(fault for fault in faults.FAULTS if fault.name == name)


FAULTS = (
    *map(_reused, ("worker-judging", "worker-storing", "job", "web", "queue-killed", "queue-emptied")),
    Fault("database", "PostgreSQL restarted in mid-run", restart_database, LIMIT_S, 1),
    Fault("storage-reading", "S3 out of reach while a video is read", partial(lose_storage, point="taken"), LIMIT_S, 1),
    Fault(
        "storage-storing",
        "S3 out of reach while a result is stored",
        partial(lose_storage, point="storing"),
        LIMIT_S,
        1,
    ),
    Fault("storage-upload", "S3 out of reach in an upload", lose_storage_in_upload, LIMIT_S, 1),
)
