"""The administration's front door, and what all its pages have in common.

People log in by allauth, with its throttling and second factor. What is done here is told by the audit trail alone:
Django's own log would keep names and e-mail addresses of what was deleted.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    _AnyAdmin = admin.ModelAdmin[Any]
else:
    _AnyAdmin = object

# What the audit trail calls the things that have a page in the administration; of others it tells nothing.
_KINDS = {
    "accounts.User": "person",
    "analysis.Analysis": "analysis",
    "analysis.ModelVersion": "model version",
    "analysis.Video": "video",
}


class ToldByTrail(_AnyAdmin):
    """Writes nothing to Django's own log; an object's history is what the audit trail tells of it."""

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:  # type: ignore[override]
        """Not written."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None:  # type: ignore[override]
        """Not written."""

    def log_deletions(self, request: HttpRequest, queryset: Any) -> list[Any]:
        """Not written."""
        return []

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Leads to the audit trail, also when the object is gone; 404 where the trail tells nothing of its kind."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        address = self._history(unquote(object_id))
        if not address:
            raise Http404
        return redirect(address)

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        history = self._history(obj.pk) if obj is not None else ""
        return super().render_change_form(request, context | {"history": history}, add, change, form_url, obj)

    def _history(self, pk: object) -> str:
        """The address of what the audit trail tells of this object, or nothing."""
        kind = _KINDS.get(self.opts.label)
        entries = urlencode({"kind": kind or "", "object_id": str(pk)})
        return f"{reverse('admin:audit_entry_changelist')}?{entries}" if kind else ""


class UnmaskAdminSite(admin.AdminSite):
    """Django's admin, except that people log in and change their password where everyone does."""

    site_header = _("Unmask administration")
    site_title = _("Unmask administration")
    index_title = _("Overview")

    def register(
        self,
        model_or_iterable: type[Model] | Iterable[type[Model]],
        admin_class: "type[admin.ModelAdmin[Any]] | None" = None,
        **options: Any,
    ) -> None:
        """Whoever registers pages, other packages too: none of them writes to Django's own log."""
        told = admin_class or admin.ModelAdmin
        told = type(told.__name__, (ToldByTrail, told), {"__module__": told.__module__})
        super().register(model_or_iterable, told, **options)

    @method_decorator(login_not_required)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        response: HttpResponse = secure_admin_login(super().login)(request, extra_context)
        return response

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:  # type: ignore[override]
        return redirect("account_change_password")
