"""/healthz without a log-in: 200 only when all three answer, else 503 with the ones that do not."""

import json

import pytest
from django.test import Client

from deepfakesite import vitals


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("database", "queue", "workers", "expected"),
    [
        (True, True, 1, (200, {"status": "ok", "database": True, "queue": True, "worker": True})),
        (False, True, 1, (503, {"status": "failing", "database": False, "queue": True, "worker": True})),
        (True, False, 1, (503, {"status": "failing", "database": True, "queue": False, "worker": False})),
        (True, True, 0, (503, {"status": "failing", "database": True, "queue": True, "worker": False})),
    ],
)
def test_the_answer_says_what_fails(
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    database: bool,
    queue: bool,
    workers: int,
    expected: tuple[int, dict[str, object]],
) -> None:
    monkeypatch.setattr(vitals, "database_answers", lambda: database)
    monkeypatch.setattr(vitals, "queue_answers", lambda: queue)
    monkeypatch.setattr(vitals, "living_workers", lambda: workers)

    response = client.get("/healthz")

    assert (response.status_code, json.loads(response.content)) == expected
    assert "no-store" in response["Cache-Control"]


def test_only_reading_is_allowed(client: Client) -> None:
    assert client.post("/healthz").status_code == 405
