"""The verbs a person has: submit, analyse again, cancel, retry, delete. Owns transactions and files.

Whatever is refused leaves nothing behind; whatever is accepted is committed before it is put into the queue, and stays
accepted when the queue is down. Rows that have files are deleted here and nowhere else.

Rows are locked in one order, so that nobody waits for somebody who waits for them: the person, then videos, then
analyses, each by primary key. Workers keep to it as well (lifecycle.claim_next).
"""

import contextlib
import logging
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import UploadedFile
from django.db import DatabaseError, IntegrityError, OperationalError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import User
from analysis import files, inspection, lifecycle, model_versions, quotas, retention, tallies, tasks, uploads
from analysis.messages import Code
from analysis.messages import Refused as Refused  # part of this module: callers catch services.Refused
from analysis.models import MAX_FRAMES, MIN_FRAMES, Analysis, ModelVersion, Video
from analysis.tallies import Counted
from audit import trail
from audit.models import Action
from detector.errors import ErrorCode

logger = logging.getLogger(__name__)

_PRUNED_AT_ONCE = 50
ANALYSIS, VIDEO = "analysis", "video"  # how the audit trail calls one
MODEL_REFUSALS = frozenset({Code.MODEL_VERSION_GONE, Code.MODEL_VERSION_UNMEASURED})


@contextlib.contextmanager
def _counting_refusals() -> Iterator[None]:
    """Around what opens transactions of its own: a count within them would be rolled back with the rest."""
    try:
        yield
    except Refused as refusal:
        try:
            tallies.count(Counted.REFUSED, refusal.code)
        except DatabaseError:  # a full disk is one of the reasons to refuse, and whoever is refused must be told
            logger.exception("A refusal (%s) could not be counted.", refusal.code)
        raise


@_counting_refusals()
def submit(owner: User, upload: "UploadedFile[Any]", frames: int) -> Analysis:
    """Keeps the uploaded video and queues its analysis; raises Refused and keeps nothing when it cannot be analysed.

    The same bytes from the same owner are kept once: the new analysis then belongs to the video that is there already.
    """
    _check_frames(frames)
    _check_size(upload.size or 0)
    quotas.check_queue(owner)
    with _room(), files.work_folder("upload") as folder:
        received = uploads.receive(upload, folder, settings.UNMASK.max_upload_bytes)
        _check_size(received.size_bytes)
        analysis = _submit_known(owner, received, frames)
        if analysis is not None:
            return analysis
        quotas.check_storage(owner, received.size_bytes)
        poster = folder / "poster.jpg"
        try:
            found = inspection.inspect(received.path, poster)
        except inspection.Rejected as error:
            raise Refused(error.code) from error
        try:
            return _submit_new(owner, received, found, poster, frames)
        except IntegrityError:  # the same file arrived twice at the same moment
            analysis = _submit_known(owner, received, frames)
            if analysis is None:
                raise
            return analysis


def seen_before(owner: User, sha256: str, excluding: Analysis | None = None) -> Analysis | None:
    """The owner's newest analysis of a file with this content, if there is one besides ``excluding``."""
    rows = Analysis.objects.filter(video__owner=owner, video__sha256=sha256).select_related("video")
    if excluding is not None:
        rows = rows.exclude(pk=excluding.pk)
    return rows.order_by("-created_at").first()


@_counting_refusals()
def analyze_again(analysis: Analysis, frames: int, model: ModelVersion | None = None) -> Analysis:
    """Queues another analysis of the same video, judged by ``model`` or else by whichever is active when it starts.

    Raises Refused when the frames, the queue or the model do not allow it.
    """
    _check_frames(frames)
    if model is not None and model not in model_versions.choices():
        installed = model_versions.is_installed(model)
        raise Refused(Code.MODEL_VERSION_UNMEASURED if installed else Code.MODEL_VERSION_GONE)
    with transaction.atomic():
        video = _lock_video(analysis.video_id)
        if video is None:
            raise Refused(Code.FILE_MISSING)
        quotas.check_queue(video.owner)
        quotas.check_minutes(video.owner, video.duration_s)
        return _queue(video, frames, model)


def cancel(analysis: Analysis) -> bool:
    """Cancels what waits or runs; False when it is over already."""
    with transaction.atomic():
        cancelled = lifecycle.cancel(analysis.pk)
        if cancelled:
            trail.record(Action.CANCELLED, ANALYSIS, analysis.pk, owner_id=analysis.video.owner_id)
    return cancelled


@_counting_refusals()
def retry(analysis: Analysis, *, within_quota: bool = True) -> bool:
    """Puts what failed or was cancelled back into the queue; False when it is neither, or gone.

    Raises Refused when the owner's queue is full; ``within_quota=False`` is for administrators.
    """
    with transaction.atomic():
        video = _lock_video(analysis.video_id)  # or retention might take it for one that is over
        if video is None:
            return False
        if within_quota:
            quotas.check_queue(video.owner)
            quotas.check_minutes(video.owner, video.duration_s)
        if not lifecycle.requeue(analysis.pk):
            return False
        if within_quota:
            quotas.note_minutes(video.owner, video.duration_s)
        trail.record(Action.RETRIED, ANALYSIS, analysis.pk, owner_id=video.owner_id)
        row = Analysis.objects.get(pk=analysis.pk)
        transaction.on_commit(lambda: tasks.enqueue(row), robust=True)
    return True


def delete(analyses: Iterable[Analysis]) -> int:
    """Deletes analyses with all that was derived from them, and each video of which none is left; how many analyses."""
    pks = [analysis.pk for analysis in analyses]
    with transaction.atomic():
        rows = Analysis.objects.filter(pk__in=pks)
        video_pks = set(rows.values_list("video_id", flat=True))
        _lock_rows(Video.objects.filter(pk__in=video_pks))
        _lock_rows(rows)  # a worker may be storing what it found
        owners = dict(rows.values_list("pk", "video__owner_id"))
        rows.delete()
        orphans = Video.objects.filter(pk__in=video_pks, analyses__isnull=True)
        orphan_owners = dict(orphans.values_list("pk", "owner_id"))
        Video.objects.filter(pk__in=orphan_owners).delete()
        _note_deleted(orphan_owners, owners)
        _remove_after_commit(video_pks=orphan_owners, analysis_pks=owners)
    return len(owners)


def delete_videos(videos: Iterable[Video]) -> int:
    """Deletes videos with all their analyses and files; how many videos."""
    pks = [video.pk for video in videos]
    with transaction.atomic():
        rows = Video.objects.filter(pk__in=pks)
        _lock_rows(rows)
        _lock_rows(Analysis.objects.filter(video__in=pks))
        owners = dict(rows.values_list("pk", "owner_id"))
        analyses = dict(Analysis.objects.filter(video__in=owners).values_list("pk", "video__owner_id"))
        rows.delete()
        _note_deleted(owners, analyses)
        _remove_after_commit(video_pks=owners, analysis_pks=analyses)
    return len(owners)


def note_view(who: User, seen: Analysis | Video) -> None:
    """Tells the audit trail when ``who`` looks at what is not theirs; once an hour is enough."""
    kind, video = (VIDEO, seen) if isinstance(seen, Video) else (ANALYSIS, seen.video)
    if video.owner_id != who.pk:
        trail.record_once(Action.VIEWED, kind, seen.pk, owner_id=video.owner_id)


def note_download(analysis: Analysis) -> None:
    """Tells the audit trail that a copy was taken; a download that is resumed is one and the same."""
    trail.record_once(Action.DOWNLOADED, ANALYSIS, analysis.pk, owner_id=analysis.video.owner_id)


@dataclass(frozen=True, slots=True)
class Pruned:
    """What retention deletes, or would delete."""

    videos: int
    analyses: int
    size_bytes: int  # of the videos as they were uploaded


def prune(*, dry_run: bool = False) -> Pruned:
    """Deletes the videos whose time has come (retention.py), a few at a time; with ``dry_run`` only counts them."""
    videos = analyses = size_bytes = 0
    due = list(retention.due().values_list("pk", flat=True))
    for start in range(0, len(due), _PRUNED_AT_ONCE):
        with transaction.atomic():
            some = Video.objects.filter(pk__in=due[start : start + _PRUNED_AT_ONCE])
            if not dry_run:  # whoever has one examined again has locked it, and it is not due any more
                _lock_rows(some)
            still_due = list(retention.due().filter(pk__in=some))
            videos += len(still_due)
            analyses += Analysis.objects.filter(video__in=still_due).count()
            size_bytes += sum(video.size_bytes for video in still_due)
            if not dry_run:
                delete_videos(still_due)
    if videos and not dry_run:
        logger.info("Retention deleted %d videos with %d analyses.", videos, analyses)
    return Pruned(videos, analyses, size_bytes)


def delete_person(owner: User) -> None:
    """Deletes an account with all its videos, analyses and files."""
    with transaction.atomic():
        quotas.lock(owner)
        delete_videos(Video.objects.filter(owner=owner))
        trail.record(Action.PERSON_DELETED, "person", owner.pk, owner_id=owner.pk)
        owner.delete()


@contextlib.contextmanager
def _room() -> Iterator[None]:
    """Refuses what finds the disk full or the storage silent; raises Refused."""
    try:
        yield
    except files.StorageDown as error:
        logger.error("An upload was refused: %s", error)
        raise Refused(Code.STORAGE_DOWN) from error
    except (OSError, OperationalError) as error:
        if not files.is_no_room(error):
            raise
        logger.error("The disk is full: an upload was refused (%s).", error)
        raise Refused(Code.DISK_FULL) from error


def _check_frames(frames: int) -> None:
    if not MIN_FRAMES <= frames <= MAX_FRAMES:
        raise Refused(Code.FRAMES_OUT_OF_RANGE)


def _check_size(size_bytes: int) -> None:
    if size_bytes == 0:
        raise Refused(ErrorCode.EMPTY)
    if size_bytes > settings.UNMASK.max_upload_bytes:
        raise Refused(ErrorCode.TOO_LARGE)


def _submit_known(owner: User, received: uploads.Received, frames: int) -> Analysis | None:
    """Queues an analysis of the video that this owner already has with the same content, if it is there."""
    with transaction.atomic():
        quotas.lock(owner)
        video = Video.objects.select_for_update().filter(owner=owner, sha256=received.sha256).first()
        if video is None:
            return None
        if not default_storage.exists(str(video.file.name)):
            logger.warning("The file of video %s was missing and is stored anew from the same upload.", video.pk)
            video.file.name = uploads.keep(received.path, str(video.file.name))
            video.save(update_fields=["file"])
        quotas.check_queue(owner)
        quotas.check_minutes(owner, video.duration_s)
        return _queue(video, frames)


def _submit_new(
    owner: User, received: uploads.Received, found: inspection.Inspection, poster: Path, frames: int
) -> Analysis:
    video = Video(
        id=uuid.uuid4(),
        owner=owner,
        name=received.name,
        sha256=received.sha256,
        size_bytes=received.size_bytes,
        container=found.container,
        codec=found.codec,
        width=found.width,
        height=found.height,
        duration_s=found.duration_s,
        frame_rate=found.frame_rate,
    )
    try:
        video.file.name = uploads.keep(received.path, f"{files.video_folder(video.pk)}/original")
        if poster.exists():
            video.poster.name = uploads.keep(poster, f"{files.video_folder(video.pk)}/poster.jpg")
        with transaction.atomic():
            quotas.lock(owner)
            quotas.check_queue(owner)
            quotas.check_storage(owner, received.size_bytes)
            quotas.check_minutes(owner, found.duration_s)
            video.save(force_insert=True)
            return _queue(video, frames)
    except BaseException:
        if not files.may_be_committed(Video.objects.filter(pk=video.pk)):
            files.remove_folders([files.video_folder(video.pk)])
        raise


def _lock_video(video_pk: uuid.UUID) -> Video | None:
    """The video, locked after its owner; None where it is gone."""
    owner = User.objects.select_for_update(of=("self",)).filter(videos=video_pk).first()
    video = Video.objects.select_for_update().filter(pk=video_pk).first()
    if video is not None and owner is not None:
        video.owner = owner
    return video


def _lock_rows(rows: QuerySet[Any]) -> None:
    """Nobody else changes or deletes these rows until the transaction ends; see above for the order."""
    list(rows.order_by("pk").select_for_update().values_list("pk", flat=True))


def _queue(video: Video, frames: int, model: ModelVersion | None = None) -> Analysis:
    """A new analysis in the queue's first state; its job follows when the transaction is committed."""
    analysis = Analysis.objects.create(
        video=video, frames_requested=frames, model_requested=model, queued_at=timezone.now()
    )
    quotas.note_minutes(video.owner, video.duration_s)
    about = {"video": str(video.pk), "frames": frames, "model": str(model) if model else None}
    trail.record(Action.SUBMITTED, ANALYSIS, analysis.pk, owner_id=video.owner_id, **about)
    transaction.on_commit(lambda: tasks.enqueue(analysis), robust=True)  # it is accepted, whatever the queue says
    return analysis


def _note_deleted(videos: Mapping[uuid.UUID, int], analyses: Mapping[uuid.UUID, int]) -> None:
    """Tells the trail; both come with their owners' keys."""
    trail.record_all(Action.DELETED, ANALYSIS, analyses.items())
    trail.record_all(Action.DELETED, VIDEO, videos.items())


def _remove_after_commit(video_pks: Iterable[uuid.UUID], analysis_pks: Iterable[uuid.UUID]) -> None:
    folders = [*map(files.video_folder, video_pks), *map(files.analysis_folder, analysis_pks)]
    transaction.on_commit(lambda: files.remove_folders(folders))
