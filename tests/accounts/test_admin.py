"""What administrators do for people, and what staff may not do to each other."""

from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Permission
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks

from accounts.models import User
from analysis.models import State, Video
from tests.analysis.builders import PASSWORD, make_analysis, make_user, make_video

pytestmark = pytest.mark.django_db
LIST = "admin:accounts_user_changelist"
CHANGE = "admin:accounts_user_change"


@pytest.fixture
def root(client: Client) -> User:
    made = make_user("root@example.org", staff=True)
    client.force_login(made)
    return made


@pytest.fixture
def clerk(client: Client) -> User:
    """Staff who may change people, but is no superuser."""
    made = make_user("clerk@example.org", is_staff=True)
    made.user_permissions.set(Permission.objects.filter(content_type__app_label="accounts"))
    client.force_login(made)
    return made


def act(client: Client, action: str, *people: User) -> str:
    response = client.post(
        reverse(LIST), {"action": action, "_selected_action": [person.pk for person in people]}, follow=True
    )
    return response.content.decode()


def fields(person: User, **changed: Any) -> dict[str, Any]:
    values = {
        "email": person.email,
        "display_name": person.display_name,
        "is_active": "on" if person.is_active else "",
        "max_queued": person.max_queued,
        "max_running": person.max_running,
        "max_minutes_a_day": person.max_minutes_a_day,
        "max_storage_bytes": person.max_storage_bytes,
    }
    return {name: value for name, value in (values | changed).items() if value != ""}


def test_people_are_listed_and_searched(client: Client, root: User) -> None:
    make_user("ann@example.org", display_name="Ann")
    make_user("bob@example.org")

    html = client.get(reverse(LIST), {"q": "ann"}).content.decode()

    assert "ann@example.org" in html
    assert "bob@example.org" not in html


def test_a_person_is_made_with_an_address_in_lower_case(client: Client, root: User) -> None:
    values = {"email": "New@Example.org", "usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}

    client.post(reverse("admin:accounts_user_add"), values)

    assert User.objects.get(email="new@example.org").check_password(PASSWORD)


def test_the_same_address_is_refused_in_words(client: Client, root: User) -> None:
    make_user("ann@example.org")
    values = {"email": "ANN@example.org", "usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}

    response = client.post(reverse("admin:accounts_user_add"), values)

    assert "There is an account with this e-mail address already." in response.content.decode()


def test_an_address_that_another_account_has_added_is_refused_in_words(client: Client, root: User) -> None:
    ann, bob = make_user("ann@example.org"), make_user("bob@example.org")
    EmailAddress.objects.create(user=ann, email="second@example.org")
    values = {"email": "Second@example.org", "usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
    words = "ann@example.org has added this e-mail address to their account. Ask them to remove it there"

    made = client.post(reverse("admin:accounts_user_add"), values)
    changed = client.post(reverse(CHANGE, args=[bob.pk]), fields(bob, email="second@example.org"))

    assert words in made.content.decode()
    assert words in changed.content.decode()
    assert not User.objects.filter(email="second@example.org").exists()


def test_who_adds_somebodys_address_keeps_nobody_from_changing_the_rest(client: Client, root: User) -> None:
    ann, bob = make_user("ann@example.org"), make_user("bob@example.org")
    EmailAddress.objects.create(user=ann, email=bob.email)

    client.post(reverse(CHANGE, args=[bob.pk]), fields(bob, max_queued=3))

    bob.refresh_from_db()
    assert bob.max_queued == 3


def test_somebodys_own_further_address_may_become_their_first(client: Client, root: User) -> None:
    ann = make_user("ann@example.org")
    EmailAddress.objects.create(user=ann, email=ann.email, primary=True)
    EmailAddress.objects.create(user=ann, email="second@example.org")

    client.post(reverse(CHANGE, args=[ann.pk]), fields(ann, email="second@example.org"))

    ann.refresh_from_db()
    assert ann.email == "second@example.org"
    assert list(EmailAddress.objects.filter(user=ann).values_list("email", "primary")) == [(ann.email, True)]


def test_quotas_are_set(client: Client, root: User) -> None:
    person = make_user()

    asked = {"max_queued": 3, "max_running": 4, "max_minutes_a_day": 5, "max_storage_bytes": 1000}
    client.post(reverse(CHANGE, args=[person.pk]), fields(person, **asked))

    person.refresh_from_db()
    assert {name: getattr(person, name) for name in asked} == asked


def test_nobody_can_be_kept_from_running_anything(client: Client, root: User) -> None:
    person = make_user()

    page = client.post(reverse(CHANGE, args=[person.pk]), fields(person, max_running=0)).content.decode()

    person.refresh_from_db()
    assert "greater than or equal to 1" in page
    assert person.max_running == 2


def test_a_changed_address_is_the_one_to_log_in_with(client: Client, root: User) -> None:
    person = make_user("old@example.org")
    EmailAddress.objects.create(user=person, email=person.email, primary=True, verified=True)

    client.post(reverse(CHANGE, args=[person.pk]), fields(person, email="new@example.org"))

    browser = Client()
    browser.post(reverse("account_login"), {"login": "new@example.org", "password": PASSWORD})
    assert browser.get(reverse("profile")).status_code == 200
    assert [address.email for address in EmailAddress.objects.filter(user=person)] == ["new@example.org"]


def test_disabling_logs_out_and_spares_oneself(client: Client, root: User) -> None:
    person = make_user("ann@example.org")
    browser = Client()
    browser.post(reverse("account_login"), {"login": person.email, "password": PASSWORD})

    html = act(client, "disable", person, root)

    person.refresh_from_db()
    root.refresh_from_db()
    assert (person.is_active, root.is_active) == (False, True)
    assert "1 person was disabled." in html
    assert "You cannot disable yourself." in html
    assert browser.get(reverse("profile")).status_code == 302


def test_enabling_lets_back_in(client: Client, root: User) -> None:
    person = make_user(is_active=False)

    act(client, "enable", person)

    person.refresh_from_db()
    assert person.is_active


def test_a_link_to_reset_the_password_is_sent(client: Client, root: User) -> None:
    person = make_user("ann@example.org")

    html = act(client, "send_reset", person, make_user(is_active=False))

    assert "1 link was sent." in html
    assert [message.to for message in mail.outbox] == [["ann@example.org"]]
    assert "/accounts/password/reset/key/" in mail.outbox[0].body


def test_a_lost_second_factor_is_removed(client: Client, root: User) -> None:
    person = make_user()
    Authenticator.objects.create(user=person, type=Authenticator.Type.TOTP, data={"secret": "A" * 32})

    html = act(client, "remove_second_factor", person)

    assert "1 person logs in without a second factor now." in html
    assert not Authenticator.objects.exists()


def test_sessions_are_ended(client: Client, root: User) -> None:
    person = make_user()
    browser = Client()
    browser.post(reverse("account_login"), {"login": person.email, "password": PASSWORD})

    act(client, "end_sessions", person)

    assert browser.get(reverse("profile")).status_code == 302


def test_secrets_of_second_factors_have_no_page(client: Client, root: User) -> None:
    assert client.get("/admin/mfa/authenticator/").status_code == 404


@pytest.mark.parametrize("by_action", [True, False])
def test_deleting_a_person_deletes_their_files(
    client: Client,
    root: User,
    by_action: bool,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    person = make_user()
    file = make_analysis(owner=person).video.file

    with django_capture_on_commit_callbacks(execute=True):
        if by_action:
            values = {"action": "delete_selected", "_selected_action": [person.pk], "post": "yes"}
            client.post(reverse(LIST), values)
        else:
            client.post(reverse("admin:accounts_user_delete", args=[person.pk]), {"post": "yes"})

    assert not User.objects.filter(pk=person.pk).exists()
    assert not Video.objects.exists()
    assert not file.storage.exists(str(file.name))


class TestStaffWithoutAllRights:
    def test_they_hand_out_none(self, client: Client, clerk: User) -> None:
        person = make_user()

        client.post(reverse(CHANGE, args=[person.pk]), fields(person, is_superuser="on", is_staff="on", max_queued=3))
        client.post(reverse(CHANGE, args=[clerk.pk]), fields(clerk, is_superuser="on"))

        person.refresh_from_db()
        clerk.refresh_from_db()
        assert (person.max_queued, person.is_superuser, person.is_staff) == (3, False, False)
        assert not clerk.is_superuser

    @pytest.mark.parametrize("action", ["disable", "send_reset", "end_sessions", "remove_second_factor"])
    def test_they_do_nothing_to_a_superuser(self, client: Client, clerk: User, action: str) -> None:
        root = make_user("root@example.org", staff=True)
        Authenticator.objects.create(user=root, type=Authenticator.Type.TOTP, data={"secret": "A" * 32})

        act(client, action, root)

        root.refresh_from_db()
        assert root.is_active
        assert mail.outbox == []
        assert Authenticator.objects.count() == 1

    def test_they_change_no_superuser(self, client: Client, clerk: User) -> None:
        root = make_user("root@example.org", staff=True)

        changed = client.post(reverse(CHANGE, args=[root.pk]), fields(root, email="mine@example.org"))
        password = client.post(f"/admin/accounts/user/{root.pk}/password/", {"password1": PASSWORD})
        deleted = client.post(reverse("admin:accounts_user_delete", args=[root.pk]), {"post": "yes"})

        root.refresh_from_db()
        assert (changed.status_code, password.status_code, deleted.status_code) == (403, 403, 403)
        assert root.email == "root@example.org"


@pytest.mark.parametrize("people", [1, 3])
def test_the_list_asks_the_same_number_of_questions_however_long(
    client: Client, root: User, people: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(people):
        make_analysis(owner=make_user())

    with django_assert_num_queries(7):
        client.get(reverse(LIST))


class TestDeleting:
    """The page that asks whether to delete people."""

    def ask(self, client: Client, by_action: bool, *people: User, **more: str) -> Any:
        if by_action:
            values = {"action": "delete_selected", "_selected_action": [person.pk for person in people], **more}
            return client.post(reverse(LIST), values)
        address = reverse("admin:accounts_user_delete", args=[people[0].pk])
        return client.post(address, more) if more else client.get(address)

    @pytest.mark.parametrize("by_action", [True, False])
    @pytest.mark.parametrize("count", [1, 3])
    def test_it_counts_and_reads_nothing_that_was_found(
        self, client: Client, root: User, count: int, by_action: bool
    ) -> None:
        person = make_user()
        video = make_video(person, name="secret.mp4")
        for _number in range(count):
            make_analysis(State.DONE, video=video)
        self.ask(client, by_action, person)

        with CaptureQueriesContext(connection) as asked:
            page = self.ask(client, by_action, person).content.decode()

        assert "Videos: 1" in page
        assert f"Analyses: {count}" in page
        assert "secret.mp4" not in page
        assert len(asked) == (7 if by_action else 5)

    @pytest.mark.parametrize("by_action", [True, False])
    def test_confirming_reads_nothing_that_was_found(self, client: Client, root: User, by_action: bool) -> None:
        person = make_analysis(State.DONE).video.owner

        with CaptureQueriesContext(connection) as asked:
            self.ask(client, by_action, person, post="yes")

        assert not User.objects.filter(pk=person.pk).exists()
        found = ('"analysis_analysis"."report"', '"analysis_facesample"."crop"', '"analysis_annotatedframe"."picture"')
        read = [query["sql"] for query in asked if query["sql"].startswith("SELECT")]
        assert not [query for query in read if any(column in query for column in found)]

    @pytest.mark.parametrize("by_action", [True, False])
    @pytest.mark.parametrize("missing", ["delete_video", "delete_analysis"])
    def test_staff_who_may_not_delete_videos_delete_nobody_who_has_some(
        self, client: Client, clerk: User, missing: str, by_action: bool
    ) -> None:
        wanted = {"delete_video", "delete_analysis"} - {missing}
        clerk.user_permissions.add(*Permission.objects.filter(codename__in=wanted))
        person, empty = make_analysis(State.DONE).video.owner, make_user()

        page = self.ask(client, by_action, person).content.decode()
        self.ask(client, by_action, person, post="yes")
        self.ask(client, by_action, empty, post="yes")

        assert "have permission to delete" in page
        assert User.objects.filter(pk=person.pk).exists()
        assert not User.objects.filter(pk=empty.pk).exists()

    @pytest.mark.parametrize("by_action", [True, False])
    def test_staff_who_may_delete_people_videos_and_analyses_do(
        self, client: Client, clerk: User, by_action: bool
    ) -> None:
        wanted = Permission.objects.filter(codename__in=["delete_video", "delete_analysis"])
        clerk.user_permissions.add(*wanted)
        person = make_analysis(State.DONE).video.owner

        self.ask(client, by_action, person, post="yes")

        assert not User.objects.filter(pk=person.pk).exists()

    def test_staff_do_not_delete_a_superuser_among_others(self, client: Client, clerk: User) -> None:
        root, person = make_user("root@example.org", staff=True), make_user()

        self.ask(client, True, root, person, post="yes")

        assert list(User.objects.filter(pk__in=[root.pk, person.pk])) == [root]
