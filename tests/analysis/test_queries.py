"""Who sees what, the time left; in how many queries."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from analysis import queries
from analysis.models import State
from tests.analysis.builders import make_analysis, make_user, make_video

pytestmark = pytest.mark.django_db


def test_people_see_their_own_analyses_and_staff_all() -> None:
    mine, yours = make_analysis(), make_analysis()
    owner = mine.video.owner

    assert list(queries.visible_to(owner)) == [mine]
    assert list(queries.visible_to(make_user())) == []
    assert set(queries.visible_to(make_user(staff=True))) == {mine, yours}
    assert list(queries.visible_to(AnonymousUser())) == []
    owner.is_active = False
    assert list(queries.visible_to(owner)) == []


@pytest.mark.parametrize("count", [1, 3])
def test_list_with_videos_and_counts_is_one_query(
    count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    owner = make_user()
    for _number in range(count):
        make_analysis(State.DONE, owner)

    with django_assert_num_queries(1):
        rows = list(queries.with_counts(queries.visible_to(owner)))
        assert [(row.video.owner_id, row.people) for row in rows] == [(owner.pk, 1)] * count  # type: ignore[attr-defined]


def test_seconds_left_follow_from_the_pace_so_far() -> None:
    now = timezone.now()
    running = make_analysis(State.RUNNING, started_at=now - timedelta(seconds=20), heartbeat_at=now, share=0.4)

    assert queries.seconds_left(running) == pytest.approx(30, abs=1)


def test_seconds_left_go_down_between_two_notes_and_never_below_zero() -> None:
    now = timezone.now()
    noted = now - timedelta(seconds=10)
    running = make_analysis(State.RUNNING, started_at=noted - timedelta(seconds=20), heartbeat_at=noted, share=0.5)
    stuck = make_analysis(State.RUNNING, started_at=noted - timedelta(seconds=1), heartbeat_at=noted, share=0.5)

    assert queries.seconds_left(running) == pytest.approx(10, abs=1)
    assert queries.seconds_left(stuck) == 0


@pytest.mark.parametrize(("state", "share"), [(State.QUEUED, 0.0), (State.RUNNING, 0.01), (State.DONE, 1.0)])
def test_seconds_left_are_unknown_before_and_after(state: str, share: float) -> None:
    assert queries.seconds_left(make_analysis(state, share=share)) is None


def test_stored_bytes_and_unfinished_belong_to_one_person() -> None:
    owner = make_user()
    make_analysis(State.DONE, video=make_video(owner, content=b"12345"))
    waiting = make_analysis(State.QUEUED, video=make_video(owner, content=b"123"))
    running = make_analysis(State.RUNNING, video=waiting.video)
    make_analysis(State.QUEUED)

    assert queries.stored_bytes(owner) == 8
    assert queries.stored_bytes(make_user()) == 0
    assert set(queries.unfinished_of(owner)) == {waiting, running}
