"""The command line: ``python -m detector COMMAND``; ``--help`` names the commands and explains each.

Results go to stdout, everything else to stderr. Exit code 0 with an answer of any kind, 2 with one sentence when the
input or the installation cannot be used, 130 when interrupted. Only what a command needs is imported, and late: an
interruption while something loads must end quietly too. Videos to be examined are read in a confined process, as the
platform does.
"""

import argparse
import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from detector import cli_bench, cli_measure
from detector.cli_options import (
    OK,
    Refused,
    add_depth,
    add_limits,
    add_precision,
    limits_of,
    precision_of,
    print_json,
    release_of,
    settings_of,
)
from detector.errors import DetectorError, ReaderError

if TYPE_CHECKING:
    from detector.precision import Precision
    from detector.reader import Reader
    from detector.release import Release
    from detector.stream import Limits

REFUSED, INTERRUPTED = 2, 130


class _Parser(argparse.ArgumentParser):
    """Says in one sentence what is wrong with the arguments."""

    def error(self, message: str) -> NoReturn:
        self.exit(REFUSED, f"{message[:1].upper()}{message[1:]}; see {self.prog} --help.\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        options = _parser().parse_args(arguments)
        return int(options.run(options))
    except (DetectorError, ReaderError, Refused) as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of stdout has gone, such as head: nothing more to say, and nothing left to flush at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except FileExistsError as error:
        return _refuse(f"{error.filename} is a file, not a folder; choose another place.")
    except OSError as error:
        return _refuse(f"{error.filename or 'A file'} cannot be read or written: {error.strerror or error}.")


def _refuse(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return REFUSED


def _analyze(options: argparse.Namespace) -> int:
    from detector.reader import Reader  # noqa: PLC0415 -- slow import

    limits = limits_of(options)
    release = release_of(options.model)
    precision = precision_of(options, release)
    with Reader(options.video, limits) as reader:
        reader.info()  # so that a wrong file is refused before the network has been loaded
        return _judge(options, limits, release, precision, reader)


def _judge(
    options: argparse.Namespace, limits: "Limits", release: "Release", precision: "Precision", reader: "Reader"
) -> int:
    from detector import pipeline, summary  # noqa: PLC0415 -- slow import
    from detector.inference import load_network  # noqa: PLC0415 -- slow import
    from detector.progress import Progress  # noqa: PLC0415 -- slow import

    settings = settings_of(options, limits)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
    with Progress() as bar:
        bar.show("loading the model", 0.0)
        network = load_network(release, precision=precision)
        report = pipeline.analyze(
            options.video,
            network,
            settings,
            out_dir=options.out,
            on_progress=lambda stage, share: bar.show(summary.STAGE_WORDS[stage], share),
            reader=reader,
        )
    if options.json:
        print_json(report.to_json())
    else:
        print(summary.of(report, release, options.out), flush=True)
    return OK


def _probe(options: argparse.Namespace) -> int:
    from detector import poster  # noqa: PLC0415 -- slow import
    from detector.reader import Reader  # noqa: PLC0415 -- slow import

    try:
        with Reader(options.path, limits_of(options)) as reader:
            info = reader.info()
            if options.poster:
                poster.save(reader, options.poster)
    except DetectorError as error:
        if options.json:
            print_json({"error": {"code": str(error.code), "message": str(error)}})
        raise
    print_json(dataclasses.asdict(info))
    return OK


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m detector", description="Judges whether the faces in a video are genuine or generated."
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    command = commands.add_parser("analyze", help="examine one video and say what was found")
    command.add_argument("video", type=Path, metavar="VIDEO")
    command.add_argument("--out", type=Path, metavar="DIR", help="gets crops, heatmaps and annotated frames")
    command.add_argument("--json", action="store_true", help="print the whole report as JSON")
    add_depth(command)
    add_precision(command)
    add_limits(command)
    command.set_defaults(run=_analyze)

    command = commands.add_parser("probe", help="say what a file holds, as JSON; or why it is refused")
    command.add_argument("path", type=Path, metavar="PATH")
    command.add_argument("--json", action="store_true", help="print a refusal as JSON too")
    command.add_argument("--poster", type=Path, metavar="FILE", help="JPEG to write, from a tenth into the video")
    add_limits(command)
    command.set_defaults(run=_probe)

    cli_measure.add_commands(commands)
    cli_bench.add_commands(commands)
    return parser
