"""The audit trail: who saw, changed or deleted what, and when. Rows are added and never changed; see trail.py.

People and objects are named by their keys alone, without a foreign key: a row stays when they are deleted, and holds no
name, address or file name then.
"""

from typing import Any, ClassVar, NoReturn

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Action(models.TextChoices):
    SUBMITTED = "submitted", _("Submitted")
    VIEWED = "viewed", _("Viewed somebody else's")
    DOWNLOADED = "downloaded", _("Downloaded")
    CANCELLED = "cancelled", _("Cancelled")
    RETRIED = "retried", _("Put into the queue again")
    DELETED = "deleted", _("Deleted")
    MODEL_ACTIVATED = "model_activated", _("Model version activated")
    PERSON_ADDED = "person_added", _("Account made")
    PERSON_CHANGED = "person_changed", _("Account changed")
    PERSON_DELETED = "person_deleted", _("Account deleted")
    QUOTAS_CHANGED = "quotas_changed", _("Quotas changed")
    RIGHTS_CHANGED = "rights_changed", _("Rights changed")
    RETENTION_CHANGED = "retention_changed", _("Retention changed")
    LOGGED_IN = "logged_in", _("Logged in")
    LOG_IN_FAILED = "log_in_failed", _("Log-in failed")
    LOGGED_OUT = "logged_out", _("Logged out")
    PASSWORD_CHANGED = "password_changed", _("Password changed")
    ADDRESS_CHANGED = "address_changed", _("E-mail address changed")
    SECOND_FACTOR_ADDED = "second_factor_added", _("Second factor added")
    SECOND_FACTOR_REMOVED = "second_factor_removed", _("Second factor removed")
    SESSIONS_ENDED = "sessions_ended", _("Sessions ended")
    SETTINGS_CHANGED = "settings_changed", _("Settings of the installation changed")
    BACKED_UP = "backed_up", _("Backed up")
    RESTORED = "restored", _("Restored from a backup")
    TRAIL_SHORTENED = "trail_shortened", _("Old entries of the trail removed")


class Unchangeable(Exception):
    """Something tried to change or delete an entry: a mistake in the program."""


class Entries(models.QuerySet["Entry"]):
    """Can be read and added to."""

    def update(self, **values: Any) -> NoReturn:
        raise Unchangeable("Entries of the audit trail are not changed.")

    def delete(self) -> NoReturn:
        raise Unchangeable("Entries of the audit trail are not deleted; trail.forget removes old ones.")


class Entry(models.Model):
    """One thing that somebody or the platform did."""

    at = models.DateTimeField(_("when"), default=timezone.now, db_index=True, editable=False)
    action = models.CharField(_("what was done"), max_length=32, choices=Action)
    actor_id = models.BigIntegerField(_("by"), null=True, help_text=_("A person's key; empty for the platform itself."))
    via = models.CharField(_("program"), max_length=32, help_text=_("web, or the name of the program."))
    kind = models.CharField(_("to what"), max_length=32, blank=True)
    object_id = models.CharField(_("its key"), max_length=64, blank=True)
    owner_id = models.BigIntegerField(_("whose"), null=True)
    network = models.CharField(
        _("from"), max_length=64, blank=True, help_text=_("The network of the address, without its last part.")
    )
    request_id = models.CharField(_("request"), max_length=64, blank=True)
    details = models.JSONField(_("details"), default=dict)

    objects: ClassVar[models.Manager["Entry"]] = models.Manager.from_queryset(Entries)()

    class Meta:
        verbose_name = _("entry")
        verbose_name_plural = _("entries")
        ordering: ClassVar[list[str]] = ["-at", "-pk"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["object_id", "at"], name="audit_of_object"),
            models.Index(fields=["actor_id", "at"], name="audit_of_actor"),
        ]

    def __str__(self) -> str:
        return f"{self.get_action_display()}, {self.at:%Y-%m-%d %H:%M:%S}"

    def save(self, *args: Any, **options: Any) -> None:
        if not self._state.adding:
            raise Unchangeable("Entries of the audit trail are not changed.")
        super().save(*args, **options)

    def delete(self, *args: Any, **options: Any) -> NoReturn:
        raise Unchangeable("Entries of the audit trail are not deleted; trail.forget removes old ones.")
