"""What the page of an unfinished analysis shows: the stages as steps, share, place in the queue, time left."""

from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from analysis import queries, turns
from analysis.models import Analysis, Stage, State

_NEAR = 5  # places in the queue from which on a page asks every second
_FAR_POLL_S = 4


@dataclass(frozen=True, slots=True)
class Step:
    """One stage: ``mark`` is done, current or upcoming."""

    label: str
    mark: str


@dataclass(frozen=True, slots=True)
class Progress:
    """Where an unfinished analysis stands; ``announcement`` changes only when a screen reader should speak.

    ``ask_again_s`` is when the page asks again: every second where something moves, more seldom far back in the queue.
    """

    heading: str
    percent: int
    steps: list[Step]
    queue_position: int | None
    seconds_left: float | None
    announcement: str
    ask_again_s: int


def progress_of(analysis: Analysis) -> Progress:
    position = turns.place_of(analysis)
    heading = _heading(analysis, position)
    return Progress(
        heading=heading,
        percent=int(analysis.share * 100),
        steps=_steps(analysis),
        queue_position=position,
        seconds_left=queries.seconds_left(analysis),
        announcement=heading,
        ask_again_s=1 if position is None or position <= _NEAR else _FAR_POLL_S,
    )


def _heading(analysis: Analysis, position: int | None) -> str:
    if analysis.state == State.RUNNING:
        return str(Stage(analysis.stage).label) if analysis.stage else _("Starting")
    if position is None or position <= 1:
        return _("Next in the queue")
    before = position - 1
    text = ngettext("%(n)d analysis is before this one", "%(n)d analyses are before this one", before)
    return text % {"n": before}


def _steps(analysis: Analysis) -> list[Step]:
    stages = list(Stage)
    current = stages.index(Stage(analysis.stage)) if analysis.state == State.RUNNING and analysis.stage else -1
    marks = ["done" if at < current else "current" if at == current else "upcoming" for at in range(len(stages))]
    return [Step(label=str(stage.label), mark=mark) for stage, mark in zip(stages, marks, strict=True)]
