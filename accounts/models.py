"""A person: known by e-mail, with quotas. Sign-up, log-in, second factor and sessions are allauth's."""

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.core.mail import send_mail
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from audit import trail
from audit.models import Action

DEFAULT_MAX_QUEUED = 20
DEFAULT_MAX_RUNNING = 2
DEFAULT_MAX_MINUTES_A_DAY = 600
DEFAULT_MAX_STORAGE_BYTES = 20 * 1024**3
MAX_RETENTION_DAYS = 32_767  # as many as the column holds in PostgreSQL; SQLite alone would take any number


class UserManager(BaseUserManager["User"]):
    """Makes and finds people by e-mail, whatever its case."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        if not email:
            raise ValueError("A person needs an e-mail address.")
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        with transaction.atomic(using=self._db):
            user = self.create_user(email, password, **{**fields, "is_staff": True, "is_superuser": True})
            trail.record(Action.PERSON_ADDED, "person", user.pk, owner_id=user.pk, is_superuser=True)
        return user

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email__iexact=username)

    @classmethod
    def normalize_email(cls, email: str | None) -> str:
        """Lower case throughout: nobody's provider tells Ann@ from ann@, and people type both."""
        return (email or "").strip().lower()


class User(AbstractBaseUser, PermissionsMixin):
    """Someone who may log in."""

    email = models.EmailField(
        _("e-mail address"),
        unique=True,
        error_messages={"unique": _("There is an account with this e-mail address already.")},
    )
    display_name = models.CharField(_("display name"), max_length=80, blank=True)
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("Take this away to disable the account without deleting anything.")
    )
    is_staff = models.BooleanField(
        _("staff"), default=False, help_text=_("May open the administration and see everyone's analyses.")
    )
    date_joined = models.DateTimeField(_("joined"), default=timezone.now, editable=False)
    max_queued = models.PositiveIntegerField(
        _("waiting analyses"), default=DEFAULT_MAX_QUEUED, help_text=_("How many analyses may wait or run at once.")
    )
    max_running = models.PositiveSmallIntegerField(
        _("running analyses"),
        default=DEFAULT_MAX_RUNNING,
        validators=[MinValueValidator(1)],
        help_text=_("How many of these may run at once, where there are several workers; the others wait."),
    )
    max_minutes_a_day = models.PositiveIntegerField(
        _("minutes of video a day"),
        default=DEFAULT_MAX_MINUTES_A_DAY,
        help_text=_("How much video may be examined within 24 hours; a video that is examined twice counts twice."),
    )
    max_storage_bytes = models.PositiveBigIntegerField(
        _("storage in bytes"), default=DEFAULT_MAX_STORAGE_BYTES, help_text=_("How much all uploaded videos may take.")
    )
    retention_days = models.PositiveSmallIntegerField(
        _("delete videos after (days)"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_RETENTION_DAYS)],
        help_text=_(
            "Each video is deleted with everything found in it so many days after it was last examined, unless the "
            "installation deletes it sooner. Empty for the installation's rule."
        ),
    )
    last_turn_at = models.DateTimeField(
        _("last turn"),
        null=True,
        blank=True,
        editable=False,
        help_text=_("When a worker last took an analysis of theirs; who has waited longer is next."),
    )

    objects: ClassVar[UserManager] = UserManager()

    EMAIL_FIELD = "email"
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name = _("person")
        verbose_name_plural = _("people")
        ordering: ClassVar[list[str]] = ["email"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                Lower("email"),
                name="one_account_per_email",
                violation_error_message=_("There is an account with this e-mail address already."),
            ),
        ]

    def __str__(self) -> str:
        return self.display_name or self.email

    def clean(self) -> None:
        super().clean()
        self.email = UserManager.normalize_email(self.email)

    def get_full_name(self) -> str:
        return str(self)

    def get_short_name(self) -> str:
        return str(self)

    def email_user(self, subject: str, message: str, from_email: str | None = None, **options: Any) -> None:
        """Sends this person an e-mail."""
        send_mail(subject, message, from_email, [self.email], **options)
