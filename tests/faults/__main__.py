"""``python -m tests.faults``: rounds of every fault, and the table that docs/reliability.md shows.

Run as root, since the disk that is filled must be mounted; elsewhere under ``unshare --user --map-root-user --mount``.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.faults.faults import Fault
    from tests.faults.rounds import Tally

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Rounds of every fault on real sites.")
    parser.add_argument("--rounds", type=int, default=200, help="in all; each fault at least once (default: 200)")
    parser.add_argument("--only", default="", metavar="NAME", help="only faults whose name begins with this")
    parser.add_argument("--jobs", type=int, default=1, help="sites side by side (default: 1)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--add", action="store_true", help="to the rounds that the page tells of, with another seed")
    parser.add_argument("--write", type=Path, default=None, metavar="PAGE", help=f"put the table there: {PAGE.name}")
    options = parser.parse_args()
    if options.add and options.write is None:
        parser.error("--add needs the page: --write PAGE.")

    import django

    with tempfile.TemporaryDirectory(prefix="unmask-faults-own-") as own:  # nothing of anybody's installation
        os.environ.update(DATA_DIR=own, DJANGO_SETTINGS_MODULE="deepfakesite.settings", DATABASE_URL="", REDIS_URL="")
        django.setup()
        from tests.faults import faults, table

        chosen = [fault for fault in faults.FAULTS if fault.name.startswith(options.only)]
        plan = [(fault, max(1, round(fault.rounds * options.rounds / faults.ROUNDS))) for fault in chosen]
        earlier = table.read(options.write) if options.add else {}
        tallies: list[Tally] = []
        for tally in _rounds(plan, options.seed, options.jobs):
            tallies.append(tally)
            if options.write is not None:
                table.write(options.write, tallies, earlier)
    print(table.markdown(tallies))
    return 1 if any(tally.complaints for tally in tallies) else 0


def _rounds(plan: "Sequence[tuple[Fault, int]]", seed: int, jobs: int) -> "Iterator[Tally]":
    """One after the other on as few sites as will do, or each fault on a site of its own, some side by side."""
    from tests.faults import rounds

    def say(sentence: str) -> None:
        print(sentence, flush=True)

    if jobs == 1:
        yield from rounds.run(plan, seed, say)
        return
    with ThreadPoolExecutor(jobs) as beside:
        for one in [beside.submit(lambda one: list(rounds.run([one], seed, say)), one) for one in plan]:
            yield from one.result()


if __name__ == "__main__":
    sys.exit(main())
