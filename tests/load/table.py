"""What docs/load.md shows of a run: pages, refusals, the queue, memory, and which promises were broken."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from detector import marked
from tests.load.run import Load, Seen

BEGIN, END = "<!-- load: begin (made by `make load`) -->", "<!-- load: end -->"
UNBROKEN = "Every limit held."


def markdown(seen: Seen, complaints: Sequence[str], machine: str) -> str:
    parts = (_begin(seen, machine), _pages(seen), _refusals(seen), _queue(seen), _memory(seen))
    lines = [text for part in parts for text in (*part, "")]
    lines += ["Broken limits:", "", *(f"- {sentence}" for sentence in complaints)] if complaints else [UNBROKEN]
    return "\n".join(lines)


def write(page: Path, seen: Seen, complaints: Sequence[str], machine: str) -> None:
    """Put all of it between the page's marks; raises ValueError when it has none."""
    marked.replace(page, BEGIN, END, markdown(seen, complaints, machine))


def command(load: Load) -> str:
    """What repeats a run."""
    return f"make load PEOPLE={load.people} ANALYSES={load.analyses} MINUTES={load.minutes:g} WORKERS={load.workers}"


def _begin(seen: Seen, machine: str) -> Iterator[str]:
    load = seen.load
    yield (
        f"Run on {datetime.now(UTC):%d %B %Y} with {load.people} people, {load.analyses} analyses, {load.workers} "
        f"workers and a mean of {load.mean_s:.1f} s an analysis, on a machine with {machine}, which the people shared "
        f"with the site (`{command(load)}`)."
    )


def _pages(seen: Seen) -> Iterator[str]:
    yield "| asked for | requests | p50, ms | p95, ms | p99, ms | failed |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    pages = seen.counts["pages"]
    for name in sorted(pages):
        one = pages[name]
        times = " | ".join(f"{one[key]:.0f}" for key in ("p50_ms", "p95_ms", "p99_ms"))
        yield f"| {name} | {one['requests']} | {times} | {one['failures']} |"
    total = [sum(int(one[key]) for one in pages.values()) for key in ("requests", "failures")]
    yield f"| **all** | **{total[0]}** | | | | **{total[1]}** |"


def _refusals(seen: Seen) -> Iterator[str]:
    yield "| refused for a quota | times | what was said, for example |"
    yield "| --- | ---: | --- |"
    refusals, sentences = seen.counts["refusals"], seen.counts["sentences"]
    for kind in sorted(refusals):
        yield f"| {kind} | {refusals[kind]} | {sentences[kind]} |".replace("\xa0", " ")


def _queue(seen: Seen) -> Iterator[str]:
    told, states = seen.told, seen.states
    yield "| the queue | |"
    yield "| --- | ---: |"
    yield f"| accepted analyses | {seen.accepted} |"
    ended = ", ".join(str(states[name]) for name in ("done", "cancelled", "deleted"))
    yield f"| of these done, cancelled, deleted afterwards | {ended} |"
    yield f"| failed, lost | {states['failed']}, {seen.lost} |"
    yield f"| most that waited at once | {told.longest} |"
    yield f"| seconds until all were accepted, and until they were worked off | {seen.fill_s:.0f}, {seen.drain_s:.0f} |"
    yield f"| analyses a minute while they were worked off | {60 * seen.drained / max(seen.drain_s, 1):.0f} |"
    yield f"| starts, of these out of turn | {told.starts}, {len(told.wrong)} |"
    lone = told.lone
    yield f"| single videos sent while somebody else had {seen.load.analyses // 10} or more waiting | {len(lone)} |"
    yield f"| their longest wait, s; analyses of others before it | {_longest(seen)} |"
    most = max((one.most_of_one for one in lone), default=0)
    yield f"| turns that one person had while such a video waited, at most | {most} |"
    yield f"| “database is locked”, on pages and in the log | {seen.counts['locked']}, {seen.locked_in_log} |"
    yield f"| analyses taken back from a worker; tracebacks in the log | {seen.taken_back}; {seen.tracebacks} |"


def _longest(seen: Seen) -> str:
    if not seen.told.lone:
        return "none"
    worst = max(seen.told.lone, key=lambda one: one.wait_s)
    return f"{worst.wait_s:.1f}; {worst.before}"


def _memory(seen: Seen) -> Iterator[str]:
    yield "| memory (PSS), MiB | start | middle | end | peak |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for one in seen.memory:
        yield f"| {one.name} | {one.start:.0f} | {one.middle:.0f} | {one.end:.0f} | {one.peak:.0f} |"
