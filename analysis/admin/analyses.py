"""Analyses and the people found in them, to look at; the verbs go through services.py."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from analysis import services, tasks
from analysis.admin import looking
from analysis.models import Analysis, FaceSample, FaceTrack, State

if TYPE_CHECKING:
    _AnalysisBase = admin.ModelAdmin[Analysis]
    _TrackBase = admin.ModelAdmin[FaceTrack]
    _TrackInlineBase = admin.StackedInline[FaceTrack, Analysis]
    _SampleInlineBase = admin.TabularInline[FaceSample, FaceTrack]
else:
    _AnalysisBase = _TrackBase = admin.ModelAdmin
    _TrackInlineBase = admin.StackedInline
    _SampleInlineBase = admin.TabularInline

_PICTURES_SHOWN = 12  # of one person on the analysis's own page; the person's page shows all


class FaceTrackInline(looking.NotDeletable, _TrackInlineBase):
    model = FaceTrack
    extra = 0
    show_change_link = True
    fields = (("verdict", "score", "sure"), ("seen", "why"), "pictures")
    readonly_fields = ("verdict", "score", "sure", "seen", "why", "pictures")

    def get_queryset(self, request: HttpRequest) -> QuerySet[FaceTrack]:
        return super().get_queryset(request).prefetch_related("samples")

    @admin.display(description=gettext_lazy("probability of fake"))
    def score(self, track: FaceTrack) -> str:
        return looking.number(track.probability_fake)

    @admin.display(description=gettext_lazy("confidence"))
    def sure(self, track: FaceTrack) -> str:
        return looking.number(track.confidence)

    @admin.display(description=gettext_lazy("seen"))
    def seen(self, track: FaceTrack) -> str:
        return _("from %(first).1f to %(last).1f s") % {"first": track.first_s, "last": track.last_s}

    @admin.display(description=gettext_lazy("reasons"))
    def why(self, track: FaceTrack) -> str:
        return ", ".join(track.reasons) or "–"

    @admin.display(description=gettext_lazy("faces"))
    def pictures(self, track: FaceTrack) -> SafeString:
        samples = list(track.samples.all())
        step = max(1, -(-len(samples) // _PICTURES_SHOWN))
        shown = ((looking.face(track, sample, "crop", 64),) for sample in samples[::step])
        return format_html_join(" ", "{}", shown)


class FaceSampleInline(looking.NotDeletable, _SampleInlineBase):
    model = FaceSample
    extra = 0
    fields = (
        "frame_index",
        "time_s",
        "crop_picture",
        "heatmap_picture",
        "score",
        "face_px",
        "sharpness",
        "usable",
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[FaceSample]:
        return super().get_queryset(request).select_related("track")

    @admin.display(description=gettext_lazy("probability of fake"))
    def score(self, sample: FaceSample) -> str:
        return looking.number(sample.probability_fake)

    @admin.display(description=gettext_lazy("crop"))
    def crop_picture(self, sample: FaceSample) -> SafeString:
        return looking.face(sample.track, sample, "crop", 112)

    @admin.display(description=gettext_lazy("heatmap"))
    def heatmap_picture(self, sample: FaceSample) -> SafeString:
        return looking.face(sample.track, sample, "heatmap", 112)


@admin.register(Analysis)
class AnalysisAdmin(looking.Noted, looking.LookingOnly, _AnalysisBase):
    list_display = ("thumbnail", "what", "stands", "answer", "created_at", "took")
    list_display_links = ("thumbnail", "what")
    list_filter = ("state", "verdict", "error_code", "model_version", "created_at")
    list_select_related = ("video__owner", "model_version")
    search_fields = ("video__name", "video__owner__email", "video__sha256", "id", "error_detail")
    search_help_text = gettext_lazy("File name, e-mail address, SHA-256, id or details of an error.")
    date_hierarchy = "created_at"
    actions = ("requeue", "cancel")
    inlines = (FaceTrackInline,)
    fieldsets = (
        (None, {"fields": ("thumbnail", "page", "video", "owner", "frames_requested", "created_at", "id")}),
        (
            gettext_lazy("What was found"),
            {"fields": ("verdict", "score", "sure", "model_version", "took", "stages")},
        ),
        (
            gettext_lazy("Where it stands"),
            {
                "fields": (
                    "state",
                    ("stage", "share"),
                    ("error_code", "error_detail"),
                    ("attempt", "lost_leases"),
                    ("queued_at", "started_at", "finished_at"),
                    ("heartbeat_at", "lease_expires_at"),
                    "worker",
                    "queue_job",
                )
            },
        ),
    )
    readonly_fields = ("thumbnail", "owner", "score", "sure", "took", "stages", "page", "queue_job")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Analysis]:
        """The list shows nothing of the reports, which may be large."""
        rows, match = super().get_queryset(request), request.resolver_match
        return rows.defer("report") if match and str(match.url_name).endswith("_changelist") else rows

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("analysis.change_analysis")

    @admin.action(description=gettext_lazy("Put into the queue again"), permissions=["operate"])
    def requeue(self, request: HttpRequest, rows: QuerySet[Analysis]) -> None:
        self._tell(request, rows.count(), sum(services.retry(row, within_quota=False) for row in rows))

    @admin.action(description=gettext_lazy("Cancel"), permissions=["operate"])
    def cancel(self, request: HttpRequest, rows: QuerySet[Analysis]) -> None:
        self._tell(request, rows.count(), sum(services.cancel(row) for row in rows))

    def _tell(self, request: HttpRequest, asked: int, done: int) -> None:
        if done:
            text = ngettext("%(count)d analysis was changed.", "%(count)d analyses were changed.", done)
            self.message_user(request, text % {"count": done}, messages.SUCCESS)
        if asked > done:
            text = ngettext(
                "%(count)d analysis was left as it is, because its state does not allow this.",
                "%(count)d analyses were left as they are, because their state does not allow this.",
                asked - done,
            )
            self.message_user(request, text % {"count": asked - done}, messages.WARNING)

    def delete_model(self, request: HttpRequest, obj: Analysis) -> None:
        services.delete([obj])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Analysis]) -> None:
        services.delete(queryset)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        return looking.deleted(objs, Analysis, {"tracks": FaceTrack.objects.filter(analysis__in=objs).count()})

    @admin.display(description=gettext_lazy("video"))
    def thumbnail(self, row: Analysis) -> SafeString:
        return looking.poster(row.pk, row.video.name)

    @admin.display(description=gettext_lazy("name and owner"), ordering="video__name")
    def what(self, row: Analysis) -> SafeString:
        return looking.name_and_owner(row.video)

    @admin.display(description=gettext_lazy("owner"), ordering="video__owner__email")
    def owner(self, row: Analysis) -> str:
        return row.video.owner.email

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def stands(self, row: Analysis) -> str:
        return f"{row.get_state_display()}: {row.error_code}" if row.error_code else row.get_state_display()

    @admin.display(description=gettext_lazy("verdict"), ordering="verdict")
    def answer(self, row: Analysis) -> str:
        sure = "" if row.confidence is None else f" {row.confidence:.0%}"
        return f"{row.get_verdict_display()}{sure}" if row.verdict else "–"

    @admin.display(description=gettext_lazy("probability of fake"))
    def score(self, row: Analysis) -> str:
        return looking.number(row.probability_fake)

    @admin.display(description=gettext_lazy("confidence"))
    def sure(self, row: Analysis) -> str:
        return looking.number(row.confidence)

    @admin.display(description=gettext_lazy("seconds"))
    def took(self, row: Analysis) -> str:
        if row.started_at is None or row.finished_at is None:
            return "–"
        return f"{(row.finished_at - row.started_at).total_seconds():.1f}"

    @admin.display(description=gettext_lazy("seconds per stage"))
    def stages(self, row: Analysis) -> str:
        timings = (row.report or {}).get("timings_s", {})
        return ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in timings.items()) or "–"

    @admin.display(description=gettext_lazy("result page"))
    def page(self, row: Analysis) -> SafeString:
        return format_html('<a href="{}">{}</a>', reverse("analysis:detail", args=[row.pk]), _("Open"))

    @admin.display(description=gettext_lazy("job in the queue"))
    def queue_job(self, row: Analysis) -> SafeString:
        name = tasks.job_id(row)
        if row.state not in {State.QUEUED, State.RUNNING}:
            return format_html('<a href="{}">{}</a>', reverse("django_rq:home"), _("All queues"))
        return format_html('<a href="{}">{}</a>', reverse("django_rq:job_detail", args=[0, name]), name)


@admin.register(FaceTrack)
class FaceTrackAdmin(looking.Noted, looking.NotDeletable, _TrackBase):
    list_display = ("__str__", "analysis", "verdict", "probability_fake", "confidence", "first_s", "last_s")
    list_filter = ("verdict",)
    search_fields = ("analysis__id", "analysis__video__name")
    inlines = (FaceSampleInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[FaceTrack]:
        """With the analysis each belongs to, but not its report, which may be large."""
        return super().get_queryset(request).select_related("analysis__video").defer("analysis__report")
