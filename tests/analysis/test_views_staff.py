"""The staff's numbers: counted by day, verdict and code, drawn with a table beside."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from analysis import statistics
from analysis.models import Analysis, State, Verdict
from tests.analysis.builders import make_analysis, make_user

pytestmark = pytest.mark.django_db


def make_aged(days: int, state: str = State.DONE, **fields: Any) -> Analysis:
    analysis = make_analysis(state, **fields)
    noon = timezone.make_aware(datetime.combine(timezone.localdate(), datetime.min.time())) + timedelta(hours=12)
    Analysis.objects.filter(pk=analysis.pk).update(created_at=noon - timedelta(days=days))
    return analysis


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(make_user(staff=True))
    return client


def test_every_day_has_its_counts() -> None:
    make_aged(0)
    make_aged(0, verdict=Verdict.REAL)
    make_aged(29, State.FAILED)
    make_aged(3, State.CANCELLED)
    make_aged(30)

    days = statistics.per_day()

    assert [day.date for day in days] == [timezone.localdate() - timedelta(days=back) for back in range(29, -1, -1)]
    assert sum(day.total for day in days) == 4
    assert (days[-1].total, days[-1].verdicts) == (2, {"REAL": 1, "FAKE": 1, "INCONCLUSIVE": 0, "NO_FACE": 0})
    assert (days[0].total, days[0].failed, days[0].cancelled) == (1, 1, 0)
    assert (days[26].total, days[26].failed, days[26].cancelled) == (1, 0, 1)


def test_failures_are_counted_by_code_most_frequent_first() -> None:
    for code in ("lost", "unreadable", "lost"):
        make_analysis(State.FAILED, error_code=code)
    make_aged(40, State.FAILED, error_code="internal")

    assert statistics.failures_by_code() == [("lost", 2), ("unreadable", 1)]


def test_the_queue_is_counted_with_its_longest_wait() -> None:
    make_analysis(queued_at=timezone.now() - timedelta(minutes=4))
    make_analysis()
    make_analysis(State.RUNNING)

    queue = statistics.queue_now()

    assert (queue.waiting, queue.running) == (2, 1)
    assert queue.oldest_wait_s == pytest.approx(240, abs=5)


def test_an_empty_queue_has_no_wait() -> None:
    assert statistics.queue_now() == statistics.Queue(waiting=0, running=0, oldest_wait_s=None)


def test_the_pace_is_the_median_of_the_newest() -> None:
    now = timezone.now()
    assert statistics.seconds_per_frame() is None
    for seconds in (10, 20, 90):
        make_analysis(State.DONE, frames_requested=10, started_at=now - timedelta(seconds=seconds), finished_at=now)

    assert statistics.seconds_per_frame() == pytest.approx(2.0)


def test_the_page_draws_and_lists_the_numbers(staff: Client) -> None:
    make_aged(0)
    make_aged(1, State.FAILED, error_code="lost")
    make_analysis()

    page = staff.get("/staff/").content.decode()

    assert page.count('class="columns__column" x=') == 30
    assert page.count('class="columns__failed"') == 1
    assert '<title id="columns-title">Analyses a day, last 30 days</title>' in page
    assert page.count('<th scope="row">') == 30 + len(Verdict) + 1
    assert "<code>lost</code>" in page
    assert "3 analyses in the last 30 days" in page


def test_the_page_without_any_analysis_says_so(staff: Client) -> None:
    page = staff.get("/staff/").content.decode()

    assert "Nothing was asked for in the last 30 days." in page
    assert "Nothing failed in the last 30 days." in page
    assert "<title id=" not in page


def test_the_number_of_queries_does_not_grow(staff: Client, django_assert_num_queries: Any) -> None:
    for count in (1, 3):
        for _ in range(count):
            make_analysis(State.FAILED)
        with django_assert_num_queries(6):
            staff.get("/staff/")
