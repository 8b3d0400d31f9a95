"""The pages that belong to no application: front page, the method, and what people see when something goes wrong."""

import logging
import sys
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template import loader
from django.templatetags.static import static
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from analysis import files, model_versions
from analysis.messages import Code, sentence_for
from analysis.models import ModelVersion
from deepfakesite.markdown import to_html
from detector import release
from detector.errors import DetectorError
from detector.release import Release

logger = logging.getLogger(__name__)


@login_not_required
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """What this is, what it cannot tell, and where to begin."""
    return render(request, "home.html")


@login_not_required
@require_safe
def about(request: HttpRequest) -> HttpResponse:
    """The method, and what the card of the model in use says of it."""
    installed = _release_in_use()
    context: dict[str, Any] = {"release": installed, "card": _card(installed)}
    if installed:
        context["threshold_fake_percent"] = 100 * installed.decision.threshold_fake
        context["threshold_real_percent"] = 100 * installed.decision.threshold_real
    return render(request, "about.html", context)


@login_not_required
@require_safe
def favicon(request: HttpRequest) -> HttpResponse:
    """Browsers that ask for the old name are sent to the drawing."""
    return redirect(static("img/favicon.svg"))  # not for good: its name changes with the drawing


def _release_in_use() -> Release | None:
    """The active model if its files are there, else the one that an installation begins with, else none."""
    active = ModelVersion.objects.filter(is_active=True).first()
    try:
        installed = model_versions.release_of(active) if active is not None else None
        return installed or release.default_release()
    except DetectorError as error:
        logger.warning("The page about the method shows no model: %s", error)
        return None


def _card(installed: Release | None) -> SafeString:
    """The model's card as HTML; empty where there is none."""
    try:
        return to_html(installed.card()) if installed else SafeString("")
    except OSError:
        return SafeString("")


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return render(request, "400.html", status=HTTPStatus.BAD_REQUEST)


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return render(request, "403.html", status=HTTPStatus.FORBIDDEN)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form whose token is missing or old."""
    logger.warning("Refused a form at %s: %s", request.path, reason)
    return render(request, "403_csrf.html", status=HTTPStatus.FORBIDDEN)


def page_not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return render(request, "404.html", status=HTTPStatus.NOT_FOUND)


def too_many_requests(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return render(request, "429.html", status=HTTPStatus.TOO_MANY_REQUESTS)


def server_error(request: HttpRequest, *args: Any) -> HttpResponse:
    """Drawn without the request, so that neither database nor session is needed.

    A full disk and a database that somebody else keeps locked are nobody's mistake, and get words of their own.
    """
    error = sys.exception()
    if files.is_no_room(error):
        template, status = "507.html", HTTPStatus.INSUFFICIENT_STORAGE
        if request.get_preferred_type(["text/html", "application/json"]) == "application/json":  # the upload's script
            return JsonResponse({"errors": {"video": [sentence_for(Code.DISK_FULL)]}}, status=status)
    elif isinstance(error, OperationalError) and "database is locked" in str(error):
        template, status = "503_locked.html", HTTPStatus.SERVICE_UNAVAILABLE
    else:
        template, status = "500.html", HTTPStatus.INTERNAL_SERVER_ERROR
    return HttpResponse(loader.render_to_string(template, {"static_url": settings.STATIC_URL}), status=status)
