"""``python -m tests.load``: one run of many people on a real site, and the table that docs/load.md shows.

Ends with status 1 and a sentence for each limit that was broken (limits.py).
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "load.md"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.load", description="Many people on a real site at once.")
    parser.add_argument("--people", type=int, default=50, help="default: 50")
    parser.add_argument("--analyses", type=int, default=500, help="to be queued (default: 500)")
    parser.add_argument("--minutes", type=float, default=10.0, help="about how long the queue drains (default: 10)")
    parser.add_argument("--workers", type=int, default=2, help="default: 2")
    parser.add_argument("--write", type=Path, default=None, metavar="PAGE", help=f"put the table there: {PAGE.name}")
    options = parser.parse_args()

    import django

    with tempfile.TemporaryDirectory(prefix="unmask-load-own-") as own:  # nothing of anybody's installation
        os.environ.update(DATA_DIR=own, DJANGO_SETTINGS_MODULE="deepfakesite.settings", DATABASE_URL="", REDIS_URL="")
        django.setup()
        from tests.load import limits, run, table

        begun = time.monotonic()

        def say(sentence: str) -> None:
            print(f"{time.monotonic() - begun:4.0f} s  {sentence}", flush=True)

        load = run.Load(options.people, options.analyses, options.minutes, options.workers)
        try:
            seen = run.run(load, say)
        except ValueError as error:
            parser.error(str(error))
    complaints = limits.complaints(seen)
    print(table.markdown(seen, complaints, run.machine()))
    if complaints:
        print(f"The site printed at last:\n{seen.output}")
    if options.write is not None:
        table.write(options.write, seen, complaints, run.machine())
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
