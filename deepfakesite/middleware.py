"""What happens to every request beside Django's own: a size limit on bodies, and what the browser may not use."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

# The parts of a multipart body beside the file: boundaries, field names, the other fields.
MULTIPART_OVERHEAD_BYTES = 1024 * 1024
PERMISSIONS_POLICY = "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()"

GetResponse = Callable[[HttpRequest], HttpResponse]


def permissions_policy(get_response: GetResponse) -> GetResponse:
    """Tells browsers that no page of this site uses the camera, the microphone or the like."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        return response

    return middleware


class BodyLimitMiddleware:
    """Answers 413 by the announced length, before anything reads the body.

    Only settings.UPLOAD_VIEWS may take a video; every other address takes a form's worth. A body without a
    Content-Length is not read at all under WSGI.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        limit = settings.MAX_FORM_BYTES
        if request.resolver_match and request.resolver_match.view_name in settings.UPLOAD_VIEWS:
            limit = settings.UNMASK.max_upload_bytes + MULTIPART_OVERHEAD_BYTES
        if _content_length(request) <= limit:
            return None
        response = TemplateResponse(request, "413.html", {"max_bytes": settings.UNMASK.max_upload_bytes}, status=413)
        response.headers["Connection"] = "close"  # the rest of the body is not wanted
        return response.render()


def _content_length(request: HttpRequest) -> int:
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError as error:
        raise BadRequest("The Content-Length is not a number.") from error
