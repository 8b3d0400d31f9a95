"""``manage.py backup TARGET``: a consistent copy of the whole installation, while the site runs."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from audit import trail
from audit.models import Action
from deepfakesite.backups import manifest, writing


class Command(BaseCommand):
    help = "Copies database, media and secret key into the new folder TARGET, which nobody else can read."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("target", type=Path, help="a folder that does not exist yet")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            made = writing.write(options["target"])
        except manifest.Unusable as error:
            raise CommandError(str(error)) from error
        try:
            trail.record(Action.BACKED_UP, "installation", files=len(made.files), size_bytes=made.size_bytes)
        except DatabaseError:  # a backup is what one makes before an upgrade, too
            self.stderr.write(
                "The database is one of an older version, so the audit trail does not tell of this backup."
            )
        for name in made.missing:
            self.stderr.write(f"{name} is named in the database and was not in the storage.")
        self.stdout.write(
            f"{options['target']}: {len(made.files)} files, {made.size_bytes / 1024**2:.1f} MiB, as of {made.made_at}."
        )
