"""``manage.py backup TARGET``: a consistent copy of the whole installation, while the site runs."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connection

from audit import trail
from audit.models import Action, Entry
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
        except DatabaseError as error:
            self.stderr.write(f"The audit trail does not tell of this backup: {_reason(error)}.")
        for name in made.missing:
            self.stderr.write(f"{name} is named in the database and was not in the storage.")
        self.stdout.write(
            f"{options['target']}: {len(made.files)} files, {made.size_bytes / 1024**2:.1f} MiB, as of {made.made_at}."
        )


def _reason(error: DatabaseError) -> str:
    """A backup is what one makes before an upgrade, too: then there may be no audit trail yet."""
    try:
        if Entry._meta.db_table not in connection.introspection.table_names():
            return "the database is one of an older version"
    except DatabaseError:
        pass
    return str(error)
