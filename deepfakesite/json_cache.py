"""The cache whose counts throttle log-ins: a table of the database with values as JSON.

Django's own stores pickles, so that whoever can write one row could run code in the web server; and once there are more
than MAX_ENTRIES it throws counts away that still hold, so that whoever makes enough of them has their own forgotten.
Here nothing goes before its time. For SQLite and PostgreSQL, which both insert or update in one statement.
"""

import json
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.db import BaseDatabaseCache
from django.db import connections, router
from django.db.backends.base.base import BaseDatabaseWrapper

_NEVER = datetime(9999, 1, 1, tzinfo=UTC)
_SWEPT_ONCE_IN = 100  # writes
_READ = "SELECT cache_key, value FROM {table} WHERE cache_key IN ({marks}) AND expires > %s"
_SET = (
    "INSERT INTO {table} (cache_key, value, expires) VALUES (%s, %s, %s) "
    "ON CONFLICT (cache_key) DO UPDATE SET value = excluded.value, expires = excluded.expires"
)
_ADD = _SET + " WHERE {table}.expires <= %s"


class JSONSerializer:
    """How Django's Redis cache stores values when CACHE_URL names a Redis."""

    def dumps(self, value: Any) -> bytes:
        return json.dumps(value).encode()

    def loads(self, stored: bytes) -> Any:
        return json.loads(stored)


class JSONDatabaseCache(BaseDatabaseCache):
    """Django's cache interface over the table that ``createcachetable`` makes; a failing database raises."""

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return self.get_many([key], version).get(key, default)

    def get_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        by_name = {self.make_and_validate_key(key, version=version): key for key in keys}
        if not by_name:
            return {}
        statement = _READ.replace("{marks}", ", ".join(["%s"] * len(by_name)))
        rows = self._read(statement, [*by_name, _now()])
        found = {}
        for name, stored in rows:
            try:
                found[by_name[name]] = json.loads(stored)
            except ValueError:  # a row of an installation that still had Django's own cache
                continue
        return found

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        self._put(key, value, timeout, version, once=False)

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Whether it was not there; of several at once only one is told so."""
        return bool(self._put(key, value, timeout, version, once=True))

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        name = self.make_and_validate_key(key, version=version)
        until = self._until(timeout)
        statement = "UPDATE {table} SET expires = %s WHERE cache_key = %s AND expires > %s"
        return bool(self._write(statement, [until, name, _now()]))

    def delete(self, key: Any, version: int | None = None) -> bool:
        name = self.make_and_validate_key(key, version=version)
        return bool(self._write("DELETE FROM {table} WHERE cache_key = %s", [name]))

    def has_key(self, key: Any, version: int | None = None) -> bool:
        return self.get(key, version=version) is not None

    def clear(self) -> None:
        self._write("DELETE FROM {table}", [])

    def _put(self, key: Any, value: Any, timeout: Any, version: int | None, *, once: bool) -> int:
        name = self.make_and_validate_key(key, version=version)
        if secrets.randbelow(_SWEPT_ONCE_IN) == 0:
            self._write("DELETE FROM {table} WHERE expires <= %s", [_now()])
        values = [name, json.dumps(value), self._until(timeout)]
        return self._write(_ADD, [*values, _now()]) if once else self._write(_SET, values)

    def _until(self, timeout: Any) -> datetime:
        stamp = self.get_backend_timeout(timeout)
        return _NEVER if stamp is None else datetime.fromtimestamp(stamp, UTC)

    def _read(self, statement: str, values: list[Any]) -> list[Any]:
        connection = connections[router.db_for_read(self.cache_model_class)]
        with connection.cursor() as cursor:
            cursor.execute(self._with_table(connection, statement), _adapted(connection, values))
            return list(cursor.fetchall())

    def _write(self, statement: str, values: list[Any]) -> int:
        connection = connections[router.db_for_write(self.cache_model_class)]
        with connection.cursor() as cursor:
            cursor.execute(self._with_table(connection, statement), _adapted(connection, values))
            return int(cursor.rowcount)

    def _with_table(self, connection: BaseDatabaseWrapper, statement: str) -> str:
        return statement.replace("{table}", connection.ops.quote_name(self.cache_model_class._meta.db_table))


def _now() -> datetime:
    return datetime.now(UTC)


def _adapted(connection: BaseDatabaseWrapper, values: list[Any]) -> list[Any]:
    adapt = connection.ops.adapt_datetimefield_value
    return [adapt(value) if isinstance(value, datetime) else value for value in values]
