"""Private files of an analysis: looked up by row, served by media.py, 404 for everyone but the owner and staff."""

from functools import partial
from uuid import UUID

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from analysis import media, queries, services
from analysis.models import AnnotatedFrame, FaceSample
from analysis.views.access import analysis_or_404
from detector.report import Verdict

JPEG = "image/jpeg"
# By the first of FFmpeg's names for the container that browsers know; anything else is offered as plain bytes.
_VIDEO_TYPES = {
    "mp4": "video/mp4",
    "mov": "video/mp4",
    "webm": "video/webm",
    "matroska": "video/webm",
    "avi": "video/x-msvideo",
    "gif": "image/gif",
}


def video_type(container: str) -> str:
    """The media type for FFmpeg's container name, such as "mov,mp4,m4a,3gp,3g2,mj2"."""
    known = (_VIDEO_TYPES[name] for name in container.split(",") if name in _VIDEO_TYPES)
    return next(known, "application/octet-stream")


@login_not_required  # the answer to someone who is not logged in is 404, as to any stranger
@require_safe
def video(request: HttpRequest, pk: UUID) -> HttpResponseBase:
    """The video as it was uploaded; with ``?download`` as a file under its own name."""
    analysis = analysis_or_404(request, pk)
    row = analysis.video
    name = row.name if "download" in request.GET else None
    if name is not None:
        services.note_download(analysis)
    return media.serve(request, row.file, video_type(row.container), download_name=name)


@login_not_required
@require_safe
def poster(request: HttpRequest, pk: UUID) -> HttpResponseBase:
    row = analysis_or_404(request, pk, noted=False).video
    if not row.poster:
        raise Http404
    return media.serve(request, row.poster, JPEG)


@login_not_required
@require_safe
def frame(request: HttpRequest, pk: UUID, index: int) -> HttpResponseBase:
    """One whole frame with boxes and scores, which are drawn now where they were not when it was stored."""
    analysis = analysis_or_404(request, pk)
    row = get_object_or_404(AnnotatedFrame, analysis=analysis, index=index)
    if row.width is None:
        return media.serve(request, row.picture, JPEG)
    from detector import drawing  # noqa: PLC0415 -- 30 MB that a process which shows no frame does without

    faces = [
        drawing.DrawnFace(
            box=(face.x0, face.y0, face.x1, face.y1),
            verdict=Verdict(face.track.verdict),
            probability_fake=face.probability_fake,
            label=str(face.track.index + 1),
        )
        for face in queries.faces_in(row)
    ]
    draw = partial(drawing.on_frame, width=row.width, faces=faces)
    return media.serve_made(request, row.picture, JPEG, draw, repr((row.width, faces)))


@login_not_required
@require_safe
def crop(request: HttpRequest, pk: UUID, track: int, frame_index: int) -> HttpResponseBase:
    """One face as the network saw it."""
    return media.serve(request, _sample(request, pk, track, frame_index).crop, JPEG)


@login_not_required
@require_safe
def heatmap(request: HttpRequest, pk: UUID, track: int, frame_index: int) -> HttpResponseBase:
    """The same face with the class activation map over it."""
    return media.serve(request, _sample(request, pk, track, frame_index).heatmap, JPEG)


def _sample(request: HttpRequest, pk: UUID, track: int, frame_index: int) -> FaceSample:
    analysis = analysis_or_404(request, pk)
    return get_object_or_404(FaceSample, track__analysis=analysis, track__index=track, frame_index=frame_index)
