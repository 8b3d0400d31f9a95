"""What all pages of the administration have in common: the audit trail, in the place of Django's own log."""

import pytest
from allauth.account.models import EmailAddress
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.test import Client, RequestFactory
from django.urls import reverse

from accounts.models import User
from analysis.models import Analysis, State, Video
from audit import trail
from audit.models import Action, Entry
from deepfakesite.admin_site import UnmaskAdminSite
from tests.analysis.builders import PASSWORD, make_analysis, make_model_version, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(client: Client) -> User:
    root = make_user("root@example.org", staff=True)
    client.force_login(root)
    return root


class TestLog:
    def test_people_who_are_made_changed_and_deleted_are_not_in_it(self, client: Client, root: User) -> None:
        values = {"email": "new@example.org", "usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
        client.post(reverse("admin:accounts_user_add"), values)
        person = User.objects.get(email="new@example.org")
        fields = ("email", "max_queued", "max_running", "max_minutes_a_day", "max_storage_bytes")
        changed = {**{name: getattr(person, name) for name in fields}, "display_name": "New", "is_active": "on"}
        client.post(reverse("admin:accounts_user_change", args=[person.pk]), changed)
        password = {name: values[name] for name in ("usable_password", "password1", "password2")}
        client.post(reverse("admin:auth_user_password_change", args=[person.pk]), password)
        client.post(reverse("admin:accounts_user_delete", args=[person.pk]), {"post": "yes"})

        assert set(Entry.objects.filter(object_id=str(person.pk)).values_list("action", flat=True)) == {
            Action.PERSON_ADDED,
            Action.PERSON_CHANGED,
            Action.PASSWORD_CHANGED,
            Action.PERSON_DELETED,
        }
        assert not LogEntry.objects.exists()

    @pytest.mark.parametrize("by_action", [True, False])
    @pytest.mark.parametrize("kind", ["analysis_analysis", "analysis_video", "accounts_user"])
    def test_what_is_deleted_is_not_in_it(self, client: Client, root: User, kind: str, by_action: bool) -> None:
        analyses = [make_analysis(State.DONE) for _number in range(2)]
        rows: dict[str, list[Analysis] | list[Video] | list[User]] = {
            "analysis_analysis": analyses,
            "analysis_video": [analysis.video for analysis in analyses],
            "accounts_user": [analysis.video.owner for analysis in analyses],
        }

        pks = [row.pk for row in rows[kind]]
        if by_action:
            values = {"action": "delete_selected", "_selected_action": pks, "post": "yes"}
            client.post(reverse(f"admin:{kind}_changelist"), values)
        else:
            for pk in pks:
                client.post(reverse(f"admin:{kind}_delete", args=[pk]), {"post": "yes"})

        assert not Analysis.objects.exists()
        assert not LogEntry.objects.exists()

    @pytest.mark.parametrize("model", [EmailAddress, Group])
    def test_pages_of_other_packages_do_not_write_it(self, root: User, model: type[EmailAddress | Group]) -> None:
        site = UnmaskAdminSite()
        site.register(model, list_display=["pk"])
        pages, request = site.get_model_admin(model), RequestFactory().get("/")
        request.user = root

        pages.log_addition(request, root, "made")
        pages.log_change(request, root, "changed")
        pages.log_deletions(request, User.objects.all())

        assert pages.list_display == ["pk"]
        assert not LogEntry.objects.exists()

    def test_it_has_no_place_on_the_first_page(self, client: Client, root: User) -> None:
        trail.record(Action.CANCELLED, "analysis", make_analysis().pk)

        page = client.get(reverse("admin:index")).content.decode()

        assert "None available" not in page
        assert f'href="{reverse("admin:audit_entry_changelist")}?actor_id={root.pk}"' in page


class TestHistory:
    def test_it_is_what_the_trail_tells_of_the_object(self, client: Client, root: User) -> None:
        analysis, person = make_analysis(State.DONE), make_user()
        version = make_model_version()
        objects = {
            "analysis_analysis": (analysis.pk, "analysis"),
            "analysis_modelversion": (version.pk, "model version"),
            "analysis_video": (analysis.video_id, "video"),
            "accounts_user": (person.pk, "person"),
        }
        for pk, kind in objects.values():
            trail.record(Action.RESTORED, kind, pk)
            trail.record(Action.RETRIED, "something else", pk)

        for name, (pk, _kind) in objects.items():
            change = client.get(reverse(f"admin:{name}_change", args=[pk])).content.decode()
            response = client.get(reverse(f"admin:{name}_history", args=[pk]), follow=True)
            assert f'href="{response.redirect_chain[0][0].replace("&", "&amp;")}"' in change
            told = [entry.action for entry in response.context["cl"].result_list]
            assert (told.count(Action.RESTORED), told.count(Action.RETRIED)) == (1, 0), name

    def test_it_is_there_when_the_object_is_gone(self, client: Client, root: User) -> None:
        person = make_user()
        pk = person.pk
        client.post(reverse("admin:accounts_user_delete", args=[pk]), {"post": "yes"})

        page = client.get(reverse("admin:accounts_user_history", args=[pk]), follow=True).content.decode()

        assert "Account deleted" in page

    def test_nothing_promises_it_where_the_trail_tells_nothing(self, client: Client, root: User) -> None:
        track = make_analysis(State.DONE).tracks.get()

        page = client.get(reverse("admin:analysis_facetrack_change", args=[track.pk])).content.decode()

        assert "historylink" not in page
        assert client.get(reverse("admin:analysis_facetrack_history", args=[track.pk])).status_code == 404
