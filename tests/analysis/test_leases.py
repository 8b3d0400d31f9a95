"""A worker's hold on an analysis: kept while it works, lost when somebody else has the say."""

import dataclasses
import time
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from analysis import lifecycle
from analysis.leases import Lease
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
