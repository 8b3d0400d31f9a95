"""What every page's frame needs to know."""

from django.conf import settings
from django.http import HttpRequest


def site(request: HttpRequest) -> dict[str, bool]:
    return {"signup_open": settings.ACCOUNT_SIGNUP_OPEN}
