"""People as rows: one account per e-mail address, whatever its case."""

import importlib
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection
from django.test import Client, override_settings
from django.urls import reverse

from accounts.models import DEFAULT_MAX_QUEUED, DEFAULT_MAX_STORAGE_BYTES, MAX_RETENTION_DAYS, User

pytestmark = pytest.mark.django_db


def test_addresses_are_kept_in_lower_case() -> None:
    assert User.objects.create_user("  Ann@Example.ORG ").email == "ann@example.org"


def test_an_address_is_needed() -> None:
    with pytest.raises(ValueError, match="needs an e-mail address"):
        User.objects.create_user("")


def test_a_new_person_has_quotas_and_no_rights() -> None:
    person = User.objects.create_user("ann@example.org")

    assert (person.max_queued, person.max_storage_bytes) == (DEFAULT_MAX_QUEUED, DEFAULT_MAX_STORAGE_BYTES)
    assert (person.is_active, person.is_staff, person.is_superuser) == (True, False, False)
    assert not person.has_usable_password()


def test_a_superuser_has_all_rights() -> None:
    person = User.objects.create_superuser("root@example.org", "a long enough password")

    assert (person.is_staff, person.is_superuser) == (True, True)


def test_the_database_refuses_the_same_address_in_another_case() -> None:
    User.objects.create_user("ann@example.org")

    with pytest.raises(IntegrityError):
        User(email="ANN@example.org").save()


def test_forms_are_told_of_it_in_words() -> None:
    User.objects.create_user("ann@example.org")

    with pytest.raises(ValidationError) as refusal:
        User(email="Ann@Example.org", password="x").full_clean()

    assert "There is an account with this e-mail address already." in refusal.value.messages


def test_people_are_found_in_any_case() -> None:
    person = User.objects.create_user("ann@example.org")

    assert User.objects.get_by_natural_key("ANN@example.org") == person


@pytest.mark.parametrize(("display_name", "shown"), [("Ann", "Ann"), ("", "ann@example.org")])
def test_people_are_called_by_their_name_if_they_gave_one(display_name: str, shown: str) -> None:
    person = User.objects.create_user("ann@example.org", display_name=display_name)

    assert str(person) == person.get_full_name() == person.get_short_name() == shown


def test_times_beyond_the_calendar_are_shortened_when_the_database_is_brought_up_to_date() -> None:
    upgrade = importlib.import_module("accounts.migrations.0005_most_retention_days")
    for days in (None, 7, 10_000_000):
        User.objects.create_user(f"{days}@example.org", retention_days=days)

    upgrade.shorten(apps, None)

    kept = User.objects.order_by("pk").values_list("retention_days", flat=True)
    assert list(kept) == [None, 7, MAX_RETENTION_DAYS]


@pytest.fixture
def counted_in_the_database() -> Iterator[None]:
    """The cache of a real installation, with its table made as a migration makes it."""
    cache_entries = importlib.import_module("accounts.migrations.0002_cache_entries")
    backend = {"BACKEND": "deepfakesite.json_cache.JSONDatabaseCache", "LOCATION": "cache_entries"}
    with override_settings(CACHES={"default": backend}):
        cache_entries.make_table(None, SimpleNamespace(connection=connection))
        cache_entries.make_table(None, SimpleNamespace(connection=connection))  # harmless when it is there
        yield


@pytest.mark.usefixtures("counted_in_the_database")
def test_log_ins_are_counted_in_a_table_of_the_database(client: Client) -> None:
    person = User.objects.create_user("ann@example.org", "a long enough password")
    for _ in range(5):
        client.post(reverse("account_login"), {"login": person.email, "password": "wrong"})

    response = client.post(reverse("account_login"), {"login": person.email, "password": "a long enough password"})

    assert "Too many failed login attempts" in response.content.decode()
