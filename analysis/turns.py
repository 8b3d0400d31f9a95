"""Whose turn it is: people take turns in the waiting line, however many analyses each of them has in it.

The next row is worked out from the rows each time a worker asks. A job in the queue only says that there is something
to do; which row it will run is decided here, when it begins. Places shown on pages come from the same order.

Each person's rows are in the order in which they came. Rows that would exceed what their person may run at once come
after all others. Among the rest the line goes round: everybody's first, then everybody's second, and so on; what a
person has running counts as rows before theirs. Within a round the one whose last turn is longest ago comes first, and
whoever never had one before all others.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import Count, Min, Q, QuerySet

from analysis.models import Analysis, State

_NEVER = datetime.min.replace(tzinfo=UTC)

Place = tuple[bool, int, datetime, datetime, int]


@dataclass(frozen=True, slots=True)
class InLine:
    """One person who has something waiting or running."""

    owner_pk: int
    max_running: int
    last_turn_at: datetime | None
    waiting: int
    running: int
    oldest: datetime  # when their first one was put into the queue

    @property
    def startable(self) -> int:
        """How many of their waiting rows could start now, were there workers enough."""
        return min(self.waiting, max(self.max_running - self.running, 0))

    def place(self, number: int) -> Place:
        """What their ``number``-th waiting row (1 for the first) is sorted by."""
        round_number = self.running + number
        beyond = round_number > self.max_running
        return beyond, round_number, self.last_turn_at or _NEVER, self.oldest, self.owner_pk


def in_line() -> list[InLine]:
    """Everybody who has something waiting or running, in one query."""
    return [InLine(*row) for row in _people()]


def startable() -> int:
    """How many rows could start now, were there workers enough; the queue needs as many jobs."""
    return sum(person.startable for person in in_line())


def next_owner() -> int | None:
    """Who is served next; None when nothing can start."""
    ready = [person for person in in_line() if person.startable]
    return min(ready, key=lambda person: person.place(1)).owner_pk if ready else None


def next_of(owner_pk: int) -> Analysis | None:
    """This person's next row, unless as many of theirs run as may; call it with the person's row locked."""
    theirs = Analysis.objects.filter(video__owner_id=owner_pk)
    row = theirs.filter(state=State.QUEUED).select_related("video__owner").order_by("queued_at", "pk").first()
    if row is None or theirs.filter(state=State.RUNNING).count() >= row.video.owner.max_running:
        return None
    return row


def place_of(analysis: Analysis) -> int | None:
    """Its place in the line as it stands now, 1 for the next to start; None when it does not wait. In one query."""
    if analysis.state != State.QUEUED:
        return None
    earlier = Q(queued_at__lt=analysis.queued_at) | Q(queued_at=analysis.queued_at, pk__lt=analysis.pk)
    rows = _people().annotate(before=Count("pk", filter=Q(earlier, state=State.QUEUED)))
    people = {row[0]: (InLine(*row[:-1]), row[-1]) for row in rows}
    owner, before = people.get(analysis.video.owner_id, (None, 0))
    if owner is None or not owner.waiting:
        return None  # it has just been taken, cancelled or deleted
    place = owner.place(before + 1)
    line = (person for person, _before in people.values())
    return 1 + sum(person.place(number) < place for person in line for number in range(1, person.waiting + 1))


def _people() -> QuerySet[Analysis, tuple[Any, ...]]:
    """A row for everybody who has something waiting or running, with the values of InLine in their order."""
    return (
        Analysis.objects.filter(state__in=[State.QUEUED, State.RUNNING])
        .order_by()
        .values_list("video__owner_id", "video__owner__max_running", "video__owner__last_turn_at")
        .annotate(
            waiting=Count("pk", filter=Q(state=State.QUEUED)),
            running=Count("pk", filter=Q(state=State.RUNNING)),
            oldest=Min("queued_at"),
        )
    )
