"""The RQ worker: a forked process for each job, so that a job which crashes or hangs takes nothing else with it.

The parent imports what an analysis needs before it forks, so that a job does not pay for that again; it never loads the
network, because the runtime's threads would not survive the fork. When a job's process dies the analysis is given back
at once instead of when its lease runs out.
"""

import importlib
import logging
import os
import signal
from typing import Any

from django.db import connections
from django.utils import timezone
from redis.exceptions import RedisError
from rq import Worker, worker_registration
from rq.job import Job

from analysis import files, lifecycle, tasks
from analysis.models import Analysis, State
from audit import context
from deepfakesite.leash import die_with_parent
from deepfakesite.vitals import WORKER_BUSY_INTERVAL_S, WORKER_SILENCE_S, WORKER_TTL_S
from detector import sandbox

PRELOADED = ("detector.pipeline",)

logger = logging.getLogger(__name__)


class AnalysisWorker(Worker):
    """Ends a running job when it is told to stop, and sees to it that no job outlives its worker."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("worker_ttl", WORKER_TTL_S)
        kwargs.setdefault("job_monitoring_interval", WORKER_BUSY_INTERVAL_S)
        kwargs.setdefault("work_horse_killed_handler", self._give_back)
        super().__init__(*args, **kwargs)
        self._told_to_stop = False
        tasks.mark_worker(str(self.name))
        self._forked_pid = 0  # of the job's process; RQ forgets it before it tells of a death that it caused itself

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """Also makes itself known again to a queue that was emptied and has forgotten it; RQ leaves it at that."""
        super().heartbeat(timeout, pipeline)
        # The server forgets whoever falls silent, by its own clock: those of the machines need not agree.
        (self.connection if pipeline is None else pipeline).expire(self.key, int(WORKER_SILENCE_S))
        if pipeline is None and not self.connection.sismember(self.redis_workers_keys, self.key):
            self._register_again()

    def maintain_heartbeats(self, job: Job, execution: Any) -> None:
        """A queue server that does not answer, or has forgotten the job, is no reason to end what runs."""
        try:
            super().maintain_heartbeats(job, execution)
            self.heartbeat(self.job_monitoring_interval + 60)
        except RedisError as error:
            logger.warning("The queue cannot be reached (%s); the job that runs goes on.", error)

    def handle_warm_shutdown_request(self) -> None:
        """RQ would wait for the job to end, which may take an hour; what runs is given back and runs again later."""
        self._told_to_stop = True
        if self.horse_pid:
            self.kill_horse(signal.SIGKILL)

    def fork_work_horse(self, job: Job, queue: Any) -> None:
        connections.close_all()  # a connection must not be shared across the fork
        super().fork_work_horse(job, queue)
        self._forked_pid = self.horse_pid

    def setup_work_horse_signals(self) -> None:
        super().setup_work_horse_signals()  # type: ignore[no-untyped-call]
        die_with_parent(self.pid or os.getppid(), signal.SIGKILL)

    def _register_again(self) -> None:
        with self.connection.pipeline() as pipeline:
            pipeline.hset(self.key, mapping=self.serialize())
            worker_registration.register(self, pipeline)
            pipeline.execute()

    def _give_back(self, job: Job, process_id: int | None, status: int | None, usage: object) -> None:
        give_back(tasks.worker_name(process_id or self._forked_pid), blame=not self._told_to_stop)


def preload() -> None:
    """Import what every analysis needs: once here instead of in each job. Says how far decoders are shut off here."""
    for name in PRELOADED:
        importlib.import_module(name)
    offered = sandbox.offered()
    if offered.seccomp and offered.landlock:
        logger.info("Videos are decoded in processes confined by seccomp and Landlock %d.", offered.landlock)
    else:
        logger.warning("Videos are decoded in processes that are confined less than they could be; see `make doctor`.")


def give_back(worker: str, *, blame: bool) -> bool:
    """Queue again what a process ran that has died; false when it ran nothing.

    ``blame`` counts the death against the analysis, which fails once it has cost too many processes; without it the
    count starts afresh, because the worker itself was told to stop.
    """
    running = Analysis.objects.filter(worker=worker, state=State.RUNNING)
    values: dict[str, Any] = {"lease_expires_at": timezone.now()} | ({} if blame else {"lost_leases": 0})
    try:
        row = running.select_related("video").first()
        if row is None or not running.filter(pk=row.pk, attempt=row.attempt).update(**values):
            return False
        with context.bind(analysis_id=str(row.pk), attempt=row.attempt, owner_id=row.video.owner_id):
            logger.warning("The process of analysis %s ended before its time; the analysis is given back.", row.pk)
            given_back = lifecycle.expire(row.pk, row.attempt, lifecycle.DIED if blame else lifecycle.STOPPED)
            files.remove_attempt(row.pk, row.attempt)
            return given_back
    finally:
        connections.close_all()
