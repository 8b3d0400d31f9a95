"""What happens to every request beside Django's own: bodies limited, a queue down, what browsers use and keep."""

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import BadRequest, ImproperlyConfigured, PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers
from django_htmx.http import HttpResponseClientRedirect
from redis.exceptions import ConnectionError as QueueConnectionError
from redis.exceptions import TimeoutError as QueueTimeoutError
from rq.exceptions import InvalidJobOperation, NoSuchJobError

from analysis.files import StorageDown

logger = logging.getLogger(__name__)

# The parts of a multipart body beside the file: boundaries, field names, the other fields.
MULTIPART_OVERHEAD_BYTES = 1024 * 1024
# How django_rq's pages fail for what is not there (any more): a job, a job that failed, a worker, a queue, a scheduler.
_NOT_THERE = (NoSuchJobError, InvalidJobOperation, AssertionError, ValueError, IndexError, ImproperlyConfigured)
PERMISSIONS_POLICY = "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()"

GetResponse = Callable[[HttpRequest], HttpResponse]


def permissions_policy(get_response: GetResponse) -> GetResponse:
    """Tells browsers that no page of this site uses the camera, the microphone or the like."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        return response

    return middleware


def kept_by_no_browser(get_response: GetResponse) -> GetResponse:
    """Lets no browser keep what it was shown with a session, so that nobody finds it by Back after the log-out.

    Answers that say themselves how long they may be kept, such as files (analysis/media.py), are left alone. The cookie
    is what counts and not the person: an error must be told without the database.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if settings.SESSION_COOKIE_NAME in request.COOKIES and not response.has_header("Cache-Control"):
            add_never_cache_headers(response)
        return response

    return middleware


class LoginMiddleware(LoginRequiredMiddleware):
    """Django's own, except that a page whose session has ended goes to the log-in as a whole.

    Otherwise htmx would follow the redirect and put the log-in into the middle of the page.
    """

    def handle_no_permission(  # type: ignore[override]
        self, request: HttpRequest, view_func: Callable[..., HttpResponseBase]
    ) -> HttpResponseBase:
        htmx = getattr(request, "htmx", None)
        if not htmx:
            return super().handle_no_permission(request, view_func)
        address = redirect_to_login(htmx.current_url_abs_path or "/", self.get_login_url(view_func)).url
        return HttpResponseClientRedirect(address)


class _Transparent:
    """Hands every request on; what a middleware does stands in its other hooks."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)


class OutageMiddleware(_Transparent):
    """Says that the queue, or the storage, does not answer where a page cannot do without it.

    The queue's own pages fail, too, for a job or a worker that is not there any more; that is a 404 and no mistake of
    the site.
    """

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, StorageDown):
            logger.error("The storage does not answer at %s: %s", request.path, exception)
            return render(request, "503-storage.html", status=HTTPStatus.SERVICE_UNAVAILABLE)
        if not isinstance(exception, QueueConnectionError | QueueTimeoutError):
            match = request.resolver_match
            if match and _is_of_the_queue(match.func) and isinstance(exception, _NOT_THERE):
                return render(request, "404.html", status=HTTPStatus.NOT_FOUND)
            return None
        logger.error("The queue does not answer at %s.", request.path, exc_info=exception)
        return render(request, "503.html", status=HTTPStatus.SERVICE_UNAVAILABLE)


class QueuePermissionMiddleware(_Transparent):
    """The queue's own pages ask for nothing but a member of staff; here they ask for a permission as well.

    What they show and do is about analyses, so the administration's permissions for those are what counts.
    """

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        if not _is_of_the_queue(view):
            return
        needed = "analysis.view_analysis" if request.method in {"GET", "HEAD"} else "analysis.change_analysis"
        if not (request.user.is_staff and request.user.has_perm(needed)):
            raise PermissionDenied


class BodyLimitMiddleware(_Transparent):
    """Answers 413 by the announced length, before anything reads the body.

    Only settings.UPLOAD_VIEWS may take a video; every other address takes a form's worth. A body without a
    Content-Length is not read at all under WSGI.
    """

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        limit = settings.MAX_FORM_BYTES
        if request.resolver_match and request.resolver_match.view_name in settings.UPLOAD_VIEWS:
            limit = settings.UNMASK.max_upload_bytes + MULTIPART_OVERHEAD_BYTES
        if _content_length(request) <= limit:
            return None
        too_large = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        return render(request, "413.html", {"max_bytes": settings.UNMASK.max_upload_bytes}, status=too_large)


def _is_of_the_queue(view: Callable[..., Any]) -> bool:
    return view.__module__.startswith("django_rq.")


def _content_length(request: HttpRequest) -> int:
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError as error:
        raise BadRequest("The Content-Length is not a number.") from error
