"""Turns what the detector found into rows and kept pictures: all of it, or nothing.

Pictures are stored first, under a name that no other attempt has; then one transaction moves the state and writes the
rows. When that is lost (cancelled, deleted, taken back) or fails, the pictures go again; not when it was committed and
something came just after, such as the end of the job's time.
"""

import itertools
import secrets
from collections.abc import Iterator
from pathlib import Path

from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import connection, transaction

from analysis import files, lifecycle, tallies
from analysis.models import Analysis, AnnotatedFrame, FaceSample, FaceTrack, State
from analysis.tallies import Counted
from detector.report import Report, Track

Names = dict[str, str]  # picture's name in the report -> its name in the storage


class _Lost(Exception):
    """The run is no longer this worker's."""


def store(analysis: Analysis, report: Report, folder: Path) -> bool:
    """Keeps the report and its pictures from ``folder`` and moves the analysis to done; False when it was lost."""
    kept_folder = f"{files.analysis_folder(analysis.pk)}/{analysis.attempt}-{secrets.token_hex(4)}"
    try:
        names = {name: _keep(folder, name, kept_folder) for name in _pictures(report)}
        files.make_durable(names.values())
        connection.close_if_unusable_or_obsolete()  # the database may have been started anew since it was last asked
        with transaction.atomic():
            _write(analysis, report, names)
    except _Lost:
        files.remove_folders([kept_folder])
        return False
    except BaseException:
        done = Analysis.objects.filter(pk=analysis.pk, attempt=analysis.attempt, state=State.DONE)
        if not files.may_be_committed(done):
            files.remove_folders([kept_folder])
        raise
    return True


def _pictures(report: Report) -> Iterator[str]:
    for frame in report.frames:
        if frame.picture:
            yield frame.picture
    for track in report.tracks:
        for sample in track.samples:
            yield from (name for name in (sample.crop, sample.heatmap) if name)


def _keep(folder: Path, name: str, kept_folder: str) -> str:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ValueError(f"The report names a picture outside its folder: {name}.")
    kept = f"{kept_folder}/{name}"
    tries = itertools.count()

    def save() -> str:
        if next(tries):  # what was stored may be there although the answer was lost
            default_storage.delete(kept)
        with path.open("rb") as picture:
            return default_storage.save(kept, File(picture))

    return files.outlast(save)


def _write(analysis: Analysis, report: Report, names: Names) -> None:
    won = lifecycle.finish(
        analysis.pk,
        analysis.attempt,
        verdict=report.verdict.value,
        probability_fake=report.probability_fake,
        confidence=report.confidence,
        report=report.to_json(),
    )
    if not won:
        raise _Lost
    tallies.count(Counted.FINISHED, report.verdict.value)
    tallies.observe(Counted.STAGE_SECONDS, report.timings_s)
    if analysis.started_at is not None:
        tallies.observe(Counted.WAIT_SECONDS, {"": (analysis.started_at - analysis.queued_at).total_seconds()})
    AnnotatedFrame.objects.filter(analysis=analysis).delete()
    FaceTrack.objects.filter(analysis=analysis).delete()
    AnnotatedFrame.objects.bulk_create(
        AnnotatedFrame(
            analysis=analysis,
            index=frame.index,
            time_s=frame.time_s,
            picture=names[frame.picture],
            width=frame.width,
        )
        for frame in report.frames
        if frame.picture
    )
    tracks = FaceTrack.objects.bulk_create(_track_row(analysis, track) for track in report.tracks)
    FaceSample.objects.bulk_create(
        row for track, found in zip(tracks, report.tracks, strict=True) for row in _sample_rows(track, found, names)
    )


def _track_row(analysis: Analysis, track: Track) -> FaceTrack:
    times = [sample.time_s for sample in track.samples] or [0.0]
    return FaceTrack(
        analysis=analysis,
        index=track.index,
        verdict=track.verdict.value,
        probability_fake=track.probability_fake,
        confidence=track.confidence,
        reasons=[reason.value for reason in track.reasons],
        first_s=min(times),
        last_s=max(times),
    )


def _sample_rows(row: FaceTrack, track: Track, names: Names) -> Iterator[FaceSample]:
    for sample in track.samples:
        x0, y0, x1, y1 = sample.box
        yield FaceSample(
            track=row,
            frame_index=sample.frame_index,
            time_s=sample.time_s,
            x0=x0,
            y0=y0,
            x1=x1,
            y1=y1,
            probability_fake=sample.probability_fake,
            face_px=sample.face_px,
            sharpness=sample.sharpness,
            usable=sample.usable,
            crop=names[sample.crop] if sample.crop else "",
            heatmap=names[sample.heatmap] if sample.heatmap else "",
        )
