"""What is being done at this moment and for whom: bound by middleware and worker, read by the trail and the logs.

It follows the thread or task that it was bound in, and costs nothing where nothing is bound.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any


def _nobody() -> int | None:
    return None


@dataclass(frozen=True, slots=True)
class Context:
    """``person`` tells the key of whoever asks, once that is known, without asking the database."""

    request_id: str = ""
    network: str = ""  # where a request came from, shortened
    person: Callable[[], int | None] = _nobody
    owner_id: int | None = None  # whose analysis it is that is worked on
    analysis_id: str = ""
    attempt: int | None = None

    @property
    def via(self) -> str:
        """``web`` for a request, else the name of the program or of the management command."""
        if self.request_id:
            return "web"
        program = Path(sys.argv[0]).stem
        return sys.argv[1] if program == "manage" and len(sys.argv) > 1 else program


_EMPTY = Context()
_current: ContextVar[Context] = ContextVar("audit_context", default=_EMPTY)


def current() -> Context:
    return _current.get()


@contextmanager
def bind(**values: Any) -> Iterator[None]:
    """Adds to the context until the end of the block."""
    token = _current.set(replace(_current.get(), **values))
    try:
        yield
    finally:
        _current.reset(token)
