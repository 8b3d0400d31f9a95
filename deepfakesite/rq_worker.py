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
from rq import Worker
from rq.job import Job

from analysis import lifecycle
from analysis.models import Analysis, State
from deepfakesite.leash import die_with_parent
from deepfakesite.vitals import WORKER_BUSY_INTERVAL_S, WORKER_TTL_S
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

    def handle_warm_shutdown_request(self) -> None:
        """RQ would wait for the job to end, which may take an hour; what runs is given back and runs again later."""
        self._told_to_stop = True
        if self.horse_pid:
            self.kill_horse(signal.SIGKILL)

    def fork_work_horse(self, job: Job, queue: Any) -> None:
        connections.close_all()  # a connection must not be shared across the fork
        super().fork_work_horse(job, queue)

    def setup_work_horse_signals(self) -> None:
        super().setup_work_horse_signals()  # type: ignore[no-untyped-call]
        die_with_parent(self.pid or os.getppid(), signal.SIGKILL)

    def _give_back(self, job: Job, process_id: int | None, status: int | None, usage: object) -> None:
        give_back(str(job.args[0]), int(job.args[1]), blame=not self._told_to_stop)


def preload() -> None:
    """Import what every analysis needs: once here instead of in each job. Says how far decoders are shut off here."""
    for name in PRELOADED:
        importlib.import_module(name)
    offered = sandbox.offered()
    if offered.seccomp and offered.landlock:
        logger.info("Videos are decoded in processes confined by seccomp and Landlock %d.", offered.landlock)
    else:
        logger.warning("Videos are decoded in processes that are confined less than they could be; see `make doctor`.")


def give_back(pk: str, attempt: int, *, blame: bool) -> bool:
    """Queue a running analysis again whose process has died; false when it does not run any more.

    ``blame`` counts the death against the analysis, which fails once it has cost too many processes; without it the
    count starts afresh, because the worker itself was told to stop.
    """
    running = Analysis.objects.filter(pk=pk, attempt=attempt, state=State.RUNNING)
    values: dict[str, Any] = {"lease_expires_at": timezone.now()} | ({} if blame else {"lost_leases": 0})
    try:
        if not running.update(**values):
            return False
        logger.warning("The process of analysis %s ended before its time; the analysis is given back.", pk)
        return lifecycle.expire(pk, attempt)
    finally:
        connections.close_all()
