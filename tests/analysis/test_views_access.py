"""The files of an analysis: which there are, how they come, and what staff may do. Who reaches them: tests/security."""

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from analysis.models import Analysis, State
from tests.analysis.builders import make_analysis, make_user

pytestmark = pytest.mark.django_db


def address(name: str, analysis: Analysis) -> str:
    return reverse(f"analysis:{name}", args=[analysis.pk])


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


class TestStaffWithoutPermission:
    """Staff see everybody's analyses; what they may do to them is what they may in the administration."""

    @pytest.fixture
    def clerk(self, client: Client) -> User:
        made = make_user(is_staff=True)
        client.force_login(made)
        return made

    @pytest.mark.parametrize("name", ["cancel", "retry", "again", "delete"])
    def test_they_change_nothing_of_others(self, client: Client, analysis: Analysis, clerk: User, name: str) -> None:
        before = list(Analysis.objects.values())

        assert client.post(address(name, analysis), {"frames": 20}).status_code == 403
        assert list(Analysis.objects.values()) == before

    def test_they_do_as_they_like_with_their_own(self, client: Client, clerk: User) -> None:
        own = make_analysis(State.DONE, owner=clerk)

        client.post(address("delete", own))

        assert not Analysis.objects.filter(pk=own.pk).exists()
