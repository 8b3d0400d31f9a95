"""The staff's numbers: what was asked for, what came out, what failed and what waits."""

from dataclasses import dataclass

from django.contrib.auth.models import AnonymousUser
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.formats import date_format
from django.views.decorators.http import require_safe

from analysis import statistics
from analysis.messages import sentence_for
from analysis.models import Verdict
from analysis.statistics import Day

COLUMNS_HEIGHT_PX = 180


@dataclass(frozen=True, slots=True)
class Column:
    """One day's column; places as in timeline.py: percent across, pixels down."""

    day: Day
    label: str
    x: str
    middle: str
    width: str
    y: str
    height: str
    failed_y: str
    failed_height: str
    anchor: str
    is_labelled: bool
    is_minor: bool  # its label is left out on a narrow screen


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of a bar chart, ``width`` in percent."""

    label: str
    code: str
    count: int
    width: str


@require_safe
def numbers(request: HttpRequest) -> HttpResponse:
    """The page; 404 for everyone else, as if there were none."""
    if isinstance(request.user, AnonymousUser) or not request.user.is_staff:
        raise Http404
    days = statistics.per_day()
    most = max(day.total for day in days)
    context = {
        "queue": statistics.queue_now(),
        "newest_first": list(reversed(days)),
        "total": sum(day.total for day in days),
        "columns": _columns(days, most),
        "columns_height": COLUMNS_HEIGHT_PX,
        "most_a_day": most,
        "verdicts": _bars([(str(v.label), v.value, sum(day.verdicts[v.value] for day in days)) for v in Verdict]),
        "failures": _bars([(sentence_for(code), code, count) for code, count in statistics.failures_by_code()]),
        "seconds_per_frame": statistics.seconds_per_frame(),
    }
    return render(request, "analysis/staff.html", context)


def _columns(days: list[Day], most: int) -> list[Column]:
    step = 100 / len(days)
    columns = []
    for at, day in enumerate(days):
        height = COLUMNS_HEIGHT_PX * day.total / most if most else 0.0
        failed = COLUMNS_HEIGHT_PX * day.failed / most if most else 0.0
        columns.append(
            Column(
                day=day,
                label=date_format(day.date, "j M"),
                x=f"{at * step + step * 0.12:.3f}",
                middle=f"{(at + 0.5) * step:.3f}",
                width=f"{step * 0.76:.3f}",
                y=f"{COLUMNS_HEIGHT_PX - height:.1f}",
                height=f"{height:.1f}",
                failed_y=f"{COLUMNS_HEIGHT_PX - failed:.1f}",
                failed_height=f"{failed:.1f}" if failed else "0",
                anchor="end" if at == len(days) - 1 else "middle",
                is_labelled=(len(days) - 1 - at) % 7 == 0,
                is_minor=(len(days) - 1 - at) % 14 != 0,
            )
        )
    return columns


def _bars(rows: list[tuple[str, str, int]]) -> list[Bar]:
    most = max((count for _label, _code, count in rows), default=0)
    return [Bar(label, code, count, f"{100 * count / most:.2f}" if most else "0") for label, code, count in rows]
