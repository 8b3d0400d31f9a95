"""What allauth asks us: who may sign up, how log-ins are counted, how a code for an authenticator app is drawn."""

from functools import partial
from typing import Any

import qrcode  # type: ignore[import-untyped]
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from allauth.core.internal import ratelimit
from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext as _
from qrcode.image.svg import SvgPathImage  # type: ignore[import-untyped]

from accounts import addresses, known_browsers, names
from accounts.models import User


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """allauth's own behaviour, with sign-up that an administrator can close, and guessing that is slowed down more.

    Wrong passwords are counted three times over (settings.ACCOUNT_RATE_LIMITS): for an account from one address, so
    that nobody locks others out from elsewhere; from one address, whatever the account; and for an account from
    wherever, by browsers that are strange to it. allauth counts addresses together with the first, and forgets both
    when somebody enters the code of a second factor, for which a guesser's own account would do.
    """

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return bool(settings.ACCOUNT_SIGNUP_OPEN)

    def clean_email(self, email: str) -> str:
        """Refuses what an address cannot hold and a page would show wrongly."""
        if not names.is_plain(email):
            raise ValidationError(_("Enter a valid email address."), code="invalid")
        return str(super().clean_email(email))

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        """allauth's own; an account that has no primary address yet does not get one that another logs in with."""
        try:
            with addresses.kept_apart(request, email_address.user):
                return bool(super().confirm_email(request, email_address))
        except addresses.BelongsToAnother:
            return False

    def send_notification_mail(self, *args: Any, **kwargs: Any) -> None:
        """Sent once what it tells of is committed, which may yet be taken back."""
        transaction.on_commit(partial(super().send_notification_mail, *args, **kwargs))

    def get_client_ip(self, request: HttpRequest) -> str:
        """Where the request came from; PermissionDenied when it came past one of our proxies, which all say."""
        try:
            return str(super().get_client_ip(request))
        except ImproperlyConfigured as error:  # fewer addresses in X-Forwarded-For than there are proxies
            raise PermissionDenied(str(error)) from error

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        super().pre_authenticate(request, **credentials)
        for action, key in (("guessed_from", None), ("guessed_at", self._account_key(request, **credentials))):
            used = ratelimit.consume(request, app="allauth.account", action=action, key=key)
            if used is None:
                raise self.validation_error("too_many_login_attempts")
            self._login_failed_rl_usage.usage += used.usage  # taken back when the password was right

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        key = super()._get_login_attempts_cache_key(request, **credentials)
        return f"{key}:{ratelimit.get_ip(request)}"

    def _account_key(self, request: HttpRequest, **credentials: Any) -> str:
        return known_browsers.bucket(request, credentials.get("email") or credentials.get("username") or "")

    def _delete_login_attempts_cached_email(self, request: HttpRequest, **credentials: Any) -> None:
        """Called when a password was reset by mail: its owner has a new one that nobody has guessed at yet."""
        super()._delete_login_attempts_cached_email(request, **credentials)
        key = self._account_key(request, **credentials)
        ratelimit.clear(request, app="allauth.account", action="guessed_at", key=key)


def forgive_codes(request: HttpRequest, user: User) -> None:
    """Forgets wrong codes of a second factor: whoever entered them knew a password that has been reset now."""
    ratelimit.clear(request, app="allauth.account", action="login_failed", key=f"mfa-auth-user-{user.pk}")


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """allauth's own behaviour, with a QR code that can stand in the page: the policy allows no data: pictures."""

    def build_totp_svg(self, url: str) -> str:
        picture = qrcode.make(url, image_factory=SvgPathImage, border=2)
        return str(picture.to_string(encoding="unicode"))
