"""``manage.py up``: prepares the installation and keeps all of it running until Ctrl-C."""

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from argparse import ArgumentTypeError
from collections.abc import Iterator
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connection, connections
from django.db.migrations.executor import MigrationExecutor

from accounts import sessions
from analysis import files, services, tasks
from analysis.leases import Watch
from audit import trail
from deepfakesite import instance, logs, static_files, valkey
from deepfakesite.supervision import Child, Supervisor

RECONCILE_EVERY_S = 15.0
PRUNE_EVERY_S = 3600.0  # pages name the day on which a video is deleted, so that it may not be the next
QUEUE_PATIENCE_S = 20.0
PORT_PATIENCE_S = 6.0
DATABASE_PATIENCE_S = 120.0
PREPARING = 0x756E6D61736B  # the number of an advisory lock: any will do, as long as every machine takes the same
WEB, WORKER, BOTH = "web", "worker", "both"

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Starts the site: database and static files made ready, then queue, workers and web server, until Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        environment = os.environ
        parser.add_argument("--port", type=port_number, default=environment.get("PORT") or "8000", help="default: 8000")
        parser.add_argument(
            "--host", default=environment.get("BIND") or "127.0.0.1", help="default: this machine alone"
        )
        parser.add_argument(
            "--workers", type=worker_count, default=environment.get("WORKERS") or "1", help="default: 1"
        )
        parser.add_argument(
            "--only",
            type=role,
            default=environment.get("ONLY") or BOTH,
            metavar="web|worker",
            help="only this part of it on this machine, beside others elsewhere; default: both",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        host, port, workers, only = options["host"], options["port"], options["workers"], options["only"]
        if only != BOTH:
            self._check_shared(only)
        if "DATA_DIR" in os.environ:
            os.environ["DATA_DIR"] = str(settings.DATA_DIR)  # absolute, wherever the programs are started
        try:
            with instance.lock(settings.DATA_DIR):
                if only == WORKER:
                    self._await_database()
                    self._work(workers)
                    return
                if not self._port_comes_free(host, port):
                    raise CommandError(
                        f"Port {port} on {host} is in use or not allowed; choose another, such as: make run PORT=8123"
                    )
                self._prepare()
                self._run(host, port, 0 if only == WEB else workers)
        except instance.AlreadyRunning as error:
            raise CommandError(
                f"This installation runs already: another process holds {settings.DATA_DIR}. "
                "Stop that one first, or give another folder: make run DATA_DIR=/somewhere"
            ) from error
        except valkey.ValkeyMissing as error:
            raise CommandError(str(error)) from error

    def _check_shared(self, only: str) -> None:
        """One part alone is of use only where the other machines reach the same three things."""
        own = []
        if connection.vendor == "sqlite":
            own.append("DATABASE_URL (a PostgreSQL)")
        if settings.REDIS_URL == settings.OWN_QUEUE_URL:
            own.append("REDIS_URL (a Redis or Valkey)")
        if not settings.STORAGE_URL:
            own.append("STORAGE_URL (a bucket, or a folder that all machines share)")
        if own:
            raise CommandError(
                f"--only {only} is for one of several machines, and they must share what they work on. Set "
                f"{', '.join(own)}, the same on every machine; .env.example says how."
            )

    def _await_database(self) -> None:
        """A machine that works leaves it to the one that serves to bring the database up to date, and waits for it."""
        end, said = time.monotonic() + DATABASE_PATIENCE_S, False
        while (reason := database_is_not_ready()) is not None:
            if time.monotonic() > end:
                raise CommandError(f"{reason} Start the machine that serves (`manage.py up --only web`) first.")
            if not said:
                self._say(f"{reason} It is waited for.")
                said = True
            time.sleep(1.0)

    def _work(self, workers: int) -> None:
        """Workers alone, and what looks after this machine's own folders."""
        manage = settings.BASE_DIR / "manage.py"
        children = [instance.worker(manage, number) for number in range(1, workers + 1)]
        supervisor = Supervisor(children, self._say)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: supervisor.stop.set())
        threading.Thread(target=sweep_until, args=(supervisor.stop,), daemon=True).start()
        self._say(f"{'1 worker runs' if workers == 1 else f'{workers} workers run'} here; Ctrl-C stops them.")
        connections.close_all()
        supervisor.run()
        self._say("Stopped.")

    def _port_comes_free(self, host: str, port: int) -> bool:
        """A web server whose supervisor was killed a moment ago takes a few seconds to end."""
        end = time.monotonic() + PORT_PATIENCE_S
        while not (free := instance.port_is_free(host, port)) and time.monotonic() < end:
            time.sleep(0.2)
        return free

    def _prepare(self) -> None:
        Path(settings.MEDIA_ROOT).mkdir(mode=0o700, parents=True, exist_ok=True)
        if connection.vendor == "sqlite" and Path(settings.DATABASES["default"]["NAME"]).is_relative_to(
            settings.DATA_DIR
        ):
            instance.keep_private(Path(settings.DATABASES["default"]["NAME"]))
        try:
            with one_at_a_time():
                call_command("migrate", interactive=False, verbosity=0)
                call_command("createcachetable", verbosity=0)
                self._register_models()
                note_settings()
        except DatabaseError as error:
            raise CommandError(f"The database cannot be made ready: {error}. Check DATABASE_URL.") from error
        if static_files.collect_if_changed():
            self._say("Static files collected.")

    def _register_models(self) -> None:
        try:
            call_command("register_models", stdout=StringIO())
        except CommandError as error:  # what was found before can still be read; new analyses will fail and say so
            self._say(f"{error} Until then no analysis can succeed.")

    def _run(self, host: str, port: int, workers: int) -> None:
        supervisor = Supervisor(self._children(host, port, workers), self._say)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: supervisor.stop.set())
        queue_server = next((child for child in supervisor.children if child.rank == 0), None)
        if queue_server is not None:
            self._start_queue(queue_server)
        for repeated in (reconcile_until, prune_until):
            threading.Thread(target=repeated, args=(supervisor.stop,), daemon=True).start()
        self._greet(host, port)
        supervisor.run()
        self._say("Stopped.")

    def _children(self, host: str, port: int, workers: int) -> list[Child]:
        manage = settings.BASE_DIR / "manage.py"
        children = [instance.worker(manage, number) for number in range(1, workers + 1)]
        children.append(instance.web_server(settings.BASE_DIR, host, port, json_logs=settings.LOG_FORMAT == logs.JSON))
        if settings.REDIS_URL == settings.OWN_QUEUE_URL:  # nobody named another
            children.insert(0, instance.queue_server(settings.DATA_DIR))
        return children

    def _start_queue(self, server: Child) -> None:
        end = time.monotonic() + QUEUE_PATIENCE_S
        while valkey.answers(settings.REDIS_URL, timeout_s=0.5):  # of a supervisor that was killed a moment ago
            if time.monotonic() > end:
                raise CommandError(
                    f"Another queue server still listens in {settings.DATA_DIR}; end it and start again."
                )
            time.sleep(0.1)
        if not valkey.wait_until_answers(settings.REDIS_URL, server.start(), QUEUE_PATIENCE_S):
            server.signal_group(signal.SIGKILL)
            raise CommandError(
                f"The queue server did not start; {settings.DATA_DIR / 'queue' / 'valkey.log'} says why. "
                "Is the disk full, or the folder not writable?"
            )

    def _greet(self, host: str, port: int) -> None:
        shown = {"0.0.0.0": "localhost", "::": "localhost"}.get(host, host)  # noqa: S104 -- compared, not bound
        shown = f"[{shown}]" if ":" in shown else shown
        self._say(f"Unmask is at http://{shown}:{port}/ (data in {settings.DATA_DIR}; Ctrl-C stops it).")
        if not get_user_model().objects.filter(is_superuser=True).exists():
            self._say(f"There is no administrator yet. In another terminal: {administrator_command()}")
        if connection.vendor != "sqlite":
            connections.close_all()
        # This thread's connection to SQLite stays open: its index is then there already when the disk is full, and the
        # database can be read, and mostly be written too.

    def _say(self, sentence: str) -> None:
        if settings.LOG_FORMAT == logs.JSON:  # whoever collects the lines can read nothing else
            logger.info(sentence)
        else:
            self.stdout.write(sentence)
            self.stdout.flush()


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Lets one machine at a time bring a PostgreSQL up to date; a SQLite has one machine alone."""
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [PREPARING])
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [PREPARING])


def database_is_not_ready() -> str | None:
    """Why nothing can work with the database yet, in a sentence; None when it has every migration."""
    try:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return "The database is not up to date yet."
    except DatabaseError as error:
        connection.close()
        return f"The database does not answer ({str(error).strip()})."
    return None


def sweep_until(stop: threading.Event) -> None:
    """Remove now and then what dead processes left on this machine's disk; a failure is logged and tried again."""
    while not stop.is_set():
        try:
            files.sweep_dead()
        except OSError:
            logger.exception("What dead processes left could not be removed; it is tried again.")
        stop.wait(RECONCILE_EVERY_S)


def role(value: str) -> str:
    if value not in {WEB, WORKER, BOTH}:
        raise ArgumentTypeError(f"{value!r} is no part of the site; give web, worker or both.")
    return value


def administrator_command() -> str:
    """What to type to make the first administrator of this very installation."""
    setting = f"DATA_DIR={settings.DATA_DIR} " if os.environ.get("DATA_DIR") else ""
    return f"{setting}{sys.executable} {settings.BASE_DIR / 'manage.py'} createsuperuser"


def note_settings() -> None:
    """Tell the audit trail which rules this installation runs with, when they are others than the last time."""
    trail.note_settings(
        RETENTION_DAYS=settings.RETENTION_DAYS,
        AUDIT_RETENTION_DAYS=settings.AUDIT_RETENTION_DAYS,
        SIGNUP_OPEN=settings.ACCOUNT_SIGNUP_OPEN,
        ACCOUNT_EMAIL_VERIFICATION=settings.ACCOUNT_EMAIL_VERIFICATION,
        NETWORK_PRECISION=settings.NETWORK_PRECISION,
        LIMITS=asdict(settings.UNMASK),
    )


def reconcile_until(stop: threading.Event) -> None:
    """Bring queue and database together now and then; a failure is logged and tried again."""
    watch = Watch()
    while not stop.is_set():
        try:
            tasks.reconcile(watch)
        except Exception:  # whatever it is, the next round may succeed, and the site must not end over it
            logger.exception("The queue could not be reconciled with the database; it is tried again.")
        finally:
            connections.close_all()
        stop.wait(RECONCILE_EVERY_S)


def prune_until(stop: threading.Event) -> None:
    """Delete now and then what is not kept any longer; a failure is logged and tried again."""
    while not stop.is_set():
        try:
            services.prune()
            trail.forget(settings.AUDIT_RETENTION_DAYS)
            sessions.clear_ended()
        except Exception:  # as above
            logger.exception("What is due could not be deleted; it is tried again in an hour.")
        finally:
            connections.close_all()
        stop.wait(PRUNE_EVERY_S)


def port_number(value: str) -> int:
    if not value.isascii() or not value.isdigit() or not 0 < int(value) < 65536:
        raise ArgumentTypeError(f"{value!r} is not a port; give a number from 1 to 65535.")
    return int(value)


def worker_count(value: str) -> int:
    if not value.isascii() or not value.isdigit() or not 0 < int(value) <= 64:
        raise ArgumentTypeError(f"{value!r} is not a number of workers; give one from 1 to 64.")
    return int(value)
