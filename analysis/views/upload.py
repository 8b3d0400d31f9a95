"""Sending a new video: a plain form that works by itself, the same answers as JSON for the script that sends it."""

from http import HTTPStatus

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from analysis import quotas, retention, services, statistics, uploads
from analysis.forms import UploadForm
from analysis.messages import Code, limit_words
from analysis.models import Analysis
from analysis.views.access import person


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """The upload page; a refusal comes back at the field with what the form held."""
    form = UploadForm(request.POST, request.FILES) if request.method == "POST" else UploadForm()
    status = HTTPStatus.OK
    if form.is_bound:
        analysis = _submit(request, form)
        if analysis is not None:
            return _accepted(request, analysis)
        if form.has_error("video", Code.DISK_FULL):
            status = HTTPStatus.INSUFFICIENT_STORAGE
        elif form.has_error("video", Code.STORAGE_DOWN):
            status = HTTPStatus.SERVICE_UNAVAILABLE
        if _wants_json(request):
            return JsonResponse({"errors": form.errors}, status=max(status, HTTPStatus.UNPROCESSABLE_ENTITY))
    context = {
        "form": form,
        "seconds_per_frame": statistics.seconds_per_frame(),
        "max_upload_bytes": settings.UNMASK.max_upload_bytes,
        "refusal": quotas.why_not_now(person(request)),
        "retention_days": retention.days_of(person(request)),
        "max_duration": limit_words(settings.UNMASK.max_duration_s),
    }
    return render(request, "analysis/new.html", context, status=status)


def _submit(request: HttpRequest, form: UploadForm) -> Analysis | None:
    if uploads.had_no_room(request):
        form.errors["video"] = form.error_class()
        _refuse(form, services.Refused(Code.DISK_FULL))
        return None
    if not form.is_valid():
        return None
    try:
        return services.submit(person(request), form.cleaned_data["video"], form.cleaned_data["frames"])
    except services.Refused as refusal:
        _refuse(form, refusal)
        return None


def _refuse(form: UploadForm, refusal: services.Refused) -> None:
    form.add_error("video", ValidationError(refusal.message, code=refusal.code))


def _accepted(request: HttpRequest, analysis: Analysis) -> HttpResponse:
    if analysis.video.analyses.exclude(pk=analysis.pk).exists():
        messages.info(
            request, _("You had this very file examined before; the earlier results are linked on this page.")
        )
    address = reverse("analysis:detail", args=[analysis.pk])
    if _wants_json(request):
        return JsonResponse({"location": address}, status=HTTPStatus.CREATED)
    return redirect(address)


def _wants_json(request: HttpRequest) -> bool:
    return request.get_preferred_type(["text/html", "application/json"]) == "application/json"
