"""The geometry of a person's scores over time: numbers in, places in an SVG out. Knows no rows and no templates.

Across, places are percent of the drawing's width, so that it fits any screen with its letters at their own size; down,
they are pixels. All are strings, because a template would write 37.5 as 37,5 in some languages.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

HEIGHT_PX = 168
_TICK_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
_MOST_TICKS = 5
_LETTERS_BELOW_MIDDLE_PX, _LINE_PX = 4, 15
_WIDEST_TARGET = 6.0  # percent of the width that one point's click target may take


@dataclass(frozen=True, slots=True)
class Score:
    """One frame's score of one person."""

    frame_index: int
    time_s: float
    probability: float
    usable: bool


@dataclass(frozen=True, slots=True)
class Scale:
    """How long the video is and where the model's thresholds lie."""

    duration_s: float
    threshold_real: float
    threshold_fake: float


@dataclass(frozen=True, slots=True)
class Point:
    """A score's place; ``left`` and ``width`` span its click target."""

    score: Score
    band: str
    x: str
    y: str
    left: str
    width: str


@dataclass(frozen=True, slots=True)
class Segment:
    """A line between two scores of consecutive frames."""

    x1: str
    y1: str
    x2: str
    y2: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on the time axis."""

    time_s: float
    x: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Label:
    """A probability on the other axis; ``y`` is the line its letters stand on."""

    probability: float
    y: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything the drawing needs."""

    points: list[Point]
    segments: list[Segment]
    ticks: list[Tick]
    labels: list[Label]
    y_fake: str
    y_real: str
    between_height: str
    real_height: str
    height: int = HEIGHT_PX
    tick_end: int = HEIGHT_PX + 5
    tick_text: int = HEIGHT_PX + 20
    title_text: int = HEIGHT_PX + 38


@dataclass(frozen=True, slots=True)
class Ruler:
    """One probability on a bar from 0 to 100 percent; all places are percent of its width."""

    marker: str
    anchor: str
    real: str
    between: str
    fake: str
    fake_width: str


def band_of(probability: float, scale: Scale, *, usable: bool = True) -> str:
    """On which side of the thresholds a score lies: real, fake, between; or unusable."""
    if not usable:
        return "unusable"
    if probability >= scale.threshold_fake:
        return "fake"
    if probability <= scale.threshold_real:
        return "real"
    return "between"


def chart_of(scores: Sequence[Score], scale: Scale) -> Chart:
    """The drawing of one person's scores, which are in the order of their frames."""
    y_fake, y_real = _down(scale.threshold_fake), _down(scale.threshold_real)
    return Chart(
        points=_points(scores, scale),
        segments=_segments(scores, scale),
        ticks=_ticks(scale.duration_s),
        labels=_labels(scale),
        y_fake=_text(y_fake),
        y_real=_text(y_real),
        between_height=_text(max(y_real - y_fake, 0.0)),
        real_height=_text(HEIGHT_PX - y_real),
    )


def ruler_of(probability: float, scale: Scale) -> Ruler:
    """The drawing of one probability between the thresholds."""
    place, real, fake = 100 * probability, 100 * scale.threshold_real, 100 * scale.threshold_fake
    return Ruler(
        marker=_text(min(max(place, 0.8), 99.2)),
        anchor="start" if place < 12 else "end" if place > 88 else "middle",
        real=_text(real),
        between=_text(max(fake - real, 0.0)),
        fake=_text(fake),
        fake_width=_text(100 - fake),
    )


def _points(scores: Sequence[Score], scale: Scale) -> list[Point]:
    places = [_across(score.time_s, scale) for score in scores]
    edges = [0.0, *((before + after) / 2 for before, after in itertools.pairwise(places)), 100.0]
    points = []
    for score, place, start, end in zip(scores, places, edges, edges[1:], strict=False):
        left, right = max(start, place - _WIDEST_TARGET / 2), min(end, place + _WIDEST_TARGET / 2)
        points.append(
            Point(
                score=score,
                band=band_of(score.probability, scale, usable=score.usable),
                x=_text(place),
                y=_text(_down(score.probability)),
                left=_text(left),
                width=_text(max(right - left, 0.1)),
            )
        )
    return points


def _segments(scores: Sequence[Score], scale: Scale) -> list[Segment]:
    """A person who was away for a frame leaves a gap; unusable scores are not joined."""
    return [
        Segment(
            x1=_text(_across(a.time_s, scale)),
            y1=_text(_down(a.probability)),
            x2=_text(_across(b.time_s, scale)),
            y2=_text(_down(b.probability)),
        )
        for a, b in itertools.pairwise(scores)
        if b.frame_index - a.frame_index == 1 and a.usable and b.usable
    ]


def _ticks(duration_s: float) -> list[Tick]:
    step = next((step for step in _TICK_STEPS_S if duration_s / step <= _MOST_TICKS), duration_s)
    if duration_s <= 0:
        return [Tick(time_s=0.0, x="0", anchor="start")]
    ticks = []
    for count in range(int(duration_s / step + 1e-6) + 1):
        place = 100 * count * step / duration_s
        anchor = "start" if count == 0 else "end" if place > 96 else "middle"
        ticks.append(Tick(time_s=count * step, x=_text(place), anchor=anchor))
    return ticks


def _labels(scale: Scale) -> list[Label]:
    """The thresholds, then the ends of the axis; one that would touch an earlier one is left out."""
    labels: list[tuple[float, float]] = []
    for probability in (scale.threshold_fake, scale.threshold_real, 1.0, 0.0):
        y = _down(probability) + _LETTERS_BELOW_MIDDLE_PX
        if all(abs(y - other) >= _LINE_PX for _probability, other in labels):
            labels.append((probability, y))
    return [Label(probability, _text(y)) for probability, y in labels]


def _across(time_s: float, scale: Scale) -> float:
    return min(max(100 * time_s / scale.duration_s, 0.0), 100.0) if scale.duration_s > 0 else 0.0


def _down(probability: float) -> float:
    return HEIGHT_PX * (1 - probability)


def _text(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")
