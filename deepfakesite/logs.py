"""How log lines look: lines for people by default, or one JSON object a line for a program that collects them.

Messages name analyses, videos and people by their keys alone, never by a name, an e-mail address or a file name. Keys
that open something, such as the one in the link to a new password, are left out wherever they stand in an address; and
nothing that a stranger sends can look like a line of its own.
"""

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any

from accounts.names import is_hidden
from audit import context

LINE, JSON = "line", "json"
FORMATS = {
    LINE: {"()": "deepfakesite.logs.LineFormatter"},
    JSON: {"()": "deepfakesite.logs.JsonFormatter"},
}
# The addresses that hold a key, up to it (accounts/…: allauth's; stats.json/…: the queue's); a test asks the resolver.
_KEYS = re.compile(r"(/password/reset/key/|/confirm-email/|/stats\.json/)[^/\s\"'?#]+")
_KEPT_OUT = r"\1…"


class LineFormatter(logging.Formatter):
    """``time LEVEL logger: message``; the lines of a traceback are indented, so that none looks like another entry."""

    def __init__(self) -> None:
        super().__init__("{asctime} {levelname} {name}: {message}", style="{")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 -- logging's name
        record.message = visible(without_keys(record.message))
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        first, *others = super().format(record).splitlines() or [""]
        return "\n".join([first, *("  " + visible(without_keys(line)) for line in others)])


class JsonFormatter(logging.Formatter):
    """One object a line: what is said, and for which request, person, analysis and attempt, as far as it is known."""

    def format(self, record: logging.LogRecord) -> str:
        values: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": without_keys(record.getMessage()),
            "process": record.process,
            **_context(),
        }
        if (status := getattr(record, "status_code", None)) is not None:
            values["status"] = status
        if record.exc_info:
            values["exception"] = without_keys(self.formatException(record.exc_info))
        if record.stack_info:
            values["stack"] = without_keys(self.formatStack(record.stack_info))
        return json.dumps(values, ensure_ascii=False, default=str)


def without_keys(words: str) -> str:
    """The same words; of an address that opens something, what opens it is left out."""
    return _KEYS.sub(_KEPT_OUT, words)


def visible(words: str) -> str:
    r"""The same words on one line; what cannot be seen or turns the writing round is written as an escape (\n)."""
    return "".join(_escaped(letter) if is_hidden(letter) else letter for letter in words)


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def _context() -> dict[str, Any]:
    here = context.current()
    known = {
        "request_id": here.request_id,
        "user_id": here.person() or here.owner_id,
        "analysis_id": here.analysis_id,
        "attempt": here.attempt,
    }
    return {name: value for name, value in known.items() if value not in ("", None)}
