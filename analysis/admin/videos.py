"""Videos, to look at and to delete with all that was made from them."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from analysis import services
from analysis.admin import looking
from analysis.models import Analysis, Video

if TYPE_CHECKING:
    _Base = admin.ModelAdmin[Video]
else:
    _Base = admin.ModelAdmin


@admin.register(Video)
class VideoAdmin(looking.Noted, looking.LookingOnly, _Base):
    list_display = ("thumbnail", "what", "size", "seconds", "picture", "uploaded_at", "examined")
    list_display_links = ("thumbnail", "what")
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

    @admin.display(description=gettext_lazy("name and owner"), ordering="name")
    def what(self, row: Video) -> SafeString:
        return looking.name_and_owner(row)

    @admin.display(description=gettext_lazy("seconds"), ordering="duration_s")
    def seconds(self, row: Video) -> str:
        return f"{row.duration_s:.1f}"

    @admin.display(description=gettext_lazy("picture"))
    def picture(self, row: Video) -> str:
        return f"{row.width} × {row.height}"

    @admin.display(description=gettext_lazy("size"), ordering="size_bytes")
    def size(self, row: Video) -> str:
        return filesizeformat(row.size_bytes)

    @admin.display(description=gettext_lazy("analyses"), ordering="count")
    def examined(self, row: Video) -> SafeString:
        return looking.analyses_link(getattr(row, "count", 0), video__id__exact=row.pk)
