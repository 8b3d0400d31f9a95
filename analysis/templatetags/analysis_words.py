"""Numbers of an analysis in words that people read: shares, times, waiting. Formatting only; no rules, no queries."""

import math

from django import template
from django.utils.formats import number_format
from django.utils.translation import gettext, ngettext

from analysis.models import Verdict

register = template.Library()


@register.filter
def percent(probability: float | None) -> str:
    """A probability as whole percent; never "0 %" or "100 %", which no model may claim."""
    if probability is None:
        return gettext("not judged")
    rounded = round(probability * 100)
    if rounded >= 100:
        return gettext("over 99 %")
    if rounded <= 0:
        return gettext("under 1 %")
    return gettext("%(number)s %%") % {"number": rounded}


@register.filter
def short_percent(probability: float) -> str:
    """As ``percent``, for narrow places."""
    rounded = round(probability * 100)
    return ">99 %" if rounded >= 100 else "<1 %" if rounded <= 0 else percent(probability)


@register.filter
def threshold(probability: float) -> str:
    """A threshold in percent as exact as it was set, up to one decimal."""
    value = round(probability * 100, 1)
    return gettext("%(number)s %%") % {"number": number_format(value, 0 if value == int(value) else 1)}


@register.filter
def clock(time_s: float | None) -> str:
    """A time in the video: 0:03.2, 12:07.0, 1:02:03.4."""
    if time_s is None:
        return ""
    tenths = math.floor(time_s * 10 + 0.5)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest // 10:02d}.{rest % 10}"
    return f"{hours}:{minutes:02d}:{seconds}" if hours else f"{minutes}:{seconds}"


@register.filter
def axis_clock(time_s: float) -> str:
    """As ``clock``, without the tenths where there are none."""
    return clock(time_s).removesuffix(".0")


@register.filter
def span(duration_s: float | None) -> str:
    """A length of time, rounded for people: 12 seconds, 3 minutes, 2 hours."""
    if duration_s is None:
        return ""
    if duration_s < 90:
        seconds = max(1, round(duration_s))
        return ngettext("%(n)d second", "%(n)d seconds", seconds) % {"n": seconds}
    if duration_s < 90 * 60:
        minutes = round(duration_s / 60)
        return ngettext("%(n)d minute", "%(n)d minutes", minutes) % {"n": minutes}
    hours = round(duration_s / 3600)
    return ngettext("%(n)d hour", "%(n)d hours", hours) % {"n": hours}


@register.filter
def time_left(seconds: float | None) -> str:
    """An estimate that does not pretend to be exact; empty where there is none."""
    if seconds is None:
        return ""
    if seconds < 5:
        return gettext("a few seconds left")
    if seconds < 60:
        return gettext("about %(n)d seconds left") % {"n": math.ceil(seconds / 5) * 5}
    minutes = math.ceil(seconds / 60)
    return ngettext("about %(n)d minute left", "about %(n)d minutes left", minutes) % {"n": minutes}


@register.filter
def verdict_label(verdict: str) -> str:
    """The verdict's name for people."""
    return str(Verdict(verdict).label)


@register.filter
def verdict_class(verdict: str) -> str:
    """The part of a class name that stands for the verdict: real, fake, inconclusive, no-face."""
    return str(verdict).lower().replace("_", "-")


@register.filter
def decimals(value: float, places: int = 1) -> str:
    """A number with a fixed count of decimals, in the reader's notation."""
    return number_format(value, places)
