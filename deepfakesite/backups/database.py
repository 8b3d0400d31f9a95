"""The database's part of a backup: a consistent copy while the site runs, and which stored files its rows name.

SQLite is copied with its own backup interface. PostgreSQL is dumped with ``pg_dump`` and put back with ``pg_restore``,
which must be installed and at least as new as the server.
"""

import contextlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.apps import apps
from django.db import connection, models
from django.db.migrations.loader import MigrationLoader

from deepfakesite.backups.manifest import Unusable, private

SQLITE_FILE, POSTGRESQL_FILE = "unmask.sqlite3", "unmask.dump"

Ask = Callable[[str], list[tuple[Any, ...]]]  # a query and its rows


@dataclass(frozen=True, slots=True)
class Copy:
    """What was copied: the file, the migrations it has, and the names of the stored files that its rows need."""

    path: Path
    migrations: list[list[str]]
    names: set[str]


def copy(folder: Path) -> Copy:
    """A copy of the whole database as it is at one moment, in ``folder``."""
    if connection.vendor == "sqlite":
        return _copy_sqlite(folder / SQLITE_FILE)
    if connection.vendor == "postgresql":
        return _dump_postgresql(folder / POSTGRESQL_FILE)
    raise Unusable(f"Databases of the kind {connection.vendor} are not backed up by this command; use their own tools.")


def names_now() -> set[str]:
    """The stored files that rows name at this moment."""
    with connection.cursor() as cursor:
        return _names(lambda query: _rows(cursor, query))


def size_bytes() -> int:
    """About how much a copy will take."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
        else:
            cursor.execute("SELECT pg_database_size(current_database())")
        return int(cursor.fetchone()[0])


def is_known(migrations: list[list[str]]) -> bool:
    """Whether this version knows every one of these migrations, so that it can bring such a database up to date."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    replaced = {key for migration in loader.disk_migrations.values() for key in migration.replaces}
    return all((app, name) in loader.disk_migrations or (app, name) in replaced for app, name in migrations)


def holds_data() -> bool:
    """Whether there is anything that a restore would overwrite."""
    if connection.vendor == "sqlite":
        path = sqlite_path()
        return path.exists() and path.stat().st_size > 0
    return bool(connection.introspection.table_names())


def sqlite_path() -> Path:
    return Path(str(connection.settings_dict["NAME"]))


def restore_postgresql(path: Path) -> None:
    """Puts a dump into the empty database that DATABASE_URL names: all of it or nothing."""
    options = ["--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error"]
    _run("pg_restore", *options, f"--dbname={connection.settings_dict['NAME']}", str(path))


def _copy_sqlite(path: Path) -> Copy:
    os.close(private(str(path), os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    address = f"{sqlite_path().resolve().as_uri()}?mode=ro"
    with (
        contextlib.closing(sqlite3.connect(address, uri=True)) as source,
        contextlib.closing(sqlite3.connect(path)) as target,
    ):
        source.backup(target)
        target.execute("PRAGMA journal_mode=DELETE")  # one file, complete in itself
        problems = target.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if problems != "ok":
            raise Unusable(
                f"The copy of the database is damaged ({problems}); the backup was not kept. Check the disk."
            )
        return _copied(path, lambda query: target.execute(query).fetchall())


def _dump_postgresql(path: Path) -> Copy:
    with _snapshot() as (snapshot, ask):
        options = ["--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}", f"--file={path}"]
        os.close(private(str(path), os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        _run("pg_dump", *options, str(connection.settings_dict["NAME"]))
        return _copied(path, ask)


@contextlib.contextmanager
def _snapshot() -> Iterator[tuple[str, Ask]]:
    """A transaction that sees one moment, and the name under which pg_dump can see the same."""
    with connection.cursor() as cursor:
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            cursor.execute("SELECT pg_export_snapshot()")
            name = str(cursor.fetchone()[0])
            yield name, lambda query: _rows(cursor, query)
        finally:
            cursor.execute("ROLLBACK")


def _copied(path: Path, ask: Ask) -> Copy:
    rows = ask("SELECT app, name FROM django_migrations ORDER BY app, name")
    return Copy(path, [[str(app), str(name)] for app, name in rows], _names(ask))


def _names(ask: Ask) -> set[str]:
    quoted = connection.ops.quote_name
    found: set[str] = set()
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            if isinstance(field, models.FileField):
                query = f"SELECT {quoted(str(field.column))} FROM {quoted(model._meta.db_table)}"  # noqa: S608 -- our names
                found.update(str(name) for (name,) in ask(query) if name)
    return found


def _rows(cursor: Any, query: str) -> list[tuple[Any, ...]]:
    cursor.execute(query)
    return list(cursor.fetchall())


def _run(program: str, *arguments: str) -> None:
    """Runs a tool of PostgreSQL against our database; the password goes through the environment, never the command."""
    found = shutil.which(program)
    if found is None:
        raise Unusable(
            f"{program} is not installed; install PostgreSQL's client programs, at least the server's version."
        )
    about = connection.settings_dict
    address = {
        "PGHOST": about["HOST"],
        "PGPORT": about["PORT"],
        "PGUSER": about["USER"],
        "PGPASSWORD": about["PASSWORD"],
    }
    # What else libpq was told, such as sslmode and sslrootcert, it takes from variables named after it.
    more = {f"PG{name.upper().replace('_', '')}": value for name, value in about.get("OPTIONS", {}).items()}
    environment = {**os.environ, **{name: str(value) for name, value in (address | more).items() if value}}
    ended = subprocess.run([found, *arguments], env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if ended.returncode:
        raise Unusable(f"{program} failed: {ended.stderr.strip() or f'exit status {ended.returncode}'}")
