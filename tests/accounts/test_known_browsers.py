"""Browsers that an account knows: guessers elsewhere do not keep them out, and they are no way round the counting."""

from http.cookies import Morsel

import pytest
from django.core import mail, signing
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts import known_browsers
from accounts.models import User
from tests.analysis.builders import PASSWORD, make_user

pytestmark = pytest.mark.django_db
TOO_MANY = "Too many failed login attempts"


@pytest.fixture(autouse=True)
def few(settings: Settings) -> None:
    settings.ACCOUNT_RATE_LIMITS = {**settings.ACCOUNT_RATE_LIMITS, "guessed_at": "3/h/key"}


def log_in(client: Client, login: str, password: str = PASSWORD, *, address: str = "10.0.0.1") -> str:
    response = client.post(reverse("account_login"), {"login": login, "password": password}, REMOTE_ADDR=address)
    return response.headers.get("Location") or response.content.decode()


def guess(login: str, times: int = 4) -> None:
    """By strange browsers, each from an address of its own."""
    for number in range(times):
        log_in(Client(), login, "wrong", address=f"10.1.0.{number}")


def cookie(client: Client) -> "Morsel[str]":
    return client.cookies[known_browsers.COOKIE]


def test_guessers_with_many_addresses_have_no_more_tries(client: Client) -> None:
    make_user("ann@example.org")
    guess("ann@example.org", 3)

    assert TOO_MANY in log_in(client, "ann@example.org", address="10.2.0.1")


def test_the_owners_own_browser_is_let_in_meanwhile(client: Client) -> None:
    make_user("ann@example.org")
    log_in(client, "ann@example.org")
    client.post(reverse("account_logout"))
    guess("ann@example.org")

    assert log_in(client, "Ann@Example.org", address="10.2.0.1") == reverse("analysis:list")


def test_a_right_password_counts_for_nothing(client: Client) -> None:
    make_user("ann@example.org")
    for number in range(5):
        assert log_in(Client(), "ann@example.org", address=f"10.1.0.{number}") == reverse("analysis:list")


def test_a_known_browser_has_no_more_tries_than_that(client: Client) -> None:
    """A cookie that was stolen is good for as many as a stranger has, from whatever address."""
    make_user("ann@example.org")
    log_in(client, "ann@example.org")
    client.post(reverse("account_logout"))
    for number in range(3):
        log_in(client, "ann@example.org", "wrong", address=f"10.1.0.{number}")

    assert TOO_MANY in log_in(client, "ann@example.org", address="10.1.0.9")


def test_it_is_known_to_that_account_and_to_no_other(client: Client) -> None:
    make_user("ann@example.org")
    make_user("bob@example.org")
    log_in(client, "bob@example.org")
    client.post(reverse("account_logout"))
    guess("ann@example.org")

    assert TOO_MANY in log_in(client, "ann@example.org", address="10.2.0.1")


def test_an_invented_cookie_counts_for_nothing(client: Client) -> None:
    make_user("ann@example.org")
    guess("ann@example.org")
    client.cookies[known_browsers.COOKIE] = signing.dumps({"ann": "x"}, key="another key", salt=known_browsers.SALT)

    assert TOO_MANY in log_in(client, "ann@example.org", address="10.2.0.1")


def test_a_new_password_by_mail_opens_the_door_again(client: Client) -> None:
    make_user("ann@example.org")
    guess("ann@example.org")
    client.post(reverse("account_reset_password"), {"email": "ann@example.org"})
    link = str(mail.outbox[0].body).partition("http://testserver")[2].split()[0]
    form = client.get(link, follow=True).redirect_chain[-1][0]
    client.post(form, {"password1": "another long enough password", "password2": "another long enough password"})
    guess("ann@example.org")  # goes on

    assert log_in(client, "ann@example.org", "another long enough password") == reverse("analysis:list")


def test_the_cookie_tells_no_address_and_no_script_reads_it(client: Client, settings: Settings) -> None:
    settings.SESSION_COOKIE_SECURE = True
    make_user("ann@example.org")
    log_in(client, "ann@example.org")

    sent = cookie(client)
    assert (sent["httponly"], sent["secure"], sent["samesite"], sent["path"]) == (True, True, "Lax", "/accounts/")
    assert "ann" not in str(signing.loads(sent.value, salt=known_browsers.SALT))


def test_a_browser_keeps_the_latest_people_only(client: Client) -> None:
    people: list[User] = [make_user() for _number in range(known_browsers.MAX_PEOPLE + 1)]
    for number, person in enumerate(people):
        log_in(client, person.email, address=f"10.3.0.{number}")
        client.post(reverse("account_logout"))

    kept = signing.loads(cookie(client).value, salt=known_browsers.SALT)
    assert list(kept) == [known_browsers._mark(person.email) for person in people[1:]]
