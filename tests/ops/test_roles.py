"""``manage.py up --only``: what one of several machines needs before it starts, and what it waits for."""

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from analysis import tasks
from deepfakesite.management.commands import up


@pytest.mark.django_db
def test_one_part_alone_names_what_the_machines_must_share(settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    settings.OWN_QUEUE_URL = settings.REDIS_URL
    settings.STORAGE_URL = ""

    with pytest.raises(CommandError) as raised:
        call_command("up", only="worker")

    for name in ("--only worker", "DATABASE_URL", "REDIS_URL", "STORAGE_URL", ".env.example"):
        assert name in str(raised.value)
    assert not (tmp_path / "up.lock").exists()


def test_a_part_that_is_none_is_refused() -> None:
    with pytest.raises(CommandError, match="give web, worker or both"):
        call_command("up", "--only", "queue")


@pytest.mark.django_db
def test_a_worker_waits_for_the_migrations() -> None:
    assert up.database_is_not_ready() is None

    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'analysis'")

    assert up.database_is_not_ready() == "The database is not up to date yet."


@pytest.mark.django_db
def test_waiting_for_the_database_ends_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(up, "DATABASE_PATIENCE_S", 0.0)
    monkeypatch.setattr(up, "database_is_not_ready", lambda: "The database is not up to date yet.")

    with pytest.raises(CommandError, match=r"not up to date yet\. Start the machine that serves"):
        up.Command()._await_database()


def test_workers_of_one_host_name_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_worker_mark", "")
    tasks.mark_worker("0123456789abcdef")
    one = tasks.worker_name(7)
    tasks.mark_worker("fedcba9876543210")

    assert one != tasks.worker_name(7)
    assert one.rpartition(":")[2] == "7"
