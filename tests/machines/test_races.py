"""No two of the verbs that change rows lock each other out, break the database's rules or lose what they promised."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.machines.servers import Database, certificates
from tests.running import ROOT, environment, manage


@pytest.fixture(scope="module")
def met() -> list[dict[str, Any]]:
    """What came of each pair, on a PostgreSQL of their own."""
    with tempfile.TemporaryDirectory(prefix="unmask-races-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)  # the server is another user
        database = Database(folder / "postgres", certificates(folder))
        database.start()
        try:
            variables = {"DATABASE_URL": database.url(), "DJANGO_SETTINGS_MODULE": "deepfakesite.settings"}
            assert manage(folder, "migrate", **variables).returncode == 0
            done = subprocess.run(
                [sys.executable, "-m", "tests.machines.races"],
                env=environment(folder, **variables),
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
                timeout=600,
            )
        finally:
            database.end()
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_nobody_waits_for_somebody_who_waits_for_them(met: list[dict[str, Any]]) -> None:
    assert len(met) == 55
    assert [pair for pair in met if any(isinstance(answer, str | None) for answer in pair["answers"])] == []


def test_every_verb_did_what_it_does_in_some_pair(met: list[dict[str, Any]]) -> None:
    done = {verb for pair in met for verb, answer in zip(pair["verbs"], pair["answers"], strict=True) if answer}

    assert done == {verb for pair in met for verb in pair["verbs"]}


def test_what_was_started_again_is_there(met: list[dict[str, Any]]) -> None:
    kept = [pair for pair in met if "retry" in pair["verbs"] and "prune" in pair["verbs"]]
    assert kept
    for pair in kept:
        is_retried = pair["answers"][pair["verbs"].index("retry")]
        assert (pair["left"] is not None) == is_retried, pair
