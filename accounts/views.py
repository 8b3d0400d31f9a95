"""Ending sessions: one, or with allauth's page all the others at once. A person's own page is deepfakesite.profile."""

from typing import Any

from allauth.usersessions.models import UserSession
from allauth.usersessions.views import ListUserSessionsView
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from audit import trail
from audit.models import Action


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
