"""A person's own page, and leaving with everything."""

from pathlib import Path

import pytest
from django.conf import settings as site
from django.db import OperationalError
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoCaptureOnCommitCallbacks

from accounts.models import User
from analysis import services
from analysis.models import Analysis, Video
from tests.analysis.builders import PASSWORD, make_analysis, make_user

pytestmark = pytest.mark.django_db


def media_files() -> list[Path]:
    return [path for path in Path(site.MEDIA_ROOT).rglob("*") if path.is_file()]


def test_the_name_is_changed(client: Client) -> None:
    person = make_user("ann@example.org")
    client.force_login(person)

    response = client.post(reverse("profile"), {"display_name": "Ann <b>", "email": "x@example.org", "is_staff": "on"})

    person.refresh_from_db()
    assert response.headers["Location"] == reverse("profile")
    assert (person.display_name, person.email, person.is_staff) == ("Ann <b>", "ann@example.org", False)
    assert "Ann &lt;b&gt;" in client.get(reverse("profile")).content.decode()


def test_a_name_that_is_too_long_comes_back_with_a_sentence(client: Client) -> None:
    client.force_login(make_user())

    response = client.post(reverse("profile"), {"display_name": "x" * 81})

    assert response.status_code == 200
    assert "at most 80 characters" in response.content.decode()


def test_use_and_quotas_are_shown(client: Client) -> None:
    person = make_user(max_queued=7, max_storage_bytes=5 * 1024**2)
    analysis = make_analysis(owner=person)
    Video.objects.filter(pk=analysis.video_id).update(size_bytes=1024**2)
    make_analysis()  # somebody else's
    client.force_login(person)

    html = client.get(reverse("profile")).content.decode()

    assert "1.0\xa0MB of 5.0\xa0MB" in html
    assert "1 of 7 analyses" in html


class TestLeaving:
    def log_in(self, client: Client, person: User) -> None:
        client.post(reverse("account_login"), {"login": person.email, "password": PASSWORD})

    def test_the_password_is_asked_for_first(self, client: Client) -> None:
        person = make_user()
        self.log_in(client, person)

        response = client.post(reverse("delete_account"), {"confirm": "on"})

        assert response.headers["Location"].startswith(reverse("account_reauthenticate"))
        assert User.objects.filter(pk=person.pk).exists()

    def test_it_says_what_will_be_gone_and_wants_a_yes(self, client: Client) -> None:
        person = make_user()
        make_analysis(owner=person)
        self.log_in(client, person)
        client.post(reverse("account_reauthenticate"), {"password": PASSWORD})

        shown = client.get(reverse("delete_account")).content.decode()
        refused = client.post(reverse("delete_account"), {})

        assert "With your account goes 1 video" in shown
        assert "This field is required." in refused.content.decode()
        assert User.objects.filter(pk=person.pk).exists()

    def test_everything_goes_and_nothing_of_others(
        self, client: Client, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
    ) -> None:
        person = make_user()
        make_analysis("done", owner=person)
        mine = set(media_files())
        kept = make_analysis("done")
        theirs = set(media_files()) - mine
        self.log_in(client, person)
        client.post(reverse("account_reauthenticate"), {"password": PASSWORD})

        with django_capture_on_commit_callbacks(execute=True):
            response = client.post(reverse("delete_account"), {"confirm": "on"})

        assert response.headers["Location"] == reverse("home")
        assert not User.objects.filter(pk=person.pk).exists()
        assert list(Analysis.objects.all()) == [kept]
        assert set(media_files()) == theirs
        assert client.get(reverse("profile")).status_code == 302
        assert "were deleted" in client.get(reverse("home")).content.decode()

    def test_who_could_not_be_deleted_stays_logged_in(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        person = make_user()
        self.log_in(client, person)
        client.post(reverse("account_reauthenticate"), {"password": PASSWORD})

        def fails(owner: User) -> None:
            raise OperationalError("The database is away.")

        monkeypatch.setattr(services, "delete_person", fails)
        client.raise_request_exception = False
        response = client.post(reverse("delete_account"), {"confirm": "on"})

        assert response.status_code == 500
        assert client.get(reverse("profile")).status_code == 200
