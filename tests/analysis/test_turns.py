"""Whose turn it is: one person's hundred do not keep another waiting, and the place that is shown is the true one."""

from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from rq import Queue

from accounts.models import User
from analysis import lifecycle, tasks, turns
from analysis.models import Analysis, State
from tests.analysis.builders import make_analysis, make_user, make_video
from tests.analysis.stand_in import Detector

pytestmark = pytest.mark.django_db


def waiting(owner: User, count: int, age_s: float = 0.0) -> list[Analysis]:
    """``count`` rows of one video, a second apart, of which the first came ``age_s`` ago."""
    video = make_video(owner)
    first = timezone.now() - timedelta(seconds=age_s)
    return Analysis.objects.bulk_create(
        Analysis(video=video, frames_requested=10, queued_at=first + timedelta(seconds=number))
        for number in range(count)
    )


def serve_all(names: dict[int, str], at_once: int = 1) -> str:
    """Who was served in which order, by ``at_once`` workers that end their analyses in the order of their start."""
    served = ""
    running: list[Analysis] = []
    while True:
        while len(running) < at_once and (row := lifecycle.claim_next("test:1")) is not None:
            running.append(row)
            served += names[row.video.owner_id]
        if not running:
            return served
        Analysis.objects.filter(pk=running.pop(0).pk).update(state=State.CANCELLED, lease_expires_at=None)


def test_one_persons_hundred_keep_another_waiting_for_one_at_most() -> None:
    ann, bob = make_user(max_queued=200), make_user()
    waiting(ann, 100, age_s=600)
    assert lifecycle.claim_next("test:1") is not None  # one of Ann's runs when Bob comes
    (his,) = waiting(bob, 1)

    assert turns.place_of(his) == 1
    Analysis.objects.filter(state=State.RUNNING).update(state=State.CANCELLED, lease_expires_at=None)
    assert lifecycle.claim_next("test:1") == his


def test_two_long_lines_take_turns() -> None:
    ann, bob, cid = make_user(), make_user(), make_user()
    for age_s, (person, count) in zip((300, 200, 100), ((ann, 5), (bob, 3), (cid, 1)), strict=True):
        waiting(person, count, age_s)

    assert serve_all({ann.pk: "a", bob.pk: "b", cid.pk: "c"}) == "abcababaa"


def test_with_several_workers_nobody_has_more_than_they_may_run() -> None:
    ann, bob = make_user(max_running=2), make_user(max_running=1)
    waiting(ann, 4, age_s=300)
    waiting(bob, 2)

    for _worker in range(4):
        lifecycle.claim_next("test:1")

    running = Analysis.objects.filter(state=State.RUNNING).values_list("video__owner", flat=True)
    assert sorted(running) == sorted([ann.pk, ann.pk, bob.pk])
    assert turns.startable() == 0


def test_two_workers_that_ask_at_one_moment_serve_two_people(monkeypatch: pytest.MonkeyPatch) -> None:
    ann, bob = make_user(), make_user()
    hers, his = waiting(ann, 2, age_s=60)[0], waiting(bob, 1)[0]
    next_owner, asked = turns.next_owner, []
    claimed: list[Analysis | None] = []

    def asked_at_one_moment() -> int | None:
        owner = next_owner()
        asked.append(owner)
        if len(asked) == 1:  # the other worker asks, and claims, before this one hears the answer
            claimed.append(lifecycle.claim_next("test:2"))
        return owner

    monkeypatch.setattr(turns, "next_owner", asked_at_one_moment)

    assert lifecycle.claim_next("test:1") == his
    assert claimed == [hers]


def test_what_somebody_has_running_counts_before_what_they_have_waiting() -> None:
    ann, bob = make_user(max_running=5), make_user(max_running=5)
    waiting(ann, 4, age_s=300)
    waiting(bob, 4)

    assert serve_all({ann.pk: "a", bob.pk: "b"}, at_once=3) == "abababab"


def test_shown_places_are_the_order_in_which_rows_start() -> None:
    people = [make_user(max_running=limit) for limit in (1, 1, 3)]
    rows = [row for age, person in enumerate(people) for row in waiting(person, 3 - age, age_s=100.0 * age)]
    for person in people[:2]:
        make_analysis(State.RUNNING, person)

    places = {turns.place_of(row): row for row in rows}

    assert sorted(place or 0 for place in places) == list(range(1, len(rows) + 1))
    assert lifecycle.claim_next("test:1") == places[1]  # the others' owners run as many as they may


def test_every_start_is_of_the_row_in_the_first_place() -> None:
    people = [make_user() for _number in range(4)]
    rows = [row for number, person in enumerate(people) for row in waiting(person, number + 1, age_s=60.0 * number)]

    while rows:
        by_place = {turns.place_of(row): row for row in rows}
        assert sorted(place or 0 for place in by_place) == list(range(1, len(rows) + 1))
        assert lifecycle.claim_next("test:1") == by_place[1]
        rows.remove(by_place[1])
        Analysis.objects.filter(pk=by_place[1].pk).update(state=State.CANCELLED, lease_expires_at=None)
    assert lifecycle.claim_next("test:1") is None


def test_rows_that_came_at_the_same_moment_have_places_of_their_own() -> None:
    now, video = timezone.now(), make_video()
    rows = [make_analysis(video=video, queued_at=now) for _number in range(3)]

    assert sorted(turns.place_of(row) or 0 for row in rows) == [1, 2, 3]


@pytest.mark.parametrize("state", [State.RUNNING, State.DONE, State.FAILED, State.CANCELLED])
def test_what_does_not_wait_has_no_place(state: State) -> None:
    assert turns.place_of(make_analysis(state)) is None


def test_a_row_that_was_taken_meanwhile_has_no_place() -> None:
    row = make_analysis()
    Analysis.objects.update(state=State.CANCELLED)

    assert turns.place_of(row) is None


@pytest.mark.parametrize("people", [1, 4])
def test_a_place_costs_one_query(people: int, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    rows = [waiting(make_user(), 3)[-1] for _number in range(people)]

    with django_assert_num_queries(1):
        assert turns.place_of(rows[-1]) == 3 * people


def test_a_job_runs_the_row_whose_turn_it_is(detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "enqueue", lambda row: True)
    ann, bob = make_user(last_turn_at=timezone.now()), make_user()
    hers, his = waiting(ann, 1, age_s=60)[0], waiting(bob, 1)[0]

    tasks.run_analysis(str(hers.pk), 1)

    his.refresh_from_db()
    hers.refresh_from_db()
    assert (his.started_at is not None, hers.state) == (True, State.QUEUED)
    bob.refresh_from_db()
    assert bob.last_turn_at is not None


def test_the_queue_holds_a_job_for_every_row_that_could_start(queue: Queue) -> None:
    ann, bob = make_user(max_running=2), make_user(max_running=1)
    waiting(ann, 5)
    waiting(bob, 1)

    assert tasks.fill_up() == 3
    assert tasks.fill_up() == 0
    assert queue.count == 3


def test_the_end_of_a_run_makes_room_for_the_next(
    queue: Queue, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = make_user(max_running=1)
    first, _second = waiting(ann, 2)
    detector.meanwhile = lambda: tasks.run_analysis("another worker's job finds nothing that may start", 1)

    tasks.run_analysis(str(first.pk), 1)

    assert len(detector.calls) == 1
    assert queue.count == 1
