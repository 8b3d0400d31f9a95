"""Leaves an installation as an earlier version would have: its schema, filled with rows; started as a program by tests.

The migrations are the source: the database is brought to where that version's end, and filled through the models as
they were then. Whoever releases a version adds a line to RELEASED (docs/operations.md, "Upgrades").
"""

import json
import sys
import uuid
from datetime import UTC, datetime
from typing import Any

import django

# Of each released version, the last migrations of the applications that are ours. No version has been released yet; the
# others are the databases that installations made from the repository may have.
RELEASED: dict[str, dict[str, str]] = {}
BEFORE_THE_FIRST_RELEASE = {
    "first tables": {"accounts": "0002_cache_entries", "analysis": "0001_initial"},
    "chosen models": {"accounts": "0002_cache_entries", "analysis": "0002_model_requested"},
    "configurations": {"accounts": "0002_cache_entries", "analysis": "0003_model_configuration"},
    "quotas": {"accounts": "0003_quotas", "analysis": "0004_examined_length"},
    "retention": {"accounts": "0004_retention", "analysis": "0004_examined_length", "audit": "0001_initial"},
}
VERSIONS = {**BEFORE_THE_FIRST_RELEASE, **RELEASED}
OURS = ("accounts", "analysis", "audit")
PASSWORD = "correct horse battery staple"
THEN = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def leave(version: str) -> None:
    """Migrates an empty database to where ``version`` ended, and fills it."""
    from django.core.management import call_command
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    targets = VERSIONS[version]
    for app, name in targets.items():
        call_command("migrate", app, name, verbosity=0)
    executor = MigrationExecutor(connection)
    others = [(app, name) for app, name in executor.loader.graph.leaf_nodes() if app not in OURS]
    executor.migrate(others)
    state = MigrationExecutor(connection).loader.project_state([*targets.items()])
    fill(state.apps)


def fill(apps: Any) -> None:
    """Two people and an analysis in every state, one with everything that can be found; through the models of then."""
    from django.contrib.auth.hashers import make_password

    def make(model: str, **values: Any) -> Any:
        kind = apps.get_model(model)
        known = {field.name for field in kind._meta.get_fields()}
        return kind.objects.create(**{name: value for name, value in values.items() if name in known})

    ann = make(
        "accounts.User", email="ann@example.org", display_name="Ann", password=make_password(PASSWORD), max_queued=7
    )
    bob = make("accounts.User", email="bob@example.org", password=make_password(PASSWORD), is_staff=True)
    judge = make("analysis.ModelVersion", name="test", version="1", sha256="cd" * 32, config_sha256="", is_active=True)
    states = {
        "queued": {},
        "running": {"started_at": THEN, "lease_expires_at": THEN, "heartbeat_at": THEN, "worker": "then:1"},
        "done": {
            "started_at": THEN,
            "finished_at": THEN,
            "verdict": "FAKE",
            "probability_fake": 0.97,
            "confidence": 0.97,
            "share": 1.0,
            "report": {"verdict": "FAKE", "timings_s": {"total": 4.0}},
            "model_version": judge,
            "model_requested": judge,
        },
        "failed": {"finished_at": THEN, "error_code": "too_long", "error_detail": "71 minutes"},
        "cancelled": {"finished_at": THEN},
    }
    for number, (state, values) in enumerate(states.items(), start=1):
        key = uuid.UUID(int=number)
        video = make(
            "analysis.Video",
            id=key,
            owner=bob if state == "cancelled" else ann,
            name=f"„{state}“.mp4",
            file=f"videos/{key}/original",
            poster=f"videos/{key}/poster.jpg",
            sha256=f"{number:064x}",
            size_bytes=5_000_000_000,
            container="mov,mp4",
            codec="h264",
            width=640,
            height=360,
            duration_s=10.5,
            frame_rate=25.0,
        )
        make(
            "analysis.Analysis",
            id=key,
            video=video,
            state=state,
            queued_at=THEN,
            attempt=number,
            frames_requested=60,
            **values,
        )
    done = apps.get_model("analysis.Analysis").objects.get(state="done")
    make("analysis.AnnotatedFrame", analysis=done, index=0, time_s=0.5, picture=f"analyses/{done.pk}/3-a/frame.jpg")
    track = make(
        "analysis.FaceTrack",
        analysis=done,
        index=0,
        verdict="FAKE",
        probability_fake=0.97,
        confidence=0.97,
        reasons=["too_few_frames"],
        first_s=0.0,
        last_s=2.0,
    )
    make(
        "analysis.FaceSample",
        track=track,
        frame_index=0,
        time_s=0.5,
        x0=-1,
        y0=2,
        x1=3,
        y1=4,
        probability_fake=0.9,
        face_px=100,
        sharpness=250.0,
        usable=True,
        crop=f"analyses/{done.pk}/3-a/crop.jpg",
        heatmap=f"analyses/{done.pk}/3-a/heatmap.jpg",
    )


def look() -> dict[str, int]:
    """Logs in and opens every analysis, as a person with an account of then; status codes by state."""
    from django.conf import settings
    from django.test import Client
    from django.urls import reverse

    from analysis import lifecycle
    from analysis.models import Analysis

    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    client = Client()
    client.post(reverse("account_login"), {"login": "bob@example.org", "password": PASSWORD})
    seen = {
        row.state: client.get(reverse("analysis:detail", args=[row.pk])).status_code for row in Analysis.objects.all()
    }
    claimed = lifecycle.claim_next("now:1")
    return {**seen, "claimed": claimed.pk.int if claimed else 0}


def main() -> None:
    django.setup()
    if sys.argv[1] == "leave":
        leave(sys.argv[2])
    else:
        print(json.dumps(look()))


if __name__ == "__main__":
    main()
