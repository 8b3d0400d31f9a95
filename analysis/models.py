"""What a person asked to have examined, where it stands and what was found. Fields and constraints; no rules."""

import uuid
from typing import Any

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

MIN_FRAMES, MAX_FRAMES, DEFAULT_FRAMES = 10, 120, 60


class State(models.TextChoices):
    QUEUED = "queued", _("Waiting")
    RUNNING = "running", _("Running")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")


class Verdict(models.TextChoices):
    REAL = "REAL", _("Real")
    FAKE = "FAKE", _("Fake")
    INCONCLUSIVE = "INCONCLUSIVE", _("Inconclusive")
    NO_FACE = "NO_FACE", _("No face found")


class Stage(models.TextChoices):
    READING = "reading", _("Reading the video")
    FACES = "faces", _("Finding faces")
    JUDGING = "judging", _("Judging")
    DRAWING = "drawing", _("Drawing")


def video_path(video: "Video", filename: str) -> str:
    """Where an upload is kept: a name of our own; nothing of the client's reaches the file system."""
    return f"videos/{video.pk}/original"


def poster_path(video: "Video", filename: str) -> str:
    return f"videos/{video.pk}/poster.jpg"


class Video(models.Model):
    """An uploaded file, judged by content. Deleting the row must go through services.py, which removes the files."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="videos")
    name = models.CharField(
        max_length=255, help_text=_("The file's name as it was uploaded; shown, never used as a path.")
    )
    file = models.FileField(upload_to=video_path, max_length=255)
    poster = models.FileField(upload_to=poster_path, max_length=255, blank=True)
    sha256 = models.CharField(max_length=64, db_index=True)
    size_bytes = models.PositiveBigIntegerField()
    container = models.CharField(max_length=64)
    codec = models.CharField(max_length=32)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    duration_s = models.FloatField()
    frame_rate = models.FloatField()
    uploaded_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-uploaded_at"]
        constraints = [models.UniqueConstraint(fields=["owner", "sha256"], name="one_video_per_owner_and_content")]

    def __str__(self) -> str:
        return self.name


class ModelVersion(models.Model):
    """A model folder found under detector/models, as it stood; one is active and judges new analyses.

    Thresholds that are fitted again make another row, so that each analysis keeps which ones judged it.
    """

    name = models.CharField(max_length=64)
    version = models.CharField(max_length=32)
    sha256 = models.CharField(max_length=64, help_text=_("Of its weights."))
    config_sha256 = models.CharField(
        max_length=64,
        blank=True,
        default="",
        help_text=_("Of model.toml: its calibration and thresholds. Empty in rows from before it was kept."),
    )
    is_active = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name", "version"]
        constraints = [
            models.UniqueConstraint(
                fields=["name", "version", "sha256", "config_sha256"], name="one_row_per_model_version"
            ),
            models.UniqueConstraint(
                fields=["is_active"], condition=models.Q(is_active=True), name="one_active_model_version"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name}-{self.version}"


class Analysis(models.Model):
    """One examination of one video. ``state`` is written by lifecycle.py alone."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    video = models.ForeignKey(Video, on_delete=models.CASCADE, related_name="analyses")
    frames_requested = models.PositiveSmallIntegerField(
        default=DEFAULT_FRAMES, validators=[MinValueValidator(MIN_FRAMES), MaxValueValidator(MAX_FRAMES)]
    )
    model_requested = models.ForeignKey(
        ModelVersion,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="requests",
        help_text=_("The model version that was asked for; empty for the one that is active when the run starts."),
    )
    model_version = models.ForeignKey(
        ModelVersion,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="analyses",
        help_text=_("The model version that judged."),
    )

    state = models.CharField(max_length=16, choices=State, default=State.QUEUED)
    attempt = models.PositiveSmallIntegerField(default=1, help_text=_("Counts every time it was put into the queue."))
    lost_leases = models.PositiveSmallIntegerField(
        default=0, help_text=_("How often a worker died with it; reset by a retry.")
    )
    stage = models.CharField(max_length=16, choices=Stage, blank=True)
    share = models.FloatField(default=0.0, help_text=_("Done of the whole analysis, 0 to 1."))
    created_at = models.DateTimeField(auto_now_add=True)
    queued_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    worker = models.CharField(max_length=128, blank=True)
    error_code = models.CharField(max_length=32, blank=True)
    error_detail = models.TextField(
        blank=True, help_text=_("For administrators; people are shown the code's sentence.")
    )

    verdict = models.CharField(max_length=16, choices=Verdict, blank=True)
    probability_fake = models.FloatField(null=True, blank=True)
    confidence = models.FloatField(null=True, blank=True)
    report = models.JSONField(null=True, blank=True, help_text=_("The detector's whole report (detector/report.py)."))

    class Meta:
        ordering = ["-created_at"]
        verbose_name_plural = _("analyses")
        indexes = [
            models.Index(fields=["state", "queued_at"], name="analysis_queue"),
            models.Index(fields=["-created_at"], name="analysis_newest"),
            # Holds all by which a history is sorted and filtered, so that no row, with its report, is read for that.
            models.Index(fields=["video", "-created_at", "-id", "state", "verdict"], name="analysis_history"),
            models.Index(fields=["state", "-finished_at"], name="analysis_finished"),
        ]
        constraints = [
            models.CheckConstraint(condition=models.Q(state__in=State.values), name="analysis_state_known"),
            models.CheckConstraint(
                condition=models.Q(frames_requested__gte=MIN_FRAMES, frames_requested__lte=MAX_FRAMES),
                name="analysis_frames_in_range",
            ),
            models.CheckConstraint(
                condition=~models.Q(state=State.DONE) | (~models.Q(verdict="") & models.Q(finished_at__isnull=False)),
                name="analysis_done_has_verdict",
            ),
            models.CheckConstraint(
                condition=~models.Q(state=State.RUNNING) | models.Q(lease_expires_at__isnull=False),
                name="analysis_running_has_lease",
            ),
            models.CheckConstraint(
                condition=~models.Q(state=State.FAILED) | ~models.Q(error_code=""), name="analysis_failed_has_code"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.video} ({self.get_state_display()})"

    @property
    def is_final(self) -> bool:
        return self.state in {State.DONE, State.FAILED, State.CANCELLED}


class ExaminedLength(models.Model):
    """How much video a person had examined and when, for the quota of a day; it stays when the video is deleted.

    Rows older than the quota looks back are removed by quotas.py when the person asks for more.
    """

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    seconds = models.FloatField()
    asked_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["owner", "asked_at"], name="examined_length_of_owner")]

    def __str__(self) -> str:
        return f"{self.seconds:.0f} s at {self.asked_at:%Y-%m-%d %H:%M}"


class Tally(models.Model):
    """How often something has happened since the beginning; see tallies.py."""

    counted = models.CharField(max_length=32)
    label = models.CharField(max_length=64, blank=True)
    bound = models.CharField(
        max_length=16, blank=True, help_text=_("Of a duration: its bucket's upper bound in seconds, or “sum”.")
    )
    value = models.FloatField(default=0.0)

    class Meta:
        verbose_name_plural = _("tallies")
        constraints = [models.UniqueConstraint(fields=["counted", "label", "bound"], name="one_tally_of_a_kind")]

    def __str__(self) -> str:
        return f"{self.counted} {self.label} {self.bound}: {self.value:g}"


def derived_path(row: Any, filename: str) -> str:
    """Where crops, heatmaps and annotated frames of an analysis are kept."""
    analysis_id = row.analysis_id if isinstance(row, AnnotatedFrame) else row.track.analysis_id
    return f"analyses/{analysis_id}/{filename}"


class AnnotatedFrame(models.Model):
    """One sampled frame of the whole picture; boxes and scores are drawn on it when somebody looks at it."""

    analysis = models.ForeignKey(Analysis, on_delete=models.CASCADE, related_name="frames")
    index = models.PositiveSmallIntegerField()
    time_s = models.FloatField()
    picture = models.FileField(upload_to=derived_path, max_length=255)
    width = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text=_("Of the frame, in whose pixels boxes are given; empty where they were drawn when it was stored."),
    )

    class Meta:
        ordering = ["index"]
        constraints = [models.UniqueConstraint(fields=["analysis", "index"], name="one_picture_per_frame")]

    def __str__(self) -> str:
        return f"frame {self.index} at {self.time_s:.2f} s"


class FaceTrack(models.Model):
    """One person, followed through the sampled frames."""

    analysis = models.ForeignKey(Analysis, on_delete=models.CASCADE, related_name="tracks")
    index = models.PositiveSmallIntegerField(help_text=_("0 is the person seen most."))
    verdict = models.CharField(max_length=16, choices=Verdict)
    probability_fake = models.FloatField(null=True, blank=True)
    confidence = models.FloatField(null=True, blank=True)
    reasons = models.JSONField(default=list, blank=True)
    first_s = models.FloatField()
    last_s = models.FloatField()

    class Meta:
        ordering = ["index"]
        constraints = [models.UniqueConstraint(fields=["analysis", "index"], name="one_track_per_person")]

    def __str__(self) -> str:
        return f"person {self.index + 1}"


class FaceSample(models.Model):
    """One person's face in one sampled frame, with its crop and its class activation map."""

    track = models.ForeignKey(FaceTrack, on_delete=models.CASCADE, related_name="samples")
    frame_index = models.PositiveSmallIntegerField()
    time_s = models.FloatField()
    x0 = models.IntegerField()
    y0 = models.IntegerField()
    x1 = models.IntegerField()
    y1 = models.IntegerField()
    probability_fake = models.FloatField()
    face_px = models.PositiveIntegerField()
    sharpness = models.FloatField()
    usable = models.BooleanField()
    crop = models.FileField(upload_to=derived_path, max_length=255)
    heatmap = models.FileField(upload_to=derived_path, max_length=255)

    class Meta:
        ordering = ["frame_index"]
        constraints = [models.UniqueConstraint(fields=["track", "frame_index"], name="one_sample_per_frame")]

    def __str__(self) -> str:
        return f"face at {self.time_s:.2f} s"
