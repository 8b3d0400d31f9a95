"""Two analyses of one video on one page, such as by two model versions."""

from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from analysis import queries
from analysis.models import Analysis, State
from analysis.views import comparison
from analysis.views.access import analysis_or_404, person


@require_safe
def newest(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Beside the newest finished analysis of the same file by another model version, or else by the same one."""
    analysis = analysis_or_404(request, pk)
    if analysis.state != State.DONE:
        return redirect("analysis:detail", pk=pk)
    others = list(_others(request, analysis))
    if not others:
        return render(request, "analysis/compare_empty.html", {"analysis": analysis})
    by_another = [one for one in others if one.model_version_id != analysis.model_version_id]
    return redirect("analysis:compare_with", pk=pk, other=(by_another or others)[0].pk)


@require_safe
def pair(request: HttpRequest, pk: UUID, other: UUID) -> HttpResponse:
    """These two, side by side; 404 when they are not of the same file."""
    left, right = (analysis_or_404(request, one, reported=True) for one in (pk, other))
    if left.video_id != right.video_id or left.pk == right.pk:
        raise Http404
    for one in (left, right):
        if one.state != State.DONE:
            return redirect("analysis:detail", pk=one.pk)
    more = _others(request, left).exclude(pk=right.pk)
    context = {"analysis": left, "other": right, "comparison": comparison.of(left, right), "more": more[:10]}
    return render(request, "analysis/compare.html", context)


def _others(request: HttpRequest, analysis: Analysis) -> QuerySet[Analysis]:
    rows = queries.visible_to(person(request)).filter(video_id=analysis.video_id, state=State.DONE)
    return rows.exclude(pk=analysis.pk).defer("report").order_by("-created_at")
