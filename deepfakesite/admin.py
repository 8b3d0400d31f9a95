"""People in the administration.

It stands here, above accounts and analysis, because deleting a person deletes their videos.
"""

from collections.abc import Iterable
from typing import Any

from allauth.account.forms import ResetPasswordForm
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Count, Model, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.models import User, UserManager
from accounts.names import is_plain
from analysis import services
from analysis.admin import looking
from analysis.models import Analysis, Video
from audit import trail
from audit.models import Action
from deepfakesite import admin_trail

__all__ = ["PersonAdmin", "admin_trail"]

# Staff see everything and everyone else their own: there is nothing for groups to grant. What allauth keeps is reached
# through its person, and secrets of second factors are nobody's to read. Whoever could add an address to a superuser
# there could have a link to a new password sent to it.
admin.site.unregister([Authenticator, EmailAddress, Group, UserSession])

RIGHTS = ("is_staff", "is_superuser", "user_permissions")
QUOTAS = ("max_queued", "max_running", "max_minutes_a_day", "max_storage_bytes")
_ACTIONS_BY_FIELD = {
    Action.RIGHTS_CHANGED: (*RIGHTS, "is_active"),
    Action.QUOTAS_CHANGED: QUOTAS,
    Action.RETENTION_CHANGED: ("retention_days",),
}


def _clean_email(form: "forms.ModelForm[User]") -> str:
    """The address in the form in which all are kept; refused when somebody else has it, in whatever case."""
    email = UserManager.normalize_email(form.cleaned_data["email"])
    if not is_plain(email):
        raise forms.ValidationError(_("This address holds characters that cannot be seen; type it anew."))
    if User.objects.filter(email__iexact=email).exclude(pk=form.instance.pk).exists():
        raise forms.ValidationError(_("There is an account with this e-mail address already."))
    if email == form.instance.email:  # whoever adds it to another account later keeps nobody from changing the rest
        return email
    holder = EmailAddress.objects.filter(email=email).exclude(user=form.instance.pk).select_related("user").first()
    if holder is not None:
        sentence = _(
            "%(holder)s has added this e-mail address to their account. Ask them to remove it there (E-mail "
            "addresses), or take another one."
        )
        raise forms.ValidationError(sentence % {"holder": holder.user.email})
    return email


class PersonCreationForm(AdminUserCreationForm):  # type: ignore[type-arg]
    """E-mail and password, or an account that waits for a reset of its password."""

    class Meta:
        model = User
        fields = ("email", "display_name")

    def clean_email(self) -> str:
        return _clean_email(self)


class PersonChangeForm(UserChangeForm):  # type: ignore[type-arg]
    """Everything about a person but the password, which has its own page."""

    class Meta:
        model = User
        fields = "__all__"

    def clean_email(self) -> str:
        return _clean_email(self)


@admin.register(User)
class PersonAdmin(UserAdmin):  # type: ignore[type-arg]
    """Disable, send a link to reset the password, end sessions, remove a lost second factor, set quotas."""

    form = PersonChangeForm
    add_form = PersonCreationForm
    list_display = ("email", "display_name", "is_active", "is_staff", "stored", "analyses", "last_login", "date_joined")
    list_filter = ("is_active", "is_staff", "is_superuser", "date_joined")
    search_fields = ("email", "display_name")
    ordering = ("email",)
    date_hierarchy = "date_joined"
    list_per_page = 50
    filter_horizontal = ("user_permissions",)
    readonly_fields = ("last_login", "date_joined", "stored", "analyses", "second_factor")
    actions = ["disable", "enable", "send_reset", "end_sessions", "remove_second_factor"]
    fieldsets = (
        (None, {"fields": ("email", "display_name", "password")}),
        (gettext_lazy("What they may do"), {"fields": ("is_active", "is_staff", "is_superuser", "user_permissions")}),
        (
            gettext_lazy("Quotas"),
            {"fields": (("max_queued", "max_running"), "max_minutes_a_day", "max_storage_bytes", "stored", "analyses")},
        ),
        (gettext_lazy("Retention"), {"fields": ("retention_days",)}),
        (gettext_lazy("History"), {"fields": ("last_login", "date_joined", "second_factor")}),
    )
    add_fieldsets = (
        (
            None,
            {"classes": ("wide",), "fields": ("email", "display_name", "usable_password", "password1", "password2")},
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        """Only a superuser hands out rights, or staff could give themselves all of them."""
        return self.readonly_fields if _is_superuser(request) else (*self.readonly_fields, *RIGHTS)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return _may_touch(request, obj) and bool(super().has_change_permission(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return _may_touch(request, obj) and bool(super().has_delete_permission(request, obj))

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        people: QuerySet[User] = super().get_queryset(request)
        if "action" in request.POST and not _is_superuser(request):
            people = people.filter(is_superuser=False)
        sums = Video.objects.filter(owner=OuterRef("pk")).order_by().values("owner").annotate(total=Sum("size_bytes"))
        return people.annotate(
            analyses_count=Count("videos__analyses", distinct=True),
            stored_bytes=Coalesce(Subquery(sums.values("total")), 0),
        )

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if change:
            _note_changes(obj, form)
        else:
            _note(Action.PERSON_ADDED, [obj])
        if change and "email" in form.changed_data:  # allauth keeps its own list of addresses; the primary one is this
            EmailAddress.objects.filter(user=obj, email=obj.email).delete()
            EmailAddress.objects.filter(user=obj, primary=True).update(email=obj.email, verified=False)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002
        """Django's own; what was done is told to the audit trail."""
        with transaction.atomic():
            before = User.objects.filter(pk=id).values_list("password", flat=True).first()
            response: HttpResponse = super().user_change_password(request, id, form_url)
            person = User.objects.filter(pk=id).first()
            if person is not None and person.password != before:
                _note(Action.PASSWORD_CHANGED, [person])
        return response

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        services.delete_person(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for person in queryset:
            services.delete_person(person)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        """Counts what goes with them; who may not delete videos or analyses deletes nobody who has some."""
        keys = [person.pk for person in objs]
        counts: dict[type[Model], int] = {
            Video: Video.objects.filter(owner__in=keys).count(),
            Analysis: Analysis.objects.filter(video__owner__in=keys).count(),
        }
        lacking = {
            str(kind._meta.verbose_name)
            for kind, count in counts.items()
            if count and not self.admin_site.get_model_admin(kind).has_delete_permission(request)
        }
        if not all(self.has_delete_permission(request, person) for person in objs):
            lacking.add(str(User._meta.verbose_name))
        others = {str(kind._meta.verbose_name_plural): count for kind, count in counts.items()}
        return looking.deleted(objs, User, others, lacking)

    @admin.display(description=gettext_lazy("stored"), ordering="stored_bytes")
    def stored(self, person: User) -> str:
        return _("%(taken)s of %(allowed)s") % {
            "taken": filesizeformat(getattr(person, "stored_bytes", 0)),
            "allowed": filesizeformat(person.max_storage_bytes),
        }

    @admin.display(description=gettext_lazy("analyses"), ordering="analyses_count")
    def analyses(self, person: User) -> int:
        return int(getattr(person, "analyses_count", 0))

    @admin.display(description=gettext_lazy("second factor"), boolean=True)
    def second_factor(self, person: User) -> bool:
        return bool(Authenticator.objects.filter(user_id=person.pk).exists())

    @admin.action(description=gettext_lazy("Disable and log out"), permissions=["change"])
    def disable(self, request: HttpRequest, people: QuerySet[User]) -> None:
        others = people.exclude(pk=str(request.user.pk))
        if others.count() < people.count():
            self.message_user(request, _("You cannot disable yourself."), messages.WARNING)
        with transaction.atomic():
            _end_sessions(others)
            count = _set_active(others, active=False)
        self._report(request, ngettext("%d person was disabled.", "%d people were disabled.", count) % count)

    @admin.action(description=gettext_lazy("Enable"), permissions=["change"])
    def enable(self, request: HttpRequest, people: QuerySet[User]) -> None:
        count = _set_active(people, active=True)
        self._report(request, ngettext("%d person was enabled.", "%d people were enabled.", count) % count)

    @admin.action(description=gettext_lazy("Send a link to reset the password"), permissions=["change"])
    def send_reset(self, request: HttpRequest, people: QuerySet[User]) -> None:
        count = 0
        for person in people.filter(is_active=True):
            form = ResetPasswordForm({"email": person.email})
            if form.is_valid():
                form.save(request)
                count += 1
        self._report(request, ngettext("%d link was sent.", "%d links were sent.", count) % count)

    @admin.action(description=gettext_lazy("End all sessions"), permissions=["change"])
    def end_sessions(self, request: HttpRequest, people: QuerySet[User]) -> None:
        count = _end_sessions(people, except_key=request.session.session_key)
        self._report(request, ngettext("%d session was ended.", "%d sessions were ended.", count) % count)

    @admin.action(description=gettext_lazy("Remove the second factor (lost phone)"), permissions=["change"])
    def remove_second_factor(self, request: HttpRequest, people: QuerySet[User]) -> None:
        with transaction.atomic():
            protected = list(people.filter(authenticator__isnull=False).distinct())
            count = len(protected)
            _note(Action.SECOND_FACTOR_REMOVED, protected)
            Authenticator.objects.filter(user__in=protected).delete()
        self._report(
            request,
            ngettext("%d person logs in without a second factor now.", "%d people log in without one now.", count)
            % count,
        )

    def _report(self, request: HttpRequest, sentence: str) -> None:
        self.message_user(request, sentence, messages.SUCCESS)


def _note(action: Action, people: Iterable[User], **details: Any) -> None:
    """Tells the audit trail what was done to these people."""
    trail.record_all(action, "person", [(person.pk, person.pk) for person in people], **details)


def _note_changes(person: User, form: Any) -> None:
    """Tells the audit trail which fields were changed; from what to what, where that is a number or a yes or no."""
    changed = [name for name in form.changed_data if name in form.initial]
    for action, names in _ACTIONS_BY_FIELD.items():
        values = {name: [form.initial[name], form.cleaned_data[name]] for name in changed if name in names}
        if values:
            _note(action, [person], **{name: _plain(pair) for name, pair in values.items()})
    others = {name for name in changed if not any(name in names for names in _ACTIONS_BY_FIELD.values())}
    if others:
        _note(Action.PERSON_CHANGED, [person], fields=sorted(others))


def _plain(pair: list[Any]) -> list[Any]:
    """Before and after as JSON can hold them; of several things, such as permissions, their keys."""
    return [value if isinstance(value, bool | int | None) else [one.pk for one in value] for value in pair]


def _is_superuser(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "is_superuser", False))


def _may_touch(request: HttpRequest, person: User | None) -> bool:
    """Superusers are changed by superusers only."""
    return _is_superuser(request) or person is None or not person.is_superuser


def _set_active(people: QuerySet[User], *, active: bool) -> int:
    """Enables or disables whoever is not so already, and tells the audit trail; how many."""
    with transaction.atomic():
        others = User.objects.select_for_update().filter(pk__in=people.values("pk"), is_active=not active)
        changed = list(others)
        _note(Action.PERSON_CHANGED, changed, is_active=[not active, active])
        return User.objects.filter(pk__in=[person.pk for person in changed]).update(is_active=active)


@transaction.atomic
def _end_sessions(people: QuerySet[User], except_key: str | None = None) -> int:
    """Ends their sessions and tells the audit trail; how many."""
    found = UserSession.objects.filter(user__in=people.values("pk")).exclude(session_key=except_key)
    sessions = list(found.select_related("user"))
    _note(Action.SESSIONS_ENDED, {session.user for session in sessions})
    for session in sessions:
        session.end()
    return len(sessions)
