"""How log lines look: lines for people by default, or one JSON object a line for a program that collects them.

Messages name analyses, videos and people by their keys alone, never by a name, an e-mail address or a file name.
"""

import json
import logging
from datetime import UTC, datetime
from typing import Any

from audit import context

LINE, JSON = "line", "json"
FORMATS = {
    LINE: {"format": "{asctime} {levelname} {name}: {message}", "style": "{"},
    JSON: {"()": "deepfakesite.logs.JsonFormatter"},
}


class JsonFormatter(logging.Formatter):
    """One object a line: what is said, and for which request, person, analysis and attempt, as far as it is known."""

    def format(self, record: logging.LogRecord) -> str:
        values: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
            **_context(),
        }
        if (status := getattr(record, "status_code", None)) is not None:
            values["status"] = status
        if record.exc_info:
            values["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            values["stack"] = self.formatStack(record.stack_info)
        return json.dumps(values, ensure_ascii=False, default=str)


def _context() -> dict[str, Any]:
    here = context.current()
    known = {
        "request_id": here.request_id,
        "user_id": here.person() or here.owner_id,
        "analysis_id": here.analysis_id,
        "attempt": here.attempt,
    }
    return {name: value for name, value in known.items() if value not in ("", None)}
