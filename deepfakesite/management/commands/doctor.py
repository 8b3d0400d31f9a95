"""``manage.py doctor``: says in words what is wrong with this installation, and what to do about it."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from deepfakesite.examination import Finding, examine


class Command(BaseCommand):
    help = "Examines this installation and says what is wrong with it; exit status 1 when something is."
    requires_migrations_checks = False

    def handle(self, *args: Any, **options: Any) -> None:
        if examine(self._report):
            self.stdout.write("All is well.")
        else:
            self.stdout.write("Something is wrong; see the lines that say so.")
            sys.exit(1)

    def _report(self, finding: Finding) -> None:
        style = self.style.SUCCESS if finding.well else self.style.ERROR
        self.stdout.write(f"{style('ok     ' if finding.well else 'problem')} {finding.subject}: {finding.sentence}")
        self.stdout.flush()
