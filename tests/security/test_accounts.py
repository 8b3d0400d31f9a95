"""Who has an account is told to nobody, and sessions change and end when they should."""

import re
from collections.abc import Callable

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core import mail
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts.models import User
from tests.analysis.builders import PASSWORD, make_user

pytestmark = pytest.mark.django_db
NEW = "another long enough password"


@pytest.fixture
def hashings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by one for each password that is hashed, which is nearly all the time that a log-in takes."""
    done: list[str] = []
    encode: Callable[..., str] = MD5PasswordHasher.encode

    def counted(self: MD5PasswordHasher, password: str, salt: str) -> str:
        done.append(password)
        return encode(self, password, salt)

    monkeypatch.setattr(MD5PasswordHasher, "encode", counted)
    return done


def answer(path: str, values: dict[str, str], email: str) -> tuple[int, str, str]:
    """What comes back, without the address that was typed and the form's token."""
    response = Client().post(path, {**values, "email": email, "login": email})
    html = re.sub(r"\b\w{64}\b", "", response.content.decode()).replace(email, "")
    return response.status_code, response.headers.get("Location", ""), html


class TestWhoHasAnAccount:
    @pytest.mark.parametrize("kind", ["known", "disabled"])
    def test_a_wrong_password_says_the_same_and_takes_the_same_work(self, hashings: list[str], kind: str) -> None:
        make_user("ann@example.org", is_active=kind == "known")
        hashings.clear()

        there = answer(reverse("account_login"), {"password": "wrong"}, "ann@example.org")
        for_one = len(hashings)
        nowhere = answer(reverse("account_login"), {"password": "wrong"}, "bob@example.org")

        assert there == nowhere
        assert (for_one, len(hashings) - for_one) == (1, 1)

    @pytest.mark.parametrize("active", [True, False])
    def test_a_forgotten_password_says_the_same_and_sends_a_mail_either_way(self, active: bool) -> None:
        make_user("ann@example.org", is_active=active)

        there = answer(reverse("account_reset_password"), {}, "ann@example.org")
        nowhere = answer(reverse("account_reset_password"), {}, "bob@example.org")

        assert there == nowhere
        assert [message.to for message in mail.outbox] == [["ann@example.org"], ["bob@example.org"]]

    def test_registering_says_the_same_where_addresses_are_confirmed(
        self, settings: Settings, hashings: list[str]
    ) -> None:
        settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
        make_user("ann@example.org")
        values = {"password1": PASSWORD, "password2": PASSWORD}
        hashings.clear()

        there = answer(reverse("account_signup"), values, "ann@example.org")
        for_one = len(hashings)
        nowhere = answer(reverse("account_signup"), values, "bob@example.org")

        assert there == nowhere
        assert for_one == len(hashings) - for_one
        assert len(mail.outbox) == 2

    @pytest.mark.parametrize("verification", ["none", "optional"])
    def test_registering_says_so_where_they_are_not(self, settings: Settings, verification: str) -> None:
        """Then nobody hears of it by mail, and a form that pretended to have made an account would help nobody."""
        settings.ACCOUNT_EMAIL_VERIFICATION = verification
        make_user("ann@example.org")

        html = answer(reverse("account_signup"), {"password1": PASSWORD, "password2": PASSWORD}, "ann@example.org")[2]

        assert "already registered" in html


class TestSessions:
    def log_in(self, client: Client, person: User, password: str = PASSWORD) -> str:
        client.post(reverse("account_login"), {"login": person.email, "password": password})
        return client.session.session_key or ""

    def test_a_log_in_has_a_session_of_its_own(self, client: Client) -> None:
        """A session that somebody planted beforehand does not become that of the person."""
        planted = client.session
        planted["planted"] = "x"
        planted.save()
        client.cookies["sessionid"] = str(planted.session_key)

        assert self.log_in(client, make_user()) != planted.session_key
        assert Client(headers={"cookie": f"sessionid={planted.session_key}"}).get(reverse("profile")).status_code == 302

    def test_another_person_in_the_same_browser_finds_nothing_of_the_first(self, client: Client) -> None:
        first = self.log_in(client, make_user())
        client.post(reverse("account_logout"))

        assert self.log_in(client, make_user()) != first
        assert Client(headers={"cookie": f"sessionid={first}"}).get(reverse("profile")).status_code == 302

    def test_a_new_password_changes_the_session_in_use_and_ends_the_others(self, client: Client) -> None:
        person, other = make_user(), Client()
        before = self.log_in(client, person)
        self.log_in(other, person)

        client.post(reverse("account_change_password"), {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW})

        assert client.session.session_key != before
        assert client.get(reverse("profile")).status_code == 200
        assert other.get(reverse("profile")).status_code == 302

    def test_a_password_that_was_reset_ends_every_session(self, client: Client) -> None:
        person, thief = make_user("ann@example.org"), Client()
        self.log_in(thief, person)
        client.post(reverse("account_reset_password"), {"email": person.email})
        link = str(mail.outbox[0].body).partition("http://testserver")[2].split()[0]
        client.post(client.get(link, follow=True).redirect_chain[-1][0], {"password1": NEW, "password2": NEW})

        assert thief.get(reverse("profile")).status_code == 302

    def test_a_password_that_the_administration_sets_ends_every_session(self, client: Client) -> None:
        person, theirs = make_user(), Client()
        self.log_in(theirs, person)
        client.force_login(make_user(staff=True))

        client.post(
            reverse("admin:auth_user_password_change", args=[person.pk]),
            {"usable_password": "true", "password1": NEW, "password2": NEW},
        )

        assert theirs.get(reverse("profile")).status_code == 302


def test_the_addresses_of_people_are_changed_by_nobody_in_the_administration(client: Client) -> None:
    """Whoever could add one to an administrator could have a new password sent to it."""
    root = make_user(staff=True)
    client.force_login(root)

    response = client.post("/admin/account/emailaddress/add/", {"user": root.pk, "email": "evil@example.org"})

    assert response.status_code == 404
    assert not EmailAddress.objects.filter(email="evil@example.org").exists()


def test_a_code_is_taken_once_for_as_long_as_it_is_good(client: Client) -> None:
    import time_machine
    from allauth.mfa.models import Authenticator
    from allauth.mfa.totp.internal.auth import format_hotp_value, generate_totp_secret, hotp_value
    from allauth.mfa.utils import encrypt

    person, secret = make_user(), generate_totp_secret()
    Authenticator.objects.create(user=person, type=Authenticator.Type.TOTP, data={"secret": encrypt(secret)})
    places = []
    with time_machine.travel("2026-01-01T00:00:00Z", tick=False) as clock:
        period_to_come = 1767225600 // 30 + 1  # its code is taken too
        code = format_hotp_value(hotp_value(secret, period_to_come))
        for _time in range(3):
            browser = Client()
            browser.post(reverse("account_login"), {"login": person.email, "password": PASSWORD})
            places.append(browser.post(reverse("mfa_authenticate"), {"code": code}).status_code)
            clock.shift(31)

    assert places == [302, 200, 200]
