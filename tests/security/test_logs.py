"""What strangers send cannot forge a log line, and keys that open something are in none."""

import io
import json
import logging
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote

import pytest
from django.core import mail
from django.test import Client
from django.urls import get_resolver, reverse
from pytest_django import Settings

from deepfakesite.logs import FORMATS, JsonFormatter, LineFormatter
from tests.analysis.builders import PASSWORD, make_user

FORGED = "\n2026-01-01 00:00:00,000 CRITICAL root: forged"


@pytest.fixture(params=[LineFormatter, JsonFormatter])
def log(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """Everything that is logged, as an installation would write it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(request.param())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


def written(record_words: str, error: Exception | None = None) -> str:
    record = logging.LogRecord("tests", logging.ERROR, __file__, 1, "%s", (record_words,), None)
    if error is not None:
        record.exc_info = (type(error), error, None)
    return LineFormatter().format(record)


def test_a_message_stays_on_its_line() -> None:
    assert written(f"name{FORGED}\u202e\x1b[2J").count("\n") == 0
    assert r"name\n2026-01-01" in written(f"name{FORGED}")
    assert r"\u202e\x1b[2J" in written("\u202e\x1b[2J")


def test_no_line_of_a_traceback_looks_like_an_entry() -> None:
    lines = written("broken", ValueError(f"of a stranger{FORGED}")).splitlines()

    assert len(lines) > 1
    assert all(line.startswith("  ") for line in lines[1:])


@pytest.mark.django_db
@pytest.mark.parametrize("piece", [FORGED, "\r\nforged", "\u2028forged", "\x85forged", "\x1b]0;forged\x07"])
def test_an_address_cannot_forge_a_line(client: Client, log: io.StringIO, piece: str) -> None:
    client.get("/nowhere" + quote(piece))

    entries = [line for line in log.getvalue().splitlines() if "Not Found" in line]
    assert len(entries) == 1
    assert not [line for line in log.getvalue().splitlines() if line.startswith(("forged", "2026-01-01 00:00:00,000"))]
    assert "\x1b" not in log.getvalue()


@pytest.mark.django_db
def test_the_key_to_a_new_password_is_never_logged(client: Client, log: io.StringIO) -> None:
    make_user("ann@example.org")
    client.post(reverse("account_reset_password"), {"email": "ann@example.org"})
    link = str(mail.outbox[0].body).partition("http://testserver")[2].split()[0]
    key = link.rstrip("/").rpartition("/")[2]
    strict = Client(enforce_csrf_checks=True)

    client.get(link + "mistyped/")  # 404
    client.get(link.rstrip("/") + "x")
    client.put(link)
    strict.post(link, {"password1": PASSWORD, "password2": PASSWORD})  # 403
    client.get(link, headers={"host": "evil.example"})  # 400
    client.get(link)

    assert "/password/reset/key/" in log.getvalue()
    assert key not in log.getvalue()
    assert key.partition("-")[2] not in log.getvalue()


@pytest.mark.django_db
def test_the_key_that_confirms_an_address_is_never_logged(client: Client, log: io.StringIO, settings: Settings) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    client.post(reverse("account_signup"), {"email": "new@example.org", "password1": PASSWORD, "password2": PASSWORD})
    link = str(mail.outbox[0].body).partition("http://testserver")[2].split()[0]
    key = link.rstrip("/").rpartition("/")[2]

    Client(enforce_csrf_checks=True).post(link)  # 403
    client.get(link + "more/")  # 404

    assert "/confirm-email/" in log.getvalue()
    assert key not in log.getvalue()


def test_every_address_with_a_key_is_known() -> None:
    """A view that takes a key or a token in its address must be one of those whose key is left out."""
    found = set()

    def walk(patterns: Iterable[object], before: str) -> None:
        for pattern in patterns:
            path = before + str(getattr(pattern, "pattern", ""))
            if hasattr(pattern, "url_patterns"):
                walk(pattern.url_patterns, path)
            elif re.search(r"(?<!_)\b(key|token)\b", path) and "<str:key>" not in path:
                found.add(path)

    walk(get_resolver().url_patterns, "/")

    assert found
    for path in found:
        plain = re.sub(r"\(\?P<\w+>.*?\)\??/?", "SECRET/", path).replace("^", "").replace("SECRET/-", "1-")
        record = logging.LogRecord("tests", logging.INFO, __file__, 1, "Not Found: %s", (plain,), None)
        assert "SECRET" not in LineFormatter().format(record), path


def test_every_format_leaves_keys_out() -> None:
    line = "/accounts/password/reset/key/3-abc123-0123456789/"
    record = logging.LogRecord("tests", logging.INFO, __file__, 1, "Not Found: %s", (line,), None)

    assert set(FORMATS) == {"line", "json"}
    assert "0123456789" not in LineFormatter().format(record)
    assert json.loads(JsonFormatter().format(record))["message"] == "Not Found: /accounts/password/reset/key/…/"
