"""Logs: one JSON object a line when that is asked for; it tells whose request or analysis it is, and nobody's name."""

import dataclasses
import io
import json
import logging
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site
from django.core.exceptions import ImproperlyConfigured
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from analysis import inspection, leases, lifecycle, tasks
from analysis.models import State
from audit import context
from deepfakesite import rq_worker
from deepfakesite.logs import JsonFormatter
from detector.errors import DetectorError, ErrorCode
from tests.analysis.builders import PASSWORD, make_analysis, make_user
from tests.running import manage, running_site


@pytest.fixture
def lines() -> Iterator["Lines"]:
    """What is logged, as JSON."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield Lines(stream)
    root.removeHandler(handler)
    root.setLevel(level)


class Lines:
    def __init__(self, stream: io.StringIO) -> None:
        self._stream = stream

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    def read(self, logger: str) -> list[dict[str, Any]]:
        found = [json.loads(line) for line in self.text.splitlines()]
        return [values for values in found if values["logger"].startswith(logger)]


def test_a_line_is_one_object_whatever_is_said(lines: Lines) -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("tests").exception("“What” was\nsaid: %s", {"a": 1})

    (values,) = lines.read("tests")
    assert values["message"] == "“What” was\nsaid: {'a': 1}"
    assert values["level"] == "ERROR"
    assert values["time"].endswith("+00:00")
    assert values["exception"].endswith("ValueError: two\nlines")
    assert "request_id" not in values


def test_what_is_bound_is_told_and_no_longer_afterwards(lines: Lines) -> None:
    logger = logging.getLogger("tests")
    with context.bind(request_id="r1", person=lambda: 7):
        with context.bind(analysis_id="a1", attempt=2):
            logger.info("inner")
        logger.info("outer")
    logger.info("after")

    keys = ("request_id", "user_id", "analysis_id", "attempt")
    assert [[values.get(key) for key in keys] for values in lines.read("tests")] == [
        ["r1", 7, "a1", 2],
        ["r1", 7, None, None],
        [None, None, None, None],
    ]


@pytest.mark.django_db
class TestRequests:
    def test_a_line_tells_the_request_and_the_person(self, client: Client, lines: Lines) -> None:
        person = make_user()
        client.force_login(person)

        response = client.get("/analyses/00000000-0000-0000-0000-000000000000/")

        (values,) = lines.read("django.request")
        assert (values["status"], values["user_id"]) == (404, person.pk)
        assert values["request_id"] == response.headers["X-Request-ID"]

    def test_each_request_has_an_id_of_its_own(self, client: Client) -> None:
        given = {"X-Request-ID": "given-by-a-stranger"}
        ids = {client.get(reverse("home"), headers=given).headers["X-Request-ID"] for _number in range(3)}

        assert len(ids) == 3
        assert "given-by-a-stranger" not in ids

    @pytest.mark.parametrize(
        ("given", "taken"),
        [("proxy-0123456789", True), ("short", False), ("bad id with spaces", False), ("x" * 65, False)],
    )
    def test_our_own_proxys_id_is_taken_when_it_is_one(
        self, client: Client, settings: Settings, given: str, taken: bool
    ) -> None:
        settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
        headers = {"X-Request-ID": given, "X-Forwarded-For": "203.0.113.7"}

        response = client.get(reverse("home"), headers=headers)

        assert (response.headers["X-Request-ID"] == given) is taken

    def test_nobodys_name_address_or_file_is_logged(
        self, client: Client, lines: Lines, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def reject(path: Path, poster: Path) -> inspection.Inspection:
            raise inspection.Rejected(ErrorCode.UNREADABLE)

        found = inspection.Inspection("mov,mp4", "h264", 640, 360, 10.0, 25.0)
        person = make_user("ann.secret@example.org", display_name="Ann Secret")
        client.post(reverse("account_login"), {"login": person.email, "password": "wrong"})
        client.post(reverse("account_login"), {"login": person.email, "password": PASSWORD})
        for inspect in (reject, lambda path, poster: found):
            monkeypatch.setattr(inspection, "inspect", inspect)
            video = SimpleUploadedFile("secret-meeting.mp4", b"bytes")
            client.post(reverse("analysis:new"), {"video": video, "frames": "20"})
        analysis = person.videos.get().analyses.get()
        tasks.run_analysis(str(analysis.pk), 1)  # fails: these are no video
        for name in ("retry", "cancel", "delete"):
            client.post(reverse(f"analysis:{name}", args=[analysis.pk]))
        client.get("/nowhere/")

        assert str(analysis.pk) in lines.text
        assert "secret" not in lines.text.lower()


@pytest.mark.django_db
class TestAnalyses:
    def test_a_job_tells_its_analysis_its_attempt_and_whose_it_is(
        self, lines: Lines, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        analysis = make_analysis(attempt=3)

        def fails(pk: str, attempt: int, lease: leases.Lease) -> bool:
            raise DetectorError(ErrorCode.UNREADABLE, "Cannot be decoded.")

        monkeypatch.setattr(tasks, "_examine", fails)
        tasks.run_analysis(str(analysis.pk), 3)

        told = lines.read("analysis.tasks")
        assert {(values["analysis_id"], values["attempt"], values["user_id"]) for values in told} == {
            (str(analysis.pk), 3, analysis.video.owner_id)
        }

    def test_the_thread_that_keeps_the_lease_tells_it_too(
        self, lines: Lines, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def heartbeat(pk: str, attempt: int) -> bool:
            logging.getLogger("tests.beat").info("beat")
            return False

        monkeypatch.setattr(lifecycle, "heartbeat", heartbeat)
        settings.UNMASK = dataclasses.replace(site.UNMASK, heartbeat_s=0.01)
        with context.bind(analysis_id="a1", attempt=1), leases.Lease("a1", 1) as lease:
            lease._thread.join(5)

        assert [values["analysis_id"] for values in lines.read("tests.beat")] == ["a1"]

    def test_the_reconciler_tells_which_analysis_it_took_back(
        self, lines: Lines, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tasks, "fill_up", lambda: 0)
        silent = make_analysis(State.RUNNING, lease_expires_at=timezone.now())

        tasks.reconcile()

        (values,) = lines.read("analysis.tasks")
        assert (values["analysis_id"], values["attempt"]) == (str(silent.pk), 1)

    def test_the_worker_tells_which_analysis_its_process_died_with(self, lines: Lines) -> None:
        dead = make_analysis(State.RUNNING, worker="test:9")

        rq_worker.give_back("test:9", blame=True)

        (values,) = lines.read("deepfakesite.rq_worker")
        assert values["analysis_id"] == str(dead.pk)


def test_every_line_of_a_running_site_is_an_object_when_json_is_asked_for() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="unmask-logs-", ignore_cleanup_errors=True) as name,
        running_site(Path(name), LOG_FORMAT="json") as running,
    ):
        with pytest.raises(urllib.error.HTTPError) as missing:
            urllib.request.urlopen(f"{running.url}/nowhere", timeout=10)
        request_id = missing.value.headers["X-Request-ID"]
        missing.value.close()
        assert running.stop() == 0
        said = [json.loads(line) for line in running.output().splitlines()]

    messages = [values["message"] for values in said]
    assert any(message.startswith("Unmask is at http://") for message in messages)
    assert messages[-1] == "Stopped."
    assert [values["request_id"] for values in said if values["message"] == "Not Found: /nowhere"] == [request_id]


def test_another_format_is_refused(tmp_path: Path) -> None:
    refused = manage(tmp_path, "check", LOG_FORMAT="xml")

    assert refused.returncode != 0
    assert f"{ImproperlyConfigured.__name__}: LOG_FORMAT is one of line, json." in refused.stderr
