"""What a person can do with one analysis: cancel, try again, examine once more (other frames, other model), delete."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from analysis import model_versions, services, statistics
from analysis.forms import AgainForm
from analysis.models import DEFAULT_FRAMES, MAX_FRAMES
from analysis.views.access import CHANGE, DELETE, analysis_or_404


@require_POST
def cancel(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Stops an analysis that waits or runs."""
    analysis = analysis_or_404(request, pk, to=CHANGE)
    if not services.cancel(analysis):
        messages.info(request, _("The analysis had already ended, so there was nothing to cancel."))
    return redirect("analysis:detail", pk=pk)


@require_POST
def retry(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Puts an analysis that failed or was cancelled into the queue again."""
    analysis = analysis_or_404(request, pk, to=CHANGE)
    try:
        if not services.retry(analysis):
            messages.info(request, _("There was nothing to start again: the analysis was started already, or is gone."))
    except services.Refused as refusal:
        messages.error(request, refusal.message)
    return redirect("analysis:detail", pk=pk)


@require_http_methods(["GET", "HEAD", "POST"])
def again(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The same video once more with another number of frames or model version, as an analysis of its own."""
    analysis = analysis_or_404(request, pk, to=CHANGE)
    other = MAX_FRAMES if analysis.frames_requested == DEFAULT_FRAMES else DEFAULT_FRAMES
    models = model_versions.choices()
    bound = request.POST if request.method == "POST" else None
    form = AgainForm(bound, models=models, initial={"frames": other})
    if form.is_valid():
        asked = form.cleaned_data
        try:
            return redirect("analysis:detail", pk=services.analyze_again(analysis, asked["frames"], asked["model"]).pk)
        except services.Refused as refusal:
            form.add_error("model" if refusal.code in services.MODEL_REFUSALS else None, refusal.message)
    pace = statistics.seconds_per_frame()
    context = {"analysis": analysis, "form": form, "models": models, "seconds_per_frame": pace}
    return render(request, "analysis/again.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Asks first, then deletes the analysis with everything derived from it."""
    analysis = analysis_or_404(request, pk, to=DELETE)
    if request.method == "POST":
        services.delete([analysis])
        messages.success(
            request, _("“%(name)s” was deleted with everything made from it.") % {"name": analysis.video.name}
        )
        return redirect("analysis:list")
    back = reverse("analysis:detail", args=[pk])
    return render(request, "analysis/delete.html", {"analyses": [analysis], "action": request.path, "back": back})
