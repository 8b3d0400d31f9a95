"""Headers of every kind of answer, cookies, spoofed headers of proxies, and bodies that are too much."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts.models import User
from analysis.models import State, Video
from deepfakesite import views
from tests.analysis.builders import PASSWORD, make_analysis, make_user

pytestmark = pytest.mark.django_db

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
PAGE_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "media-src": "'self'",
    "font-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
FILE_POLICY = {
    "default-src": "'none'",
    "img-src": "'self'",
    "media-src": "'self'",
    "style-src": "'unsafe-inline'",
    "sandbox": "",
}


def policy_of(response: HttpResponseBase) -> dict[str, str]:
    parts = (part.strip().partition(" ") for part in response.headers["Content-Security-Policy"].split(";"))
    return {name: value for name, _space, value in parts if name}


def owner_of_a_result(client: Client) -> str:
    analysis = make_analysis(State.DONE)
    client.force_login(analysis.video.owner)
    return str(analysis.pk)


def a_page(client: Client, monkeypatch: pytest.MonkeyPatch) -> HttpResponseBase:
    return client.get(reverse("home"))


def a_result(client: Client, monkeypatch: pytest.MonkeyPatch) -> HttpResponseBase:
    return client.get(reverse("analysis:detail", args=[owner_of_a_result(client)]))


def a_report(client: Client, monkeypatch: pytest.MonkeyPatch) -> HttpResponseBase:
    return client.get(reverse("analysis:report", args=[owner_of_a_result(client)]))


def a_redirect(client: Client, monkeypatch: pytest.MonkeyPatch) -> HttpResponseBase:
    return client.get(reverse("profile"))


def a_missing_page(client: Client, monkeypatch: pytest.MonkeyPatch) -> HttpResponseBase:
    return client.get("/nowhere/")


def an_invented_host(client: Client, monkeypatch: pytest.MonkeyPatch) -> HttpResponseBase:
    return client.get("/", headers={"host": "evil.example"})


def a_refused_form(client: Client, monkeypatch: pytest.MonkeyPatch) -> HttpResponseBase:
    return Client(enforce_csrf_checks=True).post(reverse("account_login"))


def a_failure(client: Client, monkeypatch: pytest.MonkeyPatch) -> HttpResponseBase:
    def broken() -> None:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(views, "_release_in_use", broken)
    return Client(raise_request_exception=False).get(reverse("about"))


def the_administration(client: Client, monkeypatch: pytest.MonkeyPatch) -> HttpResponseBase:
    client.force_login(make_user(staff=True))
    return client.get(reverse("admin:index"))


def a_machine_page(client: Client, monkeypatch: pytest.MonkeyPatch) -> HttpResponseBase:
    return client.get(reverse("metrics"))


def too_large(client: Client, monkeypatch: pytest.MonkeyPatch) -> HttpResponseBase:
    return client.generic("POST", reverse("account_login"), b"", "text/plain", CONTENT_LENGTH=str(2 * 1024**2))


Ask = Callable[[Client, pytest.MonkeyPatch], HttpResponseBase]
PAGES: list[tuple[Ask, int]] = [
    (a_page, 200),
    (a_result, 200),
    (a_report, 200),
    (a_redirect, 302),
    (a_missing_page, 404),
    (an_invented_host, 400),
    (a_refused_form, 403),
    (a_failure, 500),
    (the_administration, 200),
    (a_machine_page, 200),
    (too_large, 413),
]


@pytest.mark.parametrize(("ask", "status"), PAGES, ids=[ask.__name__ for ask, _status in PAGES])
def test_every_kind_of_answer_has_every_header(
    client: Client, monkeypatch: pytest.MonkeyPatch, ask: Ask, status: int
) -> None:
    response = ask(client, monkeypatch)

    assert response.status_code == status
    assert {name: response.headers.get(name) for name in ALWAYS} == ALWAYS
    assert policy_of(response) == PAGE_POLICY
    assert "camera=()" in response.headers["Permissions-Policy"]
    assert "Strict-Transport-Security" not in response.headers  # there is no HTTPS here


@pytest.mark.parametrize("name", ["video", "poster", "frame", "crop", "heatmap"])
@pytest.mark.parametrize("wanted", ["bytes=0-9", "bytes=99999999-", None])
def test_files_run_nothing_and_are_kept_by_no_one_else(client: Client, name: str, wanted: str | None) -> None:
    parts: dict[str, list[int]] = {"frame": [1], "crop": [0, 1], "heatmap": [0, 1]}
    address = reverse(f"analysis:{name}", args=[owner_of_a_result(client), *parts.get(name, [])])

    response = client.get(address, headers={"range": wanted} if wanted else {})

    if response.streaming:
        b"".join(response)
    response.close()
    in_parts = {"bytes=0-9": 206, "bytes=99999999-": 416}
    assert response.status_code == (200 if name == "frame" else in_parts.get(wanted or "", 200))  # drawn as it is sent
    assert policy_of(response) == FILE_POLICY
    assert {name: response.headers.get(name) for name in ALWAYS} == ALWAYS
    assert response.headers["Cache-Control"] == "private, max-age=300"
    assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"


def may_be_kept(response: HttpResponseBase) -> bool:
    said = {part.strip() for part in response.headers.get("Cache-Control", "").split(",")}
    return not {"no-store", "private"} <= said


@pytest.mark.parametrize("name", ["detail", "status", "report", "list", "new", "again", "delete", "compare"])
def test_no_browser_keeps_what_is_a_persons(client: Client, name: str) -> None:
    pk = owner_of_a_result(client)

    response = client.get(reverse(f"analysis:{name}", args=[] if name in {"list", "new"} else [pk]))

    assert response.status_code == 200
    assert not may_be_kept(response)


@pytest.mark.parametrize("name", ["home", "about", "profile", "usersessions_list", "account_email", "nowhere"])
def test_no_browser_keeps_a_page_that_was_shown_with_a_session(client: Client, name: str) -> None:
    client.force_login(make_user())

    assert not may_be_kept(client.get("/nowhere/" if name == "nowhere" else reverse(name)))


@pytest.mark.parametrize("name", ["home", "about"])
def test_a_page_for_everybody_may_be_kept(client: Client, name: str) -> None:
    assert "Cache-Control" not in client.get(reverse(name)).headers


def test_what_failed_is_kept_by_no_browser_though_nobody_knows_who_asked(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.force_login(make_user())

    def broken(*arguments: object, **options: object) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(SessionStore, "load", broken)
    client.raise_request_exception = False

    response = client.get(reverse("analysis:list"))

    assert response.status_code == 500
    assert not may_be_kept(response)


class TestBehindHTTPS:
    @pytest.fixture(autouse=True)
    def https(self, settings: Settings) -> None:
        """As settings.py has it with HTTPS=on (tests/site/test_settings.py) and one proxy."""
        settings.SECURE_SSL_REDIRECT = settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
        settings.SECURE_HSTS_SECONDS = 31_536_000
        settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
        settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

    def test_plain_http_is_sent_on_and_told_nothing(self, client: Client) -> None:
        response = client.get(reverse("account_login"))

        assert (response.status_code, response.headers["Location"]) == (301, "https://testserver/accounts/login/")
        assert not response.cookies

    def test_browsers_are_told_to_stay_with_https(self, client: Client) -> None:
        response = client.get(reverse("home"), headers={"x-forwarded-proto": "https"})

        assert response.headers["Strict-Transport-Security"] == "max-age=31536000"

    def test_cookies_travel_over_https_alone_and_scripts_read_none_that_matters(self, client: Client) -> None:
        person = make_user()
        over = {"x-forwarded-proto": "https", "x-forwarded-for": "203.0.113.7"}
        client.get(reverse("account_login"), headers=over)
        client.post(reverse("account_login"), {"login": person.email, "password": PASSWORD}, headers=over)

        for name in ("sessionid", "csrftoken", "known_browser"):
            assert client.cookies[name]["secure"], name
            assert client.cookies[name]["samesite"] == "Lax", name
        assert client.cookies["sessionid"]["httponly"]
        assert client.cookies["known_browser"]["httponly"]


class TestSpoofing:
    def test_a_scheme_that_is_claimed_without_a_proxy_counts_for_nothing(
        self, client: Client, settings: Settings
    ) -> None:
        settings.SECURE_SSL_REDIRECT = True

        response = client.get(reverse("home"), headers={"x-forwarded-proto": "https"})

        assert response.status_code == 301

    @pytest.mark.parametrize("name", ["x-forwarded-host", "x-host", "forwarded"])
    def test_no_other_header_names_the_host(self, client: Client, name: str) -> None:
        from django.core import mail

        make_user("ann@example.org")
        client.post(
            reverse("account_reset_password"),
            {"email": "ann@example.org"},
            headers={name: "host=evil.example" if name == "forwarded" else "evil.example"},
        )

        assert "http://testserver/" in str(mail.outbox[0].body)
        assert "evil.example" not in str(mail.outbox[0].body)

    @pytest.mark.parametrize(
        ("proxies", "forwarded", "network"),
        [
            (0, "203.0.113.7", "127.0.0.0/24"),  # nobody is believed
            (1, "198.51.100.1, 203.0.113.7", "203.0.113.0/24"),  # the last was added by our proxy
            (1, "invented", ""),
            (2, "203.0.113.7", ""),  # fewer than there are proxies: it came past one of them
        ],
    )
    def test_the_address_is_the_one_that_our_own_proxy_saw(
        self, client: Client, settings: Settings, proxies: int, forwarded: str, network: str
    ) -> None:
        from audit import context

        seen: list[str] = []

        def look(request: HttpRequest) -> HttpResponse:
            seen.append(context.current().network)
            return HttpResponse()

        settings.ALLAUTH_TRUSTED_PROXY_COUNT = proxies
        from django.test import RequestFactory

        from deepfakesite.request_context import request_context

        request_context(look)(RequestFactory().get("/", headers={"x-forwarded-for": forwarded}))

        assert seen == [network]

    @pytest.mark.parametrize(("proxies", "forwarded"), [(1, "invented"), (2, "203.0.113.7")])
    def test_a_log_in_from_nowhere_is_refused_in_words(
        self, client: Client, settings: Settings, proxies: int, forwarded: str
    ) -> None:
        settings.ALLAUTH_TRUSTED_PROXY_COUNT = proxies
        person = make_user()

        response = Client(raise_request_exception=False).post(
            reverse("account_login"),
            {"login": person.email, "password": PASSWORD},
            headers={"x-forwarded-for": forwarded},
        )

        assert response.status_code == 403

    @pytest.mark.parametrize("name", ["x-http-method-override", "x-method-override", "x-http-method"])
    def test_a_link_cannot_become_a_form(self, client: Client, name: str) -> None:
        analysis = make_analysis(State.DONE)
        client.force_login(analysis.video.owner)

        response = client.get(
            reverse("analysis:cancel", args=[analysis.pk]), {"_method": "POST"}, headers={name: "POST"}
        )

        assert response.status_code == 405


class TestTooMuch:
    def post(self, client: Client, parts: list[tuple[str, str | None]], **more: Any) -> HttpResponseBase:
        """A multipart body of fields and, where a file name is given, files."""
        lines = []
        for name, file in parts:
            about = f'; filename="{file}"' if file is not None else ""
            lines.append(f'--x\r\nContent-Disposition: form-data; name="{name}"{about}\r\n\r\n1\r\n')
        body = "".join(lines) + "--x--\r\n"
        return client.generic("POST", reverse("analysis:new"), body.encode(), "multipart/form-data; boundary=x", **more)

    @pytest.fixture
    def person(self, client: Client) -> User:
        made = make_user()
        client.force_login(made)
        return made

    @pytest.mark.parametrize("parts", [[("frames", None)] * 1001, [("video", "a.mp4")] * 101], ids=["fields", "files"])
    def test_bombs_of_parts_are_refused(
        self, client: Client, person: User, parts: list[tuple[str, str | None]]
    ) -> None:
        response = self.post(client, parts)

        assert response.status_code == 400
        assert not Video.objects.exists()

    def test_a_field_that_is_as_large_as_a_file_is_refused(self, client: Client, person: User) -> None:
        body = b'--x\r\nContent-Disposition: form-data; name="frames"\r\n\r\n' + b"1" * (3 * 1024**2) + b"\r\n--x--\r\n"

        response = client.generic("POST", reverse("analysis:new"), body, "multipart/form-data; boundary=x")

        assert response.status_code == 400

    @pytest.mark.parametrize("body", [b"", b"--x", b"--x\r\n\r\n", b"\x00" * 100])
    def test_damaged_bodies_are_a_mistake_in_the_form_and_no_failure(
        self, client: Client, person: User, body: bytes
    ) -> None:
        response = client.generic("POST", reverse("analysis:new"), body, "multipart/form-data; boundary=x")

        assert response.status_code in {200, 400}
        assert not Video.objects.exists()
