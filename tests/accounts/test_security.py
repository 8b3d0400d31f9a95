"""Passwords, e-mail addresses, the second factor and sessions: what protects an account."""

import re
from unittest.mock import Mock

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from allauth.usersessions.models import UserSession
from django.core import mail
from django.db import IntegrityError
from django.test import Client
from django.urls import reverse

from accounts.models import User
from audit.models import Action, Entry
from tests.analysis.builders import PASSWORD, make_user

pytestmark = pytest.mark.django_db
NEW = "another long enough password"


def log_in(client: Client, person: User, password: str = PASSWORD) -> str:
    response = client.post(reverse("account_login"), {"login": person.email, "password": password})
    return response.headers.get("Location", "")


@pytest.fixture
def person(client: Client) -> User:
    """Logged in by the form, and known by password a moment ago."""
    made = make_user("ann@example.org")
    log_in(client, made)
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    return made


def current_code(secret: str) -> str:
    return str(format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time())))))


class TestPassword:
    def test_it_is_changed_with_the_old_one(self, client: Client, person: User) -> None:
        wrong = client.post(
            reverse("account_change_password"), {"oldpassword": "wrong", "password1": NEW, "password2": NEW}
        )
        assert "Please type your current password." in wrong.content.decode()

        client.post(reverse("account_change_password"), {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW})

        person.refresh_from_db()
        assert person.check_password(NEW)
        assert client.get(reverse("profile")).status_code == 200

    def test_changing_it_ends_other_sessions(self, client: Client, person: User) -> None:
        other = Client()
        log_in(other, person)

        client.post(reverse("account_change_password"), {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW})

        assert other.get(reverse("profile")).status_code == 302

    def test_a_forgotten_one_is_replaced_by_a_link_that_works_once(self, client: Client) -> None:
        person = make_user("ann@example.org")
        response = client.post(reverse("account_reset_password"), {"email": "Ann@example.org"})
        assert response.headers["Location"] == reverse("account_reset_password_done")
        assert mail.outbox[0].to == ["ann@example.org"]
        assert mail.outbox[0].subject == "[Unmask] Choose a new password"
        link = re.findall(r"http://testserver(/\S+)", str(mail.outbox[0].body))[0]

        form = client.get(link, follow=True)
        client.post(form.redirect_chain[-1][0], {"password1": NEW, "password2": NEW})

        person.refresh_from_db()
        assert person.check_password(NEW)
        assert "This link does not work any more" in Client().get(link, follow=True).content.decode()

    def test_nobody_learns_by_it_who_has_an_account(self, client: Client) -> None:
        response = client.post(reverse("account_reset_password"), {"email": "nobody@example.org"})

        assert response.headers["Location"] == reverse("account_reset_password_done")
        assert "there is none" in mail.outbox[0].body


class TestAddresses:
    def test_one_is_added_confirmed_and_made_primary(self, client: Client, person: User) -> None:
        client.post(reverse("account_email"), {"action_add": "", "email": "second@example.org"})
        confirmation = next(message for message in mail.outbox if message.to == ["second@example.org"])
        client.post(re.findall(r"http://testserver(/\S+)", str(confirmation.body))[0])
        client.post(reverse("account_email"), {"action_primary": "", "email": "second@example.org"})

        person.refresh_from_db()
        assert person.email == "second@example.org"
        assert EmailAddress.objects.get(user=person, primary=True).email == "second@example.org"

    def test_the_primary_one_is_not_removed(self, client: Client, person: User) -> None:
        EmailAddress.objects.update_or_create(user=person, email=person.email, defaults={"primary": True})

        client.post(reverse("account_email"), {"action_remove": "", "email": person.email})

        assert "cannot be removed" in client.get(reverse("account_email")).content.decode()
        assert EmailAddress.objects.filter(email=person.email).exists()

    def test_changing_them_asks_for_the_password_first(self, client: Client) -> None:
        client.force_login(make_user())

        response = client.post(reverse("account_email"), {"action_add": "", "email": "second@example.org"})

        assert response.headers["Location"].startswith(reverse("account_reauthenticate"))
        assert not EmailAddress.objects.filter(email="second@example.org").exists()


class TestAddressesOfOthers:
    """Bob logs in with an address that Ann has added to hers. Nothing looks for him first: the database refuses."""

    @pytest.fixture
    def bob(self) -> User:
        return make_user("bob@example.org")

    def act(self, client: Client, action: str, email: str) -> str:
        response = client.post(reverse("account_email"), {action: "", "email": email}, follow=True)
        assert response.redirect_chain == [(reverse("account_email"), 302)]
        return response.content.decode()

    def rows(self, person: User) -> list[tuple[str, bool]]:
        addresses = EmailAddress.objects.filter(user=person)
        return list(addresses.order_by("email").values_list("email", "primary"))

    def test_one_is_not_made_primary(self, client: Client, person: User, bob: User) -> None:
        EmailAddress.objects.update_or_create(user=person, email=person.email, defaults={"primary": True})
        self.act(client, "action_add", bob.email)

        page = self.act(client, "action_primary", bob.email)

        assert "Another account logs in with bob@example.org. Choose another address" in page
        assert "Your primary address was changed." not in page
        assert self.rows(person) == [("ann@example.org", True), ("bob@example.org", False)]
        assert set(User.objects.values_list("email", flat=True)) == {"ann@example.org", "bob@example.org"}

    def test_one_does_not_take_the_place_of_the_last_own_one(self, client: Client, person: User, bob: User) -> None:
        client.get(reverse("account_email"))  # an account that an administrator made has no primary address yet
        self.act(client, "action_add", bob.email)

        page = self.act(client, "action_remove", person.email)

        assert "Another account logs in with bob@example.org." in page
        assert self.rows(person) == [("ann@example.org", False), ("bob@example.org", False)]

    def test_one_does_not_become_primary_when_it_is_confirmed(self, client: Client, person: User, bob: User) -> None:
        client.get(reverse("account_email"))
        self.act(client, "action_add", bob.email)
        confirmation = next(message for message in mail.outbox if message.to == [bob.email])

        page = client.post(re.findall(r"http://testserver(/\S+)", str(confirmation.body))[0], follow=True)

        assert "Another account logs in with bob@example.org." in page.content.decode()
        assert not EmailAddress.objects.filter(verified=True).exists()
        assert self.rows(person) == [("ann@example.org", False), ("bob@example.org", False)]

    @pytest.mark.django_db(transaction=True)
    def test_a_change_that_was_refused_is_told_to_nobody(self, client: Client, person: User, bob: User) -> None:
        EmailAddress.objects.update_or_create(user=person, email=person.email, defaults={"primary": True})
        for email in (bob.email, "second@example.org"):
            self.act(client, "action_add", email)
        mail.outbox.clear()

        self.act(client, "action_primary", bob.email)
        assert mail.outbox == []
        assert self.rows(person)[0] == ("ann@example.org", True)

        self.act(client, "action_primary", "second@example.org")
        assert [message.to for message in mail.outbox] == [["ann@example.org"]]
        assert Entry.objects.filter(action=Action.ADDRESS_CHANGED, details={}).count() == 1

    def test_other_failures_are_not_taken_for_it(
        self, client: Client, person: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.act(client, "action_add", "second@example.org")
        monkeypatch.setattr(EmailAddress, "set_as_primary", Mock(side_effect=IntegrityError("something else")))

        with pytest.raises(IntegrityError, match="something else"):
            self.act(client, "action_primary", "second@example.org")


class TestSecondFactor:
    @pytest.fixture
    def secret(self, client: Client, person: User) -> str:
        """Turned on; what the app would hold."""
        html = client.get(reverse("mfa_activate_totp")).content.decode()
        secret: str = re.findall(r"<code[^>]*>([A-Z2-7]+)</code>", html)[0]
        client.post(reverse("mfa_activate_totp"), {"code": current_code(secret)})
        client.post(reverse("account_logout"))
        return secret

    def test_the_page_draws_the_code_without_a_data_address(self, client: Client, person: User) -> None:
        html = client.get(reverse("mfa_activate_totp")).content.decode()

        assert re.search(r'<div class="qr-code"[^>]*><svg ', html)
        assert "data:" not in html
        assert "<?xml" not in html

    def test_a_wrong_code_turns_nothing_on(self, client: Client, person: User) -> None:
        response = client.post(reverse("mfa_activate_totp"), {"code": "000000"})

        assert "Incorrect code." in response.content.decode()
        assert not Authenticator.objects.exists()

    def test_logging_in_asks_for_a_code(self, client: Client, person: User, secret: str) -> None:
        assert log_in(client, person) == reverse("mfa_authenticate")
        assert client.get(reverse("profile")).status_code == 302
        assert "Incorrect code." in client.post(reverse("mfa_authenticate"), {"code": "000000"}).content.decode()

        Authenticator.objects.filter(type=Authenticator.Type.TOTP).update(last_used_at=None)
        from django.core.cache import cache

        cache.clear()  # the code that turned it on may not be used twice
        response = client.post(reverse("mfa_authenticate"), {"code": current_code(secret)})

        assert response.headers["Location"] == reverse("analysis:list")

    def test_a_recovery_code_opens_once(self, client: Client, person: User, secret: str) -> None:
        codes = Authenticator.objects.get(type=Authenticator.Type.RECOVERY_CODES).wrap().get_unused_codes()
        log_in(client, person)
        client.post(reverse("mfa_authenticate"), {"code": codes[0]})
        assert client.get(reverse("profile")).status_code == 200

        again = Client()
        log_in(again, person)

        assert "Incorrect code." in again.post(reverse("mfa_authenticate"), {"code": codes[0]}).content.decode()

    def test_guessing_codes_is_stopped(self, client: Client, person: User, secret: str) -> None:
        log_in(client, person)
        for _ in range(5):
            client.post(reverse("mfa_authenticate"), {"code": "000000"})

        response = client.post(reverse("mfa_authenticate"), {"code": current_code(secret)})

        assert "Too many failed login attempts." in response.content.decode()

    def test_pages_show_codes_and_the_way_to_turn_it_off(self, client: Client, person: User) -> None:
        html = client.get(reverse("mfa_activate_totp")).content.decode()
        client.post(
            reverse("mfa_activate_totp"), {"code": current_code(re.findall(r"<code[^>]*>([A-Z2-7]+)</code>", html)[0])}
        )
        codes = Authenticator.objects.get(type=Authenticator.Type.RECOVERY_CODES).wrap().get_unused_codes()

        shown = client.get(reverse("mfa_view_recovery_codes")).content.decode()
        downloaded = client.get(reverse("mfa_download_recovery_codes"))
        overview = client.get(reverse("mfa_index")).content.decode()
        asked = client.get(reverse("mfa_deactivate_totp")).content.decode()
        client.post(reverse("mfa_generate_recovery_codes"))
        fresh = Authenticator.objects.get(type=Authenticator.Type.RECOVERY_CODES).wrap().get_unused_codes()
        client.post(reverse("mfa_deactivate_totp"))

        assert all(code in shown and code in downloaded.content.decode() for code in codes)
        assert "10 of 10 codes are left." in overview
        assert "Turn off the authenticator app?" in asked
        assert not set(codes) & set(fresh)
        assert not Authenticator.objects.exists()


class TestSessions:
    def test_they_are_listed_with_the_one_in_use_marked(self, client: Client, person: User) -> None:
        other = Client(headers={"user-agent": "Another browser"})
        log_in(other, person)

        html = client.get(reverse("usersessions_list")).content.decode()

        assert "Another browser" in html
        assert html.count("This one") == 1

    def test_one_is_ended(self, client: Client, person: User) -> None:
        other = Client()
        log_in(other, person)
        session = UserSession.objects.get(session_key=other.session.session_key)

        client.post(reverse("end_session", args=[session.pk]))

        assert other.get(reverse("profile")).status_code == 302
        assert client.get(reverse("profile")).status_code == 200

    def test_the_one_in_use_is_not_ended_by_accident(self, client: Client, person: User) -> None:
        session = UserSession.objects.get(session_key=client.session.session_key)

        client.post(reverse("end_session", args=[session.pk]))

        assert client.get(reverse("profile")).status_code == 200

    def test_nobody_ends_another_persons(self, client: Client, person: User) -> None:
        stranger = Client()
        log_in(stranger, make_user("bob@example.org"))
        session = UserSession.objects.get(session_key=stranger.session.session_key)

        response = client.post(reverse("end_session", args=[session.pk]))

        assert response.status_code == 404
        assert stranger.get(reverse("profile")).status_code == 200

    def test_all_others_are_ended_at_once(self, client: Client, person: User) -> None:
        others = [Client(), Client()]
        for other in others:
            log_in(other, person)

        client.post(reverse("usersessions_list"))

        assert [other.get(reverse("profile")).status_code for other in others] == [302, 302]
        assert client.get(reverse("profile")).status_code == 200


@pytest.mark.parametrize(
    "name",
    ["account_change_password", "account_email", "mfa_index", "usersessions_list", "profile", "account_reauthenticate"],
)
def test_each_page_has_one_heading_and_our_frame(client: Client, person: User, name: str) -> None:
    html = client.get(reverse(name)).content.decode()

    assert len(re.findall(r"<h1", html)) == 1
    assert '<a class="skip-link" href="#main">' in html
