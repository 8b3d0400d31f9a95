"""A worker's hold on an analysis: kept while it works, lost when somebody else has the say."""

import dataclasses
import time
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from analysis import leases, lifecycle
from analysis.leases import Lease, Watch
from analysis.models import Analysis, State
from tests.analysis.builders import make_analysis


@pytest.mark.django_db(transaction=True)
def test_lease_is_lengthened_while_the_stage_says_nothing(settings: Settings) -> None:
    settings.UNMASK = dataclasses.replace(settings.UNMASK, heartbeat_s=0.05)
    soon = timezone.now() + timedelta(seconds=2)
    analysis = make_analysis(State.RUNNING, lease_expires_at=soon)

    with Lease(str(analysis.pk), 1) as lease:
        end = time.monotonic() + 5
        while (
            time.monotonic() < end and not Analysis.objects.filter(pk=analysis.pk, lease_expires_at__gt=soon).exists()
        ):
            time.sleep(0.05)

    analysis.refresh_from_db()
    assert analysis.lease_expires_at is not None
    assert analysis.lease_expires_at > soon
    assert not lease.is_lost


@pytest.mark.django_db(transaction=True)
def test_thread_notices_a_cancellation_by_itself(settings: Settings) -> None:
    settings.UNMASK = dataclasses.replace(settings.UNMASK, heartbeat_s=0.05)
    analysis = make_analysis(State.RUNNING)

    with Lease(str(analysis.pk), 1) as lease:
        lifecycle.cancel(analysis.pk)
        end = time.monotonic() + 5
        while time.monotonic() < end and not lease.is_lost:
            time.sleep(0.02)

    assert lease.is_lost


@pytest.mark.django_db
def test_progress_is_written_a_few_times_a_second_and_at_each_new_stage(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    analysis = make_analysis(State.RUNNING)
    lease = Lease(str(analysis.pk), 1)

    with django_assert_num_queries(2):
        for step in range(100):
            lease.on_progress("faces" if step < 50 else "judging", step / 100)

    analysis.refresh_from_db()
    assert (analysis.stage, analysis.share) == ("judging", 0.5)


@pytest.mark.django_db
def test_state_is_read_a_few_times_a_second(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    analysis = make_analysis(State.RUNNING)
    lease = Lease(str(analysis.pk), 1)

    with django_assert_num_queries(1):
        assert not any(lease.should_stop() for _turn in range(100))


@pytest.mark.django_db
def test_lost_run_stops_at_once_and_for_good() -> None:
    analysis = make_analysis(State.RUNNING)
    lease = Lease(str(analysis.pk), 1)
    lifecycle.cancel(analysis.pk)

    lease.on_progress("faces", 0.5)

    assert lease.should_stop()
    lifecycle.requeue(analysis.pk)
    lifecycle.claim(analysis.pk, 2, "another:1")
    assert lease.should_stop()


class Seconds:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> Seconds:
    clock = Seconds()
    monkeypatch.setattr(leases, "time", clock)
    return clock


def silent_after(watch: Watch, seconds: Seconds, *pauses_s: float) -> list[Analysis]:
    """What the watch says after it has looked once and then once after each of these pauses."""
    found = watch.silent()
    for pause_s in pauses_s:
        seconds.now += pause_s
        found = watch.silent()
    return found


@pytest.mark.django_db
def test_a_worker_whose_lease_has_run_out_is_silent_once_two_heartbeats_have_failed_to_come(
    settings: Settings, seconds: Seconds
) -> None:
    settings.UNMASK = dataclasses.replace(settings.UNMASK, heartbeat_s=10, lease_s=60)
    analysis = make_analysis(State.RUNNING, lease_expires_at=timezone.now() - timedelta(seconds=1))
    watch = Watch()

    assert silent_after(watch, seconds, 15) == []
    assert silent_after(watch, seconds, 5) == [analysis]


@pytest.mark.django_db
def test_a_living_worker_is_not_silent_when_the_clock_is_set_on(settings: Settings, seconds: Seconds) -> None:
    """All leases have run out by the new clock, until their workers lengthen them by the same."""
    settings.UNMASK = dataclasses.replace(settings.UNMASK, heartbeat_s=10, lease_s=60)
    analysis = make_analysis(State.RUNNING, lease_expires_at=timezone.now() - timedelta(hours=3))
    watch = Watch()

    assert silent_after(watch, seconds, 15) == []
    assert lifecycle.heartbeat(analysis.pk, 1)
    assert silent_after(watch, seconds, 15, 15) == []


@pytest.mark.django_db
def test_a_dead_worker_is_silent_after_one_lease_when_the_clock_was_set_back(
    settings: Settings, seconds: Seconds
) -> None:
    settings.UNMASK = dataclasses.replace(settings.UNMASK, heartbeat_s=10, lease_s=60)
    analysis = make_analysis(State.RUNNING, lease_expires_at=timezone.now() + timedelta(hours=1))
    watch = Watch()

    assert silent_after(watch, seconds, 59) == []
    assert silent_after(watch, seconds, 1) == [analysis]


@pytest.mark.django_db
def test_who_is_heard_of_at_the_last_moment_keeps_the_analysis() -> None:
    analysis = make_analysis(State.RUNNING)
    heard_at = analysis.heartbeat_at
    assert lifecycle.heartbeat(analysis.pk, 1)

    assert lifecycle.expire_silent(analysis.pk, 1, heard_at) is False

    analysis.refresh_from_db()
    assert (analysis.state, analysis.attempt) == (State.RUNNING, 1)
    assert lifecycle.expire_silent(analysis.pk, 1, analysis.heartbeat_at) is True
