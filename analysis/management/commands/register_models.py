"""``manage.py register_models``: makes a row for every model found under detector/models and has one active.

The first analysis and the administration do the same by themselves.
"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from analysis import model_versions
from detector.errors import DetectorError


class Command(BaseCommand):
    help = "Registers the models found under detector/models; the default one becomes active when none is."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            rows = model_versions.register()
        except DetectorError as error:
            raise CommandError(str(error)) from error
        if not rows:
            raise CommandError("No model was found under detector/models. Install one there and run this again.")
        for row in rows:
            self.stdout.write(f"{row} {row.sha256[:12]} {row.config_sha256[:12]}{' (active)' if row.is_active else ''}")
