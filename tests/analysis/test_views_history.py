"""A person's history: order, search, filters, pages, empty states, deleting several."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from analysis.models import Analysis, State, Verdict
from analysis.views import history
from tests.analysis.builders import make_analysis, make_user, make_video

pytestmark = pytest.mark.django_db

LIST = "/analyses/"
DELETE = "/analyses/delete/"


@pytest.fixture
def user(client: Client) -> User:
    person = make_user()
    client.force_login(person)
    return person


def make_named(owner: User, name: str, state: str = State.DONE, age_days: float = 0, **fields: Any) -> Analysis:
    analysis = make_analysis(state, video=make_video(owner, name=name), **fields)
    Analysis.objects.filter(pk=analysis.pk).update(created_at=timezone.now() - timedelta(days=age_days))
    return analysis


def names(client: Client, **asked: str) -> list[str]:
    return [row.video.name for row in client.get(LIST, asked).context["page"]]


def told_next(client: Client) -> list[str]:
    """The messages that the next page shows."""
    return [str(message) for message in client.get(LIST).context["messages"]]


def test_newest_first_and_only_ones_own(client: Client, user: User) -> None:
    make_named(user, "old.mp4", age_days=2)
    make_named(user, "new.mp4")
    make_named(user, "middle.mp4", age_days=1)
    make_named(make_user(), "foreign.mp4")

    assert names(client) == ["new.mp4", "middle.mp4", "old.mp4"]


def test_staff_see_their_own_here_too() -> None:
    client, staff = Client(), make_user(staff=True)
    client.force_login(staff)
    make_named(make_user(), "foreign.mp4")
    make_named(staff, "mine.mp4")

    assert names(client) == ["mine.mp4"]


def test_search_by_part_of_the_name_in_any_case(client: Client, user: User) -> None:
    make_named(user, "Minister Speech.mp4")
    make_named(user, "weather.mp4")

    assert names(client, q="speech") == ["Minister Speech.mp4"]


@pytest.mark.parametrize("part", ["übung", "Übung", "ÜBUNG", "ung är", "ÅR", "u\u0308bung", "100 % übUNG", "übung är_"])
def test_search_takes_letters_of_every_script_in_any_case(client: Client, user: User, part: str) -> None:
    make_named(user, "100 % Übung Är_år.mp4")
    make_named(user, "Ubung 100.mp4")

    assert names(client, q=part) == ["100 % Übung Är_år.mp4"]


@pytest.mark.parametrize(
    ("part", "found"),
    [
        ("ПРИВЕТ", ["привет.mp4"]),
        ("ὀδυσσεύσ", ["ὈΔΥΣΣΕΎΣ.mp4"]),  # the last letter is another one at the end of a word
        ("é%", []),
        ("é_", []),
        ("é\\", ["é\\.mp4"]),
    ],
)
def test_search_reads_a_name_letter_by_letter(client: Client, user: User, part: str, found: list[str]) -> None:
    for name in ("привет.mp4", "ὈΔΥΣΣΕΎΣ.mp4", "é\\.mp4"):
        make_named(user, name)

    assert names(client, q=part) == found


def test_filters_by_verdict_and_state_together(client: Client, user: User) -> None:
    make_named(user, "fake.mp4", verdict=Verdict.FAKE, age_days=1)
    make_named(user, "real.mp4", verdict=Verdict.REAL)
    make_named(user, "failed.mp4", State.FAILED)

    assert names(client, verdict="FAKE") == ["fake.mp4"]
    assert names(client, state="failed") == ["failed.mp4"]
    assert names(client, verdict="REAL", state="done") == ["real.mp4"]
    assert names(client, verdict="REAL", state="failed") == []


def test_an_unknown_filter_is_told_and_narrows_nothing(client: Client, user: User) -> None:
    make_named(user, "one.mp4")

    response = client.get(LIST, {"verdict": "PERHAPS"})

    assert [row.video.name for row in response.context["page"]] == ["one.mp4"]
    assert list(response.context["form"].errors) == ["verdict"]


def test_pages_keep_the_search(client: Client, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "PAGE_SIZE", 2)
    for age in range(5):
        make_named(user, f"clip-{age}.mp4", State.CANCELLED, age_days=age)

    page = client.get(LIST, {"q": "clip", "page": "2"})

    assert [row.video.name for row in page.context["page"]] == ["clip-2.mp4", "clip-3.mp4"]
    assert 'href="?q=clip&amp;page=3"' in page.content.decode()
    assert names(client, page="99") == ["clip-4.mp4"]
    assert names(client, page="x") == ["clip-0.mp4", "clip-1.mp4"]


@pytest.mark.parametrize("part", ["clip", "übung"])
def test_a_search_costs_no_query_more(client: Client, user: User, part: str, django_assert_num_queries: Any) -> None:
    for number in range(3):
        make_named(user, f"Übung clip {number}.mp4", State.CANCELLED)

    with django_assert_num_queries(4):  # session, person, count, rows
        assert len(client.get(LIST, {"q": part}).context["page"]) == 3


@pytest.mark.usefixtures("user")
def test_nothing_at_all_invites_to_begin(client: Client) -> None:
    page = client.get(LIST).content.decode()

    assert "Nothing examined yet" in page
    assert 'name="q"' not in page


def test_nothing_found_offers_the_way_back(client: Client, user: User) -> None:
    make_named(user, "one.mp4")

    page = client.get(LIST, {"q": "zebra"}).content.decode()

    assert "No analysis matches" in page
    assert 'value="zebra"' in page
    assert "Nothing examined yet" not in page


def test_the_number_of_queries_does_not_grow(client: Client, user: User, django_assert_num_queries: Any) -> None:
    make_named(user, "first.mp4")
    with django_assert_num_queries(4):  # session, person, count, rows
        client.get(LIST)

    make_named(user, "second.mp4", State.RUNNING)
    make_named(user, "third.mp4", State.FAILED)
    with django_assert_num_queries(4):
        assert len(client.get(LIST).context["page"]) == 3


def test_rows_show_thumbnail_state_and_people(client: Client, user: User) -> None:
    done = make_named(user, "done.mp4")

    page = client.get(LIST).content.decode()

    assert f'src="/analyses/{done.pk}/poster.jpg"' in page
    assert "1 person" in page
    assert "97 % likely fake" in page


def test_deleting_several_asks_first(client: Client, user: User) -> None:
    chosen = [make_named(user, f"{number}.mp4", State.CANCELLED) for number in range(2)]
    kept = make_named(user, "kept.mp4", State.CANCELLED)
    ticked = {"analyses": [str(row.pk) for row in chosen]}

    asked = client.post(DELETE, ticked).content.decode()
    assert "Delete 2 analyses?" in asked
    assert all(f'name="analyses" value="{row.pk}"' in asked for row in chosen)
    assert Analysis.objects.count() == 3

    response = client.post(DELETE, {**ticked, "confirmed": "on"}, follow=True)
    assert "2 analyses were deleted." in response.content.decode()
    assert list(Analysis.objects.all()) == [kept]


def test_nothing_ticked_deletes_nothing(client: Client, user: User) -> None:
    make_named(user, "one.mp4")

    response = client.post(DELETE, {"confirmed": "on"}, follow=True)

    assert "Nothing was ticked, so nothing was deleted." in response.content.decode()
    assert Analysis.objects.count() == 1


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        (1, "1 of the ticked analyses was not there any more."),
        (2, "2 of the ticked analyses were not there any more."),
    ],
)
def test_what_is_gone_is_told_and_the_others_are_deleted(client: Client, user: User, gone: int, words: str) -> None:
    row = make_named(user, "there.mp4", State.CANCELLED)
    ticked = {"analyses": [str(row.pk), *(str(uuid.uuid4()) for _number in range(gone))]}

    asked = client.post(DELETE, ticked).content.decode()
    assert "Delete this analysis?" in asked
    assert words in asked
    assert asked.count('name="analyses"') == 1

    told = client.post(DELETE, {**ticked, "confirmed": "on"}, follow=True).content.decode()
    assert "1 analysis was deleted." in told
    assert words in told
    assert not Analysis.objects.exists()


@pytest.mark.usefixtures("user")
@pytest.mark.parametrize("confirmed", [{}, {"confirmed": "on"}], ids=["asked", "confirmed"])
@pytest.mark.parametrize(
    ("gone", "words"),
    [
        (1, "The ticked analysis was not there any more, so nothing was deleted."),
        (2, "None of the ticked analyses was there any more, so nothing was deleted."),
    ],
)
def test_when_all_are_gone_there_is_nothing_to_ask(
    client: Client, confirmed: dict[str, str], gone: int, words: str
) -> None:
    ticked = {"analyses": [str(uuid.uuid4()) for _number in range(gone)]}

    response = client.post(DELETE, {**ticked, **confirmed}, follow=True)

    assert response.redirect_chain == [(LIST, 302)]
    assert words in response.content.decode()


def test_what_is_ticked_twice_is_one(client: Client, user: User) -> None:
    row = make_named(user, "one.mp4", State.CANCELLED)

    told = client.post(DELETE, {"analyses": [str(row.pk)] * 2, "confirmed": "on"}, follow=True).content.decode()

    assert "1 analysis was deleted." in told
    assert "not there any more" not in told


@pytest.mark.usefixtures("user")
@pytest.mark.parametrize("staff", [False, True])
@pytest.mark.parametrize("confirmed", [{}, {"confirmed": "on"}], ids=["asked", "confirmed"])
def test_one_that_belongs_to_another_is_answered_like_one_that_is_not_there(
    client: Client, staff: bool, confirmed: dict[str, str]
) -> None:
    if staff:
        client.force_login(make_user(staff=True))
    foreign = make_named(make_user(), "foreign.mp4", State.CANCELLED)

    answers = []
    for key in (foreign.pk, uuid.uuid4()):
        response = client.post(DELETE, {"analyses": [str(key)], **confirmed})
        answers.append((response.status_code, response.headers["Location"], told_next(client)))

    assert answers[0] == answers[1]
    assert answers[0] == (302, LIST, ["The ticked analysis was not there any more, so nothing was deleted."])
    assert list(Analysis.objects.all()) == [foreign]


@pytest.mark.usefixtures("user")
@pytest.mark.parametrize("nonsense", ["../../etc", "7", "\x00", ""])
def test_nonsense_in_the_selection_is_404(client: Client, nonsense: str) -> None:
    assert client.post(DELETE, {"analyses": [nonsense], "confirmed": "on"}).status_code == 404


def test_deleting_needs_the_forms_token(user: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(user)
    row = make_named(user, "one.mp4", State.CANCELLED)

    assert strict.post(DELETE, {"analyses": [str(row.pk)], "confirmed": "on"}).status_code == 403
    assert Analysis.objects.count() == 1
