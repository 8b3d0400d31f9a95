"""Words for people: one whole translated sentence or two for each code, saying what happened and what to do.

Codes come from detector/errors.py, from detector/report.py (reasons) and from this app (``Code``). Nothing else turns
a code into words.
"""

import math
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.template.defaultfilters import filesizeformat
from django.utils import formats, timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as noop
from django.utils.translation import ngettext

from analysis.models import MAX_FRAMES, MIN_FRAMES
from detector.errors import ErrorCode
from detector.report import Reason
from detector.stream import MAX_SIDE


class Code(StrEnum):
    """What can go wrong around the detector."""

    INTERNAL = "internal"  # a mistake of ours; the log has the traceback
    LOST = "lost"  # the worker died with it too often
    FILE_MISSING = "file_missing"  # the stored video is gone
    FILE_CHANGED = "file_changed"  # the stored video is not the one that was uploaded
    QUEUE_FULL = "queue_full"
    QUEUE_CLOSED = "queue_closed"  # its owner may have nothing waiting or running at all
    STORAGE_FULL = "storage_full"
    LARGER_THAN_STORAGE = "larger_than_storage"  # one video alone is more than its owner may keep
    MINUTES_USED_UP = "minutes_used_up"
    LONGER_THAN_A_DAY = "longer_than_a_day"  # one video alone is more than its owner may have examined in a day
    DISK_FULL = "disk_full"  # of the machine, not what one person may keep
    STORAGE_DOWN = "storage_down"  # a storage on the network does not answer
    FRAMES_OUT_OF_RANGE = "frames_out_of_range"
    MODEL_VERSION_GONE = "model_version_gone"  # the version that was asked for is not installed any more as it was
    MODEL_VERSION_UNMEASURED = "model_version_unmeasured"  # it is, but has no figures from test clips as it stands


class Refused(Exception):
    """Something a person asked for is not done; ``message`` is a whole translated sentence, ``code`` is stable."""

    def __init__(self, code: str, **context: object) -> None:
        self.code = str(code)
        self.message = sentence_for(self.code, context)
        super().__init__(self.message)


_SENTENCES: dict[str, str] = {
    ErrorCode.UNREADABLE: noop(
        "This video is damaged or incomplete, so none of its pictures can be read. "
        "Play it on your device to check it, or export it again as MP4, then upload that."
    ),
    ErrorCode.EMPTY: noop(
        "This file is empty. Check that it was saved or downloaded completely, then choose it again."
    ),
    ErrorCode.UNSUPPORTED: noop(
        "This file is not a video, or not of a kind that is read here. Please choose an MP4, MOV, MKV, WebM, AVI or "
        "GIF file, or convert the video to MP4 (H.264) first."
    ),
    ErrorCode.NO_VIDEO_STREAM: noop(
        "This file holds no moving picture, perhaps only sound. Please choose a file with video."
    ),
    ErrorCode.TOO_LONG: noop(
        "This video is longer than %(max_duration)s. Please cut out the part in question and upload that."
    ),
    ErrorCode.TOO_LARGE: noop(
        "This file is larger than %(max_size)s. Please cut out the part in question and upload that."
    ),
    ErrorCode.TOO_MANY_PIXELS: noop(
        "The picture of this video is larger than %(max_megapixels)s megapixels, or longer than %(max_side)s pixels. "
        "Please scale it down, for example to 4K, and upload that."
    ),
    ErrorCode.MODEL_MISSING: noop(
        "The model that judges videos is not installed. Please tell an administrator; your video is kept, and you "
        "can try again later."
    ),
    ErrorCode.MODEL_DAMAGED: noop(
        "The model that judges videos is damaged. Please tell an administrator; your video is kept, and you can "
        "try again later."
    ),
    ErrorCode.CANCELLED: noop("The analysis was cancelled. Start it again whenever you like."),
    ErrorCode.TIMED_OUT: noop(
        "This video took too long. Please try again; if that fails too, cut out the part in question and upload that."
    ),
    Code.INTERNAL: noop(
        "Something went wrong on our side, and it has been written to the log. Please try again; "
        "if it happens once more, tell an administrator."
    ),
    Code.LOST: noop(
        "The analysis was interrupted several times before it could finish. Please try again; "
        "if it happens once more, tell an administrator."
    ),
    Code.FILE_MISSING: noop("The stored video is gone, so it cannot be examined. Please upload it again."),
    Code.FILE_CHANGED: noop(
        "The stored video is not the one that was uploaded, so it was not examined. Please delete this analysis "
        "and upload the video again."
    ),
    ErrorCode.DECODER_CRASHED: noop(
        "The program that reads videos broke down over this one, as happens with damaged or manipulated files. It was "
        "shut off, so nothing else is affected. Please export the video again as MP4 (H.264) and upload that."
    ),
    ErrorCode.TOO_DEMANDING: noop(
        "Reading this video takes more memory than is allowed here. Please export it again as an ordinary MP4 "
        "(H.264), or scale it down."
    ),
    Code.STORAGE_FULL: noop(
        "Your videos take %(taken)s of the %(max_storage)s that you may keep, and this one takes %(more)s. There is "
        "room for it as soon as you have deleted analyses whose videos take %(missing)s.%(otherwise)s"
    ),
    Code.QUEUE_CLOSED: noop(
        "Your account may not have videos examined at present; the results that you have stay. Please ask an "
        "administrator to allow it."
    ),
    Code.LARGER_THAN_STORAGE: noop(
        "This video takes %(more)s, and all your videos together may take %(max_storage)s. Please cut out the part in "
        "question and upload that, or ask an administrator for more room."
    ),
    Code.MINUTES_USED_UP: noop(
        "You may have %(max_minutes)s of video examined within 24 hours. You have used %(used)s, and this video takes "
        "%(more)s. There is room for it from %(when)s on."
    ),
    Code.LONGER_THAN_A_DAY: noop(
        "This video takes %(more)s, and within 24 hours you may have %(max_minutes)s examined. Please cut out "
        "the part in question and upload that, or ask an administrator for more."
    ),
    Code.DISK_FULL: noop(
        "There is no room left on the disk of this site, so this could not be kept. Please tell an administrator, and "
        "try again when there is room."
    ),
    Code.STORAGE_DOWN: noop(
        "The place where this site keeps videos does not answer at the moment, so this could not be done. Please try "
        "again in a few minutes; if it happens once more, tell an administrator."
    ),
    Code.MODEL_VERSION_GONE: noop(
        "The model version that was asked for is not installed any more as it was, so the video was not examined. "
        "Please examine it again with one of the versions that are offered."
    ),
    Code.MODEL_VERSION_UNMEASURED: noop(
        "The model version that was asked for has not been measured on test clips as it stands, so nobody could say "
        "how often it is wrong, and the video was not examined. Please examine it again with one of the versions that "
        "are offered."
    ),
    Code.FRAMES_OUT_OF_RANGE: noop("Please choose between %(min_frames)s and %(max_frames)s frames."),
}

_REASONS: dict[str, str] = {
    Reason.FACE_TOO_SMALL: noop(
        "The face is too small in the picture to be judged; a version in higher resolution may help."
    ),
    Reason.FACE_TOO_BLURRED: noop(
        "The face is too blurred to be judged; a sharper or less compressed version may help."
    ),
    Reason.TOO_FEW_FRAMES: noop(
        "The face is seen in too few of the frames; a longer part of the video or more frames may help."
    ),
    Reason.SCORE_BETWEEN_THRESHOLDS: noop(
        "The score is not clear enough for real or for fake: the model is wrong too often there to decide."
    ),
    Reason.ONE_OF_SEVERAL: noop(
        "The score would be high enough for one person alone. Among several people the highest score is high by "
        "chance more often, so more is asked for before one of them is called fake."
    ),
}


def sentence_for(error_code: str, context: Mapping[str, Any] | None = None) -> str:
    """What to tell a person about ``error_code``; an unknown code is a mistake of ours and reads like one.

    ``context`` adds to or replaces the numbers that the sentences name, which are otherwise those of the settings.
    """
    values = {**_limits(), **(context or {})}
    if error_code == Code.QUEUE_FULL:
        count = int(values.get("max_queued", 0))
        full = ngettext(
            "You have %(count)s analysis waiting or running, which is as many as you may have.",
            "You have %(count)s analyses waiting or running, which is as many as you may have.",
            count,
        ) % {"count": count}
        return f"{full} {values.get('room') or room_in_queue(None)}"
    return _(_SENTENCES.get(error_code, _SENTENCES[Code.INTERNAL])) % values


def room_in_queue(seconds: float | None) -> str:
    """When one of a person's analyses will have ended, in a sentence; ``seconds`` is an estimate or unknown."""
    if seconds is None:
        return _("There is room as soon as one of them is done, or when you cancel one.")
    return _("There is room as soon as one of them is done, probably in %(time)s, or when you cancel one.") % {
        "time": duration_words(seconds)
    }


def room_by_itself(at: datetime | None) -> str:
    """A sentence, after another, that says when enough will be deleted without anybody's doing; empty for never."""
    if at is None:
        return ""
    return " " + _("Otherwise there is room from %(when)s on, when enough of them are old enough to be deleted.") % {
        "when": formats.date_format(timezone.localtime(at), "j M Y")
    }


def duration_words(seconds: float) -> str:
    """A length of time in whole minutes, rounded up."""
    minutes = max(1, math.ceil(seconds / 60))
    return ngettext("%(count)s minute", "%(count)s minutes", minutes) % {"count": minutes}


def limit_words(seconds: float) -> str:
    """A longest time in whole minutes, or seconds below one, rounded down: never more than is allowed."""
    if seconds < 60:
        count = math.floor(seconds)
        return ngettext("%(count)s second", "%(count)s seconds", count) % {"count": count}
    minutes = math.floor(seconds / 60)
    return ngettext("%(count)s minute", "%(count)s minutes", minutes) % {"count": minutes}


def reason_sentence(reason: str) -> str:
    """Why an answer is inconclusive, and what may help."""
    return _(_REASONS.get(reason, _REASONS[Reason.SCORE_BETWEEN_THRESHOLDS]))


def known_codes() -> frozenset[str]:
    """Every code that has a sentence of its own."""
    return frozenset({*_SENTENCES, Code.QUEUE_FULL})


def _limits() -> dict[str, Any]:
    limits = settings.UNMASK
    return {
        "max_size": filesizeformat(limits.max_upload_bytes),
        "max_duration": limit_words(limits.max_duration_s),
        "max_megapixels": f"{limits.max_pixels // 100_000 / 10:g}",  # rounded down, too
        "max_side": f"{MAX_SIDE:,}",
        **dict.fromkeys(("max_storage", "taken", "missing", "more", "max_minutes", "used", "when", "otherwise"), ""),
        "min_frames": MIN_FRAMES,
        "max_frames": MAX_FRAMES,
    }
