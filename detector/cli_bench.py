"""The command that measures what an analysis costs: ``bench``."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detector.cli_options import OK, Refused, add_precision, check_frames, precision_of, print_json, release_of

if TYPE_CHECKING:
    from detector.bench.cases import Case

MAX_WORKERS = 8


def add_commands(commands: Any) -> None:
    """Add it to the parsers of ``python -m detector``."""
    command = commands.add_parser(
        "bench",
        help="measure seconds by stage, peak memory and floors on this machine",
        description="Measures sample clips that it makes, each height with each length, and the videos given.",
    )
    command.add_argument(
        "--height",
        type=int,
        nargs="+",
        action="extend",
        choices=(360, 720, 1080, 2160),
        help="of the sample clips (default: 1080)",
    )
    command.add_argument(
        "--seconds", type=float, nargs="+", action="extend", metavar="S", help="length of the clips (default: 10)"
    )
    command.add_argument(
        "--videos", type=Path, nargs="+", default=[], metavar="VIDEO", help="to be measured after the sample clips"
    )
    command.add_argument(
        "--sweep",
        action="store_true",
        help="instead of --height and --seconds: all resolutions, lengths, numbers of faces and of frames, one by one",
    )
    command.add_argument("--frames", type=int, default=60, help="how many to look at, 10 to 120 (default: 60)")
    command.add_argument(
        "--model",
        type=Path,
        nargs="+",
        action="extend",
        metavar="FOLDER",
        help="the models to measure, the first one most (default: the one installed)",
    )
    add_precision(command)
    command.add_argument(
        "--workers", type=int, default=2, metavar="N", help="also measure so many at once; 1 for none (default: 2)"
    )
    command.add_argument(
        "--baseline", action="store_true", help="also measure the usual way on each clip; needs PyTorch and minutes"
    )
    command.add_argument("--json", action="store_true", help="print the measurements as JSON")
    command.add_argument(
        "--write",
        type=Path,
        metavar="PAGE",
        help="renew the tables in this Markdown page, and figures and JSON in the folder of its name beside it",
    )
    command.add_argument(
        "--from",
        dest="measured",
        type=Path,
        nargs="+",
        metavar="JSON",
        help="measure nothing, take what was measured before (in parts)",
    )
    command.set_defaults(run=_bench)


def _bench(options: argparse.Namespace) -> int:
    result = _earlier(options.measured) if options.measured else _measure(options)
    if options.write:
        from detector.bench import page  # noqa: PLC0415 -- slow import

        try:
            page.write(options.write, result)
        except ValueError as error:
            raise Refused(str(error)) from error
    if options.json:
        print_json(result)
    else:
        from detector.bench import text  # noqa: PLC0415 -- needed by this command alone

        print(text.as_table(result), flush=True)
    return OK


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    from detector.bench import children, run  # noqa: PLC0415 -- needed by this command alone

    if options.write and not options.write.is_file():  # said before minutes of measuring
        raise Refused(f"There is no page {options.write} to write the tables to.")
    cases = _cases(options)
    try:
        return run.run(cases, on_step=lambda words: print(words, file=sys.stderr, flush=True))
    except children.BenchError as error:
        raise Refused(str(error)) from error


def _cases(options: argparse.Namespace) -> "list[Case]":
    from detector.bench import cases  # noqa: PLC0415 -- needed by this command alone

    check_frames(options.frames)
    heights, lengths, models = options.height or [1080], options.seconds or [10.0], options.model or [None]
    for seconds in lengths:
        if not 1 <= seconds <= 600:
            raise Refused(f"A sample clip must last between 1 and 600 seconds, not {seconds:g}.")
    if not 1 <= options.workers <= MAX_WORKERS:
        raise Refused(f"The number of workers must lie between 1 and {MAX_WORKERS}, not {options.workers}.")
    if options.sweep and (options.height or options.seconds):
        raise Refused("Leave --height and --seconds out with --sweep, which has its own.")
    rest = (models, options.workers, options.baseline, str(precision_of(options, *map(release_of, models))))
    if options.sweep:
        swept = list(cases.sweep(options.frames, *rest))
        return swept + list(cases.product(options.videos, options.frames, *rest))
    clips = [cases.Clip(height, seconds) for seconds in lengths for height in heights]
    return list(cases.product([*clips, *options.videos], options.frames, *rest))


def _earlier(paths: Sequence[Path]) -> dict[str, Any]:
    from detector.bench.run import joined  # noqa: PLC0415 -- needed by this command alone

    try:
        return joined([_read(path) for path in paths])
    except ValueError as error:
        raise Refused(str(error)) from error


def _read(path: Path) -> dict[str, Any]:
    from detector.bench.run import FORMAT  # noqa: PLC0415 -- needed by this command alone

    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Refused(f"{path} is no JSON.") from error
    if not isinstance(result, dict) or result.get("format") != FORMAT:
        raise Refused(f"{path} does not hold what this version of bench measured; measure again.")
    return result
