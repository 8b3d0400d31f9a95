"""Numbers over all analyses: what the staff page draws, and the pace that the upload page promises. Reads only."""

import datetime
import statistics
from dataclasses import dataclass, field

from django.db.models import Count, Min, Q, QuerySet
from django.db.models.functions import TruncDate
from django.utils import timezone

from analysis.models import Analysis, State, Verdict

DAYS = 30
PACE_SAMPLE = 20  # the newest finished analyses speak for this machine as it is now


@dataclass(slots=True)
class Day:
    """What was asked for on one day."""

    date: datetime.date
    total: int = 0
    verdicts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(Verdict.values, 0))
    failed: int = 0
    cancelled: int = 0


@dataclass(frozen=True, slots=True)
class Queue:
    """How much waits and runs at this moment."""

    waiting: int
    running: int
    oldest_wait_s: float | None  # how long the longest waiting one has waited


def since(days: int = DAYS) -> QuerySet[Analysis]:
    """The analyses asked for within the last days, today included."""
    first = timezone.localdate() - datetime.timedelta(days=days - 1)
    start = timezone.make_aware(datetime.datetime.combine(first, datetime.time.min))
    return Analysis.objects.filter(created_at__gte=start)


def per_day(days: int = DAYS) -> list[Day]:
    """One entry a day, oldest first, days without any included."""
    today = timezone.localdate()
    found = {date: Day(date) for date in (today - datetime.timedelta(days=back) for back in reversed(range(days)))}
    rows = (
        since(days)
        .annotate(day=TruncDate("created_at"))
        .order_by()
        .values_list("day", "state", "verdict")
        .annotate(count=Count("pk"))
    )
    for date, state, verdict, count in rows:
        day = found.setdefault(date, Day(date))
        day.total += count
        day.failed += count if state == State.FAILED else 0
        day.cancelled += count if state == State.CANCELLED else 0
        if verdict:
            day.verdicts[verdict] += count
    return list(found.values())


def failures_by_code(days: int = DAYS) -> list[tuple[str, int]]:
    """Error codes with how often each came up, most frequent first."""
    rows = since(days).filter(state=State.FAILED).order_by().values_list("error_code").annotate(count=Count("pk"))
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def queue_now() -> Queue:
    """What waits and runs, by the database, which is what counts."""
    row = Analysis.objects.filter(state__in=[State.QUEUED, State.RUNNING]).aggregate(
        waiting=Count("pk", filter=Q(state=State.QUEUED)),
        running=Count("pk", filter=Q(state=State.RUNNING)),
        oldest=Min("queued_at", filter=Q(state=State.QUEUED)),
    )
    oldest = row["oldest"]
    wait_s = (timezone.now() - oldest).total_seconds() if oldest else None
    return Queue(waiting=row["waiting"], running=row["running"], oldest_wait_s=wait_s)


def seconds_per_frame() -> float | None:
    """The median time one frame took in the newest finished analyses; None before the first."""
    rows = (
        Analysis.objects.filter(state=State.DONE, started_at__isnull=False)
        .order_by("-finished_at")
        .values_list("started_at", "finished_at", "frames_requested")[:PACE_SAMPLE]
    )
    paces = [
        (finished - started).total_seconds() / frames for started, finished, frames in rows if finished and started
    ]
    return statistics.median(paces) if paces else None
