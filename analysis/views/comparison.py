"""Two analyses of one video side by side: what each says of the whole, and of each person who is found in both."""

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.messages import reason_sentence
from analysis.models import Analysis, FaceSample, FaceTrack
from analysis.views import error_rates, evidence
from detector.report import Report

LEAST_OVERLAP = 0.3  # mean intersection over union of boxes from which two tracks are one person


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two analyses; ``report`` is None when another version of the detector wrote it."""

    analysis: Analysis
    report: Report | None
    reasons: list[str]
    wrong_before: str


@dataclass(frozen=True, slots=True)
class Found:
    """A person in one analysis."""

    analysis: Analysis
    track: FaceTrack
    portrait: FaceSample
    reasons: list[str]

    @property
    def number(self) -> int:
        return self.track.index + 1


@dataclass(frozen=True, slots=True)
class Row:
    """One person in both analyses; None where an analysis did not find them."""

    left: Found | None
    right: Found | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything the page shows."""

    left: Side
    right: Side
    people: list[Row]

    @property
    def agrees(self) -> bool:
        return self.left.analysis.verdict == self.right.analysis.verdict

    @property
    def same_model(self) -> bool:
        return self.left.analysis.model_version_id == self.right.analysis.model_version_id

    @property
    def refitted(self) -> bool:
        """Whether they are one version, whose thresholds were fitted again between the two."""
        one, other = self.left.analysis.model_version, self.right.analysis.model_version
        if one is None or other is None or one == other:
            return False
        return (one.name, one.version, one.sha256) == (other.name, other.version, other.sha256)

    @property
    def same_frames(self) -> bool:
        return self.left.analysis.frames_requested == self.right.analysis.frames_requested

    @property
    def same_precision(self) -> bool:
        """Whether the network computed in the same both times, as far as the reports can be read."""
        reports = [side.report for side in (self.left, self.right) if side.report is not None]
        return len({report.model.precision for report in reports}) < 2


def of(left: Analysis, right: Analysis) -> Comparison:
    """Two finished analyses of the same video."""
    tolerance_s = left.video.duration_s / min(left.frames_requested, right.frames_requested)
    return Comparison(_side(left), _side(right), match(_people(left), _people(right), tolerance_s))


def match(left: Sequence[Found], right: Sequence[Found], tolerance_s: float) -> list[Row]:
    """The same people found twice, by where they stand at the same time; those most in common first come together.

    Rows go by the left one's order; whom only the right one found stands at the end. ``tolerance_s`` is how far apart
    two samples may be to count as the same moment.
    """
    overlaps = [(_overlap(one, other, tolerance_s), one, other) for one in left for other in right]
    partner: dict[int, Found] = {}
    for overlap, one, other in sorted(overlaps, key=lambda item: -item[0]):
        if overlap > 0 and one.track.index not in partner and other not in partner.values():
            partner[one.track.index] = other
    rows = [Row(one, partner.get(one.track.index)) for one in left]
    return rows + [Row(None, other) for other in right if other not in partner.values()]


def _overlap(one: Found, other: Found, tolerance_s: float) -> float:
    """The sum of the boxes' intersections over unions at the same moments; 0 when they are small on average."""
    shared = []
    others = list(other.track.samples.all())
    for sample in one.track.samples.all():
        nearest = min(others, key=lambda candidate: abs(candidate.time_s - sample.time_s))
        if abs(nearest.time_s - sample.time_s) <= tolerance_s:
            shared.append(_intersection_over_union(sample, nearest))
    return sum(shared) if shared and sum(shared) >= LEAST_OVERLAP * len(shared) else 0.0


def _intersection_over_union(one: FaceSample, other: FaceSample) -> float:
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    if width <= 0 or height <= 0:
        return 0.0
    areas = sum((box.x1 - box.x0) * (box.y1 - box.y0) for box in (one, other))
    return width * height / (areas - width * height)


def _side(analysis: Analysis) -> Side:
    report = evidence.report_of(analysis)
    reasons = [reason_sentence(reason) for reason in report.reasons] if report else []
    return Side(analysis, report, reasons, error_rates.sentence_of(report) if report else "")


def _people(analysis: Analysis) -> list[Found]:
    return [
        Found(analysis, track, evidence.portrait_of(samples), [reason_sentence(reason) for reason in track.reasons])
        for track in analysis.tracks.prefetch_related("samples")
        if (samples := list(track.samples.all()))
    ]
