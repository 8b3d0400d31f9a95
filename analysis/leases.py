"""A worker's hold on the analysis it runs: keeps the lease, writes the progress, notices when the run is lost.

A thread lengthens the lease, so that a stage that says nothing for long does not lose it; a worker that dies stops
doing so. ``Watch`` is the other side: it finds the workers that have stopped.
"""

import contextvars
import logging
import threading
import time
from datetime import datetime
from types import TracebackType
from typing import Self
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone

from analysis import lifecycle
from analysis.models import Analysis, State

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
        except DatabaseError as error:
            logger.warning("Analysis %s: the progress could not be written (%s).", self._pk, error)
            connection.close_if_unusable_or_obsolete()  # or a database that was started anew would not be seen

    def should_stop(self) -> bool:
        """Whether to stop; asks the database only a few times a second."""
        now = time.monotonic()
        if not self.is_lost and now - self._read_at >= _PAUSE_S:
            self._read_at = now
            try:
                if not lifecycle.is_running(self._pk, self._attempt):
                    self._lost.set()
            except DatabaseError as error:
                logger.warning("Analysis %s: its state could not be read (%s).", self._pk, error)
                connection.close_if_unusable_or_obsolete()
        return self.is_lost

    def _beat(self) -> None:
        while not self._over.wait(settings.UNMASK.heartbeat_s):
            try:
                if not lifecycle.heartbeat(self._pk, self._attempt):
                    self._lost.set()
                    return
            except DatabaseError as error:
                logger.warning("Analysis %s: the lease could not be lengthened (%s).", self._pk, error)
            finally:
                connection.close()  # this thread's own


class Watch:
    """Tells silent workers from living ones, even when somebody sets the clock.

    A lease ends at a time of day. When the clock is set on, every lease seems to have run out; when it is set back,
    that of a dead worker seems to last for hours. So a lease that has run out counts only if no heartbeat has come
    while this object looked on, for as long as two should have taken; and when none has come for a whole lease, the
    worker is silent whatever its lease says. What one object has seen, it knows from being asked again and again.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[UUID, int], tuple[datetime | None, float]] = {}

    def silent(self) -> list[Analysis]:
        """The running analyses whose worker is silent; each still with the heartbeat that was its last."""
        now, clock = time.monotonic(), timezone.now()
        running = list(Analysis.objects.filter(state=State.RUNNING).select_related("video").defer("report"))
        before, self._seen = self._seen, {}
        found = []
        for row in running:
            key = (row.pk, row.attempt)
            heartbeat_at, since = before.get(key, (None, now))
            if heartbeat_at != row.heartbeat_at:
                since = now
            self._seen[key] = (row.heartbeat_at, since)
            has_run_out = row.lease_expires_at is not None and row.lease_expires_at < clock
            enough_s = 2 * settings.UNMASK.heartbeat_s if has_run_out else settings.UNMASK.lease_s
            if now - since >= enough_s:
                found.append(row)
        return found
