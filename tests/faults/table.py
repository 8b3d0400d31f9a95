"""The table of docs/reliability.md: each fault, how often it was brought about, and what came of it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from detector import marked
from tests.faults.faults import FAULTS
from tests.faults.rig import PATIENCE
from tests.faults.rounds import Tally

Numbers = tuple[float, ...]

BEGIN, END = "<!-- faults: begin (made by `make faults`) -->", "<!-- faults: end -->"
UNBROKEN = "No promise was broken in any round."
COUNTS = 5  # of the columns, before the two that give seconds
HEAD = (
    "| fault | rounds | uploads acknowledged | done | failed with a sentence | lost | promised, s | slowest, s |",
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
)


def markdown(tallies: Sequence[Tally], earlier: Mapping[str, Numbers] | None = None) -> str:
    """The table, with the numbers of earlier rounds added, and, where a promise was broken, in what."""
    found = dict(earlier or {})
    for tally in tallies:
        words, numbers = tally.fault.words, _numbers(tally)
        found[words] = numbers if words not in found else _sum(found[words], numbers)
    order = [fault.words for fault in FAULTS if fault.words in found]
    lines = [*HEAD, *(_line(words, found[words]) for words in order)]
    total = [sum(int(found[words][place]) for words in order) for place in range(COUNTS)]
    lines.append("| **all** | " + " | ".join(f"**{number}**" for number in total) + " | | |")
    broken = [f"- {tally.fault.words}: {sentence}" for tally in tallies for sentence in tally.complaints]
    lines += ["", "Broken promises:", "", *broken] if broken else ["", UNBROKEN]
    return "\n".join(lines)


def read(page: Path) -> dict[str, Numbers]:
    """The numbers that the page tells of, by the words of their fault.

    Raises ValueError when a promise was broken in one of those rounds: what was mended since is to be done again.
    """
    text = page.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")
    ]
    found = {row[0]: tuple(map(float, row[1:])) for row in rows if row[0] in {fault.words for fault in FAULTS}}
    if found and UNBROKEN not in text:
        raise ValueError(f"In the rounds that {page} tells of a promise was broken; do them again without --add.")
    return found


def write(page: Path, tallies: Sequence[Tally], earlier: Mapping[str, Numbers] | None = None) -> None:
    """Put the table between its two marks; raises ValueError when the page has none."""
    today = f"Last run on {datetime.now(UTC):%d %B %Y}."
    if PATIENCE != 1:
        today += f" The machine was busy with other things, and {PATIENCE:g} times the promised time was allowed."
    marked.replace(page, BEGIN, END, f"{markdown(tallies, earlier)}\n\n{today}")


def _numbers(tally: Tally) -> Numbers:
    """In the order of the table's columns."""
    counts = (tally.rounds, tally.acknowledged, tally.done, tally.failed, tally.lost)
    return (*counts, tally.fault.limit_s, round(tally.slowest_s, 1))


def _sum(one: Numbers, other: Numbers) -> Numbers:
    counts = (a + b for a, b in zip(one[:COUNTS], other[:COUNTS], strict=True))
    return (*counts, other[COUNTS], max(one[COUNTS + 1], other[COUNTS + 1]))


def _line(words: str, numbers: Numbers) -> str:
    *counts, limit_s, slowest_s = numbers
    return (
        f"| {words} | "
        + " | ".join([*(f"{count:.0f}" for count in counts), f"{limit_s:.0f}", f"{slowest_s:.1f}"])
        + " |"
    )
