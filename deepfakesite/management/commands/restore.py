"""``manage.py restore SOURCE``: puts an installation back as a backup has it."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit import trail
from audit.models import Action
from deepfakesite.backups import manifest, restoring


class Command(BaseCommand):
    help = "Verifies the backup in SOURCE, then puts its database, media and secret key into this installation."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("source", type=Path, help="a folder that `backup` wrote")
        parser.add_argument(
            "--replace", action="store_true", help="remove the data that are there, once the backup has been restored"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            done = restoring.restore(options["source"], replace=options["replace"])
        except manifest.Unusable as error:
            raise CommandError(str(error)) from error
        found = done.manifest
        trail.record(Action.RESTORED, "installation", made_at=found.made_at, made_by=found.unmask)
        again = (
            "1 analysis that was running waits"
            if done.queued_again == 1
            else f"{done.queued_again} analyses that were running wait"
        )
        self.stdout.write(
            f"Restored {len(found.files)} files as of {found.made_at}, made by version {found.unmask}; {again} again. "
            "Start the site with `make run`."
        )
        for folder in done.left:
            self.stderr.write(
                f"{folder} holds what was there before a restore that did not end. Look through it, and remove it when "
                "nothing in it is wanted."
            )
