"""``manage.py worker``: takes analyses from the queue, one at a time, until it is told to stop."""

from typing import Any

import django_rq
import redis
from django.core.management.base import BaseCommand, CommandError, CommandParser

from deepfakesite import rq_worker


class Command(BaseCommand):
    help = "Takes analyses from the queue, one at a time. `manage.py up` starts it; more may run, here or elsewhere."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--burst", action="store_true", help="end when the queue is empty")

    def handle(self, *args: Any, **options: Any) -> None:
        queue = django_rq.get_queue("default")
        worker = rq_worker.AnalysisWorker([queue], connection=queue.connection, serializer=queue.serializer)
        rq_worker.preload()
        try:
            worker.work(burst=options["burst"], logging_level="INFO" if options["verbosity"] > 1 else "WARNING")
        except redis.ConnectionError as error:
            raise CommandError(
                "The queue's server does not answer. Start the site with `make run`, or point REDIS_URL to one."
            ) from error
