"""Rows and queue are brought together again, on a real queue server; stray files go."""

import os
import time
import zlib
from datetime import timedelta
from pathlib import Path
from typing import cast
from uuid import uuid4

import django_rq
import pytest
import redis
from django.conf import settings as site
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone
from rq import Queue
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from analysis import files, tasks, uploads
from analysis.models import Analysis, State
from tests.analysis.builders import make_analysis

pytestmark = pytest.mark.django_db


def waiting_with_a_job_off_the_queue(queue: Queue) -> Analysis:
    """As when a worker has taken the job, or has ended with it."""
    analysis = make_analysis()
    tasks.enqueue(analysis)
    queue.connection.delete(queue.key)
    return analysis


def job_of(analysis: Analysis, queue: Queue) -> Job:
    return Job.fetch(tasks.job_id(analysis), connection=queue.connection, serializer=JSONSerializer)


def test_job_carries_a_key_in_json_with_its_own_id_and_a_time_limit(queue: Queue) -> None:
    analysis = make_analysis(attempt=3)

    assert tasks.enqueue(analysis)

    job = job_of(analysis, queue)
    assert job.id == f"analysis-{analysis.pk}-3"
    assert (job.func_name, list(job.args)) == ("analysis.tasks.run_analysis", [str(analysis.pk), 3])
    assert job.timeout == site.UNMASK.job_timeout_s
    data = queue.connection.hget(job.key, "data")
    assert b"run_analysis" in zlib.decompress(cast("bytes", data))


def test_waiting_rows_come_back_after_the_queue_was_emptied(queue: Queue) -> None:
    rows = [make_analysis() for _number in range(3)]
    make_analysis(State.DONE)
    make_analysis(State.RUNNING)
    assert tasks.reconcile()["enqueued"] == 3
    queue.connection.flushall()

    assert tasks.reconcile() == {"taken_back": 0, "enqueued": 3, "strays_removed": 0}

    assert set(queue.get_job_ids()) == {tasks.job_id(row) for row in rows}
    assert tasks.reconcile()["enqueued"] == 0
    assert queue.count == 3


@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.FINISHED, JobStatus.STOPPED, JobStatus.CANCELED])
def test_waiting_row_whose_job_is_over_gets_a_new_one(queue: Queue, status: JobStatus) -> None:
    analysis = waiting_with_a_job_off_the_queue(queue)
    job_of(analysis, queue).set_status(status)

    assert tasks.reconcile()["enqueued"] == 1
    assert queue.get_job_ids() == [tasks.job_id(analysis)]


def test_job_that_a_worker_has_just_taken_is_left_alone(queue: Queue) -> None:
    analysis = waiting_with_a_job_off_the_queue(queue)
    job = job_of(analysis, queue)
    job.set_status(JobStatus.STARTED)
    job.started_at = job.last_heartbeat = timezone.now()
    job.save()

    assert tasks.reconcile()["enqueued"] == 0


def test_a_row_whose_job_runs_another_row_does_not_wait_for_that_run(queue: Queue) -> None:
    """A job is a turn: the worker that took it has claimed somebody else's row and is heard from all the while."""
    analysis = waiting_with_a_job_off_the_queue(queue)
    job = job_of(analysis, queue)
    job.set_status(JobStatus.STARTED)
    job.started_at = timezone.now() - timedelta(seconds=30)
    job.last_heartbeat = timezone.now()
    job.save()

    assert tasks.reconcile()["enqueued"] == 1
    assert queue.get_job_ids() == [tasks.job_id(analysis)]
    assert tasks.reconcile()["enqueued"] == 0


def test_a_job_that_was_just_taken_from_the_queue_and_not_started_yet_is_left_alone(queue: Queue) -> None:
    waiting_with_a_job_off_the_queue(queue)

    assert tasks.reconcile()["enqueued"] == 0


def test_silent_worker_loses_its_analysis_and_the_next_attempt_is_queued(queue: Queue) -> None:
    silent = make_analysis(State.RUNNING, lease_expires_at=timezone.now() - timedelta(seconds=1))
    make_analysis(State.RUNNING)

    assert tasks.reconcile() == {"taken_back": 1, "enqueued": 1, "strays_removed": 0}

    silent.refresh_from_db()
    assert (silent.state, silent.attempt, silent.lost_leases) == (State.QUEUED, 2, 1)
    assert queue.get_job_ids() == [f"analysis-{silent.pk}-2"]


def test_analysis_that_was_lost_too_often_fails_and_is_not_queued(queue: Queue) -> None:
    silent = make_analysis(State.RUNNING, lost_leases=2, lease_expires_at=timezone.now() - timedelta(seconds=1))

    tasks.reconcile()

    silent.refresh_from_db()
    assert (silent.state, silent.error_code, queue.count) == (State.FAILED, "lost", 0)


def test_queue_that_is_down_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(django_rq, "get_connection", lambda name: redis.Redis(unix_socket_path="/nowhere/valkey.sock"))
    analysis = make_analysis()

    assert not tasks.enqueue(analysis)
    assert tasks.reconcile() == {"taken_back": 0, "enqueued": 0, "strays_removed": 0}


def aged(path: Path, seconds: float) -> Path:
    os.utime(path, (time.time() - seconds,) * 2)
    return path


def test_reconcile_looks_for_strays_now_and_then_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_swept_at", {})
    sweeps: list[float] = []

    def sweep(older_than_s: float) -> int:
        sweeps.append(older_than_s)
        return 1

    monkeypatch.setattr(files, "sweep_stored", sweep)

    assert [tasks.reconcile()["strays_removed"] for _turn in range(3)] == [1, 0, 0]
    assert len(sweeps) == 1


def test_what_dead_processes_left_goes_at_once_and_what_living_ones_hold_stays() -> None:
    handler = uploads.UploadHandler()
    handler.new_file("video", "clip.mp4", "video/mp4", 1)
    arriving = Path(handler.file.temporary_file_path())
    with files.work_folder("analysis-x") as living:
        aged(living, 7200)
        aged(arriving, 7200)
        dead = living.parent / "analysis-dead"
        dead.mkdir()
        (dead / "video").write_bytes(b"x")
        broken_off = arriving.with_name("tmpabc.upload.mp4")
        broken_off.write_bytes(b"x")

        assert files.sweep_dead() == 2

        assert (living.exists(), dead.exists(), arriving.exists(), broken_off.exists()) == (True, False, True, False)
    handler.file.close()
    assert (living.exists(), arriving.exists()) == (False, False)


def test_sweep_removes_old_stored_files_without_a_row_only() -> None:
    analysis = make_analysis(State.DONE)
    root = Path(site.MEDIA_ROOT)
    for name in (f"videos/{uuid4()}/original", f"analyses/{uuid4()}/1-ab/people/0/1-crop.jpg", "videos/no-id/x"):
        default_storage.save(name, ContentFile(b"x"))
    (root / "analyses" / str(uuid4())).mkdir()
    for path in root.rglob("*"):
        aged(path, 7200)
    fresh = uuid4()
    default_storage.save(f"videos/{fresh}/original", ContentFile(b"x"))

    assert files.sweep_stored(3600) == 3

    assert {path.name for path in root.glob("videos/*")} == {str(analysis.video.pk), "no-id", str(fresh)}
    assert {path.name for path in root.glob("analyses/*")} == {str(analysis.pk)}
    assert default_storage.exists(str(analysis.video.file.name))


def test_what_a_late_heartbeat_left_of_a_job_is_not_taken_for_one(queue: Queue) -> None:
    """A worker may write its heartbeat where the queue, emptied meanwhile, has no job any more."""
    analysis = make_analysis()
    queue.connection.hset(Job.key_for(tasks.job_id(analysis)), "last_heartbeat", timezone.now().isoformat())

    assert tasks.reconcile()["enqueued"] == 1
    assert queue.get_job_ids() == [tasks.job_id(analysis)]


def test_a_job_that_seems_to_be_taken_in_the_future_is_not_waited_for(queue: Queue) -> None:
    """The clock was set back after a worker had taken the job and died with it."""
    analysis = waiting_with_a_job_off_the_queue(queue)
    job = job_of(analysis, queue)
    job.set_status(JobStatus.STARTED)
    job.started_at = job.last_heartbeat = timezone.now() + timedelta(hours=1)
    job.save()

    assert tasks.reconcile()["enqueued"] == 1


def test_pictures_of_an_attempt_that_is_taken_back_go_with_it(queue: Queue) -> None:
    silent = make_analysis(State.RUNNING, attempt=2, lease_expires_at=timezone.now() - timedelta(seconds=1))
    for attempt in (2, 22):
        default_storage.save(f"{files.analysis_folder(silent.pk)}/{attempt}-ab/frames/1.jpg", ContentFile(b"x"))

    tasks.reconcile()

    assert [path.name for path in Path(site.MEDIA_ROOT, "analyses", str(silent.pk)).iterdir()] == ["22-ab"]


@pytest.mark.parametrize(
    ("state", "kept"),
    [(State.RUNNING, {"2-ab"}), (State.DONE, {"2-ab"}), (State.FAILED, set()), (State.QUEUED, set())],
)
def test_sweep_removes_old_pictures_of_attempts_that_are_over(state: State, kept: set[str]) -> None:
    analysis = make_analysis(attempt=2)
    Analysis.objects.filter(pk=analysis.pk).update(
        state=state, verdict="REAL", error_code="lost", finished_at=timezone.now(), lease_expires_at=timezone.now()
    )
    for attempt in (1, 2):
        default_storage.save(f"{files.analysis_folder(analysis.pk)}/{attempt}-ab/frames/1.jpg", ContentFile(b"x"))
    root = Path(site.MEDIA_ROOT, "analyses", str(analysis.pk))

    assert files.sweep_stored(3600) == 0
    for path in root.rglob("*"):
        aged(path, 7200)
    assert files.sweep_stored(3600) == 2 - len(kept)

    assert {path.name for path in root.glob("*")} == kept


def test_sweep_leaves_an_upload_alone_whose_row_is_still_to_come() -> None:
    """The clock was set on: its file looks old, but its request still holds it."""
    handler = uploads.UploadHandler()
    handler.new_file("video", "clip.mp4", "video/mp4", 1)
    arriving = handler.file
    name = uploads.keep(Path(arriving.temporary_file_path()), f"videos/{uuid4()}/original")
    aged(Path(default_storage.path(name)), 3 * 3600)

    assert files.sweep_stored(600) == 0
    arriving.close()
    assert files.sweep_stored(600) == 1
