"""Who may reach what: everything a view shows is fetched here, and strangers get 404."""

from typing import TypeGuard
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404

from accounts.models import User
from analysis import queries, services
from analysis.models import Analysis

CHANGE, DELETE = "analysis.change_analysis", "analysis.delete_analysis"


def person(request: HttpRequest) -> User:
    """Who asks; 404 for someone who is not logged in (pages are guarded earlier and ask for a log-in instead)."""
    if not _is_known(request.user):
        raise Http404
    return request.user


def analysis_or_404(
    request: HttpRequest, pk: UUID, *, noted: bool = True, to: str = "", reported: bool = False
) -> Analysis:
    """The analysis, when it is theirs or they are staff; who reaches somebody else's is noted in the audit trail.

    ``noted=False`` is for the small pictures in lists; ``reported=True`` is for what shows the report, which is large
    and otherwise left where it is. Staff see everybody's; ``to`` names the permission without which
    they may not do to somebody else's what the page is for (the same as in the administration), and raises
    PermissionDenied.
    """
    who = person(request)
    rows = queries.visible_to(who)
    analysis = get_object_or_404(rows if reported else rows.defer("report"), pk=pk)
    if to and analysis.video.owner_id != who.pk and not who.has_perm(to):
        raise PermissionDenied
    if noted:
        services.note_view(who, analysis)
    return analysis


def standing_or_404(request: HttpRequest, pk: UUID) -> Analysis:
    """As above, and no more of it than how far it has come (queries.standing_of)."""
    who = person(request)
    analysis = get_object_or_404(queries.standing_of(who), pk=pk)
    services.note_view(who, analysis)
    return analysis


def _is_known(user: User | AnonymousUser) -> TypeGuard[User]:
    return user.is_authenticated
