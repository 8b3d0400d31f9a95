"""What allauth asks us: who may sign up, how log-ins are counted, how a code for an authenticator app is drawn."""

from typing import Any

import qrcode  # type: ignore[import-untyped]
from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.internal import ratelimit
from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings
from django.http import HttpRequest
from qrcode.image.svg import SvgPathImage  # type: ignore[import-untyped]


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """allauth's own behaviour, with sign-up that an administrator can close."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return bool(settings.ACCOUNT_SIGNUP_OPEN)

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Counts failures for an account by address, so that nobody can lock another person out from elsewhere."""
        key = super()._get_login_attempts_cache_key(request, **credentials)
        return f"{key}:{ratelimit.get_ip(request)}"


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """allauth's own behaviour, with a QR code that can stand in the page: the policy allows no data: pictures."""

    def build_totp_svg(self, url: str) -> str:
        picture = qrcode.make(url, image_factory=SvgPathImage, border=2)
        return str(picture.to_string(encoding="unicode"))
