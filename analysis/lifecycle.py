"""Where an analysis stands: the table of moves and the only code that writes ``Analysis.state``.

Every move is one conditional UPDATE that says whether it won, so whatever runs twice, late or side by side is harmless:
the second one changes nothing. ``attempt`` tells one run from the next: it grows each time an analysis enters the
queue, and a worker that holds an older number can write nothing any more.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from accounts.models import User
from analysis import tallies, turns
from analysis.messages import Code
from analysis.models import Analysis, ModelVersion, State
from analysis.tallies import Counted

TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.RUNNING, State.CANCELLED, State.FAILED}),
    State.RUNNING: frozenset({State.DONE, State.FAILED, State.CANCELLED, State.QUEUED}),
    State.DONE: frozenset(),
    State.FAILED: frozenset({State.QUEUED}),
    State.CANCELLED: frozenset({State.QUEUED}),
}

SILENT, DIED, STOPPED = "silent", "died", "stopped"  # how a worker comes to lose an analysis

_NOTHING_RUNS: dict[str, Any] = {"stage": "", "lease_expires_at": None}
_NOTHING_FOUND: dict[str, Any] = {
    "verdict": "",
    "probability_fake": None,
    "confidence": None,
    "report": None,
    "model_version": None,
}
_NOTHING_STARTED: dict[str, Any] = {
    "share": 0.0,
    "started_at": None,
    "finished_at": None,
    "heartbeat_at": None,
    "worker": "",
    "error_code": "",
    "error_detail": "",
}


class ForbiddenTransition(Exception):
    """A move that the table does not allow was asked for: a mistake in the program."""


def claim(pk: UUID | str, attempt: int, worker: str) -> bool:
    """Queued -> running, for one worker and one attempt; it holds a lease until ``heartbeat`` stops."""
    now = timezone.now()
    return _move(
        _row(pk, attempt),
        {State.QUEUED},
        State.RUNNING,
        **_NOTHING_STARTED | {"started_at": now, "heartbeat_at": now, "worker": worker[:128]},
        stage="",
        lease_expires_at=_lease_end(now),
    )


def claim_next(worker: str) -> Analysis | None:
    """Claims the row whose turn it is (see turns.py) for one worker; None when nothing can start.

    The person's row is locked meanwhile, so that two workers together do not start more than the person may run; and
    whose turn it is is asked once more then, because two workers that ask at one moment are told the same.
    """
    while (owner_pk := turns.next_owner()) is not None:
        with transaction.atomic():
            User.objects.select_for_update().filter(pk=owner_pk).first()
            if turns.next_owner() != owner_pk:
                continue
            row = turns.next_of(owner_pk)
            if row is not None and claim(row.pk, row.attempt, worker):
                User.objects.filter(pk=owner_pk).update(last_turn_at=timezone.now())
                return row
    return None


def assign_model(pk: UUID | str, attempt: int, model_version: ModelVersion) -> bool:
    """Notes which model judges this run; False when the run is no longer this worker's."""
    return _running(pk, attempt).update(model_version=model_version) == 1


def heartbeat(pk: UUID | str, attempt: int) -> bool:
    """Lengthens the lease; False when the run is no longer this worker's."""
    now = timezone.now()
    return _running(pk, attempt).update(heartbeat_at=now, lease_expires_at=_lease_end(now)) == 1


def progress(pk: UUID | str, attempt: int, stage: str, share: float) -> bool:
    """Notes how far the run is and lengthens the lease; False when the run is no longer this worker's."""
    now = timezone.now()
    share = min(max(share, 0.0), 1.0)
    return (
        _running(pk, attempt).update(stage=stage, share=share, heartbeat_at=now, lease_expires_at=_lease_end(now)) == 1
    )


def is_running(pk: UUID | str, attempt: int) -> bool:
    """Whether this attempt still runs: neither cancelled, nor deleted, nor taken back."""
    return _running(pk, attempt).exists()


def finish(
    pk: UUID | str,
    attempt: int,
    *,
    verdict: str,
    probability_fake: float | None,
    confidence: float | None,
    report: dict[str, Any],
) -> bool:
    """Running -> done with its result."""
    return _move(
        _row(pk, attempt),
        {State.RUNNING},
        State.DONE,
        **_NOTHING_RUNS | {"share": 1.0, "finished_at": timezone.now()},
        verdict=verdict,
        probability_fake=probability_fake,
        confidence=confidence,
        report=report,
    )


def fail(pk: UUID | str, attempt: int, code: str, detail: str = "") -> bool:
    """Queued or running -> failed with a stable code."""
    with transaction.atomic():
        moved = _move(_row(pk, attempt), {State.QUEUED, State.RUNNING}, State.FAILED, **_failure(code, detail))
        if moved:
            tallies.count(Counted.FAILED, code)
    return moved


def cancel(pk: UUID | str) -> bool:
    """Queued or running -> cancelled; a worker notices within about a second."""
    moved = {**_NOTHING_RUNS, "finished_at": timezone.now()}
    with transaction.atomic():
        cancelled = _move(Analysis.objects.filter(pk=pk), {State.QUEUED, State.RUNNING}, State.CANCELLED, **moved)
        if cancelled:
            tallies.count(Counted.CANCELLED)
    return cancelled


def requeue(pk: UUID | str) -> bool:
    """Failed or cancelled -> queued, as a new attempt with a clean sheet."""
    return _move(
        Analysis.objects.filter(pk=pk),
        {State.FAILED, State.CANCELLED},
        State.QUEUED,
        **_NOTHING_RUNS | _NOTHING_FOUND | _NOTHING_STARTED,
        attempt=F("attempt") + 1,
        lost_leases=0,
        queued_at=timezone.now(),
    )


def expire(pk: UUID | str, attempt: int, reason: str = SILENT) -> bool:
    """Running -> queued when its lease has run out, as a new attempt; -> failed when that happened too often.

    ``reason`` is for the tally of such losses: the worker fell silent, its process died, or it was told to stop.
    """
    return _take_back(_row(pk, attempt).filter(lease_expires_at__lt=timezone.now()), reason)


def expire_silent(pk: UUID | str, attempt: int, heartbeat_at: datetime | None) -> bool:
    """The same when its worker has not been heard of since ``heartbeat_at``, whatever the clock says of its lease."""
    return _take_back(_row(pk, attempt).filter(heartbeat_at=heartbeat_at), SILENT)


def _take_back(rows: QuerySet[Analysis], reason: str) -> bool:
    with transaction.atomic():
        taken = _queue_again_or_fail(rows)
        if taken:
            tallies.count(Counted.LEASE_EXPIRED, reason)
    return taken


def _queue_again_or_fail(rows: QuerySet[Analysis]) -> bool:
    most = settings.UNMASK.max_lost_leases
    again = _move(
        rows.filter(lost_leases__lt=most),
        {State.RUNNING},
        State.QUEUED,
        **_NOTHING_RUNS | _NOTHING_STARTED,
        attempt=F("attempt") + 1,
        lost_leases=F("lost_leases") + 1,
        queued_at=timezone.now(),
    )
    if again:
        return True
    detail = f"The lease ran out {most + 1} times."
    failed = _move(rows.filter(lost_leases__gte=most), {State.RUNNING}, State.FAILED, **_failure(Code.LOST, detail))
    if failed:
        tallies.count(Counted.FAILED, Code.LOST)
    return failed


def take_back_all() -> int:
    """Running -> queued for everything, when no worker can be there any more; nothing is blamed for that. How many."""
    running = Analysis.objects.filter(state=State.RUNNING)
    running.update(lease_expires_at=timezone.now() - timedelta(seconds=1), lost_leases=0)
    return sum(expire(row.pk, row.attempt, STOPPED) for row in list(running))


def expired() -> QuerySet[Analysis]:
    """The running analyses whose worker has been silent for longer than its lease."""
    return Analysis.objects.filter(Q(state=State.RUNNING) & Q(lease_expires_at__lt=timezone.now()))


def _move(rows: QuerySet[Analysis], sources: Collection[State], target: State, **values: Any) -> bool:
    """Writes ``target`` and ``values`` where the state is one of ``sources``; whether a row was changed."""
    for source in sources:
        if target not in TRANSITIONS[source]:
            raise ForbiddenTransition(f"An analysis cannot go from {source.value} to {target.value}.")
    return rows.filter(state__in=sources).update(state=target, **values) == 1


def _row(pk: UUID | str, attempt: int) -> QuerySet[Analysis]:
    return Analysis.objects.filter(pk=pk, attempt=attempt)


def _running(pk: UUID | str, attempt: int) -> QuerySet[Analysis]:
    return _row(pk, attempt).filter(state=State.RUNNING)


def _lease_end(now: datetime) -> datetime:
    return now + timedelta(seconds=settings.UNMASK.lease_s)


def _failure(code: str, detail: str) -> dict[str, Any]:
    return {
        **_NOTHING_RUNS,
        "finished_at": timezone.now(),
        "error_code": str(code)[:32],
        "error_detail": detail[:10_000],
    }
