"""Who takes part in a run, what each of them is there to do, and how much each may have.

One person floods the queue with a fifth of all analyses. Of every ten people three have a quota that they meet again
and again (waiting analyses, bytes, minutes), and one comes late, when the queue is at its longest, with one video at a
time. The others send, watch, read, examine again, cancel and delete; one of them is staff.
"""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

FILLING = "filling"  # lies in DATA_DIR while the queue is being filled
PAST = 24  # finished analyses that each account begins with: two pages of history
NARROW_ROOM = 3  # videos that somebody with a narrow quota may send
FLOOD_SHARE = 5  # one person sends this part of all analyses


class Role(StrEnum):
    USUAL = "usual"
    STAFF = "staff"
    FLOOD = "flood"
    FEW_WAITING = "few waiting"
    FEW_BYTES = "few bytes"
    FEW_MINUTES = "few minutes"
    LATE = "late"


NARROW = frozenset({Role.FEW_WAITING, Role.FEW_BYTES, Role.FEW_MINUTES})
_BY_LAST_DIGIT = {2: Role.FEW_WAITING, 3: Role.FEW_BYTES, 4: Role.FEW_MINUTES, 5: Role.LATE}


@dataclass(frozen=True)
class Participant:
    """One account. ``to_send`` is how many videos must be accepted of theirs while the queue is being filled."""

    number: int
    role: Role
    to_send: int
    quotas: dict[str, int] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"person{self.number}@example.org"

    @property
    def network_address(self) -> str:
        """Where they seem to come from (TEST-NET-2, RFC 5737), so that log-ins are throttled as for many people."""
        return f"198.51.100.{self.number + 1}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Participant":
        return cls(**values | {"role": Role(values["role"])})


def participants(people: int, analyses: int, clip_bytes: int) -> list[Participant]:
    """Everybody, with as many videos to send as make up ``analyses``; raises ValueError where that cannot be.

    ``clip_bytes`` is the size of the largest video that somebody short of bytes may send.
    """
    if not 6 <= people <= 200:
        raise ValueError(f"A run has 6 to 200 people, not {people}.")
    roles = [_role(number) for number in range(people)]
    flood = analyses // FLOOD_SHARE
    usual = [number for number, role in enumerate(roles) if role in {Role.USUAL, Role.STAFF}]
    left = analyses - flood - NARROW_ROOM * sum(role in NARROW for role in roles)
    if left < len(usual):
        raise ValueError(f"{analyses} analyses are too few for {people} people; give more.")
    found = []
    for number, role in enumerate(roles):
        if role == Role.FLOOD:
            to_send = flood
        elif role in NARROW:
            to_send = NARROW_ROOM
        elif role == Role.LATE:
            to_send = 0
        else:
            at = usual.index(number)
            to_send = left * (at + 1) // len(usual) - left * at // len(usual)
        found.append(Participant(number, role, to_send, _quotas(role, to_send, clip_bytes)))
    return found


def _role(number: int) -> Role:
    if number == 0:
        return Role.FLOOD
    return Role.STAFF if number == 1 else _BY_LAST_DIGIT.get(number % 10, Role.USUAL)


def _quotas(role: Role, to_send: int, clip_bytes: int) -> dict[str, int]:
    """What differs from the quotas that an account has as shipped, but for room to examine a video again."""
    if role == Role.FEW_WAITING:
        return {"max_queued": NARROW_ROOM}
    if role == Role.FEW_BYTES:
        return {"max_storage_bytes": NARROW_ROOM * clip_bytes + clip_bytes // 2}
    if role == Role.FEW_MINUTES:
        return {"max_minutes_a_day": 1}
    return {"max_queued": to_send + 5} if to_send > 15 else {}
