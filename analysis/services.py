"""The verbs a person has: submit, analyse again, cancel, retry, delete. Owns transactions and files.

Whatever is refused leaves nothing behind; whatever is accepted is committed before it is put into the queue, and stays
accepted when the queue is down. Rows that have files are deleted here and nowhere else.
"""

import contextlib
import logging
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError, OperationalError, transaction
from django.template.defaultfilters import filesizeformat
from django.utils import timezone

from accounts.models import User
from analysis import files, inspection, lifecycle, model_versions, queries, tasks, uploads
from analysis.messages import Code, sentence_for
from analysis.models import MAX_FRAMES, MIN_FRAMES, Analysis, ModelVersion, Video
from detector.errors import ErrorCode

logger = logging.getLogger(__name__)

MODEL_REFUSALS = frozenset({Code.MODEL_VERSION_GONE, Code.MODEL_VERSION_UNMEASURED})


class Refused(Exception):
    """Something a person asked for is not done; ``message`` is a whole translated sentence, ``code`` is stable."""

    def __init__(self, code: str, **context: object) -> None:
        self.code = str(code)
        self.message = sentence_for(self.code, context)
        super().__init__(self.message)


def submit(owner: User, upload: "UploadedFile[Any]", frames: int) -> Analysis:
    """Keeps the uploaded video and queues its analysis; raises Refused and keeps nothing when it cannot be analysed.

    The same bytes from the same owner are kept once: the new analysis then belongs to the video that is there already.
    """
    _check_frames(frames)
    _check_size(upload.size or 0)
    _check_queue(owner)
    with _room(), files.work_folder("upload") as folder:
        received = uploads.receive(upload, folder, settings.UNMASK.max_upload_bytes)
        _check_size(received.size_bytes)
        analysis = _submit_known(owner, received, frames)
        if analysis is not None:
            return analysis
        _check_storage(owner, received.size_bytes)
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


def analyze_again(analysis: Analysis, frames: int, model: ModelVersion | None = None) -> Analysis:
    """Queues another analysis of the same video, judged by ``model`` or else by whichever is active when it starts.

    Raises Refused when the frames, the queue or the model do not allow it.
    """
    _check_frames(frames)
    if model is not None and model not in model_versions.choices():
        installed = model_versions.is_installed(model)
        raise Refused(Code.MODEL_VERSION_UNMEASURED if installed else Code.MODEL_VERSION_GONE)
    with transaction.atomic():
        video = Video.objects.select_for_update().select_related("owner").filter(pk=analysis.video_id).first()
        if video is None:
            raise Refused(Code.FILE_MISSING)
        _lock(video.owner)
        _check_queue(video.owner)
        return _queue(video, frames, model)


def cancel(analysis: Analysis) -> bool:
    """Cancels what waits or runs; False when it is over already."""
    return lifecycle.cancel(analysis.pk)


def retry(analysis: Analysis, *, within_quota: bool = True) -> bool:
    """Puts what failed or was cancelled back into the queue; False when it is neither.

    Raises Refused when the owner's queue is full; ``within_quota=False`` is for administrators.
    """
    with transaction.atomic():
        owner = analysis.video.owner
        if within_quota:
            _lock(owner)
            _check_queue(owner)
        if not lifecycle.requeue(analysis.pk):
            return False
        row = Analysis.objects.get(pk=analysis.pk)
        transaction.on_commit(lambda: tasks.enqueue(row))
    return True


def delete(analyses: Iterable[Analysis]) -> int:
    """Deletes analyses with all that was derived from them, and each video of which none is left; how many analyses."""
    pks = [analysis.pk for analysis in analyses]
    with transaction.atomic():
        rows = Analysis.objects.filter(pk__in=pks)
        video_pks = set(rows.values_list("video_id", flat=True))
        list(Video.objects.select_for_update().filter(pk__in=video_pks).values_list("pk", flat=True))
        deleted = list(rows.values_list("pk", flat=True))
        rows.delete()
        orphans = Video.objects.filter(pk__in=video_pks, analyses__isnull=True)
        orphan_pks = list(orphans.values_list("pk", flat=True))
        Video.objects.filter(pk__in=orphan_pks).delete()
        _remove_after_commit(video_pks=orphan_pks, analysis_pks=deleted)
    return len(deleted)


def delete_videos(videos: Iterable[Video]) -> int:
    """Deletes videos with all their analyses and files; how many videos."""
    pks = [video.pk for video in videos]
    with transaction.atomic():
        rows = Video.objects.filter(pk__in=pks)
        video_pks = list(rows.select_for_update().values_list("pk", flat=True))
        analysis_pks = list(Analysis.objects.filter(video__in=video_pks).values_list("pk", flat=True))
        rows.delete()
        _remove_after_commit(video_pks=video_pks, analysis_pks=analysis_pks)
    return len(video_pks)


def delete_person(owner: User) -> None:
    """Deletes an account with all its videos, analyses and files."""
    with transaction.atomic():
        delete_videos(Video.objects.filter(owner=owner))
        owner.delete()


@contextlib.contextmanager
def _room() -> Iterator[None]:
    """Refuses what finds the disk full; raises Refused."""
    try:
        yield
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


def _check_queue(owner: User) -> None:
    if queries.unfinished_of(owner).count() >= owner.max_queued:
        raise Refused(Code.QUEUE_FULL, max_queued=owner.max_queued)


def _check_storage(owner: User, more_bytes: int) -> None:
    if queries.stored_bytes(owner) + more_bytes > owner.max_storage_bytes:
        raise Refused(Code.STORAGE_FULL, max_storage=filesizeformat(owner.max_storage_bytes))


def _lock(owner: User) -> None:
    """Lets one transaction of a person's at a time count and then add, so that quotas hold."""
    User.objects.select_for_update().filter(pk=owner.pk).first()


def _submit_known(owner: User, received: uploads.Received, frames: int) -> Analysis | None:
    """Queues an analysis of the video that this owner already has with the same content, if it is there."""
    with transaction.atomic():
        _lock(owner)
        video = Video.objects.select_for_update().filter(owner=owner, sha256=received.sha256).first()
        if video is None:
            return None
        if not default_storage.exists(str(video.file.name)):
            logger.warning("The file of video %s was missing and is stored anew from the same upload.", video.pk)
            video.file.name = uploads.keep(received.path, str(video.file.name))
            video.save(update_fields=["file"])
        _check_queue(owner)
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
            _lock(owner)
            _check_queue(owner)
            _check_storage(owner, received.size_bytes)
            video.save(force_insert=True)
            return _queue(video, frames)
    except BaseException:
        files.remove_folders([files.video_folder(video.pk)])
        raise


def _queue(video: Video, frames: int, model: ModelVersion | None = None) -> Analysis:
    """A new analysis in the queue's first state; its job follows when the transaction is committed."""
    analysis = Analysis.objects.create(
        video=video, frames_requested=frames, model_requested=model, queued_at=timezone.now()
    )
    transaction.on_commit(lambda: tasks.enqueue(analysis))
    return analysis


def _remove_after_commit(video_pks: Iterable[uuid.UUID], analysis_pks: Iterable[uuid.UUID]) -> None:
    folders = [*map(files.video_folder, video_pks), *map(files.analysis_folder, analysis_pks)]
    transaction.on_commit(lambda: files.remove_folders(folders))
