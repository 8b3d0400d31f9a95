"""The table of docs/reliability.md: each fault, how often it was brought about, and what came of it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.faults.rounds import Tally

BEGIN, END = "<!-- faults: begin (made by `make faults`) -->", "<!-- faults: end -->"
HEAD = (
    "| fault | rounds | uploads acknowledged | done | failed with a sentence | lost | promised, s | slowest, s |",
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
)


def markdown(tallies: Sequence[Tally]) -> str:
    """The table and, where a promise was broken, in what."""
    lines = [*HEAD, *map(_line, tallies)]
    total = [
        sum(getattr(tally, name) for tally in tallies) for name in ("rounds", "acknowledged", "done", "failed", "lost")
    ]
    lines.append("| **all** | " + " | ".join(f"**{number}**" for number in total) + " | | |")
    broken = [f"- {tally.fault.words}: {sentence}" for tally in tallies for sentence in tally.complaints]
    lines += ["", "Broken promises:", "", *broken] if broken else ["", "No promise was broken in any round."]
    return "\n".join(lines)


def write(page: Path, tallies: Sequence[Tally]) -> None:
    """Put the table between its two marks; raises ValueError when the page has none."""
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} lacks the marks between which the table belongs: {BEGIN} and {END}.")
    today = f"Last run on {datetime.now(UTC):%d %B %Y}."
    page.write_text(f"{before}{BEGIN}\n{markdown(tallies)}\n\n{today}\n{END}{after}", encoding="utf-8")


def _line(tally: Tally) -> str:
    numbers = (tally.rounds, tally.acknowledged, tally.done, tally.failed, tally.lost)
    seconds = (f"{tally.fault.limit_s:.0f}", f"{tally.slowest_s:.1f}")
    return f"| {tally.fault.words} | " + " | ".join(map(str, [*numbers, *seconds])) + " |"
