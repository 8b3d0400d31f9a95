"""What the result page shows: the verdict with its grounds, each person's scores and pictures, the frames, facts."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from analysis.messages import reason_sentence
from analysis.models import Analysis, AnnotatedFrame, FaceSample, FaceTrack
from analysis.views import error_rates, timeline
from analysis.views.files import video_type
from analysis.views.timeline import Chart, Point, Scale, Score
from detector.report import Report

logger = logging.getLogger(__name__)

WIDEST_FRAME_PX = 1280  # as the detector keeps frames
PEOPLE_SHOWN_OPEN = 4  # further ones are folded away
BAND_WORDS = {
    "fake": _("range of fake"),
    "real": _("range of real"),
    "between": _("undecided"),
    "unusable": _("not clear enough to count"),
}
STAGE_WORDS = {
    "probe": _("Opening the file"),
    "decode": _("Decoding the frames"),
    "detect": _("Finding faces"),
    "track": _("Following people"),
    "crop": _("Cutting faces out"),
    "network": _("Judging with the network"),
    "verdict": _("Weighing the verdict"),
    "heatmap": _("Drawing heatmaps"),
    "draw": _("Keeping frames"),
    "write": _("Storing pictures"),
    # Of reports from before the stages were told apart:
    "read": _("Reading the frames"),
    "faces": _("Finding and following faces"),
    "pictures": _("Drawing pictures"),
    "total": _("All together"),
}


@dataclass(frozen=True, slots=True)
class Look:
    """One face in one frame: its row and its point in the drawing."""

    sample: FaceSample
    point: Point

    @property
    def words(self) -> str:
        return str(BAND_WORDS[self.point.band])


@dataclass(frozen=True, slots=True)
class Person:
    """One person of the video; ``portrait`` is the largest face seen of them."""

    number: int
    track: FaceTrack
    reasons: list[str]
    looks: list[Look]
    chart: Chart
    portrait: FaceSample
    is_open: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame with the scores of the people in it."""

    number: int
    row: AnnotatedFrame
    people: list[tuple[int, Look]]


def report_of(analysis: Analysis) -> Report | None:
    """The stored report; None when another version of the detector wrote it in another shape."""
    try:
        return Report.from_json(analysis.report or {})
    except ValueError as error:
        logger.warning("Analysis %s: its report cannot be shown: %s", analysis.pk, error)
        return None


def context_of(analysis: Analysis, report: Report) -> dict[str, Any]:
    """The template's variables for a finished analysis."""
    scale = Scale(report.video.duration_s, report.model.threshold_real, report.model.threshold_fake)
    people = _people(analysis, scale)
    judged = sum(person.track.probability_fake is not None for person in people)
    frames = _frames(analysis, people)
    media_type = video_type(report.video.container)
    return {
        "report": report,
        "reasons": [reason_sentence(reason) for reason in report.reasons],
        "wrong_before": error_rates.sentence_of(report),
        "ruler": timeline.ruler_of(report.probability_fake, scale) if report.probability_fake is not None else None,
        "people": people,
        "judged": judged,
        "unjudged": len(people) - judged + report.people_left_out,
        "folded": sum(not person.is_open for person in people),
        "frames": frames,
        "first_s": frames[0].row.time_s if frames else None,
        "last_s": frames[-1].row.time_s if frames else None,
        "picture": _picture_size(report),
        "is_moving_picture": media_type == "image/gif",
        "timings": [(STAGE_WORDS.get(stage, stage), seconds) for stage, seconds in report.timings_s.items()],
        "libraries": sorted(report.libraries.items()),
    }


def portrait_of(samples: Sequence[FaceSample]) -> FaceSample:
    """The largest face among the usable ones, or among all where none is."""
    return max(samples, key=lambda sample: (sample.usable, sample.face_px))


def _people(analysis: Analysis, scale: Scale) -> list[Person]:
    people: list[Person] = []
    for track in analysis.tracks.prefetch_related("samples"):
        samples = sorted(track.samples.all(), key=lambda sample: (sample.time_s, sample.frame_index))
        if not samples:
            continue
        chart = timeline.chart_of([_score(sample) for sample in samples], scale)
        people.append(
            Person(
                number=track.index + 1,
                track=track,
                reasons=[reason_sentence(reason) for reason in track.reasons],
                looks=[Look(sample, point) for sample, point in zip(samples, chart.points, strict=True)],
                chart=chart,
                portrait=portrait_of(samples),
                is_open=len(people) < PEOPLE_SHOWN_OPEN,
            )
        )
    return people


def _score(sample: FaceSample) -> Score:
    return Score(sample.frame_index, sample.time_s, sample.probability_fake, sample.usable)


def _frames(analysis: Analysis, people: list[Person]) -> list[Frame]:
    seen: dict[int, list[tuple[int, Look]]] = defaultdict(list)
    for person in people:
        for look in person.looks:
            seen[look.sample.frame_index].append((person.number, look))
    rows = analysis.frames.all()
    return [Frame(number, row, seen.get(row.index, [])) for number, row in enumerate(rows, start=1)]


def _picture_size(report: Report) -> tuple[int, int]:
    """Width and height of the frames kept."""
    width, height = report.video.width, report.video.height
    scale = min(1.0, WIDEST_FRAME_PX / width)
    return round(width * scale), round(height * scale)
