"""The audit trail: added to and nothing else, in the transaction of what it tells of, without anybody's name."""

from datetime import timedelta
from io import StringIO
from unittest.mock import Mock

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from allauth.usersessions.models import UserSession
from django.core.management import call_command
from django.db import OperationalError, transaction
from django.db.models import QuerySet
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import User
from analysis import model_versions, services, tasks
from analysis.models import State
from audit import context, trail
from audit.models import Action, Entry, Unchangeable
from deepfakesite.management.commands import up
from tests.analysis.builders import PASSWORD, make_analysis, make_model_version, make_user

pytestmark = pytest.mark.django_db

LIST = "admin:audit_entry_changelist"


@pytest.fixture(autouse=True)
def _no_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "enqueue", lambda analysis: True)


def told(*actions: Action) -> list[tuple[str, int | None, str, int | None]]:
    """Entries as action, by whom, to what and whose; oldest first; of these actions, if any are named."""
    rows = Entry.objects.order_by("pk")
    if actions:
        rows = rows.filter(action__in=actions)
    return list(rows.values_list("action", "actor_id", "object_id", "owner_id"))


class TestEntries:
    def test_nothing_changes_or_deletes_them(self) -> None:
        entry = trail.record(Action.CANCELLED, "analysis", "x")
        entry.action = Action.RETRIED

        with pytest.raises(Unchangeable):
            entry.save()
        with pytest.raises(Unchangeable):
            entry.delete()
        with pytest.raises(Unchangeable):
            Entry.objects.all().delete()
        with pytest.raises(Unchangeable):
            Entry.objects.update(action=Action.RETRIED)
        assert Entry.objects.get().action == Action.CANCELLED

    def test_old_ones_go_and_that_is_told(self) -> None:
        for days in (400, 300):
            Entry(action=Action.LOGGED_IN, via="web", at=timezone.now() - timedelta(days=days)).save()

        assert [trail.forget(0), trail.forget(365), trail.forget(365)] == [0, 1, 0]

        assert Entry.objects.filter(action=Action.LOGGED_IN).count() == 1
        assert Entry.objects.get(action=Action.TRAIL_SHORTENED).details == {"count": 1, "days": 365}

    def test_old_ones_do_not_go_untold(self, monkeypatch: pytest.MonkeyPatch) -> None:
        Entry(action=Action.LOGGED_IN, via="web", at=timezone.now() - timedelta(days=400)).save()
        monkeypatch.setattr(trail, "record", Mock(side_effect=OperationalError("the disk is full")))

        with pytest.raises(OperationalError):
            trail.forget(365)

        assert told() == [("logged_in", None, "", None)]

    @pytest.mark.parametrize(
        ("address", "network"),
        [
            ("203.0.113.77", "203.0.113.0/24"),
            ("::ffff:203.0.113.77", "203.0.113.0/24"),
            ("2001:db8:1234:5678:9abc::1", "2001:db8:1234::/48"),
            ("", ""),
            ("unix:", ""),
        ],
    )
    def test_only_the_network_of_an_address_is_kept(self, address: str, network: str) -> None:
        assert trail.network_of(address) == network

    def test_who_and_where_come_from_the_context(self) -> None:
        with context.bind(request_id="r1", network="203.0.113.0/24", person=lambda: 7):
            trail.record(Action.CANCELLED)
        entry = trail.record(Action.CANCELLED)

        first = Entry.objects.earliest("pk")
        assert (first.actor_id, first.network, first.request_id, first.via) == (7, "203.0.113.0/24", "r1", "web")
        assert (entry.actor_id, entry.network, entry.request_id) == (None, "", "")
        assert entry.via not in {"", "web"}

    def test_looking_is_told_once_an_hour(self) -> None:
        with context.bind(person=lambda: 7):
            for _time in range(3):
                trail.record_once(Action.VIEWED, "analysis", "x", owner_id=1)
        with context.bind(person=lambda: 8):
            trail.record_once(Action.VIEWED, "analysis", "x", owner_id=1)
        assert [row[1] for row in told()] == [7, 8]

        entry = Entry(action=Action.VIEWED, kind="analysis", object_id="y", actor_id=7, via="web")
        entry.at = timezone.now() - trail.ONCE_WITHIN
        entry.save()
        with context.bind(person=lambda: 7):
            trail.record_once(Action.VIEWED, "analysis", "y", owner_id=1)
        assert len(told()) == 4

    def test_settings_are_told_when_they_are_others(self, settings: Settings) -> None:
        for days in (0, 0, 30):
            settings.RETENTION_DAYS = days
            up.note_settings()

        noted = Entry.objects.filter(action=Action.SETTINGS_CHANGED).order_by("pk")
        assert [entry.details["RETENTION_DAYS"] for entry in noted] == [0, 30]


class TestVerbs:
    def test_each_verb_is_told_with_the_object_and_its_owner(self) -> None:
        analysis = make_analysis(State.QUEUED)
        owner = analysis.video.owner

        assert services.cancel(analysis)
        assert services.cancel(analysis) is False
        assert services.retry(analysis)
        again = services.analyze_again(analysis, 20)
        services.delete([analysis])
        services.delete([again])

        assert told() == [
            ("cancelled", None, str(analysis.pk), owner.pk),
            ("retried", None, str(analysis.pk), owner.pk),
            ("submitted", None, str(again.pk), owner.pk),
            ("deleted", None, str(analysis.pk), owner.pk),
            ("deleted", None, str(again.pk), owner.pk),
            ("deleted", None, str(analysis.video_id), owner.pk),
        ]

    def test_what_is_rolled_back_is_not_told(self) -> None:
        analysis = make_analysis(State.DONE)

        with transaction.atomic():
            services.delete([analysis])
            transaction.set_rollback(True)

        assert told() == []

    def test_an_account_that_goes_stays_in_the_trail_without_its_name(self) -> None:
        person = make_user("ann@example.org", display_name="Ann")
        analysis = make_analysis(State.DONE, person)
        pk = person.pk

        services.delete_person(person)

        assert told() == [
            ("deleted", None, str(analysis.pk), pk),
            ("deleted", None, str(analysis.video_id), pk),
            ("person_deleted", None, str(pk), pk),
        ]
        kept = str(list(Entry.objects.values()))
        assert "ann@" not in kept.lower()
        assert analysis.video.name not in kept

    def test_the_activation_of_a_model_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        version = make_model_version()
        monkeypatch.setattr(model_versions, "is_installed", lambda row: True)
        monkeypatch.setattr(model_versions, "is_evaluated", lambda row: True)

        model_versions.activate(version)

        entry = Entry.objects.get()
        assert (entry.action, entry.object_id) == (Action.MODEL_ACTIVATED, str(version.pk))
        assert entry.details["sha256"] == version.sha256

    def test_retention_and_the_trails_own_are_both_kept_by_the_command(self, settings: Settings) -> None:
        settings.AUDIT_RETENTION_DAYS = 30
        Entry(action=Action.LOGGED_IN, via="web", at=timezone.now() - timedelta(days=31)).save()

        call_command("prune", dry_run=True, stdout=StringIO())
        assert told() == [("logged_in", None, "", None)]
        call_command("prune", stdout=StringIO())
        assert [row[0] for row in told()] == ["trail_shortened"]


class TestPages:
    def test_staff_who_look_at_others_results_are_told_of_and_owners_are_not(self, client: Client) -> None:
        analysis = make_analysis(State.DONE)
        owner, staff = analysis.video.owner, make_user(staff=True)
        address = reverse("analysis:detail", args=[analysis.pk])

        for person in (owner, staff):
            client.force_login(person)
            client.get(address)
            client.get(reverse("analysis:crop", args=[analysis.pk, 0, 0])).close()
        client.get(address)

        assert told(Action.VIEWED) == [("viewed", staff.pk, str(analysis.pk), owner.pk)]

    @pytest.mark.parametrize(
        "address",
        ["analysis:report", "analysis:video", "admin:analysis_analysis_change", "analysis:status", "analysis:compare"],
    )
    def test_every_way_to_a_result_is_told(self, client: Client, address: str) -> None:
        analysis = make_analysis(State.DONE)
        staff = make_user(staff=True)
        client.force_login(staff)

        client.get(reverse(address, args=[analysis.pk])).close()

        assert told(Action.VIEWED) == [("viewed", staff.pk, str(analysis.pk), analysis.video.owner_id)]

    def test_a_page_of_a_person_found_in_a_video_is_told_as_its_analysis(self, client: Client) -> None:
        analysis = make_analysis(State.DONE)
        staff = make_user(staff=True)
        client.force_login(staff)

        client.get(reverse("admin:analysis_facetrack_change", args=[analysis.tracks.get().pk]))

        assert told(Action.VIEWED) == [("viewed", staff.pk, str(analysis.pk), analysis.video.owner_id)]

    def test_a_page_of_a_video_is_told_as_the_video(self, client: Client) -> None:
        video = make_analysis(State.DONE).video
        staff = make_user(staff=True)
        client.force_login(staff)

        for _time in range(2):
            client.get(reverse("admin:analysis_video_change", args=[video.pk]))

        assert told(Action.VIEWED) == [("viewed", staff.pk, str(video.pk), video.owner_id)]
        assert Entry.objects.get(action=Action.VIEWED).kind == "video"

    def test_ones_own_pages_in_the_administration_are_no_views(self, client: Client) -> None:
        staff = make_user(staff=True)
        analysis = make_analysis(State.DONE, owner=staff)
        client.force_login(staff)

        for kind, row in (("analysis", analysis), ("facetrack", analysis.tracks.get()), ("video", analysis.video)):
            page = client.get(reverse(f"admin:analysis_{kind}_change", args=[row.pk]))
            assert page.status_code == 200

        assert told(Action.VIEWED) == []

    @pytest.mark.parametrize("kind", ["analysis", "facetrack", "video"])
    def test_staff_who_may_not_look_leave_no_entry_either(self, client: Client, kind: str) -> None:
        analysis = make_analysis(State.DONE)
        pks = {"analysis": analysis.pk, "facetrack": analysis.tracks.get().pk, "video": analysis.video_id}
        client.force_login(make_user(is_staff=True))

        page = client.get(reverse(f"admin:analysis_{kind}_change", args=[pks[kind]]))

        assert page.status_code == 403
        assert told(Action.VIEWED) == []

    def test_small_pictures_in_lists_are_no_views(self, client: Client) -> None:
        analysis = make_analysis(State.DONE)
        client.force_login(make_user(staff=True))

        for kind in ("analysis", "facetrack", "video"):
            client.get(reverse(f"admin:analysis_{kind}_changelist"))
        client.get(reverse("analysis:poster", args=[analysis.pk])).close()

        assert told(Action.VIEWED) == []

    def test_strangers_leave_no_entry(self, client: Client) -> None:
        analysis = make_analysis(State.DONE)
        client.force_login(make_user())

        assert client.get(reverse("analysis:detail", args=[analysis.pk])).status_code == 404
        assert told(Action.VIEWED) == []

    @pytest.mark.parametrize("name", ["analysis:report", "analysis:video"])
    def test_downloads_are_told_once_even_in_parts(self, client: Client, name: str) -> None:
        analysis = make_analysis(State.DONE)
        owner = analysis.video.owner
        client.force_login(owner)
        address = reverse(name, args=[analysis.pk])

        client.get(address).close()
        assert told(Action.DOWNLOADED) == []
        for part in ("bytes=0-9", "bytes=10-19"):
            client.get(address, {"download": ""}, headers={"Range": part}).close()

        assert told(Action.DOWNLOADED) == [("downloaded", owner.pk, str(analysis.pk), owner.pk)]

    def test_who_acts_and_from_where_is_told(self, client: Client) -> None:
        analysis = make_analysis(State.QUEUED)
        staff = make_user(staff=True)
        client.force_login(staff)

        response = client.post(reverse("analysis:cancel", args=[analysis.pk]), REMOTE_ADDR="203.0.113.77")

        entry = Entry.objects.get(action=Action.CANCELLED)
        assert (entry.actor_id, entry.network, entry.via) == (staff.pk, "203.0.113.0/24", "web")
        assert entry.request_id == response.headers["X-Request-ID"] != ""

    def test_a_persons_own_time_is_told(self, client: Client) -> None:
        person = make_user()
        client.force_login(person)

        client.post(reverse("profile"), {"display_name": "Ann", "retention_days": "5"})
        client.post(reverse("profile"), {"display_name": "Bob", "retention_days": "5"})

        (entry,) = Entry.objects.filter(action=Action.RETENTION_CHANGED)
        assert (entry.actor_id, entry.details) == (person.pk, {"retention_days": [None, 5]})


class TestAccounts:
    def test_log_ins_that_succeed_and_fail_are_told(self, client: Client) -> None:
        person = make_user("ann@example.org")
        for login, password in (("ann@example.org", "wrong password"), ("nobody@example.org", PASSWORD)):
            client.post(reverse("account_login"), {"login": login, "password": password})
        client.post(reverse("account_login"), {"login": "Ann@example.org", "password": PASSWORD})
        client.post(reverse("account_logout"))

        assert told() == [
            ("log_in_failed", None, str(person.pk), person.pk),
            ("log_in_failed", None, "", None),
            ("logged_in", person.pk, str(person.pk), person.pk),
            ("logged_out", person.pk, str(person.pk), person.pk),
        ]
        assert "@" not in str(list(Entry.objects.values()))

    def test_signing_up_is_told(self, client: Client) -> None:
        values = {"email": "new@example.org", "password1": PASSWORD, "password2": PASSWORD}
        client.post(reverse("account_signup"), values)

        person = User.objects.get()
        assert ("person_added", str(person.pk)) in {(row[0], row[2]) for row in told()}

    def test_a_changed_password_is_told(self, client: Client) -> None:
        person = make_user()
        client.post(reverse("account_login"), {"login": person.email, "password": PASSWORD})
        new = "another correct horse"
        values = {"oldpassword": PASSWORD, "password1": new, "password2": new}
        client.post(reverse("account_change_password"), values)

        assert told(Action.PASSWORD_CHANGED) == [("password_changed", person.pk, str(person.pk), person.pk)]

    @pytest.fixture
    def person(self, client: Client) -> User:
        """Logged in, and known by password a moment ago."""
        person = make_user("ann@example.org")
        client.post(reverse("account_login"), {"login": person.email, "password": PASSWORD})
        client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
        return person

    def test_ending_all_other_sessions_is_told(self, client: Client, person: User) -> None:
        for _browser in range(2):
            Client().post(reverse("account_login"), {"login": person.email, "password": PASSWORD})

        for _time in range(2):  # the second time there is none to end
            client.post(reverse("usersessions_list"))

        entry = Entry.objects.get(action=Action.SESSIONS_ENDED)
        assert (entry.actor_id, entry.owner_id, entry.details) == (person.pk, person.pk, {"count": 2})
        assert UserSession.objects.filter(user=person).count() == 1

    def test_the_sessions_page_is_for_people_who_are_logged_in(self) -> None:
        assert Client().post(reverse("usersessions_list")).status_code == 302
        assert told() == []

    def test_further_addresses_are_told(self, client: Client, person: User) -> None:
        address = reverse("account_email")
        client.post(address, {"action_add": "", "email": "second@example.org"})
        client.post(address, {"action_remove": "", "email": "second@example.org"})

        entries = Entry.objects.filter(action=Action.ADDRESS_CHANGED, actor_id=person.pk).order_by("pk")
        assert [entry.details for entry in entries] == [{"change": "added"}, {"change": "removed"}]

    @pytest.mark.django_db(transaction=True)
    def test_new_recovery_codes_are_told(self, client: Client, person: User) -> None:
        totp.TOTP.activate(person, totp.generate_totp_secret())
        RecoveryCodes.activate(person)

        client.post(reverse("mfa_generate_recovery_codes"))

        entry = Entry.objects.get(action=Action.SECOND_FACTOR_ADDED)
        assert (entry.object_id, entry.details) == (str(person.pk), {"change": "recovery codes made anew"})

    def test_ones_own_name_is_told_as_changed_and_not_kept(self, client: Client, person: User) -> None:
        for _time in range(2):  # the second time nothing changes
            client.post(reverse("profile"), {"display_name": "Ann Other", "retention_days": ""})

        entry = Entry.objects.get(action=Action.PERSON_CHANGED)
        assert (entry.actor_id, entry.details) == (person.pk, {"fields": ["display_name"]})

    def test_an_administrator_made_from_the_shell_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
        call_command("createsuperuser", email="root@example.org", interactive=False, stdout=StringIO())

        root = User.objects.get()
        entry = Entry.objects.get()
        assert (entry.action, entry.object_id, entry.details) == ("person_added", str(root.pk), {"is_superuser": True})

    def test_an_administrator_is_not_made_without_its_entry(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(trail, "record", Mock(side_effect=OperationalError("the disk is full")))

        with pytest.raises(OperationalError):
            User.objects.create_superuser("root@example.org", PASSWORD)

        assert not User.objects.exists()

    def test_a_password_changed_from_the_shell_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        person, new = make_user("ann@example.org"), "another correct horse"
        monkeypatch.setattr("getpass.getpass", lambda prompt: new)

        call_command("changepassword", person.email, stdout=StringIO())

        person.refresh_from_db()
        assert person.check_password(new)
        assert told() == [("password_changed", None, str(person.pk), person.pk)]

    def test_leaving_is_told_as_the_persons_own_doing(self, client: Client) -> None:
        person = make_user()
        pk = person.pk
        client.post(reverse("account_login"), {"login": person.email, "password": PASSWORD})
        client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
        client.post(reverse("delete_account"), {"confirm": "on"})

        assert told(Action.PERSON_DELETED) == [("person_deleted", pk, str(pk), pk)]


class TestAdministration:
    @pytest.fixture
    def root(self, client: Client) -> User:
        root = make_user("root@example.org", staff=True)
        client.force_login(root)
        return root

    def change(self, client: Client, person: User, **changed: object) -> None:
        values = {
            "email": person.email,
            "is_active": "on",
            "max_queued": 20,
            "max_running": 2,
            "max_minutes_a_day": 600,
            "max_storage_bytes": person.max_storage_bytes,
            **changed,
        }
        response = client.post(reverse("admin:accounts_user_change", args=[person.pk]), values)
        assert response.status_code == 302

    def test_quotas_rights_and_retention_are_told_with_their_values(self, client: Client, root: User) -> None:
        person = make_user()

        self.change(client, person, max_queued=3, is_staff="on", retention_days=9, display_name="Ann")

        entries = {entry.action: entry for entry in Entry.objects.filter(actor_id=root.pk, object_id=str(person.pk))}
        assert entries[Action.QUOTAS_CHANGED].details == {"max_queued": [20, 3]}
        assert entries[Action.RIGHTS_CHANGED].details == {"is_staff": [False, True]}
        assert entries[Action.RETENTION_CHANGED].details == {"retention_days": [None, 9]}
        assert entries[Action.PERSON_CHANGED].details == {"fields": ["display_name"]}

    @pytest.mark.parametrize(
        ("action", "is_active", "noted"),
        [
            ("disable", True, "person_changed"),
            ("enable", False, "person_changed"),
            ("disable", False, None),
            ("enable", True, None),
            ("remove_second_factor", True, None),
        ],
    )
    def test_actions_on_people_are_told_when_they_change_something(
        self, client: Client, root: User, action: str, is_active: bool, noted: str | None
    ) -> None:
        person = make_user(is_active=is_active)

        client.post(reverse("admin:accounts_user_changelist"), {"action": action, "_selected_action": [person.pk]})

        rows = [row for row in told() if row[2] == str(person.pk)]
        assert rows == ([(noted, root.pk, str(person.pk), person.pk)] if noted else [])
        person.refresh_from_db()
        assert person.is_active is {"disable": False, "enable": True}.get(action, is_active)

    @pytest.mark.parametrize("action", ["disable", "enable", "end_sessions", "remove_second_factor"])
    def test_nothing_is_done_to_people_without_its_entry(
        self, client: Client, root: User, action: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        person = make_user(is_active=action != "enable")
        Authenticator.objects.create(user=person, type=Authenticator.Type.TOTP, data={"secret": "A" * 32})
        UserSession.objects.create(user=person, ip="127.0.0.1", session_key="a" * 32, user_agent="")
        before = person.is_active
        after: list[str] = []

        def delete(self: object, *args: object, **options: object) -> None:
            after.append("deleted")
            raise OperationalError("the disk is full")

        monkeypatch.setattr(QuerySet, "delete", delete)
        monkeypatch.setattr(UserSession, "delete", delete)
        monkeypatch.setattr(QuerySet, "update", delete)
        values = {"action": action, "_selected_action": [person.pk]}
        with pytest.raises(OperationalError):
            client.post(reverse("admin:accounts_user_changelist"), values)

        assert after == ["deleted"]
        assert [row for row in told() if row[2] == str(person.pk)] == []
        person.refresh_from_db()
        assert person.is_active == before

    def test_a_password_set_by_an_administrator_is_told(self, client: Client, root: User) -> None:
        person = make_user()
        new = "another correct horse"
        values = {"usable_password": "true", "password1": new, "password2": new}
        response = client.post(reverse("admin:auth_user_password_change", args=[person.pk]), values)

        assert response.status_code == 302
        assert told(Action.PASSWORD_CHANGED) == [("password_changed", root.pk, str(person.pk), person.pk)]

    def test_the_trail_is_read_by_staff_and_changed_by_nobody(self, client: Client, root: User) -> None:
        entry = trail.record(Action.CANCELLED, "analysis", make_analysis().pk, owner_id=root.pk)
        change = reverse("admin:audit_entry_change", args=[entry.pk])

        trail.record(Action.QUOTAS_CHANGED, "person", root.pk, owner_id=root.pk, max_queued=[20, 3])

        page = client.get(reverse(LIST)).content.decode()
        assert "Cancelled" in page
        assert "max_queued: 20 → 3" in page
        assert "root@example.org" in page
        assert client.get(change).status_code == 200
        assert client.post(change, {"action": "retried"}).status_code == 403
        assert client.post(reverse("admin:audit_entry_delete", args=[entry.pk]), {"post": "yes"}).status_code == 403
        assert client.get(reverse("admin:audit_entry_add")).status_code == 403
        assert Entry.objects.filter(pk=entry.pk, action=Action.CANCELLED).exists()

    def test_staff_without_any_permission_may_read_it_and_others_may_not(self, client: Client) -> None:
        client.force_login(make_user(is_staff=True))
        assert client.get(reverse(LIST)).status_code == 200
        client.force_login(make_user())
        assert client.get(reverse(LIST)).status_code == 302

    def test_people_who_are_gone_are_named_by_their_key(self, client: Client, root: User) -> None:
        person = make_user("gone@example.org")
        pk = person.pk
        services.delete_person(person)

        page = client.get(reverse(LIST), {"q": str(pk)}).content.decode()

        assert f"person {pk} (deleted)" in page
        assert "gone@example.org" not in page

    @pytest.mark.parametrize("entries", [1, 5])
    def test_the_list_costs_the_same_however_long(
        self, client: Client, root: User, entries: int, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        for _number in range(entries):
            trail.record(Action.CANCELLED, "analysis", make_analysis().pk, owner_id=make_user().pk)

        with django_assert_num_queries(7):
            client.get(reverse(LIST))
