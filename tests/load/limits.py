"""What makes a run a check: each thing that must not happen, and a sentence for each time that it did.

Times are told and never judged: how fast a machine is that is shared with others says nothing about the site.
"""

from collections.abc import Iterator

from tests.load import line
from tests.load.plan import Role
from tests.load.run import Seen

GROWTH_MIB = 40.0  # of one process, from the middle of a run to its end
SHOWN = 10  # of sentences of one kind
KINDS_REFUSED = (Role.FEW_WAITING, Role.FEW_BYTES, Role.FEW_MINUTES)


def complaints(seen: Seen) -> list[str]:
    """Each broken limit as a sentence; none when all hold."""
    return [*_answers(seen), *_rows(seen), *_fairness(seen), *_processes(seen)]


def _answers(seen: Seen) -> Iterator[str]:
    counts = seen.counts
    failed = sum(page["failures"] for page in counts["pages"].values())
    if failed:
        yield f"{failed} requests failed: {'; '.join(counts['errors'][:SHOWN])}."
    yield from (f"The load program itself made a mistake: {text}" for text in counts["mistakes"][:SHOWN])
    locked = counts["locked"] + seen.locked_in_log
    if locked:
        yield f"The database was locked for too long {locked} times."
    if seen.tracebacks:
        yield f"The site's log holds {seen.tracebacks} tracebacks."
    for sentence in counts["without_room"][:SHOWN]:
        yield f"A refusal does not say when there is room: “{sentence}”"
    for kind in KINDS_REFUSED:
        if not counts["refusals"].get(kind):
            yield f"Nobody of the kind “{kind}” met their quota, so nothing is known of its sentence."


def _rows(seen: Seen) -> Iterator[str]:
    yield from seen.late
    if seen.lost:
        yield f"{seen.lost} analyses that were accepted have no outcome."
    yield from seen.breaches[:SHOWN]
    if seen.states["failed"]:
        yield f"{seen.states['failed']} analyses failed."
    if seen.taken_back:
        yield f"Workers lost {seen.taken_back} analyses on the way."


def _fairness(seen: Seen) -> Iterator[str]:
    wrong = line.breaches(seen.told)
    yield from wrong[:SHOWN]
    if len(wrong) > SHOWN:
        yield f"So it went {len(wrong) - SHOWN} times more."
    if not seen.told.lone:
        yield "Nobody sent a single video while somebody else had many waiting, so nothing is known of their wait."


def _processes(seen: Seen) -> Iterator[str]:
    for name in seen.restarted:
        yield f"The {name} did not live through the run."
    for one in seen.memory:
        if one.second_half > GROWTH_MIB:
            yield (
                f"The {one.name} grew by {one.second_half:.0f} MiB in the second half of the run; "
                f"{GROWTH_MIB:.0f} are allowed."
            )
