"""Model versions: which are installed, which judges, and what each has judged."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from analysis import model_versions
from analysis.admin import looking
from analysis.messages import sentence_for
from analysis.models import ModelVersion
from detector.errors import DetectorError

if TYPE_CHECKING:
    _Base = admin.ModelAdmin[ModelVersion]
else:
    _Base = admin.ModelAdmin


@admin.register(ModelVersion)
class ModelVersionAdmin(looking.NotDeletable, _Base):
    list_display = (
        "__str__",
        "is_active",
        "installed",
        "evaluated",
        "judged",
        "short_sha256",
        "short_config",
        "created_at",
    )
    actions = ("activate",)
    readonly_fields = ("installed", "evaluated", "judged")

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
            return
        try:
            model_versions.activate(chosen[0])
        except model_versions.NotActivated as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
        else:
            self.message_user(
                request, _("New analyses are judged by %(model)s now.") % {"model": chosen[0]}, messages.SUCCESS
            )

    @admin.display(description=gettext_lazy("installed"), boolean=True)
    def installed(self, row: ModelVersion) -> bool:
        return model_versions.is_installed(row)

    @admin.display(description=gettext_lazy("evaluated"), boolean=True)
    def evaluated(self, row: ModelVersion) -> bool:
        return model_versions.is_evaluated(row)

    @admin.display(description=gettext_lazy("analyses"), ordering="count")
    def judged(self, row: ModelVersion) -> SafeString:
        return looking.analyses_link(getattr(row, "count", 0), model_version__id__exact=row.pk)

    @admin.display(description=gettext_lazy("SHA-256 of weights"))
    def short_sha256(self, row: ModelVersion) -> str:
        return row.sha256[:12]

    @admin.display(description=gettext_lazy("of configuration"))
    def short_config(self, row: ModelVersion) -> str:
        return row.config_sha256[:12] or _("not recorded")
