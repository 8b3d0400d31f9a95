"""How long videos are kept: by the installation's rule and a person's own, of which the shorter one holds. Reads only.

A video, with every analysis of it and all that was derived from them, is due so many days after it was last asked to be
examined, by trying again too: that is when an analysis of it last entered the queue. While one waits or runs it never
is. Deleting is for services.prune.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Exists, Max, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts.models import User
from analysis.models import Analysis, State, Video


def days_of(owner: User) -> int | None:
    """After how many days this person's videos are deleted; None when they are kept."""
    return _shorter(owner.retention_days)


def delete_at(video: Video, owner: User) -> datetime | None:
    """When the video will be due; None when it is kept. ``owner`` is the video's, and saves asking for them."""
    days = days_of(owner)
    if days is None:
        return None
    newest: datetime = video.analyses.aggregate(newest=Max("queued_at"))["newest"] or video.uploaded_at
    return newest + timedelta(days=days)


def due() -> QuerySet[Video]:
    """The videos whose time has come."""
    now = timezone.now()
    condition = Q(pk__in=[])
    for own_days in User.objects.order_by().values_list("retention_days", flat=True).distinct():
        days = _shorter(own_days)
        if days is not None:
            since = now - timedelta(days=days)
            recent = Analysis.objects.filter(video=OuterRef("pk"), queued_at__gt=since)
            condition |= Q(~Exists(recent), owner__retention_days=own_days, uploaded_at__lte=since)
    unfinished = Analysis.objects.filter(video=OuterRef("pk"), state__in=[State.QUEUED, State.RUNNING])
    return Video.objects.filter(condition & ~Exists(unfinished))


def freed_at(owner: User, size_bytes: int) -> datetime | None:
    """When so many bytes of this person's will have been deleted by themselves; None when that many never will."""
    days = days_of(owner)
    if days is None:
        return None
    rows = Video.objects.filter(owner=owner).annotate(newest=Max("analyses__queued_at")).order_by("newest")
    for freed, newest in rows.values_list("size_bytes", "newest"):
        size_bytes -= freed
        if size_bytes <= 0 and newest is not None:
            due_at: datetime = newest + timedelta(days=days)
            return max(due_at, timezone.now())
    return None


def _shorter(own_days: int | None) -> int | None:
    given = [days for days in (own_days, settings.RETENTION_DAYS) if days]
    return min(given) if given else None
