"""``python -m tests.load.crowd``: the people of a run, in a process of their own, until it is told to end.

Reads from standard input, as JSON, where the site is and who takes part; writes each accepted analysis to a file as it
comes, and at the end what locust has counted to another.
"""

import json
import signal
import sys
from pathlib import Path
from typing import Any

import gevent
from locust.env import Environment
from locust.stats import StatsEntry

from tests.load.people import Ledger, Somebody
from tests.load.plan import Participant

ARRIVE_PER_S = 5.0
FINISH_S = 10  # when they are told to go home, for what they are at
SHARES = {"p50_ms": 0.50, "p95_ms": 0.95, "p99_ms": 0.99}


def main() -> int:
    asked = json.load(sys.stdin)
    everybody = [Participant.from_json(values) for values in asked["participants"]]
    clips = {name: Path(path).read_bytes() for name, path in asked["clips"].items()}
    ledger = Ledger(Path(asked["accepted"]), Path(asked["folder"]), clips, iter(everybody))
    people = type("People", (Somebody,), {"host": asked["url"], "ledger": ledger})
    environment = Environment(user_classes=[people], catch_exceptions=True, stop_timeout=FINISH_S)
    runner = environment.create_local_runner()
    gevent.signal_handler(signal.SIGTERM, runner.quit)
    runner.start(len(everybody), spawn_rate=ARRIVE_PER_S)
    runner.greenlet.join()
    Path(asked["counts"]).write_text(json.dumps(counts(environment, ledger)), encoding="utf-8")
    return 0


def counts(environment: Environment, ledger: Ledger) -> dict[str, Any]:
    """What was asked and how it was answered."""
    entries = environment.stats.entries.values()
    return {
        "pages": {entry.name: _of(entry) for entry in entries},
        "errors": [f"{one.name}: {one.error} ({one.occurrences})" for one in environment.stats.errors.values()],
        "mistakes": [str(one["msg"]) for one in environment.runner.exceptions.values()] if environment.runner else [],
        "refusals": dict(ledger.refusals),
        "sentences": ledger.sentences,
        "without_room": ledger.without_room,
        "locked": ledger.locked,
    }


def _of(entry: StatsEntry) -> dict[str, float]:
    times = {name: entry.get_response_time_percentile(share) for name, share in SHARES.items()}
    return {"requests": entry.num_requests, "failures": entry.num_failures, **times}


if __name__ == "__main__":
    sys.exit(main())
