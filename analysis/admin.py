"""The administration of analyses: for looking. State and results are read-only; the verbs go through services.py."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from analysis import admin_looking as looking
from analysis import model_versions, services, tasks
from analysis.messages import sentence_for
from analysis.models import Analysis, FaceSample, FaceTrack, ModelVersion, State, Video
from detector.errors import DetectorError

if TYPE_CHECKING:
    _AnalysisBase = admin.ModelAdmin[Analysis]
    _VideoBase = admin.ModelAdmin[Video]
    _TrackBase = admin.ModelAdmin[FaceTrack]
    _ModelVersionBase = admin.ModelAdmin[ModelVersion]
    _TrackInlineBase = admin.TabularInline[FaceTrack, Analysis]
    _SampleInlineBase = admin.TabularInline[FaceSample, FaceTrack]
else:
    _AnalysisBase = _VideoBase = _TrackBase = _ModelVersionBase = admin.ModelAdmin
    _TrackInlineBase = _SampleInlineBase = admin.TabularInline

_PICTURES_SHOWN = 12  # of one person on the analysis's own page; the person's page shows all


class FaceTrackInline(looking.NotDeletable, _TrackInlineBase):
    model = FaceTrack
    extra = 0
    show_change_link = True
    fields = ("index", "verdict", "probability_fake", "confidence", "reasons", "first_s", "last_s", "pictures")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[FaceTrack]:
        return super().get_queryset(request).prefetch_related("samples")

    @admin.display(description=gettext_lazy("faces"))
    def pictures(self, track: FaceTrack) -> SafeString:
        samples = list(track.samples.all())
        step = max(1, -(-len(samples) // _PICTURES_SHOWN))
        shown = ((looking.face(track, sample, "crop", 56),) for sample in samples[::step])
        return format_html_join(" ", "{}", shown)


class FaceSampleInline(looking.NotDeletable, _SampleInlineBase):
    model = FaceSample
    extra = 0
    fields = (
        "frame_index",
        "time_s",
        "crop_picture",
        "heatmap_picture",
        "probability_fake",
        "face_px",
        "sharpness",
        "usable",
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[FaceSample]:
        return super().get_queryset(request).select_related("track")

    @admin.display(description=gettext_lazy("crop"))
    def crop_picture(self, sample: FaceSample) -> SafeString:
        return looking.face(sample.track, sample, "crop", 112)

    @admin.display(description=gettext_lazy("heatmap"))
    def heatmap_picture(self, sample: FaceSample) -> SafeString:
        return looking.face(sample.track, sample, "heatmap", 112)


@admin.register(Analysis)
class AnalysisAdmin(looking.LookingOnly, _AnalysisBase):
    list_display = ("thumbnail", "name", "owner", "state", "verdict", "confidence", "error_code", "created_at", "took")
    list_display_links = ("thumbnail", "name")
    list_filter = ("state", "verdict", "error_code", "model_version", "created_at")
    list_select_related = ("video__owner", "model_version")
    search_fields = ("video__name", "video__owner__email", "video__sha256", "id", "error_detail")
    search_help_text = gettext_lazy("File name, e-mail address, SHA-256, id or details of an error.")
    date_hierarchy = "created_at"
    actions = ("requeue", "cancel")
    inlines = (FaceTrackInline,)
    exclude = ("report",)
    readonly_fields = ("thumbnail", "owner", "took", "stages", "page", "queue_job")

    def get_fields(self, request: HttpRequest, obj: Analysis | None = None) -> list[Any]:
        names = [field.name for field in Analysis._meta.concrete_fields if field.name != "report"]
        return ["thumbnail", "page", "owner", *names, "took", "stages", "queue_job"]

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

    @admin.display(description=gettext_lazy("name"), ordering="video__name")
    def name(self, row: Analysis) -> str:
        return row.video.name

    @admin.display(description=gettext_lazy("owner"), ordering="video__owner__email")
    def owner(self, row: Analysis) -> str:
        return row.video.owner.email

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


@admin.register(Video)
class VideoAdmin(looking.LookingOnly, _VideoBase):
    list_display = ("thumbnail", "name", "owner", "size", "duration_s", "width", "height", "uploaded_at", "examined")
    list_display_links = ("thumbnail", "name")
    list_select_related = ("owner",)
    list_filter = ("uploaded_at", "container", "codec")
    search_fields = ("name", "owner__email", "sha256", "id")
    date_hierarchy = "uploaded_at"
    exclude = ("file", "poster")
    readonly_fields = ("thumbnail", "examined")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Video]:
        newest = Analysis.objects.filter(video=OuterRef("pk")).order_by("-created_at").values("pk")[:1]
        rows: QuerySet[Video] = super().get_queryset(request)
        return rows.annotate(count=Count("analyses"), newest=Subquery(newest))

    def delete_model(self, request: HttpRequest, obj: Video) -> None:
        services.delete_videos([obj])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Video]) -> None:
        services.delete_videos(queryset)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        return looking.deleted(objs, Video, {"analyses": Analysis.objects.filter(video__in=objs).count()})

    @admin.display(description=gettext_lazy("video"))
    def thumbnail(self, row: Video) -> SafeString:
        newest: UUID | None = getattr(row, "newest", None)
        return looking.poster(newest, row.name) if newest else format_html("{}", "–")

    @admin.display(description=gettext_lazy("size"), ordering="size_bytes")
    def size(self, row: Video) -> str:
        return filesizeformat(row.size_bytes)

    @admin.display(description=gettext_lazy("analyses"), ordering="count")
    def examined(self, row: Video) -> SafeString:
        return looking.analyses_link(getattr(row, "count", 0), video__id__exact=row.pk)


@admin.register(FaceTrack)
class FaceTrackAdmin(looking.LookingOnly, _TrackBase):
    """For looking only, too; but who deletes a person or an analysis is asked for the permission to delete these."""

    list_display = ("__str__", "analysis", "verdict", "probability_fake", "confidence", "first_s", "last_s")
    list_select_related = ("analysis__video",)
    list_filter = ("verdict",)
    search_fields = ("analysis__id", "analysis__video__name")
    inlines = (FaceSampleInline,)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {}

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        raise PermissionDenied

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), "show_delete": False})


@admin.register(ModelVersion)
class ModelVersionAdmin(looking.NotDeletable, _ModelVersionBase):
    list_display = ("__str__", "is_active", "installed", "judged", "short_sha256", "created_at")
    actions = ("activate",)
    readonly_fields = ("installed", "judged")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ModelVersion]:
        rows: QuerySet[ModelVersion] = super().get_queryset(request)
        return rows.annotate(count=Count("analyses"))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method == "GET":
            try:
                model_versions.register()  # what was installed since then appears by itself
            except DetectorError as error:
                self.message_user(request, sentence_for(error.code), messages.ERROR)
        return super().changelist_view(request, extra_context)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("analysis.change_modelversion")

    @admin.action(description=gettext_lazy("Activate: judge new analyses with it"), permissions=["operate"])
    def activate(self, request: HttpRequest, rows: QuerySet[ModelVersion]) -> None:
        chosen = list(rows)
        if len(chosen) != 1:
            self.message_user(request, _("Please tick exactly one model version."), messages.ERROR)
        elif not model_versions.is_installed(chosen[0]):
            self.message_user(request, _("The files of this model version are not installed any more."), messages.ERROR)
        else:
            model_versions.activate(chosen[0])
            self.message_user(
                request, _("New analyses are judged by %(model)s now.") % {"model": chosen[0]}, messages.SUCCESS
            )

    @admin.display(description=gettext_lazy("installed"), boolean=True)
    def installed(self, row: ModelVersion) -> bool:
        return model_versions.is_installed(row)

    @admin.display(description=gettext_lazy("analyses"), ordering="count")
    def judged(self, row: ModelVersion) -> SafeString:
        return looking.analyses_link(getattr(row, "count", 0), model_version__id__exact=row.pk)

    @admin.display(description="SHA-256")
    def short_sha256(self, row: ModelVersion) -> str:
        return row.sha256[:12]
