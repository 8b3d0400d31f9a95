"""Log-ins, passwords, addresses and second factors, as Django and allauth tell of them.

All are told to the audit trail; a log-in and a reset password make a browser known (known_browsers.py).
"""

from typing import Any

from allauth.account import signals as account_signals
from allauth.mfa import signals as mfa_signals
from django.contrib.auth import signals as auth_signals
from django.http import HttpRequest

from accounts import known_browsers
from accounts.adapter import forgive_codes
from accounts.models import User
from audit import trail
from audit.models import Action

_OF_A_PERSON = {
    auth_signals.user_logged_in: Action.LOGGED_IN,
    auth_signals.user_logged_out: Action.LOGGED_OUT,
    account_signals.user_signed_up: Action.PERSON_ADDED,
    account_signals.password_changed: Action.PASSWORD_CHANGED,
    account_signals.password_set: Action.PASSWORD_CHANGED,
    account_signals.password_reset: Action.PASSWORD_CHANGED,
    account_signals.email_added: Action.ADDRESS_CHANGED,
    account_signals.email_changed: Action.ADDRESS_CHANGED,
    account_signals.email_removed: Action.ADDRESS_CHANGED,
    mfa_signals.authenticator_added: Action.SECOND_FACTOR_ADDED,
    mfa_signals.authenticator_removed: Action.SECOND_FACTOR_REMOVED,
    mfa_signals.authenticator_reset: Action.SECOND_FACTOR_ADDED,
    mfa_signals.authentication_failed: Action.LOG_IN_FAILED,
}
_MORE: dict[Any, dict[str, Any]] = {
    account_signals.email_added: {"change": "added"},
    account_signals.email_removed: {"change": "removed"},
    mfa_signals.authenticator_reset: {"change": "recovery codes made anew"},
}


def connect() -> None:
    """Called once, when the application is ready."""
    for signal in _OF_A_PERSON:
        signal.connect(_note, dispatch_uid=f"audit {id(signal)}")
    auth_signals.user_login_failed.connect(_note_failure, dispatch_uid="audit user_login_failed")
    auth_signals.user_logged_in.connect(_know_browser, dispatch_uid="known browser")
    account_signals.password_reset.connect(_start_afresh, dispatch_uid="password reset")


def _note(signal: Any, user: User | None = None, **_others: Any) -> None:
    if user is not None and user.pk is not None:
        trail.record(_OF_A_PERSON[signal], "person", user.pk, owner_id=user.pk, **_MORE.get(signal, {}))


def _know_browser(request: HttpRequest | None, user: User, **_others: Any) -> None:
    known_browsers.note(request, user)


def _start_afresh(request: HttpRequest, user: User, **_others: Any) -> None:
    """Who has reset a password by mail is the owner: whoever guessed at the account must not keep them out."""
    known_browsers.note(request, user)
    forgive_codes(request, user)


def _note_failure(credentials: dict[str, Any], **_others: Any) -> None:
    """Whose account it was, where there is one. What was typed may be anything, a password even, and is not kept."""
    email = str(credentials.get("email") or credentials.get("username") or "")
    person = User.objects.filter(email__iexact=email).first() if email else None
    pk = person.pk if person is not None else None
    trail.record(Action.LOG_IN_FAILED, "person", pk or "", owner_id=pk)
