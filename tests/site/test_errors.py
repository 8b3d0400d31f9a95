"""What people see when something goes wrong: each page says what to do, and the last one needs nothing to work."""

import errno
import logging
from pathlib import Path
from wsgiref.util import is_hop_by_hop

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import OperationalError, connection
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import reverse
from pytest_django import Settings
from redis.exceptions import ConnectionError as QueueConnectionError
from redis.exceptions import TimeoutError as QueueTimeoutError

from analysis import files
from analysis.messages import sentence_for
from deepfakesite import middleware, views
from tests.analysis.builders import PASSWORD, make_user


@pytest.mark.django_db
def test_unknown_addresses_have_a_page_of_their_own(client: Client) -> None:
    response = client.get("/nowhere/")

    assert response.status_code == 404
    assert "There is nothing here" in response.content.decode()


@pytest.mark.django_db
def test_people_without_rights_are_told_so(client: Client) -> None:
    client.force_login(make_user())

    response = client.get(reverse("admin:login"))

    assert response.status_code == 403
    assert "This page is for administrators." in response.content.decode()


@pytest.mark.django_db
def test_a_form_without_its_token_changes_nothing_and_says_why() -> None:
    person = make_user(display_name="before")
    client = Client(enforce_csrf_checks=True)
    client.force_login(person)

    response = client.post(reverse("profile"), {"display_name": "after"})
    person.refresh_from_db()

    assert response.status_code == 403
    assert "The form was too old" in response.content.decode()
    assert person.display_name == "before"


@pytest.mark.django_db
def test_an_invented_host_is_refused(client: Client) -> None:
    response = client.get("/", headers={"host": "evil.example"})

    assert response.status_code == 400


@pytest.mark.django_db
def test_a_failure_has_its_page_and_its_line_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(views, "_release_in_use", broken)
    client = Client(raise_request_exception=False)

    with caplog.at_level(logging.ERROR, logger="django.request"):
        response = client.get(reverse("about"))

    assert response.status_code == 500
    assert "Something broke" in response.content.decode()
    assert "broken on purpose" not in response.content.decode()
    assert "broken on purpose" in caplog.text


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), 507, "The disk of this site is full"),
        (OperationalError("database or disk is full"), 507, "The disk of this site is full"),
        (OperationalError("database is locked"), 503, "Another program has been writing to the database"),
        (OperationalError("disk I/O error"), 500, "It is our mistake"),  # for there is room
    ],
)
def test_a_full_disk_and_a_locked_database_have_pages_of_their_own(
    monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, words: str
) -> None:
    def failing(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr(views, "_release_in_use", failing)

    response = Client(raise_request_exception=False).get(reverse("about"))

    assert response.status_code == status
    assert words in response.content.decode()


@pytest.mark.django_db
def test_sqlite_without_room_for_its_index_is_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*args: object, **kwargs: object) -> None:
        raise OperationalError("disk I/O error")

    monkeypatch.setattr(views, "_release_in_use", failing)
    monkeypatch.setattr(files, "free_bytes", lambda: 0)

    response = Client(raise_request_exception=False).get(reverse("about"), headers={"accept": "application/json"})

    assert response.status_code == 507
    assert response.json() == {"errors": {"video": [sentence_for("disk_full")]}}


def test_the_failure_page_needs_no_database_and_no_manifest(settings: Settings) -> None:
    """Without the django_db mark a query would raise; the manifest storage raises for files nobody collected."""
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
    }
    settings.STATIC_ROOT = "/nonexistent"
    assert not connection.in_atomic_block

    response = views.server_error(RequestFactory().get("/"))

    assert response.status_code == 500
    assert '<link rel="stylesheet" href="/static/css/site.css">' in response.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("page", "back"),
    [
        ("http://testserver/analyses/?page=2", "/analyses/%3Fpage%3D2"),
        ("https://evil.example/", "/"),
    ],
)
def test_a_page_whose_session_has_ended_goes_to_the_log_in_as_a_whole(client: Client, page: str, back: str) -> None:
    response = client.get(reverse("analysis:list"), headers={"hx-request": "true", "hx-current-url": page})

    assert response.status_code == 200
    assert response.headers["HX-Redirect"] == f"{reverse('account_login')}?next={back}"
    assert response.content == b""


@pytest.mark.django_db
def test_a_queue_that_is_down_is_named(client: Client, settings: Settings, tmp_path: Path) -> None:
    settings.RQ_QUEUES = {"default": {"URL": f"unix://{tmp_path}/nobody.sock"}}
    client.force_login(make_user(staff=True))

    response = client.get("/admin/django-rq/")

    assert response.status_code == 503
    assert "The queue does not answer" in response.content.decode()


@pytest.mark.parametrize("error", [QueueConnectionError("gone"), QueueTimeoutError("silent")])
def test_a_queue_that_breaks_off_or_falls_silent_is_down(error: Exception) -> None:
    request = RequestFactory().get("/admin/django-rq/")
    request.user = AnonymousUser()

    response = middleware.OutageMiddleware(lambda _: HttpResponse()).process_exception(request, error)

    assert response is not None
    assert response.status_code == 503


def test_other_failures_are_not_taken_for_the_queues() -> None:
    down = middleware.OutageMiddleware(lambda _: HttpResponse())

    assert down.process_exception(RequestFactory().get("/"), TimeoutError("of something else")) is None


class TestBodyLimit:
    """Bodies are refused by their announced length, before anything reads them."""

    pytestmark = pytest.mark.django_db

    def test_a_form_may_not_carry_a_video(self, client: Client, settings: Settings) -> None:
        settings.MAX_FORM_BYTES = 100
        client.force_login(make_user())

        response = client.post(reverse("profile"), {"display_name": "x" * 200})

        assert response.status_code == 413
        assert "That is too large" in response.content.decode()
        assert not [name for name in response.headers if is_hop_by_hop(name)]  # those are the server's, says PEP 3333

    def test_an_upload_may_be_as_large_as_the_limit(self, client: Client, settings: Settings) -> None:
        settings.MAX_FORM_BYTES = 100
        client.force_login(make_user())

        response = client.post(reverse("analysis:new"), {"frames": "x" * 200})

        assert response.status_code != 413

    def test_an_upload_may_not_be_larger(self, client: Client) -> None:
        client.force_login(make_user())

        response = client.generic(
            "POST", reverse("analysis:new"), b"", "multipart/form-data; boundary=x", CONTENT_LENGTH=str(3 * 1024**3)
        )

        assert response.status_code == 413
        assert "A video may have up to 2.0\xa0GB." in response.content.decode()

    def test_strangers_are_sent_to_the_log_in_before_their_body_is_read(self) -> None:
        """The CSRF check would read all of it to find the token."""
        client = Client(enforce_csrf_checks=True)

        response = client.generic(
            "POST", reverse("analysis:new"), b"", "multipart/form-data; boundary=x", CONTENT_LENGTH=str(1024**3)
        )

        assert response.status_code == 302
        assert response.headers["Location"].startswith(reverse("account_login"))

    def test_a_length_that_is_no_number_makes_no_sense(self) -> None:
        client = Client()

        response = client.generic(
            "POST",
            reverse("account_login"),
            f"login=a@example.org&password={PASSWORD}".encode(),
            "application/x-www-form-urlencoded",
            CONTENT_LENGTH="many",
        )

        assert response.status_code == 400
        assert "This request makes no sense" in response.content.decode()
