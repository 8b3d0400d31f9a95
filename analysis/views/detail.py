"""One analysis: while it waits or runs, when it stopped, and its result; the same as JSON for programs."""

from http import HTTPStatus
from uuid import UUID

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.text import slugify
from django.views.decorators.http import require_safe
from django_htmx.http import HttpResponseStopPolling

from analysis import queries, services, turns
from analysis.messages import sentence_for
from analysis.models import Analysis, State
from analysis.views import evidence, waiting
from analysis.views.access import analysis_or_404, person, standing_or_404


@require_safe
def detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The page of an analysis, whatever its state."""
    analysis = analysis_or_404(request, pk, reported=True)
    context = {"analysis": analysis, "others": _others(request, analysis)}
    if analysis.state == State.DONE:
        stored = evidence.report_of(analysis)
        if stored is None:
            return render(request, "analysis/other_version.html", context)
        return render(request, "analysis/result.html", {**context, **evidence.context_of(analysis, stored)})
    if analysis.is_final:
        return render(request, "analysis/stopped.html", {**context, "sentence": _sentence(analysis)})
    return render(request, "analysis/progress.html", {**context, "progress": waiting.progress_of(analysis)})


@require_safe
def progress(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The part of the page that htmx asks for again and again; status 286 and a reload once the state is final."""
    analysis = standing_or_404(request, pk)
    if analysis.is_final:
        response = HttpResponseStopPolling()
        response.headers["HX-Refresh"] = "true"
        return response
    context = {"analysis": analysis, "progress": waiting.progress_of(analysis)}
    return render(request, "analysis/_progress.html", context)


@login_not_required  # programs without a session get 404, as strangers do
@require_safe
def status(request: HttpRequest, pk: UUID) -> JsonResponse:
    """Where the analysis stands."""
    analysis = standing_or_404(request, pk)
    return JsonResponse(
        {
            "id": str(analysis.pk),
            "state": analysis.state,
            "stage": analysis.stage or None,
            "share": analysis.share,
            "queue_position": turns.place_of(analysis),
            "seconds_left": queries.seconds_left(analysis),
            "error_code": analysis.error_code or None,
            "error": _sentence(analysis) or None,
            "verdict": analysis.verdict or None,
        }
    )


@login_not_required
@require_safe
def report(request: HttpRequest, pk: UUID) -> JsonResponse:
    """The detector's whole report, as the command line prints it; with ``?download`` as a file."""
    analysis = analysis_or_404(request, pk, reported=True)
    if analysis.state != State.DONE or analysis.report is None:
        raise Http404
    response = JsonResponse(analysis.report, status=HTTPStatus.OK, json_dumps_params={"indent": 2})
    if "download" in request.GET:
        services.note_download(analysis)
        name = slugify(analysis.video.name.rpartition(".")[0])[:80] or "video"
        response.headers["Content-Disposition"] = f'attachment; filename="{name}-report.json"'
    return response


def _sentence(analysis: Analysis) -> str:
    return sentence_for(analysis.error_code) if analysis.state == State.FAILED else ""


def _others(request: HttpRequest, analysis: Analysis) -> list[Analysis]:
    """Other analyses of the same file, newest first."""
    rows = queries.visible_to(person(request)).filter(video_id=analysis.video_id).exclude(pk=analysis.pk)
    rows = rows.defer("report")  # which may be large and is not shown
    return list(rows.order_by("-created_at")[:10])
