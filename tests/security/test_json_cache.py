"""The cache that counts log-ins: it holds JSON, forgets nothing before its time, and lets one of many add a key."""

import base64
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import time_machine
from django.core.cache import caches as django_caches
from django.core.cache.backends.base import BaseCache
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connection, connections
from pytest_django import Settings

from deepfakesite import caches
from deepfakesite.json_cache import JSONSerializer

TABLE = "cache_entries"
OWN = {"BACKEND": "deepfakesite.json_cache.JSONDatabaseCache", "LOCATION": TABLE}


@pytest.fixture
def cache(db: None, settings: Settings) -> Iterator[BaseCache]:
    settings.CACHES = {"default": OWN}
    call_command("createcachetable", verbosity=0)
    yield django_caches["default"]
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}


def test_values_come_back_until_their_time_is_over(cache: BaseCache) -> None:
    with time_machine.travel("2026-01-01T00:00:00Z", tick=False) as clock:
        cache.set("a", [1.5, 2.0], 60)
        cache.set("b", True, None)
        clock.shift(59)
        assert (cache.get("a"), cache.get("b"), cache.has_key("a")) == ([1.5, 2.0], True, True)
        clock.shift(2)
        assert (cache.get("a", "gone"), cache.get_many(["a", "b"])) == ("gone", {"b": True})


def test_a_key_is_added_once_until_its_time_is_over(cache: BaseCache) -> None:
    with time_machine.travel("2026-01-01T00:00:00Z", tick=False) as clock:
        assert cache.add("lock", 1, 10) is True
        assert cache.add("lock", 2, 10) is False
        clock.shift(11)
        assert cache.add("lock", 3, 10) is True
    assert cache.delete("lock") is True
    assert cache.delete("lock") is False


def test_touch_lengthens_what_is_there_and_nothing_else(cache: BaseCache) -> None:
    cache.set("a", 1, 60)

    assert cache.touch("a", 600) is True
    assert cache.touch("b", 600) is False


def test_nothing_is_thrown_away_before_its_time_however_much_there_is(
    cache: BaseCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Django's own cache drops a third of what holds once there are more than 300 entries."""
    cache.set("guesser", [1.0], 300)
    for number in range(400):
        cache.set(f"count-{number}", [1.0], 300)

    assert cache.get("guesser") == [1.0]


def test_what_is_over_is_removed_in_passing(cache: BaseCache, monkeypatch: pytest.MonkeyPatch) -> None:
    with time_machine.travel("2026-01-01T00:00:00Z", tick=False) as clock:
        cache.set("old", 1, 10)
        clock.shift(11)
        monkeypatch.setattr("deepfakesite.json_cache.secrets.randbelow", lambda _bound: 0)
        cache.set("new", 1, 10)

    with connection.cursor() as cursor:
        cursor.execute(f"SELECT cache_key FROM {TABLE}")  # noqa: S608 -- a name of this test's own
        assert [name for (name,) in cursor.fetchall()] == [":1:new"]


def test_a_pickle_in_the_table_is_not_opened(cache: BaseCache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.set("a", 1, 60)
    with connection.cursor() as cursor:
        planted = base64.b64encode(pickle.dumps({"evil": True})).decode()
        cursor.execute(f"UPDATE {TABLE} SET value = %s", [planted])  # noqa: S608 -- as above

    def opened(*_args: Any, **_more: Any) -> None:
        raise AssertionError("A pickle was opened.")

    monkeypatch.setattr(pickle, "loads", opened)
    assert cache.get("a", "nothing") == "nothing"


def test_what_json_cannot_say_is_refused(cache: BaseCache) -> None:
    with pytest.raises(TypeError):
        cache.set("a", object())


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_adds(settings: Settings) -> None:
    settings.CACHES = {"default": OWN}
    call_command("createcachetable", verbosity=0)

    def add(number: int) -> bool:
        try:
            return bool(django_caches["default"].add("lock", number, 60))
        finally:
            connections.close_all()

    try:
        with ThreadPoolExecutor(4) as pool:
            won = list(pool.map(add, range(8)))
    finally:
        settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

    assert won.count(True) == 1


class TestWhichCachesAreTaken:
    def test_the_database(self) -> None:
        given = {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": TABLE}

        assert caches.safe(given) == OWN

    def test_a_redis_that_stores_json(self) -> None:
        given = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://h:6379/1"}

        assert caches.safe(given)["OPTIONS"] == {"serializer": "deepfakesite.json_cache.JSONSerializer"}
        assert JSONSerializer().loads(JSONSerializer().dumps([1.5, True])) == [1.5, True]

    @pytest.mark.parametrize("kind", ["locmem.LocMemCache", "filebased.FileBasedCache", "dummy.DummyCache"])
    def test_none_that_counts_alone_or_not_at_all(self, kind: str) -> None:
        with pytest.raises(ImproperlyConfigured, match="Take dbcache://cache_entries"):
            caches.safe({"BACKEND": f"django.core.cache.backends.{kind}"})
