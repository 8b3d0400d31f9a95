"""Every move that the table allows or forbids, and what happens when one comes twice or too late."""

import itertools
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from analysis import lifecycle
from analysis.models import Analysis, State
from tests.analysis.builders import make_analysis, make_model_version

pytestmark = pytest.mark.django_db

Move = Callable[[Analysis], bool]


def finish(analysis: Analysis) -> bool:
    return lifecycle.finish(
        analysis.pk, analysis.attempt, verdict="REAL", probability_fake=0.1, confidence=0.9, report={"verdict": "REAL"}
    )


def expire(analysis: Analysis) -> bool:
    past = timezone.now() - timedelta(seconds=1)
    Analysis.objects.filter(pk=analysis.pk, lease_expires_at__isnull=False).update(lease_expires_at=past)
    return lifecycle.expire(analysis.pk, analysis.attempt)


def expire_for_the_last_time(analysis: Analysis) -> bool:
    Analysis.objects.filter(pk=analysis.pk).update(lost_leases=2)
    return expire(analysis)


MOVES: dict[str, tuple[Move, State]] = {
    "claim": (lambda a: lifecycle.claim(a.pk, a.attempt, "here:1"), State.RUNNING),
    "finish": (finish, State.DONE),
    "fail": (lambda a: lifecycle.fail(a.pk, a.attempt, "unreadable", "why"), State.FAILED),
    "cancel": (lambda a: lifecycle.cancel(a.pk), State.CANCELLED),
    "requeue": (lambda a: lifecycle.requeue(a.pk), State.QUEUED),
    "expire": (expire, State.QUEUED),
    "expire for the last time": (expire_for_the_last_time, State.FAILED),
}
# Which states each move starts from, written out once more so that a change of the table is noticed here.
STARTS: dict[str, set[State]] = {
    "claim": {State.QUEUED},
    "finish": {State.RUNNING},
    "fail": {State.QUEUED, State.RUNNING},
    "cancel": {State.QUEUED, State.RUNNING},
    "requeue": {State.FAILED, State.CANCELLED},
    "expire": {State.RUNNING},
    "expire for the last time": {State.RUNNING},
}


@pytest.mark.parametrize(("name", "start"), list(itertools.product(MOVES, State.values)))
def test_move_wins_from_its_starts_and_changes_nothing_elsewhere(name: str, start: str) -> None:
    analysis = make_analysis(start)
    move, target = MOVES[name]
    before = Analysis.objects.values("state", "attempt", "verdict", "finished_at", "error_code").get(pk=analysis.pk)

    won = move(analysis)

    after = Analysis.objects.values("state", "attempt", "verdict", "finished_at", "error_code").get(pk=analysis.pk)
    if State(start) in STARTS[name]:
        assert won
        assert after["state"] == target
    else:
        assert not won
        assert after == before


@pytest.mark.parametrize("name", MOVES)
def test_second_time_loses(name: str) -> None:
    analysis = make_analysis(min(STARTS[name]))
    move, _target = MOVES[name]

    assert [move(analysis), move(analysis)] == [True, False]


def test_table_holds_exactly_the_moves() -> None:
    moves = {(start, MOVES[name][1]) for name, starts in STARTS.items() for start in starts}
    assert {(start, target) for start, targets in lifecycle.TRANSITIONS.items() for target in targets} == moves


@pytest.mark.parametrize(("source", "target"), list(itertools.product(State, State)))
def test_move_outside_the_table_raises(source: State, target: State) -> None:
    rows = Analysis.objects.none()
    if target in lifecycle.TRANSITIONS[source]:
        assert not lifecycle._move(rows, {source}, target)
    else:
        with pytest.raises(lifecycle.ForbiddenTransition, match=f"from {source.value} to {target.value}"):
            lifecycle._move(rows, {source}, target)


@pytest.mark.parametrize("name", ["claim", "finish", "fail", "expire"])
def test_worker_of_an_earlier_attempt_moves_nothing(name: str) -> None:
    analysis = make_analysis(min(STARTS[name]), attempt=2)
    late = Analysis(pk=analysis.pk, attempt=1)

    assert not MOVES[name][0](late)
    analysis.refresh_from_db()
    assert analysis.state == min(STARTS[name])


def test_claim_takes_a_lease_and_clears_the_last_attempt() -> None:
    analysis = make_analysis(State.QUEUED, share=0.5, stage="faces", error_code="lost")

    lifecycle.claim(analysis.pk, 1, "here:1")

    analysis.refresh_from_db()
    assert (analysis.worker, analysis.share, analysis.stage, analysis.error_code) == ("here:1", 0.0, "", "")
    assert analysis.started_at is not None
    assert analysis.lease_expires_at is not None
    assert 55 < (analysis.lease_expires_at - analysis.started_at).total_seconds() < 65


def test_heartbeat_and_progress_lengthen_the_lease_of_the_running_attempt_only() -> None:
    soon = timezone.now() + timedelta(seconds=1)
    analysis = make_analysis(State.RUNNING, lease_expires_at=soon)

    assert lifecycle.heartbeat(analysis.pk, 1)
    analysis.refresh_from_db()
    assert analysis.lease_expires_at is not None
    assert analysis.lease_expires_at > soon + timedelta(seconds=30)
    assert lifecycle.progress(analysis.pk, 1, "judging", 1.5)
    analysis.refresh_from_db()
    assert (analysis.stage, analysis.share) == ("judging", 1.0)
    assert not lifecycle.heartbeat(analysis.pk, 2)
    assert not lifecycle.progress(analysis.pk, 2, "judging", 0.1)
    lifecycle.cancel(analysis.pk)
    assert not lifecycle.heartbeat(analysis.pk, 1)
    assert not lifecycle.progress(analysis.pk, 1, "drawing", 0.9)


def test_model_is_noted_for_the_running_attempt_only() -> None:
    analysis, model = make_analysis(State.RUNNING), make_model_version()

    assert lifecycle.assign_model(analysis.pk, 1, model)
    assert not lifecycle.assign_model(analysis.pk, 2, make_model_version())
    analysis.refresh_from_db()
    assert analysis.model_version == model


def test_requeue_starts_a_new_attempt_with_a_clean_sheet() -> None:
    analysis = make_analysis(State.FAILED, attempt=3, lost_leases=2, share=0.7, stage="judging")
    queued_at = analysis.queued_at

    lifecycle.requeue(analysis.pk)

    analysis.refresh_from_db()
    assert (analysis.attempt, analysis.lost_leases, analysis.share, analysis.stage) == (4, 0, 0.0, "")
    assert (analysis.error_code, analysis.error_detail, analysis.worker) == ("", "", "")
    assert (analysis.started_at, analysis.finished_at, analysis.lease_expires_at) == (None, None, None)
    assert analysis.queued_at > queued_at


def test_lease_that_still_runs_is_not_taken_back() -> None:
    analysis = make_analysis(State.RUNNING)

    assert not lifecycle.expire(analysis.pk, 1)
    assert not lifecycle.expired().exists()


def test_analysis_is_taken_back_twice_and_then_fails_as_lost() -> None:
    analysis = make_analysis(State.QUEUED)
    seen = []
    for _round in range(3):
        analysis.refresh_from_db()
        assert lifecycle.claim(analysis.pk, analysis.attempt, "here:1")
        assert expire(analysis)
        analysis.refresh_from_db()
        seen.append((analysis.state, analysis.attempt, analysis.lost_leases, analysis.error_code))

    assert seen == [("queued", 2, 1, ""), ("queued", 3, 2, ""), ("failed", 3, 2, "lost")]


@pytest.mark.parametrize(
    "change",
    [
        {"state": "asleep"},
        {"state": State.DONE},
        {"state": State.RUNNING},
        {"state": State.FAILED},
        {"frames_requested": 9},
        {"frames_requested": 121},
    ],
    ids=str,
)
def test_database_refuses_a_state_without_what_belongs_to_it(change: dict[str, object]) -> None:
    analysis = make_analysis(State.QUEUED)
    with pytest.raises(IntegrityError), transaction.atomic():
        Analysis.objects.filter(pk=analysis.pk).update(**change)


def test_database_refuses_a_second_active_model() -> None:
    make_model_version(is_active=True)
    with pytest.raises(IntegrityError), transaction.atomic():
        make_model_version(is_active=True)
