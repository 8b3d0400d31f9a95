"""``manage.py prune [--dry-run]``: deletes what has been kept long enough. ``manage.py up`` does so by itself."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.template.defaultfilters import filesizeformat

from accounts import sessions
from analysis import retention, services
from audit import trail


class Command(BaseCommand):
    help = (
        "Deletes videos, with all that was found in them, that RETENTION_DAYS or their owners do not keep any longer, "
        "old entries of the audit trail, and sessions that are over."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say what would be deleted")

    def handle(self, *args: Any, **options: Any) -> None:
        dry_run = options["dry_run"]
        if dry_run:
            for video in retention.due().order_by("uploaded_at"):
                self.stdout.write(f"video {video.pk}, uploaded {video.uploaded_at:%Y-%m-%d}")
        done = services.prune(dry_run=dry_run)
        if not dry_run:
            trail.forget(settings.AUDIT_RETENTION_DAYS)
            sessions.clear_ended()
        size = filesizeformat(done.size_bytes).replace("\xa0", " ")
        rule = f"{settings.RETENTION_DAYS} days" if settings.RETENTION_DAYS else "no limit"
        self.stdout.write(
            f"{done.videos} videos of {size} with {done.analyses} analyses {'would be' if dry_run else 'were'} deleted "
            f"(the installation's rule: {rule}; people may have shorter ones)."
        )
