"""Who reaches what: every address of an analysis, asked for by its owner, a stranger, staff and nobody."""

from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from analysis.models import Analysis, State
from analysis.urls import urlpatterns
from tests.analysis.builders import make_analysis, make_user

pytestmark = pytest.mark.django_db

PAGES = ["detail", "progress", "again", "delete", "compare", "compare_with"]
FILES = ["status", "report", "video", "poster", "frame", "crop", "heatmap"]
ACTIONS = ["cancel", "retry", "again", "delete"]
OTHER = UUID("9f1c1fd4-28d8-4d40-9d5c-6a7c0c9d7d11")
OF_NO_ANALYSIS = {"list", "new", "delete_many", "staff"}


def address(name: str, analysis: Analysis) -> str:
    parts: dict[str, list[Any]] = {"frame": [1], "crop": [0, 1], "heatmap": [0, 1]}
    if name == "compare_with":
        other = Analysis.objects.filter(pk=OTHER).first() or make_analysis(State.DONE, video=analysis.video, pk=OTHER)
        parts = {name: [other.pk]}
    return reverse(f"analysis:{name}", args=[analysis.pk, *parts.get(name, [])])


@pytest.fixture
def analysis() -> Analysis:
    return make_analysis(State.DONE)


@pytest.fixture
def owner(client: Client, analysis: Analysis) -> Client:
    client.force_login(analysis.video.owner)
    return client


def status_of(client: Client, path: str, **headers: str) -> int:
    """The status; the answer is read to its end, so that no file stays open."""
    response = client.get(path, headers=headers)
    if response.streaming:
        b"".join(response)
    response.close()
    return response.status_code


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_every_address_is_tested_here() -> None:
    assert {pattern.name for pattern in urlpatterns} == {*PAGES, *FILES, *ACTIONS, *OF_NO_ANALYSIS}


@pytest.mark.parametrize("name", [*PAGES, *FILES])
def test_owner_and_staff_reach_everything(owner: Client, analysis: Analysis, name: str) -> None:
    expected = 286 if name == "progress" else 200

    assert status_of(owner, address(name, analysis)) == expected
    assert status_of(logged_in(make_user(staff=True)), address(name, analysis)) == expected


@pytest.mark.parametrize("name", [*PAGES, *FILES])
def test_a_stranger_finds_nothing(analysis: Analysis, name: str) -> None:
    assert logged_in(make_user()).get(address(name, analysis)).status_code == 404


@pytest.mark.parametrize("name", PAGES)
def test_pages_send_nobody_to_the_log_in(client: Client, analysis: Analysis, name: str) -> None:
    response = client.get(address(name, analysis))

    assert response.status_code == 302
    assert response.headers["Location"] == f"{reverse('account_login')}?next={address(name, analysis)}"


@pytest.mark.parametrize("name", FILES)
def test_files_and_json_do_not_exist_for_nobody(client: Client, analysis: Analysis, name: str) -> None:
    assert client.get(address(name, analysis)).status_code == 404


@pytest.mark.parametrize("name", ACTIONS)
def test_a_stranger_changes_nothing(analysis: Analysis, name: str) -> None:
    response = logged_in(make_user()).post(address(name, analysis), {"frames": 20})

    assert response.status_code == 404
    assert list(Analysis.objects.values_list("pk", "state")) == [(analysis.pk, State.DONE)]


@pytest.mark.parametrize("name", ACTIONS)
def test_a_form_from_elsewhere_is_refused(analysis: Analysis, name: str) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(analysis.video.owner)

    assert strict.post(address(name, analysis), {"frames": 20}).status_code == 403
    assert Analysis.objects.get().state == State.DONE


@pytest.mark.parametrize("name", ["cancel", "retry", "delete_many"])
def test_what_changes_something_cannot_be_asked_for_by_a_link(owner: Client, analysis: Analysis, name: str) -> None:
    path = reverse("analysis:delete_many") if name == "delete_many" else address(name, analysis)

    assert owner.get(path).status_code == 405


@pytest.mark.parametrize("name", FILES)
def test_files_and_json_are_only_read(owner: Client, analysis: Analysis, name: str) -> None:
    assert owner.post(address(name, analysis)).status_code == 405


@pytest.mark.parametrize(
    ("name", "parts"), [("frame", [77]), ("crop", [0, 77]), ("crop", [5, 1]), ("heatmap", [0, 77])]
)
def test_pictures_that_are_not_there_are_404(owner: Client, analysis: Analysis, name: str, parts: list[int]) -> None:
    assert owner.get(reverse(f"analysis:{name}", args=[analysis.pk, *parts])).status_code == 404


def test_a_video_without_poster_has_none_to_send(owner: Client, analysis: Analysis) -> None:
    analysis.video.poster.delete()

    assert owner.get(address("poster", analysis)).status_code == 404


def test_the_video_comes_as_what_it_is_and_under_its_name_when_downloaded(owner: Client, analysis: Analysis) -> None:
    played = owner.get(address("video", analysis))
    kept = owner.get(address("video", analysis), {"download": ""})

    played.close()
    kept.close()
    assert played.headers["Content-Type"] == "video/mp4"
    assert played.headers["Content-Disposition"] == "inline"
    assert kept.headers["Content-Disposition"] == f'attachment; filename="{analysis.video.name}"'
    assert status_of(owner, address("video", analysis), range="bytes=0-9") == 206


def test_only_staff_see_the_numbers() -> None:
    assert logged_in(make_user(staff=True)).get(reverse("analysis:staff")).status_code == 200
    assert logged_in(make_user()).get(reverse("analysis:staff")).status_code == 404


@pytest.mark.parametrize("name", ["list", "new", "staff"])
def test_the_other_pages_ask_nobody_to_log_in(client: Client, name: str) -> None:
    path = reverse(f"analysis:{name}")

    assert client.get(path).headers["Location"] == f"{reverse('account_login')}?next={path}"
