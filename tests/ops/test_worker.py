"""The worker survives the death of a job's process, gives the analysis back at once, and ends quickly when told to."""

import os
import signal
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import django_rq
import pytest
import redis
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connections
from django.utils import timezone
from rq import Queue

from analysis import files, lifecycle, tasks
from analysis.models import Analysis, State
from deepfakesite import rq_worker, vitals
from deepfakesite.rq_worker import AnalysisWorker, give_back
from detector import sandbox
from tests.analysis.builders import make_analysis, make_user
from tests.analysis.test_worker_killed import (  # noqa: F401 -- the fixture is used by its name
    folder,
    row_of,
    save_database,
    start_worker,
    wait_for,
)


def enqueue_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811 -- a folder, not the fixture
    analysis = make_analysis(owner=make_user())
    save_database(folder)
    with redis.Redis(unix_socket_path=str(folder / "valkey.sock")) as server:
        queue = django_rq.get_queue("default", commit_mode="auto", connection=server)
        monkeypatch.setattr(tasks, "_queue", lambda: queue)
        assert tasks.enqueue(analysis)


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def is_running(folder: Path) -> bool:  # noqa: F811 -- as above
    row = row_of(folder)
    return bool(row["state"] == State.RUNNING and row["share"] > 0)


def test_the_death_of_a_jobs_process_gives_the_analysis_back_and_spares_the_worker(
    folder: Path,  # noqa: F811 -- as above
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    enqueue_one(folder, monkeypatch)

    with start_worker(folder) as worker:
        wait_for(lambda: is_running(folder))
        (job,) = children_of(worker.pid)
        os.kill(job, signal.SIGKILL)
        wait_for(lambda: row_of(folder)["state"] == State.QUEUED)

        assert (row_of(folder)["attempt"], row_of(folder)["lost_leases"]) == (2, 1)
        assert worker.poll() is None
        worker.terminate()


def test_a_worker_that_is_told_to_stop_ends_at_once_and_leaves_no_job_behind(
    folder: Path,  # noqa: F811 -- as above
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    enqueue_one(folder, monkeypatch)

    with start_worker(folder) as worker:
        wait_for(lambda: is_running(folder))
        (job,) = children_of(worker.pid)
        told = time.monotonic()
        worker.terminate()

        assert worker.wait(10) == 0
        assert time.monotonic() - told < 5
        assert not Path(f"/proc/{job}").exists()
        assert row_of(folder)["state"] == State.QUEUED


def running(**fields: int) -> Analysis:
    analysis = make_analysis(owner=make_user())
    assert lifecycle.claim(analysis.pk, analysis.attempt, "a worker")
    Analysis.objects.filter(pk=analysis.pk).update(**fields)
    analysis.refresh_from_db()
    return analysis


@pytest.mark.django_db
def test_an_analysis_that_costs_too_many_processes_fails() -> None:
    analysis = running(lost_leases=2)

    assert give_back("a worker", blame=True) is True

    analysis.refresh_from_db()
    assert (analysis.state, analysis.error_code) == (State.FAILED, "lost")


@pytest.mark.django_db
def test_an_analysis_is_not_blamed_for_a_worker_that_was_told_to_stop() -> None:
    analysis = running(lost_leases=2)

    assert give_back("a worker", blame=False) is True

    analysis.refresh_from_db()
    assert (analysis.state, analysis.attempt, analysis.lost_leases) == (State.QUEUED, 2, 1)


@pytest.mark.django_db
def test_only_what_the_dead_process_ran_is_given_back() -> None:
    analysis = running()

    assert give_back("another worker", blame=True) is False

    analysis.refresh_from_db()
    assert analysis.state == State.RUNNING


@pytest.mark.django_db
def test_a_run_that_has_ended_is_not_given_back() -> None:
    analysis = running()
    assert lifecycle.cancel(analysis.pk)

    assert give_back("a worker", blame=True) is False

    analysis.refresh_from_db()
    assert analysis.state == State.CANCELLED


@pytest.mark.django_db
def test_pictures_that_a_dead_process_had_stored_go_when_the_analysis_is_given_back() -> None:
    analysis = running()
    picture = default_storage.save(f"{files.analysis_folder(analysis.pk)}/1-ab/frames/0.jpg", ContentFile(b"x"))

    assert give_back("a worker", blame=True)

    assert not default_storage.exists(picture)


def worker_of(queue: Queue) -> AnalysisWorker:
    worker = AnalysisWorker([queue], connection=queue.connection, serializer=queue.serializer)
    worker.register_birth()  # type: ignore[no-untyped-call]
    return worker


@pytest.mark.django_db
def test_an_analysis_whose_process_the_worker_killed_for_its_time_is_given_back(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RQ waits for the process that it killed, and knows its number no more when it tells of its death."""
    worker = worker_of(queue)
    direct = django_rq.get_queue("default", commit_mode="auto", connection=queue.connection)
    job = direct.enqueue("os.getpid", job_timeout=-61)  # a minute and a second over its time as soon as it runs
    worker.prepare_job_execution(job)
    execution = worker.prepare_execution(job)
    worker.job_monitoring_interval = 1
    monkeypatch.setattr(worker, "main_work_horse", lambda job, queue: time.sleep(60))
    monkeypatch.setattr(connections, "close_all", lambda: None)  # the test's database lies in memory
    worker.fork_work_horse(job, queue)
    analysis = make_analysis(owner=make_user())
    assert lifecycle.claim(analysis.pk, analysis.attempt, tasks.worker_name(worker.horse_pid))

    worker.monitor_work_horse(job, queue, execution)

    analysis.refresh_from_db()
    assert (analysis.state, analysis.attempt, analysis.lost_leases) == (State.QUEUED, 2, 1)


def test_a_worker_makes_itself_known_again_to_a_queue_that_was_emptied(queue: Queue) -> None:
    worker = worker_of(queue)
    assert vitals.living_workers() == 1
    queue.connection.flushall()
    assert vitals.living_workers() == 0

    worker.heartbeat()

    assert vitals.living_workers() == 1


def test_a_queue_that_does_not_answer_does_not_end_a_running_job(
    queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    worker = worker_of(queue)
    worker.connection = redis.Redis(unix_socket_path="/nowhere/valkey.sock")
    job = queue.enqueue("os.getpid")

    worker.maintain_heartbeats(job, SimpleNamespace(heartbeat=lambda *_arguments, **_options: None))

    assert "the job that runs goes on" in caplog.text


@pytest.mark.parametrize("away", [timedelta(hours=1), timedelta(hours=-1)])
def test_a_worker_on_a_machine_whose_clock_is_wrong_counts_as_living(queue: Queue, away: timedelta) -> None:
    worker = worker_of(queue)
    queue.connection.hset(worker.key, "last_heartbeat", (timezone.now() + away).strftime("%Y-%m-%dT%H:%M:%S.%fZ"))

    assert vitals.living_workers() == 1


def test_the_queue_forgets_a_worker_that_falls_silent(queue: Queue) -> None:
    worker = worker_of(queue)

    worker.heartbeat(3600)

    assert 0 < queue.connection.ttl(worker.key) <= vitals.WORKER_SILENCE_S


@pytest.mark.parametrize(
    ("offered", "words"),
    [
        (sandbox.Confinement(seccomp=True, landlock=7), "confined by seccomp and Landlock 7."),
        (sandbox.Confinement(seccomp=True, landlock=0), "confined less than they could be"),
    ],
    ids=str,
)
def test_a_worker_says_at_its_start_how_far_decoders_are_shut_off(
    offered: sandbox.Confinement, words: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sandbox, "offered", lambda: offered)

    with caplog.at_level("INFO"):
        rq_worker.preload()

    assert words in caplog.text
