"""Registering, with and without confirming the e-mail address."""

import re

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts.models import User
from tests.analysis.builders import PASSWORD, make_user

pytestmark = pytest.mark.django_db
FORM = {"email": "New@Example.org", "password1": PASSWORD, "password2": PASSWORD}


def errors(html: str) -> str:
    return " ".join(re.findall(r'<ul class="errorlist[^>]*>(.*?)</ul>', html, re.DOTALL))


def test_a_new_account_can_be_used_at_once(client: Client) -> None:
    response = client.post(reverse("account_signup"), FORM)

    person = User.objects.get()
    assert response.status_code == 302
    assert response.headers["Location"] == reverse("analysis:list")
    assert person.email == "new@example.org"
    assert person.check_password(PASSWORD)
    assert client.get(reverse("profile")).status_code == 200


def test_one_comes_to_where_one_wanted(client: Client) -> None:
    response = client.post(reverse("account_signup"), {**FORM, "next": reverse("analysis:new")})

    assert response.headers["Location"] == reverse("analysis:new")


def test_nobody_is_sent_to_another_site(client: Client) -> None:
    response = client.post(reverse("account_signup"), {**FORM, "next": "https://evil.example/"})

    assert response.headers["Location"] == reverse("analysis:list")


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"email": ""}, "This field is required."),
        ({"email": "no address"}, "Enter a valid email address."),
        ({"password2": "something else"}, "You must type the same password each time."),
        ({"password1": "short", "password2": "short"}, "This password is too short."),
        ({"password1": "0918273645", "password2": "0918273645"}, "This password is entirely numeric."),
        ({"password1": "new@example.org", "password2": "new@example.org"}, "The password is too similar to"),
        ({"password1": "password123", "password2": "password123"}, "This password is too common."),
    ],
)
def test_mistakes_are_named_and_the_address_is_kept(client: Client, changed: dict[str, str], sentence: str) -> None:
    response = client.post(reverse("account_signup"), {**FORM, **changed})

    html = response.content.decode()
    assert response.status_code == 200
    assert sentence in errors(html)
    assert f'value="{(FORM | changed)["email"]}"' in html or not (FORM | changed)["email"]
    assert User.objects.count() == 0


def test_an_address_has_one_account_whatever_its_case(client: Client) -> None:
    make_user("new@example.org")

    response = client.post(reverse("account_signup"), FORM)

    assert "already registered" in errors(response.content.decode())
    assert User.objects.count() == 1


def test_administrators_can_close_registration(client: Client, settings: Settings) -> None:
    settings.ACCOUNT_SIGNUP_OPEN = False

    shown = client.get(reverse("account_signup"))
    client.post(reverse("account_signup"), FORM)

    assert "Registration is closed" in shown.content.decode()
    assert User.objects.count() == 0


def test_registrations_from_one_address_are_limited(client: Client, settings: Settings) -> None:
    settings.ACCOUNT_RATE_LIMITS = {**settings.ACCOUNT_RATE_LIMITS, "signup": "1/m/ip"}
    client.post(reverse("account_signup"), FORM)
    client.post(reverse("account_logout"))

    response = client.post(reverse("account_signup"), {**FORM, "email": "other@example.org"})

    assert response.status_code == 429
    assert "Too many tries" in response.content.decode()
    assert User.objects.count() == 1


class TestConfirmation:
    """ACCOUNT_EMAIL_VERIFICATION=mandatory."""

    @pytest.fixture(autouse=True)
    def _mandatory(self, settings: Settings) -> None:
        settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"

    def test_the_link_in_the_mail_opens_the_account(self, client: Client) -> None:
        response = client.post(reverse("account_signup"), FORM)
        assert response.headers["Location"] == reverse("account_email_verification_sent")
        assert client.get(reverse("profile")).status_code == 302

        link = re.findall(r"http://testserver(/\S+)", str(mail.outbox[0].body))[0]
        assert "new@example.org" in client.get(link).content.decode()
        client.post(link)
        response = client.post(reverse("account_login"), {"login": FORM["email"], "password": PASSWORD})

        assert response.headers["Location"] == reverse("analysis:list")

    def test_nobody_learns_whether_an_address_has_an_account(self, client: Client) -> None:
        make_user("new@example.org")

        response = client.post(reverse("account_signup"), FORM)

        assert response.headers["Location"] == reverse("account_email_verification_sent")
        assert User.objects.count() == 1
        assert "an account using that email address already exists" in mail.outbox[0].body

    def test_a_damaged_link_says_what_to_do(self, client: Client) -> None:
        response = client.get(reverse("account_confirm_email", args=["damaged"]))

        assert "This link is too old or was cut off by the mail program." in response.content.decode()
