"""``manage.py reconcile``: brings the rows and the queue together again. ``manage.py up`` does so by itself."""

from typing import Any

from django.core.management.base import BaseCommand

from analysis import tasks


class Command(BaseCommand):
    help = (
        "Takes back analyses whose worker fell silent, puts waiting ones that have no job into the queue, and removes "
        "stray files. It may run at any time and as often as you like."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        counts = tasks.reconcile()
        self.stdout.write(
            f"{counts['taken_back']} taken back, {counts['enqueued']} put into the queue, "
            f"{counts['strays_removed']} stray files or folders removed."
        )
