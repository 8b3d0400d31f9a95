"""What the queue calls, and how things get into the queue. The truth is in the rows; a job is a turn and no more.

Each row that waits puts a job into the queue. A worker that takes one runs the row whose turn it is, which need not be
the row that the job was made for (see turns.py). A job may come twice, late or never: ``run_analysis`` claims a row
first, and does nothing when none can start; ``reconcile`` sees to it that there are jobs enough.
"""

import contextlib
import logging
import os
import socket
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import django_rq
from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq.exceptions import NoSuchJobError
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer
from rq.timeouts import JobTimeoutException

from analysis import files, inspection, lifecycle, model_versions, results, turns
from analysis.leases import Lease, Watch
from analysis.messages import Code
from analysis.models import Analysis, ModelVersion, State
from audit import context
from detector.errors import DetectorError, ErrorCode
from detector.report import Report

if TYPE_CHECKING:
    from pathlib import Path

    from detector.inference import Network
    from detector.release import Release

logger = logging.getLogger(__name__)

_QUEUE = "default"
_KEEP_FINISHED_S = 3600
_KEEP_FAILED_S = 7 * 24 * 3600
_SWEEP_EVERY_S = 900.0  # of what is stored
_SWEEP_SHARED_EVERY_S = 24 * 3600.0  # the same in a bucket, where every thousand names cost a request
_worker_mark = ""
_swept_at: dict[str, float] = {}
_networks: "dict[str, Network]" = {}
_CLAIM_S = 10.0  # within this time after it took a job, a worker has claimed a row or never will
_STRAY_S = 600.0  # stored files without a row are left alone for this long; they may be about to get one


def job_id(analysis: Analysis) -> str:
    return f"analysis-{analysis.pk}-{analysis.attempt}"


def worker_name(process_id: int) -> str:
    """What is noted in the rows that this process runs; two machines, or containers, may bear one name."""
    return f"{socket.gethostname()}{_worker_mark}:{process_id}"


def mark_worker(unique: str) -> None:
    """Tells what sets this worker, and the processes that it forks, apart from one of the same name elsewhere."""
    global _worker_mark  # noqa: PLW0603 -- once, at the worker's start
    _worker_mark = f"/{unique[:8]}"


def enqueue(analysis: Analysis) -> bool:
    """Puts a job into the queue for this attempt; False, and no harm done, when the queue cannot be reached."""
    try:
        _queue().enqueue_call(
            func="analysis.tasks.run_analysis",
            args=(str(analysis.pk), analysis.attempt),
            job_id=job_id(analysis),
            timeout=int(settings.UNMASK.job_timeout_s),
            result_ttl=_KEEP_FINISHED_S,
            failure_ttl=_KEEP_FAILED_S,
            description=f"analysis {analysis.pk}, attempt {analysis.attempt}",
        )
    except (RedisError, OSError) as error:
        with _named(analysis):
            logger.warning(
                "Analysis %s waits: the queue cannot be reached (%s); reconcile will put it there.", analysis.pk, error
            )
        return False
    return True


def run_analysis(pk: str, attempt: int) -> None:
    """Examines the video whose turn it is: claims its row, calls the detector, stores what it found.

    Harmless twice or too late. ``pk`` and ``attempt`` say for which row the job was made.
    """
    close_old_connections()
    try:
        claimed = lifecycle.claim_next(worker_name(os.getpid()))
        if claimed is None:
            logger.info("A job was taken, but nothing waits that may start now.")
            return
        with _named(claimed), Lease(str(claimed.pk), claimed.attempt) as lease:
            _run(str(claimed.pk), claimed.attempt, lease)
        fill_up()  # whoever may run only so many at once has room again
    finally:
        close_old_connections()


def reconcile(watch: Watch | None = None) -> dict[str, int]:
    """Brings rows and queue together again, and clears away what dead processes left; says how much of each there was.

    Takes back analyses whose worker fell silent, puts jobs into the queue where there are fewer than rows that could
    start, and removes stray files. Raises nothing when the queue cannot be reached: then its rows wait for the next
    time. Whoever calls it again and again gives the same ``watch``, which does not trust the clock alone.
    """
    silent = lifecycle.expired().select_related("video") if watch is None else watch.silent()
    taken_back = sum(_take_back(row) for row in silent)
    return {"taken_back": taken_back, "enqueued": fill_up(), "strays_removed": _sweep()}


def _named(row: Analysis) -> "contextlib.AbstractContextManager[None]":
    """Lets every log line of the block tell which analysis it is about, and whose."""
    return context.bind(analysis_id=str(row.pk), attempt=row.attempt, owner_id=row.video.owner_id)


def fill_up() -> int:
    """Puts as many jobs into the queue as are missing there; how many. Too many would do no harm."""
    return sum(enqueue(row) for row in _without_job())


def jobs_waiting() -> int | None:
    """How many jobs are in the queue; None when its server does not answer."""
    try:
        return int(_queue().count)
    except (RedisError, OSError):
        return None


def _take_back(row: Analysis) -> bool:
    """Ends an attempt whose worker fell silent after ``row`` was read, and removes what it had stored."""
    with _named(row):
        if not lifecycle.expire_silent(row.pk, row.attempt, row.heartbeat_at):
            return False
        logger.warning("Analysis %s, attempt %d: its worker fell silent; it is taken back.", row.pk, row.attempt)
        files.remove_attempt(row.pk, row.attempt)
        return True


def _sweep() -> int:
    """What dead processes left goes at once; all kept folders are looked through more seldom."""
    removed = files.sweep_dead()
    now = time.monotonic()
    every_s = _SWEEP_SHARED_EVERY_S if files.is_shared() else _SWEEP_EVERY_S
    if now - _swept_at.get("all", float("-inf")) < every_s:
        return removed
    _swept_at["all"] = now
    return removed + files.sweep_stored(_STRAY_S)


def _run(pk: str, attempt: int, lease: Lease) -> None:
    """The edge where everything that can go wrong becomes a state and a code."""
    try:
        won = _examine(pk, attempt, lease)
        logger.info("Analysis %s, attempt %d: %s.", pk, attempt, "done" if won else "lost to a cancellation")
    except DetectorError as error:
        if error.code == ErrorCode.CANCELLED and lease.is_lost:
            logger.info("Analysis %s, attempt %d: stopped, because it was cancelled or taken back.", pk, attempt)
            return
        logger.warning("Analysis %s, attempt %d: failed (%s): %s", pk, attempt, error.code, error)
        lifecycle.fail(pk, attempt, error.code, str(error))
    except JobTimeoutException as error:
        logger.warning("Analysis %s, attempt %d: ran out of time.", pk, attempt)
        lifecycle.fail(pk, attempt, ErrorCode.TIMED_OUT, str(error))
    except _NotExamined as error:
        logger.error("Analysis %s, attempt %d: %s", pk, attempt, error)
        lifecycle.fail(pk, attempt, error.code, str(error))
    except files.StorageDown as error:
        logger.error("Analysis %s, attempt %d: the storage is down: %s", pk, attempt, error)
        lifecycle.fail(pk, attempt, Code.STORAGE_DOWN, str(error))
    except Exception as error:
        no_room = files.is_no_room(error)
        if isinstance(error, OperationalError | InterfaceError) and not no_room:
            # Silence gives the analysis back when the lease ends, which needs no database now.
            logger.warning("Analysis %s, attempt %d: the database was lost (%s); it runs again.", pk, attempt, error)
            return
        logger.exception("Analysis %s, attempt %d: failed unexpectedly.", pk, attempt)
        lifecycle.fail(pk, attempt, Code.DISK_FULL if no_room else Code.INTERNAL, f"{type(error).__name__}: {error}")


class _NotExamined(Exception):
    """The stored file or the model asked for is not what it should be."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code


def _examine(pk: str, attempt: int, lease: Lease) -> bool:
    analysis = Analysis.objects.select_related("video", "model_requested").get(pk=pk, attempt=attempt)
    model_version, release = _model_for(analysis)
    lifecycle.assign_model(pk, attempt, model_version)
    with files.work_folder(f"analysis-{pk}-{attempt}") as folder:
        try:
            path = files.outlast(lambda: files.local_path(analysis.video.file, folder))
            size_bytes = path.stat().st_size
        except FileNotFoundError as error:
            raise _NotExamined(Code.FILE_MISSING, "The stored video is missing.") from error
        logger.info("Analysis %s, attempt %d: starts on %d bytes with %s.", pk, attempt, size_bytes, model_version)
        pictures = folder / "pictures"
        pictures.mkdir()
        report = _detect(path, release, analysis.frames_requested, pictures, lease)
        if report.video.sha256 != analysis.video.sha256:
            raise _NotExamined(Code.FILE_CHANGED, f"The stored video now has the SHA-256 {report.video.sha256}.")
        return results.store(analysis, report, pictures)


def _model_for(analysis: Analysis) -> "tuple[ModelVersion, Release]":
    """The version that was asked for, or the active one."""
    asked = analysis.model_requested
    if asked is None:
        return model_versions.active()
    release = model_versions.release_of(asked)
    if release is None:
        raise _NotExamined(Code.MODEL_VERSION_GONE, f"The model version {asked} is not installed any more.")
    return asked, release


def _detect(path: "Path", release: "Release", frames: int, pictures: "Path", lease: Lease) -> Report:
    from detector import pipeline  # noqa: PLC0415 -- slow import, and the web process imports this module

    with inspection.reader(path, inspection.work_allowance()) as reader:  # it starts while the network is loaded
        return pipeline.analyze(
            path,
            _network(release),
            pipeline.Settings(frames=frames, limits=reader.limits),
            out_dir=pictures,
            on_progress=lease.on_progress,
            should_stop=lease.should_stop,
            reader=reader,
            draw_frames=False,
        )


def _network(release: "Release") -> "Network":
    """The loaded network, kept for this process's next job; one at a time.

    Two versions may share their weights and differ in their thresholds, and so may one before and after calibration.
    """
    from detector import inference  # noqa: PLC0415 -- slow import
    from detector.precision import asked_for  # noqa: PLC0415 -- slow import

    key = f"{release.name}-{release.version}-{release.sha256}-{release.config_sha256}"
    if key not in _networks:
        _networks.clear()
        _networks[key] = inference.load_network(release, precision=asked_for(settings.NETWORK_PRECISION))
    return _networks[key]


def _queue() -> Any:
    """The queue, whose server answers at once or counts as down: somebody waits for the page."""
    connection = django_rq.get_connection(_QUEUE)
    connection.set_retry(Retry(NoBackoff(), retries=1))
    return django_rq.get_queue(_QUEUE, commit_mode="auto", serializer=JSONSerializer, connection=connection)


def _without_job() -> list[Analysis]:
    """Waiting rows whose job is not in the queue and was not just taken, no more than there are jobs missing."""
    wanted = turns.startable()
    if not wanted:
        return []
    try:
        queue = _queue()
        waiting = set(queue.get_job_ids())
        missing = wanted - len(waiting)
        if missing <= 0:
            return []
        rows = Analysis.objects.filter(state=State.QUEUED).order_by("queued_at", "pk")
        candidates = [row for row in rows if job_id(row) not in waiting]
        jobs = [_fetch(row, queue) for row in candidates]
        lost = [row for row, job in zip(candidates, jobs, strict=True) if job is None or not _is_in_hand(job)]
        return lost[:missing]
    except (RedisError, OSError) as error:
        logger.warning("The queue cannot be reached (%s); %d analyses wait for it.", error, wanted)
        return []


def _fetch(analysis: Analysis, queue: Any) -> Job | None:
    """The job of this attempt; None when it is gone, or when only a late heartbeat has been written where it stood."""
    try:
        return Job.fetch(job_id(analysis), connection=queue.connection, serializer=JSONSerializer)
    except NoSuchJobError:
        return None


def _is_in_hand(job: Job) -> bool:
    """Whether a worker has just taken the job and will claim a row any time now.

    Whoever took it longer ago runs a row already, and that may be another one than this job was made for.
    """
    status = job.get_status(refresh=False)
    if status not in {JobStatus.STARTED, JobStatus.QUEUED}:
        return False
    taken_at = job.started_at if status == JobStatus.STARTED else job.enqueued_at
    if taken_at is None:
        return False
    if taken_at.tzinfo is None:
        taken_at = taken_at.replace(tzinfo=UTC)
    return abs((datetime.now(UTC) - taken_at).total_seconds()) < _CLAIM_S  # the clock may be set back
