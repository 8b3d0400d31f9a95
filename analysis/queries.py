"""What the pages ask of the rows: who may see what, the time left, what a person has."""

from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Count, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from analysis.models import Analysis, AnnotatedFrame, FaceSample, FaceTrack, State, Video

_STANDING = (
    "state",
    "stage",
    "share",
    "queued_at",
    "started_at",
    "heartbeat_at",
    "error_code",
    "verdict",
)
_SHARE_TO_JUDGE_BY = 0.05  # below it the time already spent says too little about the rest


def visible_to(user: AbstractBaseUser | AnonymousUser | Any) -> QuerySet[Analysis]:
    """The analyses a person may reach: their own, or all of them for staff; each comes with its video and models."""
    rows = _rows()
    if not getattr(user, "is_active", False) or user.pk is None:
        return rows.none()
    if getattr(user, "is_staff", False):
        return rows
    return rows.filter(video__owner_id=user.pk)


def faces_in(frame: AnnotatedFrame) -> QuerySet[FaceSample]:
    """The faces seen in a frame, each with its track, in the order of people."""
    seen = FaceSample.objects.filter(track__analysis_id=frame.analysis_id, frame_index=frame.index)
    return seen.select_related("track").order_by("track__index")


def standing_of(user: AbstractBaseUser | AnonymousUser | Any) -> QuerySet[Analysis]:
    """The same, with only what says how far each has come: for answers that are asked for every second."""
    rows = visible_to(user).select_related(None).select_related("video")
    return rows.only(*_STANDING, "video__owner")


def of_keys(keys: QuerySet[Analysis, Any]) -> QuerySet[Analysis]:
    """The rows of a page, whose keys the caller has taken from ``visible_to``: whoever sorts need not carry all along.

    Without the reports, which may be large.
    """
    return _rows().filter(pk__in=keys).defer("report")


def with_counts(rows: QuerySet[Analysis]) -> QuerySet[Analysis]:
    """Adds ``people``, how many were followed, in the same query; counted for the rows that are fetched alone."""
    tracks = FaceTrack.objects.filter(analysis=OuterRef("pk")).order_by().values("analysis")
    return rows.annotate(people=Coalesce(Subquery(tracks.annotate(found=Count("pk")).values("found")), 0))


def seconds_left(analysis: Analysis) -> float | None:
    """How long it will still run at the pace so far; None when it does not run or has run too little to tell."""
    if analysis.state != State.RUNNING or analysis.started_at is None or analysis.share < _SHARE_TO_JUDGE_BY:
        return None
    seen_at = analysis.heartbeat_at or timezone.now()
    spent_s = (seen_at - analysis.started_at).total_seconds()
    left_s = spent_s * (1.0 - analysis.share) / analysis.share
    return max(left_s - (timezone.now() - seen_at).total_seconds(), 0.0)


def unfinished_of(owner: AbstractBaseUser | Any) -> QuerySet[Analysis]:
    """What a person has waiting or running."""
    return Analysis.objects.filter(video__owner_id=owner.pk, state__in=[State.QUEUED, State.RUNNING])


def stored_bytes(owner: AbstractBaseUser | Any) -> int:
    """How much a person's videos take."""
    return Video.objects.filter(owner_id=owner.pk).aggregate(total=Sum("size_bytes"))["total"] or 0


def _rows() -> QuerySet[Analysis]:
    return Analysis.objects.select_related("video", "model_version", "model_requested")
