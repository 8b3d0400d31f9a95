"""The waiting line replayed from what the rows tell: who came, left, started and ended when, and whose turn it was.

The rule is written down here once more, from docs/operations.md and not from ``analysis/turns.py``, so that the two are
held against each other: people are served in rounds, least recently served first; what somebody has running counts as
rows before their next; nobody has more running than they may; a person's own rows go in the order in which they came.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.faults import invariants
from tests.load.stand_in import RUNS

ARRIVE, LEAVE, START, END = "arrive", "leave", "start", "end"
_TOLD = {"submitted": ARRIVE, "retried": ARRIVE, "cancelled": LEAVE, "deleted": LEAVE}  # in the audit trail


@dataclass(frozen=True, order=True)
class Event:
    at: float  # seconds since the epoch
    what: str
    pk: str
    owner: int


@dataclass
class Lone:
    """A person's only analysis that waited while somebody had many: what came before it."""

    pk: str
    wait_s: float
    before: int  # analyses of others that started meanwhile
    most_of_one: int  # of these, as many as one person had


@dataclass
class Told:
    """What the replay found."""

    starts: int = 0
    longest: int = 0  # most that waited at once
    wrong: list[str] = field(default_factory=list)  # a sentence for each start out of turn
    lone: list[Lone] = field(default_factory=list)


def events(folder: Path) -> list[Event]:
    """Everything that happened to the line of an installation, in order. Times are of within their transactions."""
    trail = invariants.rows(
        folder,
        "SELECT at, action, object_id, owner_id FROM audit_entry WHERE kind = 'analysis' AND action IN (?, ?, ?, ?)",
        *_TOLD,
    )
    found = [Event(_seconds(row["at"]), _TOLD[row["action"]], _key(row["object_id"]), row["owner_id"]) for row in trail]
    for line in (folder / RUNS).read_text(encoding="ascii").splitlines():
        run = json.loads(line)
        found.append(Event(run["at"], run["what"], _key(run["pk"]), run["owner"]))
    return sorted(found)


def replay(happened: Iterable[Event], max_running: Mapping[int, int], many: int) -> Told:
    """Go through all events; ``many`` waiting analyses of one person are what others should not feel."""
    told, line = Told(), _Line(max_running)
    watched: dict[str, tuple[Event, Counter[int]]] = {}
    for event in happened:
        if event.what == START and event.pk in line.waiting:
            told.starts += 1
            due = line.due()
            if due is not None and event.pk != due:
                told.wrong.append(_sentence(event, due, line.waiting))
            for arrived, started in watched.values():
                if arrived.owner != event.owner:
                    started[event.owner] += 1
        if event.pk in watched and event.what in {START, LEAVE}:
            arrived, started = watched.pop(event.pk)
            if event.what == START:
                most = max(started.values(), default=0)
                told.lone.append(Lone(event.pk, event.at - arrived.at, started.total(), most))
        line.apply(event)
        told.longest = max(told.longest, len(line.waiting))
        if event.what == ARRIVE and line.count(event.owner) == 1 and line.longest_but(event.owner) >= many:
            watched[event.pk] = (event, Counter())
    return told


class _Line:
    """Who waits and runs at one moment."""

    def __init__(self, max_running: Mapping[int, int]) -> None:
        self.max_running = max_running
        self.waiting: dict[str, Event] = {}
        self.running: dict[str, Event] = {}
        self.last_turn: dict[int, float] = {}

    def apply(self, event: Event) -> None:
        if event.what == ARRIVE:
            self.waiting[event.pk] = event
        elif event.what == START:
            arrived = self.waiting.pop(event.pk, event)
            self.running[event.pk] = arrived
            self.last_turn[event.owner] = event.at
        else:
            self.waiting.pop(event.pk, None)
            self.running.pop(event.pk, None)

    def count(self, owner: int) -> int:
        return sum(one.owner == owner for one in (*self.waiting.values(), *self.running.values()))

    def longest_but(self, owner: int) -> int:
        return max(Counter(one.owner for one in self.waiting.values() if one.owner != owner).values(), default=0)

    def due(self) -> str | None:
        """The key of what should start next; None when nothing may."""
        running = Counter(one.owner for one in self.running.values())
        oldest: dict[int, float] = {}
        for one in (*self.waiting.values(), *self.running.values()):
            oldest[one.owner] = min(one.at, oldest.get(one.owner, one.at))
        ready = {one.owner for one in self.waiting.values() if running[one.owner] < self.max_running[one.owner]}
        if not ready:
            return None
        owner = min(ready, key=lambda who: (running[who], self.last_turn.get(who, 0.0), oldest[who], who))
        return min((one for one in self.waiting.values() if one.owner == owner), key=lambda one: (one.at, one.pk)).pk


def _sentence(event: Event, due: str, waiting: Mapping[str, Event]) -> str:
    at = datetime.fromtimestamp(event.at, UTC)
    return (
        f"At {at:%H:%M:%S.%f} the analysis {event.pk} of person {event.owner} started, "
        f"and it was the turn of {due} of person {waiting[due].owner}."
    )


def breaches(told: Told) -> Sequence[str]:
    """What was unfair, as sentences."""
    slow = [
        f"The analysis {one.pk}, its person's only one, waited while somebody else had {one.most_of_one} turns."
        for one in told.lone
        if one.most_of_one > 1
    ]
    return [*told.wrong, *slow]


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def _key(text: str) -> str:
    return text.replace("-", "")
