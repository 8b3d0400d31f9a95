"""Tables in Markdown, and figures as people read them."""

from collections.abc import Sequence
from typing import Any

NOTHING = "–"


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """``head`` and ``rows`` as a Markdown table."""
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines)


def interval(value: float | None, bounds: Sequence[float] | None, signed: bool = False) -> str:
    """Such as "0.701 [0.648, 0.792]", or with its signs, for a difference."""
    if value is None:
        return NOTHING
    sign = "+" if signed else ""
    return f"{value:{sign}.3f}" + (f" [{bounds[0]:{sign}.3f}, {bounds[1]:{sign}.3f}]" if bounds else "")


def number(value: float | None) -> str:
    """To three digits."""
    return NOTHING if value is None else f"{value:.3f}"


def percent(share: float | None) -> str:
    """A share of 0 to 1 as whole percent."""
    return NOTHING if share is None else f"{100 * share:.0f} %"
