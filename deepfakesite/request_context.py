"""Notes for the trail and the logs who asks for what: an id for each request, the network it came from, the person."""

import re
import secrets
from http import HTTPStatus

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils.functional import LazyObject, empty
from django.utils.log import log_response

from audit import context, trail
from deepfakesite.middleware import GetResponse

HEADER = "X-Request-ID"
_ACCEPTABLE = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)


def request_context(get_response: GetResponse) -> GetResponse:
    """Binds the context around each request, and tells the request's id in the answer."""

    def middleware(request: HttpRequest) -> HttpResponse:
        request_id = _request_id(request)
        with context.bind(request_id=request_id, network=_network(request), person=lambda: known_person(request)):
            response = get_response(request)
            if response.status_code >= HTTPStatus.BAD_REQUEST:  # as Django would, but later and without the context
                log_response("%s: %s", response.reason_phrase, request.path, response=response, request=request)
        response.headers[HEADER] = request_id
        return response

    return middleware


def known_person(request: HttpRequest) -> int | None:
    """The key of whoever is logged in, if anything has asked for them yet; asks neither session nor database."""
    user = request.__dict__.get("user")
    if user is None or (isinstance(user, LazyObject) and user._wrapped is empty):
        return None
    return getattr(user, "pk", None)


def _request_id(request: HttpRequest) -> str:
    """The one that our own proxy gave, so that its log and ours can be laid side by side, or a new one."""
    given = request.headers.get(HEADER, "") if settings.ALLAUTH_TRUSTED_PROXY_COUNT else ""
    return given if _ACCEPTABLE.fullmatch(given) else secrets.token_hex(8)


def _network(request: HttpRequest) -> str:
    try:
        return trail.network_of(get_adapter().get_client_ip(request))
    except PermissionDenied:  # allauth finds fewer proxies in X-Forwarded-For than there are said to be
        return ""
