"""Databases as earlier versions left them are brought up to date without losing or changing anything."""

import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site

from tests.ops import earlier
from tests.running import environment, manage

NEW_FIELDS = {"max_queued": 7, "max_running": 2, "max_minutes_a_day": 600, "retention_days": None, "last_turn_at": None}


def program(folder: Path, *arguments: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.ops.earlier", *arguments],
        env=environment(folder, DEBUG="on", DJANGO_SETTINGS_MODULE="deepfakesite.settings"),
        cwd=site.BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def tables(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Every row of our tables, by table, in the order of their keys."""
    with closing(sqlite3.connect(folder / "unmask.sqlite3")) as connected:
        connected.row_factory = sqlite3.Row
        names = connected.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND (name LIKE 'accounts_%' OR name LIKE 'analysis_%')"
        ).fetchall()
        return {
            name: [dict(row) for row in connected.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall()]  # noqa: S608
            for (name,) in names
        }


@pytest.mark.parametrize("version", earlier.VERSIONS)
def test_an_upgrade_keeps_every_value_and_the_site_works(version: str, tmp_path: Path) -> None:
    program(tmp_path, "leave", version)
    before = tables(tmp_path)

    upgraded = manage(tmp_path, "migrate", "--noinput")

    assert upgraded.returncode == 0, upgraded.stderr
    after = tables(tmp_path)
    assert len(before["analysis_analysis"]) == 5
    for name, rows in before.items():
        kept = [{column: new[column] for column in old} for old, new in zip(rows, after[name], strict=True)]
        assert kept == rows, name
    (ann,) = (row for row in after["accounts_user"] if row["email"] == "ann@example.org")
    assert {name: ann[name] for name in NEW_FIELDS} == NEW_FIELDS
    assert json.loads(program(tmp_path, "look").splitlines()[-1]) == {
        **dict.fromkeys(("queued", "running", "done", "failed", "cancelled"), 200),
        "claimed": 1,
    }


def test_a_backup_of_an_earlier_version_is_restored_into_this_one(tmp_path: Path) -> None:
    old, new, backup = tmp_path / "old", tmp_path / "new", tmp_path / "backup"
    program(old, "leave", "first tables")
    made = manage(old, "backup", str(backup))
    assert made.returncode == 0, made.stderr
    assert "The audit trail does not tell of this backup: the database is one of an older version." in made.stderr

    restored = manage(new, "restore", str(backup))

    assert restored.returncode == 0, restored.stderr
    before, after = tables(old), tables(new)
    assert [row["email"] for row in after["accounts_user"]] == [row["email"] for row in before["accounts_user"]]
    states = {row["id"]: row["state"] for row in before["analysis_analysis"]}
    states |= {key: "queued" for key, state in states.items() if state == "running"}
    assert {row["id"]: row["state"] for row in after["analysis_analysis"]} == states


def test_an_upgrade_empties_djangos_own_log_of_the_administration(tmp_path: Path) -> None:
    program(tmp_path, "leave", "retention")
    with closing(sqlite3.connect(tmp_path / "unmask.sqlite3")) as connected, connected:
        connected.execute(
            "INSERT INTO django_admin_log (action_time, object_repr, action_flag, change_message, user_id) "
            "SELECT '2026-11-24', 'gone@example.org', 3, '', id FROM accounts_user"
        )

    upgraded = manage(tmp_path, "migrate", "--noinput")

    assert upgraded.returncode == 0, upgraded.stderr
    with closing(sqlite3.connect(tmp_path / "unmask.sqlite3")) as connected:
        assert connected.execute("SELECT COUNT(*) FROM django_admin_log").fetchone() == (0,)


def test_every_released_version_is_upgraded_here() -> None:
    changelog = (Path(site.BASE_DIR) / "CHANGELOG.md").read_text(encoding="utf-8")

    assert set(re.findall(r"^## v?(\d+\.\d+\.\d+)", changelog, re.MULTILINE)) == set(earlier.RELEASED)


@pytest.mark.parametrize("version", earlier.VERSIONS)
def test_the_migrations_of_earlier_versions_are_still_there(version: str) -> None:
    for app, name in earlier.VERSIONS[version].items():
        assert (Path(site.BASE_DIR) / app / "migrations" / f"{name}.py").is_file()
