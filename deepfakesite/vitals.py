"""Whether the parts that everything rests on answer: the database, the queue's server, a worker.

Used by /healthz and by ``manage.py doctor``; each question gives up after a few seconds.
"""

import redis
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from rq import Worker

from deepfakesite import valkey

WORKER_TTL_S = 30  # how often an idle worker shows itself is this less 15 s
WORKER_BUSY_INTERVAL_S = 10  # how often a busy one does
WORKER_SILENCE_S = 45.0  # a worker that has been silent for longer than this is taken for dead


def database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM django_migrations")
            return cursor.fetchone() is not None
    except DatabaseError:
        return False


def queue_answers() -> bool:
    return valkey.answers(settings.RQ_QUEUES["default"]["URL"])


def living_workers() -> int:
    """How many workers have shown themselves lately; 0 too when the queue's server does not answer."""
    url = settings.RQ_QUEUES["default"]["URL"]
    try:
        with redis.Redis.from_url(url, socket_timeout=2.0, socket_connect_timeout=2.0) as client:
            workers = Worker.all(connection=client, serializer=settings.RQ_QUEUES["default"]["SERIALIZER"])
            return len(workers)  # the server forgets those that fall silent: see AnalysisWorker.heartbeat
    except (redis.RedisError, OSError):
        return 0
