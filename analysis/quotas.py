"""What a person may have at once and within a day: analyses, bytes, minutes of video; and when there is room again.

Each check raises Refused with a sentence that says how much is used. Call them with the person's row locked (``lock``)
in the transaction that adds something, so that two requests at one moment do not both find the last place.

How many analyses of a person run at once is not refused but waited for; see turns.py.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Sum
from django.template.defaultfilters import filesizeformat
from django.utils import formats, timezone

from accounts.models import User
from analysis import queries, retention, statistics, turns
from analysis.messages import Code, Refused, duration_words, room_by_itself, room_in_queue
from analysis.models import Analysis, ExaminedLength, State

DAY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Use:
    """How much of each quota a person has used."""

    unfinished: int
    running: int
    stored_bytes: int
    seconds: float  # of video, within the last 24 hours

    @property
    def minutes(self) -> int:
        return round(self.seconds / 60)


def use_of(owner: User) -> Use:
    unfinished = queries.unfinished_of(owner)
    return Use(
        unfinished=unfinished.count(),
        running=unfinished.filter(state=State.RUNNING).count(),
        stored_bytes=queries.stored_bytes(owner),
        seconds=_seconds_examined(owner),
    )


def lock(owner: User) -> None:
    """Lets one transaction of a person's at a time count and then add, so that quotas hold."""
    User.objects.select_for_update().filter(pk=owner.pk).first()


def check_queue(owner: User) -> None:
    """Whether one more analysis may wait or run."""
    if not owner.max_queued:
        raise Refused(Code.QUEUE_CLOSED)
    count = queries.unfinished_of(owner).count()
    if count >= owner.max_queued:
        raise Refused(Code.QUEUE_FULL, max_queued=owner.max_queued, room=room_in_queue(_until_one_ends_s(owner)))


def why_not_now(owner: User) -> str:
    """Why nothing more can be asked for at this moment, whatever it is; empty when something can."""
    try:
        check_queue(owner)
    except Refused as refusal:
        return refusal.message
    return ""


def check_storage(owner: User, more_bytes: int) -> None:
    """Whether a video of ``more_bytes`` may be kept beside the others."""
    allowed, taken = owner.max_storage_bytes, queries.stored_bytes(owner)
    context = {"max_storage": filesizeformat(allowed), "more": filesizeformat(more_bytes)}
    if more_bytes > allowed:
        raise Refused(Code.LARGER_THAN_STORAGE, **context)
    missing = taken + more_bytes - allowed
    if missing > 0:
        raise Refused(
            Code.STORAGE_FULL,
            **context,
            taken=filesizeformat(taken),
            missing=filesizeformat(missing),
            otherwise=room_by_itself(retention.freed_at(owner, missing)),
        )


def check_minutes(owner: User, seconds: float) -> None:
    """Whether ``seconds`` of video more may be examined within the 24 hours that end now."""
    allowed_s = owner.max_minutes_a_day * 60
    context = {"max_minutes": duration_words(allowed_s), "more": duration_words(seconds)}
    if seconds > allowed_s:
        raise Refused(Code.LONGER_THAN_A_DAY, **context)
    if _seconds_examined(owner) + seconds > allowed_s:
        raise Refused(
            Code.MINUTES_USED_UP,
            **context,
            used=duration_words(_seconds_examined(owner)),
            when=formats.date_format(timezone.localtime(_room_for_minutes_at(owner, seconds)), "j M, H:i"),
        )


def note_minutes(owner: User, seconds: float) -> None:
    """Counts a video of that length as examined now, and forgets what is older than a day."""
    now = timezone.now()
    ExaminedLength.objects.filter(owner=owner, asked_at__lte=now - DAY).delete()
    ExaminedLength.objects.create(owner=owner, seconds=seconds, asked_at=now)


def _seconds_examined(owner: User) -> float:
    rows = ExaminedLength.objects.filter(owner=owner, asked_at__gt=timezone.now() - DAY)
    return rows.aggregate(total=Sum("seconds"))["total"] or 0.0


def _room_for_minutes_at(owner: User, seconds: float) -> datetime:
    """When enough of the last 24 hours will have been forgotten; the minute after, since minutes are what is shown."""
    now = timezone.now()
    excess_s = _seconds_examined(owner) + seconds - owner.max_minutes_a_day * 60
    at = now
    rows = ExaminedLength.objects.filter(owner=owner, asked_at__gt=now - DAY).order_by("asked_at")
    for length_s, asked_at in rows.values_list("seconds", "asked_at"):
        if excess_s <= 0:
            break
        excess_s -= length_s
        at = asked_at + DAY
    return at + timedelta(minutes=1)


def _until_one_ends_s(owner: User) -> float | None:
    """About how long until the first of this person's analyses is done, at the pace of late; None when unknown."""
    pace = statistics.seconds_per_frame()
    estimates = []
    for row in queries.unfinished_of(owner).filter(state=State.RUNNING):
        left_s = queries.seconds_left(row)
        if left_s is None and pace is not None:
            left_s = pace * row.frames_requested
        if left_s is not None:
            estimates.append(left_s)
    if estimates:
        return min(estimates)
    waiting = Analysis.objects.filter(video__owner=owner, state=State.QUEUED).select_related("video")
    first = waiting.order_by("queued_at").first()
    place = turns.place_of(first) if first is not None else None
    if first is None or place is None or pace is None:
        return None
    return pace * first.frames_requested * place  # as if those before it were as long as it is, one at a time
