"""Sessions that are over by themselves; what ends one at once stands in views.py and in allauth."""

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.utils import timezone


def clear_ended() -> None:
    """Removes sessions past their time, and from where and with what browser somebody had been in one that is gone."""
    Session.objects.filter(expire_date__lt=timezone.now()).delete()
    UserSession.objects.exclude(session_key__in=Session.objects.values("session_key")).delete()
