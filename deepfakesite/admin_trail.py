"""The audit trail in the administration: to be searched and read by staff, and by nobody changed."""

from typing import Any

from django.contrib import admin
from django.db.models import CharField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from audit.models import Entry


@admin.register(Entry)
class EntryAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Names people by their address as long as they have an account, and by their key afterwards."""

    list_display = ("when", "action", "by", "thing", "whose", "network", "via", "particulars")
    list_display_links = ("when",)
    list_filter = ("action", "via", "at")
    search_fields = ("object_id", "request_id", "actor_key", "owner_key")
    search_help_text = gettext_lazy("Key of an object or a person, or a request's id.")
    date_hierarchy = "at"
    list_per_page = 100
    show_full_result_count = False
    actions = None
    fields = ("when", "action", "by", "via", "thing", "whose", "network", "request_id", "particulars")
    readonly_fields = ("when", "by", "thing", "whose", "particulars")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_active and request.user.is_staff)

    def has_view_permission(self, request: HttpRequest, obj: Entry | None = None) -> bool:
        return self.has_module_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Entry | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Entry | None = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Entry]:
        rows: QuerySet[Entry] = super().get_queryset(request)
        people = User.objects.order_by().values("email")
        return rows.annotate(
            actor_email=Subquery(people.filter(pk=OuterRef("actor_id"))),
            owner_email=Subquery(people.filter(pk=OuterRef("owner_id"))),
            actor_key=Cast("actor_id", CharField()),
            owner_key=Cast("owner_id", CharField()),
        )

    @admin.display(description=gettext_lazy("when"), ordering="at")
    def when(self, entry: Entry) -> str:
        return f"{timezone.localtime(entry.at):%Y-%m-%d %H:%M:%S}"

    @admin.display(description=gettext_lazy("details"))
    def particulars(self, entry: Entry) -> str:
        return "; ".join(f"{name}: {_words(value)}" for name, value in entry.details.items()) or "–"

    @admin.display(description=gettext_lazy("by"), ordering="actor_id")
    def by(self, entry: Entry) -> str:
        return _name(entry.actor_id, getattr(entry, "actor_email", None)) or _("the platform")

    @admin.display(description=gettext_lazy("whose"), ordering="owner_id")
    def whose(self, entry: Entry) -> str:
        return _name(entry.owner_id, getattr(entry, "owner_email", None)) or "–"

    @admin.display(description=gettext_lazy("to what"), ordering="object_id")
    def thing(self, entry: Entry) -> SafeString | str:
        if entry.kind == "analysis":
            address = reverse("analysis:detail", args=[entry.object_id])
            return format_html(
                '{0} <a href="{1}" title="{2}">{3}</a>', entry.kind, address, entry.object_id, _short(entry)
            )
        return f"{entry.kind} {_short(entry)}".strip() or "–"


def _name(pk: int | None, email: Any) -> str:
    if pk is None:
        return ""
    return str(email) if email else _("person %(pk)s (deleted)") % {"pk": pk}


def _short(entry: Entry) -> str:
    """The beginning of a long key, which is enough to tell and to search by."""
    return entry.object_id[:8]


def _words(value: Any) -> str:
    """A value, or what it was before and what it is now."""
    if isinstance(value, list) and len(value) == 2:
        return f"{value[0]} → {value[1]}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
