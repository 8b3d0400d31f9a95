"""Sessions that are over go, and with them from where somebody had logged in."""

import threading
from datetime import timedelta
from io import StringIO

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import connections
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import sessions
from accounts.models import User
from analysis import services
from deepfakesite.management.commands import up
from tests.analysis.builders import PASSWORD, make_user

pytestmark = pytest.mark.django_db


def logged_in(person: User) -> Client:
    client = Client()
    client.post(reverse("account_login"), {"login": person.email, "password": PASSWORD})
    return client


def outdate(client: Client) -> None:
    past = timezone.now() - timedelta(seconds=1)
    Session.objects.filter(session_key=client.session.session_key).update(expire_date=past)


def is_in(client: Client) -> bool:
    return client.get(reverse("analysis:list")).status_code == 200


def test_what_is_over_goes_and_nobody_else_is_logged_out() -> None:
    person = make_user()
    old, current, of_another = logged_in(person), logged_in(person), logged_in(make_user())
    outdate(old)

    sessions.clear_ended()

    kept = {client.session.session_key for client in (current, of_another)}
    assert set(Session.objects.values_list("session_key", flat=True)) == kept
    assert set(UserSession.objects.values_list("session_key", flat=True)) == kept
    assert [is_in(client) for client in (old, current, of_another)] == [False, True, True]


def test_an_address_goes_though_its_session_went_before() -> None:
    client = logged_in(make_user())
    Session.objects.all().delete()

    sessions.clear_ended()

    assert not UserSession.objects.exists()
    assert not is_in(client)


def test_the_command_clears_them_unless_it_only_says_what_it_would_do() -> None:
    outdate(logged_in(make_user()))

    call_command("prune", dry_run=True, stdout=StringIO())
    assert (Session.objects.count(), UserSession.objects.count()) == (1, 1)
    call_command("prune", stdout=StringIO())
    assert (Session.objects.count(), UserSession.objects.count()) == (0, 0)


def test_the_supervisor_clears_them(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()
    outdate(logged_in(make_user()))
    monkeypatch.setattr(services, "prune", stop.set)
    monkeypatch.setattr(connections, "close_all", lambda: None)

    up.prune_until(stop)

    assert (Session.objects.count(), UserSession.objects.count()) == (0, 0)
