"""What the pages of the administration have in common: nothing is changed by hand; pictures and links are shown."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from accounts.models import User
from analysis import services
from analysis.models import FaceSample, FaceTrack, Video

if TYPE_CHECKING:
    _Site = admin.options.BaseModelAdmin[Any]
    _Page = admin.ModelAdmin[Any]
else:
    _Site = _Page = object


_NAME_SHOWN = 32


class LookingOnly(_Site):
    """Nothing can be added or changed by hand."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class Noted(_Page):
    """The page of one row tells the audit trail that staff looked at what is somebody else's."""

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        shown = super().get_object(request, object_id, from_field)
        who = request.user
        if shown is not None and isinstance(who, User) and self.has_view_permission(request, shown):
            services.note_view(who, shown.analysis if isinstance(shown, FaceTrack) else shown)
        return shown


class NotDeletable(LookingOnly):
    """Goes with the row it belongs to."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def name_and_owner(video: Video) -> SafeString:
    return format_html("{}<br>{}", Truncator(video.name).chars(_NAME_SHOWN), video.owner.email)


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def poster(analysis_pk: UUID, name: str) -> SafeString:
    return format_html(
        '<img src="{}" alt="{}" width="88" loading="lazy">', reverse("analysis:poster", args=[analysis_pk]), name
    )


def face(track: FaceTrack, sample: FaceSample, kind: str, width_px: int) -> SafeString:
    """A private picture by its address; the browser asks for it with the administrator's own session."""
    address = reverse(f"analysis:{kind}", args=[track.analysis_id, track.index, sample.frame_index])
    words = _("%(kind)s at %(time).2f s, fake with probability %(probability).2f") % {
        "kind": kind,
        "time": sample.time_s,
        "probability": sample.probability_fake,
    }
    return format_html('<img src="{0}" alt="{1}" title="{1}" width="{2}" loading="lazy">', address, words, width_px)


def analyses_link(count: int, **filters: Any) -> SafeString:
    return format_html(
        '<a href="{}?{}">{}</a>', reverse("admin:analysis_analysis_changelist"), urlencode(filters), count
    )


def deleted(
    rows: Iterable[Model], kind: type[Model], others: dict[str, int], lacking: Iterable[str] = ()
) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
    """What the page that asks for confirmation says: the rows themselves and how many others go with them.

    Whoever may delete a row may delete what was derived from it; that has no permission of its own. ``lacking`` names
    what else would go and whoever asks may not delete: then nothing is deleted.
    """
    listed = [str(row) for row in rows]
    return listed, {str(kind._meta.verbose_name_plural): len(listed)} | others, set(lacking), []
