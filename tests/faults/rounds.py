"""Rounds of the faults on real sites, and what came of them."""

import contextlib
import http.client
import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.faults import invariants
from tests.faults.faults import Fault
from tests.faults.rig import STAND_IN, Rig, TookTooLong, running_rig

Say = Callable[[str], None]
PRINTED = 6000  # characters of the site's own output that are shown when something is wrong


@dataclass
class Tally:
    """What the rounds of one fault came to."""

    fault: Fault
    rounds: int = 0
    acknowledged: int = 0
    done: int = 0
    failed: int = 0
    lost: int = 0
    slowest_s: float = 0.0
    complaints: list[str] = field(default_factory=list)


def run(plan: Sequence[tuple[Fault, int]], seed: int, say: Say) -> Iterator[Tally]:
    """Do each harm as often as the plan says, and look after each time whether every promise was kept.

    Faults that want the same kind of site share one, which is started anew after a promise was broken.
    """
    for _kind, some in itertools.groupby(plan, key=lambda one: one[0].kind):
        waiting = list(some)
        while waiting:
            with running_site_for(waiting[0][0]) as rig:
                while waiting:
                    fault, count = waiting.pop(0)
                    tally = Tally(fault)
                    for number in range(count):
                        one_round(rig, tally, random.Random(f"{seed} {fault.name} {number}"), say)
                        if tally.complaints:
                            break
                    yield tally
                    if tally.complaints:  # what came after would be blamed for it
                        break


@contextlib.contextmanager
def running_site_for(fault: Fault) -> Iterator[Rig]:
    variables = {} if fault.as_shipped else STAND_IN | fault.variables
    with running_rig(workers=fault.workers, disk_bytes=fault.disk_bytes, variables=variables) as rig:
        yield rig


def one_round(rig: Rig, tally: Tally, chance: random.Random, say: Say = lambda _sentence: None) -> None:
    """One harm, the time until the site had come to rest, and what was not as promised; added to the tally."""
    fault = tally.fault
    tally.rounds += 1
    before, wrong = set(rig.person.acknowledged), []
    rig.log_since_mark()
    rig.struck()
    try:
        wrong += fault.inject(rig, chance)
    except (TookTooLong, AssertionError, OSError, http.client.HTTPException) as error:
        wrong.append(f"The round broke off: {error!r}")
    finally:
        rig.let_go()
    recovery_s, broken = rig.come_to_rest(fault.limit_s)
    wrong += broken
    tally.complaints += wrong
    tally.slowest_s = max(tally.slowest_s, recovery_s)
    _count(rig, tally, rig.person.acknowledged - before)
    say(f"{fault.name}, round {tally.rounds}: {'; '.join(wrong) or 'well'}, {recovery_s:.1f} s.")
    if wrong:
        say(f"The site printed:\n{rig.log_since_mark()[-PRINTED:]}")


def assert_every_promise_is_kept(rig: Rig, fault: Fault) -> None:
    """One round, always with the same chances; fails with what was not as promised and what the site printed."""
    tally, printed = Tally(fault), list[str]()

    one_round(rig, tally, random.Random(fault.name), printed.append)

    assert tally.complaints == [], "\n".join(printed)
    assert tally.acknowledged == tally.done + tally.failed
    assert tally.lost == 0


def _count(rig: Rig, tally: Tally, uploads: set[str]) -> None:
    found = invariants.analyses(rig.kept)
    states = [found[pk]["state"] if pk in found else "gone" for pk in uploads]
    tally.acknowledged += len(uploads)
    tally.done += states.count("done")
    tally.failed += states.count("failed")
    tally.lost += len(invariants.lost(rig.kept, uploads))
