"""allauth's pages of addresses and of sessions, and what they leave out. A person's own page: deepfakesite.profile."""

from typing import Any

from allauth.account.views import EmailView
from allauth.usersessions.models import UserSession
from allauth.usersessions.views import ListUserSessionsView
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.addresses import BelongsToAnother, kept_apart
from audit import trail
from audit.models import Action


class AddressesView(EmailView):  # type: ignore[misc]
    """allauth's list of addresses; what another account logs in with is refused in words."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if "action_add" in request.POST or "action_send" in request.POST:
            sent: HttpResponse = super().post(request, *args, **kwargs)
            return sent  # mail, during which no transaction should be open
        try:
            with kept_apart(request, self.request.user):
                changed: HttpResponse = super().post(request, *args, **kwargs)
                return changed
        except BelongsToAnother:
            return redirect("account_email")


@require_POST
def end_session(request: HttpRequest, pk: int) -> HttpResponse:
    """Logs out another browser of the same person."""
    session = get_object_or_404(UserSession, pk=pk, user=request.user)
    if session.session_key == request.session.session_key:
        messages.info(request, _("This is the session you are using. Log out to end it."))
    else:
        with transaction.atomic():
            trail.record(Action.SESSIONS_ENDED, "person", session.user_id, owner_id=session.user_id, count=1)
            session.end()
        messages.success(request, _("The session was ended."))
    return redirect("usersessions_list")


class SessionsView(ListUserSessionsView):  # type: ignore[misc]
    """allauth's list of sessions; that all the others were ended is told to the audit trail."""

    def form_valid(self, form: Any) -> HttpResponse:
        person = self.request.user
        with transaction.atomic():
            others = UserSession.objects.filter(user=person).exclude(session_key=self.request.session.session_key)
            if count := others.count():
                trail.record(Action.SESSIONS_ENDED, "person", person.pk, owner_id=person.pk, count=count)
            response: HttpResponse = super().form_valid(form)
        return response
