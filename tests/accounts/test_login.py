"""Logging in and out: who gets in, what is said to those who do not, and how guessing is slowed down."""

import pytest
from django.test import Client
from django.urls import reverse

from tests.analysis.builders import PASSWORD, make_user

pytestmark = pytest.mark.django_db
LOGIN = "account_login"


def log_in(client: Client, login: str, password: str = PASSWORD, *, address: str = "10.0.0.1", **more: str) -> str:
    """Where it leads, or the page it gives back."""
    response = client.post(reverse(LOGIN), {"login": login, "password": password, **more}, REMOTE_ADDR=address)
    return response.headers.get("Location") or response.content.decode()


def test_people_log_in_with_their_address_in_any_case(client: Client) -> None:
    make_user("ann@example.org")

    assert log_in(client, "Ann@Example.org") == reverse("analysis:list")


def test_one_comes_back_to_the_page_one_wanted(client: Client) -> None:
    make_user("ann@example.org")
    asked = client.get(reverse("profile")).headers["Location"]

    assert asked == f"{reverse(LOGIN)}?next={reverse('profile')}"
    assert log_in(client, "ann@example.org", next=reverse("profile")) == reverse("profile")


def test_nobody_is_sent_to_another_site(client: Client) -> None:
    make_user("ann@example.org")

    assert log_in(client, "ann@example.org", next="//evil.example/") == reverse("analysis:list")


def test_the_answer_is_the_same_whether_there_is_an_account_or_not(client: Client) -> None:
    make_user("ann@example.org")

    known = log_in(client, "ann@example.org", "wrong")
    unknown = log_in(client, "bob@example.org", "wrong")

    sentence = "The email address and/or password you specified are not correct."
    assert sentence in known
    assert known.replace("ann@", "").count(sentence) == unknown.replace("bob@", "").count(sentence) == 1


def test_a_disabled_account_stays_out(client: Client) -> None:
    make_user("ann@example.org", is_active=False)

    where = log_in(client, "ann@example.org")

    assert where == reverse("account_inactive")
    assert "An administrator has disabled it." in client.get(where).content.decode()
    assert client.get(reverse("profile")).status_code == 302


def test_disabling_ends_what_is_open(client: Client) -> None:
    person = make_user()
    client.force_login(person)
    person.is_active = False
    person.save()

    assert client.get(reverse("profile")).status_code == 302


@pytest.mark.parametrize(("remember", "expires"), [({}, True), ({"remember": "on"}, False)])
def test_a_session_outlives_the_browser_only_on_request(
    client: Client, remember: dict[str, str], expires: bool
) -> None:
    make_user("ann@example.org")

    log_in(client, "ann@example.org", **remember)

    assert client.session.get_expire_at_browser_close() is expires


def test_guessing_at_an_account_is_stopped_even_with_the_right_password(client: Client) -> None:
    make_user("ann@example.org")
    for _ in range(5):
        log_in(client, "ann@example.org", "wrong")

    assert "Too many failed login attempts. Try again later." in log_in(client, "ann@example.org")


def test_a_guesser_locks_nobody_out_elsewhere(client: Client) -> None:
    make_user("ann@example.org")
    for _ in range(6):
        log_in(client, "ann@example.org", "wrong", address="10.9.9.9")

    assert log_in(client, "ann@example.org", address="10.0.0.1") == reverse("analysis:list")


def test_an_invented_forwarding_header_does_not_help_a_guesser(client: Client) -> None:
    make_user("ann@example.org")
    for number in range(5):
        client.post(
            reverse(LOGIN),
            {"login": "ann@example.org", "password": "wrong"},
            headers={"x-forwarded-for": f"10.0.0.{number}"},
        )

    response = client.post(reverse(LOGIN), {"login": "ann@example.org", "password": PASSWORD})

    assert "Too many failed login attempts." in response.content.decode()


def test_one_address_may_not_try_many_accounts(client: Client) -> None:
    make_user("ann@example.org")
    for number in range(10):
        log_in(client, f"person{number}@example.org", "wrong")

    assert "Too many failed login attempts." in log_in(client, "ann@example.org")


def test_logging_out_is_asked_for_on_a_page_and_done_by_a_form(client: Client) -> None:
    client.force_login(make_user())

    assert "Log out?" in client.get(reverse("account_logout")).content.decode()
    assert client.get(reverse("profile")).status_code == 200
    response = client.post(reverse("account_logout"))

    assert response.headers["Location"] == reverse("home")
    assert client.get(reverse("profile")).status_code == 302
    assert "You are logged out." in client.get(reverse("home")).content.decode()


def test_the_administration_has_the_same_door(client: Client) -> None:
    make_user("root@example.org", staff=True)

    wanted = client.get(reverse("admin:index"), follow=True)

    assert wanted.redirect_chain[-1][0].startswith(reverse(LOGIN))
    assert log_in(client, "root@example.org", next=reverse("admin:index")) == reverse("admin:index")
    assert client.get(reverse("admin:index")).status_code == 200


def test_people_who_are_no_staff_stay_out_of_the_administration(client: Client) -> None:
    client.force_login(make_user())

    assert client.get(reverse("admin:index"), follow=True).status_code == 403


def test_the_queue_s_pages_have_the_same_door(client: Client) -> None:
    response = client.get("/admin/django-rq/", follow=True)

    assert response.redirect_chain[-1][0].startswith(reverse(LOGIN))


def test_the_administration_changes_passwords_where_everyone_does(client: Client) -> None:
    client.force_login(make_user(staff=True))

    assert client.get(reverse("admin:password_change")).headers["Location"] == reverse("account_change_password")
