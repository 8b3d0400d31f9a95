"""Tells browsers in which somebody has logged in to an account from those in which nobody has.

Wrong passwords for an account are counted over all addresses, so that a guesser with a thousand of them has no more
tries than one with few. That alone would let a guesser keep the owner out. So a browser in which the owner has logged
in keeps a signed cookie and is counted by itself (OWASP: "Slow Down Online Guessing Attacks with Device Cookies").
"""

import secrets
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac

from accounts.models import User, UserManager

COOKIE = "known_browser"
SALT = "accounts.known_browsers"
KEPT_FOR_S = 365 * 24 * 3600
MAX_PEOPLE = 5  # of one browser; the latest
_NOTED = "_unmask_logged_in"

GetResponse = Callable[[HttpRequest], HttpResponse]


def bucket(request: HttpRequest, login: str) -> str:
    """What wrong passwords for this account are counted under: this browser if it is known to it, else the account."""
    mark = _mark(login)
    nonce = _people(request).get(mark)
    return f"browser:{mark}:{nonce}" if nonce else f"account:{mark}"


def note(request: HttpRequest | None, user: User) -> None:
    """Remembers that the account's owner has proved who they are; the middleware sends the cookie."""
    if request is not None:
        setattr(request, _NOTED, user)


def known_browser(get_response: GetResponse) -> GetResponse:
    """Sends the cookie along with the answer to a log-in or to a new password from a link."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        user = getattr(request, _NOTED, None)
        if user is not None:
            people = _people(request)
            mark = _mark(user.email)
            nonce = people.pop(mark, None) or secrets.token_urlsafe(12)
            latest = dict([*people.items(), (mark, nonce)][-MAX_PEOPLE:])
            response.set_cookie(
                COOKIE,
                signing.dumps(latest, salt=SALT),
                max_age=KEPT_FOR_S,
                path="/accounts/",
                secure=settings.SESSION_COOKIE_SECURE,
                httponly=True,
                samesite="Lax",
            )
        return response

    return middleware


def _people(request: HttpRequest) -> dict[str, str]:
    """The accounts that are known here, each with this browser's number; none where the cookie is not ours or old."""
    try:
        people: Any = signing.loads(request.COOKIES.get(COOKIE, ""), salt=SALT, max_age=KEPT_FOR_S)
    except signing.BadSignature:
        return {}
    return people if isinstance(people, dict) else {}


def _mark(login: str) -> str:
    """Stands for an e-mail address and does not tell it."""
    return salted_hmac(SALT, UserManager.normalize_email(login)).hexdigest()[:16]
