"""Which caches the site takes: shared by all web processes, and with values as JSON, never as pickles."""

from typing import Any

from django.core.exceptions import ImproperlyConfigured

_DATABASE = "django.core.cache.backends.db.DatabaseCache"
_REDIS = "django.core.cache.backends.redis.RedisCache"


def safe(named: dict[str, Any]) -> dict[str, Any]:
    """Django's setting for the cache that CACHE_URL names; raises ImproperlyConfigured for a kind that will not do."""
    if named["BACKEND"] == _DATABASE:
        return {**named, "BACKEND": "deepfakesite.json_cache.JSONDatabaseCache"}
    if named["BACKEND"] == _REDIS:
        serializer = "deepfakesite.json_cache.JSONSerializer"
        return {**named, "OPTIONS": {**named.get("OPTIONS", {}), "serializer": serializer}}
    raise ImproperlyConfigured(
        "CACHE_URL names a cache that counts for one process alone, or that stores pickles. "
        "Take dbcache://cache_entries or redis://host:6379/1."
    )
