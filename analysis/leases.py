"""A worker's hold on the analysis it runs: keeps the lease, writes the progress, notices when the run is lost.

A thread lengthens the lease, so that a stage that says nothing for long does not lose it; a worker that dies stops
doing so.
"""

import contextvars
import logging
import threading
import time
from types import TracebackType
from typing import Self

from django.conf import settings
from django.db import DatabaseError, connection

from analysis import lifecycle

logger = logging.getLogger(__name__)

_PAUSE_S = 0.4  # progress is written and the state is read at most this often


class Lease:
    """Use as a context manager around the run; ``on_progress`` and ``should_stop`` are for the detector."""

    def __init__(self, pk: str, attempt: int) -> None:
        self._pk, self._attempt = pk, attempt
        self._lost = threading.Event()
        self._over = threading.Event()
        in_context = contextvars.copy_context()  # so that its log lines tell what they are about, too
        self._thread = threading.Thread(target=in_context.run, args=(self._beat,), name=f"lease-{pk}", daemon=True)
        self._stage = ""
        self._written_at = self._read_at = float("-inf")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    @property
    def is_lost(self) -> bool:
        """Whether someone cancelled, deleted or took back the analysis, as far as is known."""
        return self._lost.is_set()

    def on_progress(self, stage: str, share: float) -> None:
        """Writes the progress, but only a few times a second unless the stage is a new one."""
        now = time.monotonic()
        if stage == self._stage and now - self._written_at < _PAUSE_S:
            return
        self._stage, self._written_at = stage, now
        try:
            if not lifecycle.progress(self._pk, self._attempt, stage, share):
                self._lost.set()
        except DatabaseError:
            logger.warning("Analysis %s: the progress could not be written.", self._pk, exc_info=True)

    def should_stop(self) -> bool:
        """Whether to stop; asks the database only a few times a second."""
        now = time.monotonic()
        if not self.is_lost and now - self._read_at >= _PAUSE_S:
            self._read_at = now
            try:
                if not lifecycle.is_running(self._pk, self._attempt):
                    self._lost.set()
            except DatabaseError:
                logger.warning("Analysis %s: its state could not be read.", self._pk, exc_info=True)
        return self.is_lost

    def _beat(self) -> None:
        while not self._over.wait(settings.UNMASK.heartbeat_s):
            try:
                if not lifecycle.heartbeat(self._pk, self._attempt):
                    self._lost.set()
                    return
            except DatabaseError:
                logger.warning("Analysis %s: the lease could not be lengthened.", self._pk, exc_info=True)
            finally:
                connection.close()  # this thread's own
