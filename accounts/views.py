"""Ending one session: allauth's page ends all the others at once. A person's own page is deepfakesite.profile."""

from allauth.usersessions.models import UserSession
from django.contrib import messages
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
        trail.record(Action.SESSIONS_ENDED, "person", session.user_id, owner_id=session.user_id, count=1)
        session.end()
        messages.success(request, _("The session was ended."))
    return redirect("usersessions_list")
