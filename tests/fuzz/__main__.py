"""``python -m tests.fuzz --count 5000``: a campaign from the command line; exit code 1 when a promise was broken."""

import argparse
import dataclasses
import logging
import sys
import tempfile
from pathlib import Path

import django

from tests import conftest


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=5000, help="inputs (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="number of the first input, to repeat one (default: 0)")
    parser.add_argument("--seed", type=int, default=1, help="another one gives other inputs (default: %(default)s)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="gets the inputs that broke a promise")
    options = parser.parse_args()
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    try:
        return _campaign(options)
    finally:
        conftest.pytest_unconfigure()


def _campaign(options: argparse.Namespace) -> int:
    django.setup()
    from django.conf import settings

    from detector.inference import load_network
    from detector.release import default_release
    from tests.fuzz import campaign, corpus

    settings.LOGGING_CONFIG = None
    logging.disable(logging.ERROR)  # crashes are counted; what else is said is not of interest here
    settings.UNMASK = dataclasses.replace(settings.UNMASK, decode_timeout_s=60.0)
    with tempfile.TemporaryDirectory(prefix="unmask-fuzz-") as name:
        sound, work = Path(name) / "sound", Path(name) / "work"
        sound.mkdir()
        work.mkdir()
        videos = corpus.make(sound)
        numbers = range(options.first, options.first + options.count)
        outcome = campaign.run(videos, load_network(default_release()), numbers, options.seed, work, keep=options.keep)
    print(outcome.as_text())
    return 1 if outcome.broken else 0


if __name__ == "__main__":
    sys.exit(main())
