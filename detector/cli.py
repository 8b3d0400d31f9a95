"""The command line: ``python -m detector analyze | probe | evaluate | bench``; ``--help`` explains each.

Results go to stdout, everything else to stderr. Exit code 0 with an answer of any kind, 2 with one sentence when the
input cannot be used, 130 when interrupted. Only what a command needs is imported, and late: ``probe`` runs in a child
process with little memory, and an interruption while something loads must end quietly too.
"""

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from detector.errors import DetectorError

if TYPE_CHECKING:
    from detector.pipeline import Settings
    from detector.release import Release
    from detector.video import Limits

OK, REFUSED, INTERRUPTED = 0, 2, 130


class _Refused(Exception):
    """The arguments cannot be used; the message is one whole sentence."""


class _Parser(argparse.ArgumentParser):
    """Says in one sentence what is wrong with the arguments."""

    def error(self, message: str) -> NoReturn:
        self.exit(REFUSED, f"{message[:1].upper()}{message[1:]}; see {self.prog} --help.\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        options = _parser().parse_args(arguments)
        return int(options.run(options))
    except (DetectorError, _Refused) as error:
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


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False), flush=True)


def _analyze(options: argparse.Namespace) -> int:
    from detector.video import probe  # noqa: PLC0415 -- slow import

    limits = _limits(options)
    probe(options.video, limits)  # so that a wrong file is refused before the network has been loaded
    from detector import pipeline, summary  # noqa: PLC0415 -- slow import
    from detector.inference import load_network  # noqa: PLC0415 -- slow import
    from detector.progress import Progress  # noqa: PLC0415 -- slow import

    settings = _settings(options, limits)
    release = _release(options.model)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
    with Progress() as bar:
        bar.show("loading the model", 0.0)
        network = load_network(release)
        report = pipeline.analyze(
            options.video,
            network,
            settings,
            out_dir=options.out,
            on_progress=lambda stage, share: bar.show(summary.STAGE_WORDS[stage], share),
        )
    if options.json:
        _print_json(report.to_json())
    else:
        print(summary.of(report, release, options.out), flush=True)
    return OK


def _probe(options: argparse.Namespace) -> int:
    from detector.video import probe, save_poster  # noqa: PLC0415 -- slow import

    try:
        info = probe(options.path, _limits(options))
        if options.poster:
            save_poster(options.path, info, options.poster)
    except DetectorError as error:
        if options.json:
            _print_json({"error": {"code": str(error.code), "message": str(error)}})
        raise
    _print_json(dataclasses.asdict(info))
    return OK


def _evaluate(options: argparse.Namespace) -> int:
    from detector import evaluate, evaluate_text  # noqa: PLC0415 -- slow import
    from detector.evaluate_kinds import read_kinds  # noqa: PLC0415 -- slow import
    from detector.evaluate_rows import ManifestError  # noqa: PLC0415 -- slow import
    from detector.progress import Progress  # noqa: PLC0415 -- slow import

    if options.jobs < 1:
        raise _Refused(f"The number of jobs must be at least 1, not {options.jobs}.")
    settings = _settings(options, _limits(options))
    with Progress() as bar:
        try:
            order = evaluate.Order(
                options.manifest,
                options.split,
                _release(options.model),
                settings,
                options.jobs,
                read_kinds(options.kinds) if options.kinds else None,
                options.metadata_baseline,
            )
            evaluation = evaluate.evaluate(
                order,
                options.out,
                lambda done, total: bar.show(f"{done} of {total} videos", done / total),
            )
        except ManifestError as refusal:
            raise _Refused(str(refusal)) from refusal
    if options.text:
        print(evaluate_text.of(evaluation), flush=True)
    else:
        _print_json(evaluation)
    return OK


def _bench(options: argparse.Namespace) -> int:
    from detector import bench  # noqa: PLC0415 -- slow import

    if not 1 <= options.seconds <= 600:
        raise _Refused(f"The sample clip must last between 1 and 600 seconds, not {options.seconds:g}.")
    _check_frames(options.frames)
    try:
        result = bench.bench(
            options.videos,
            options.frames,
            options.model,
            sample_height=options.height,
            sample_s=options.seconds,
            on_step=lambda words: print(words, file=sys.stderr),
        )
    except bench.BenchError as error:
        raise _Refused(str(error)) from error
    if options.json:
        _print_json(result)
    else:
        print(bench.as_table(result), flush=True)
    return OK


def _release(folder: Path | None) -> "Release":
    from detector.release import default_release, load_release  # noqa: PLC0415 -- slow import

    return load_release(folder) if folder else default_release()


def _settings(options: argparse.Namespace, limits: "Limits") -> "Settings":
    from detector.pipeline import Settings  # noqa: PLC0415 -- slow import

    _check_frames(options.frames)
    return Settings(frames=options.frames, limits=limits)


def _check_frames(frames: int) -> None:
    from detector.pipeline import MAX_FRAMES, MIN_FRAMES  # noqa: PLC0415 -- slow import

    if not MIN_FRAMES <= frames <= MAX_FRAMES:
        raise _Refused(f"The number of frames must lie between {MIN_FRAMES} and {MAX_FRAMES}, not {frames}.")


def _limits(options: argparse.Namespace) -> "Limits":
    from detector.video import Limits  # noqa: PLC0415 -- slow import

    return Limits(options.max_bytes, options.max_duration_s, options.max_pixels)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m detector", description="Judges whether the faces in a video are genuine or generated."
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    command = commands.add_parser("analyze", help="examine one video and say what was found")
    command.add_argument("video", type=Path, metavar="VIDEO")
    command.add_argument("--out", type=Path, metavar="DIR", help="gets crops, heatmaps and annotated frames")
    command.add_argument("--json", action="store_true", help="print the whole report as JSON")
    _add_depth(command)
    _add_limits(command)
    command.set_defaults(run=_analyze)

    command = commands.add_parser("probe", help="say what a file holds, as JSON; or why it is refused")
    command.add_argument("path", type=Path, metavar="PATH")
    command.add_argument("--json", action="store_true", help="print a refusal as JSON too")
    command.add_argument("--poster", type=Path, metavar="FILE", help="JPEG to write, from a tenth into the video")
    _add_limits(command)
    command.set_defaults(run=_probe)

    command = commands.add_parser("evaluate", help="measure the detector on videos whose truth is known, as JSON")
    command.add_argument(
        "manifest", type=Path, metavar="MANIFEST", help="CSV with file, label (real or fake), split, dataset, source …"
    )
    command.add_argument("--split", help="only the videos of this split")
    command.add_argument(
        "--out", type=Path, metavar="DIR", help="gets a CSV of every video, the JSON and two plots; resumes there"
    )
    command.add_argument("--jobs", type=int, default=1, help="processes that share the cores (default: 1)")
    command.add_argument(
        "--kinds", type=Path, metavar="CSV", help="dataset, source, kind: what footage clips are, such as webcam"
    )
    command.add_argument(
        "--metadata-baseline",
        nargs="?",
        const="train",
        metavar="SPLIT",
        help="also rank the videos by size, codec, length and the like, learnt on SPLIT (default: train)",
    )
    command.add_argument("--text", action="store_true", help="print a summary in words instead of JSON")
    _add_depth(command)
    _add_limits(command)
    command.set_defaults(run=_evaluate)

    command = commands.add_parser("bench", help="measure seconds by stage and peak memory on this machine")
    command.add_argument("--json", action="store_true", help="print the measurements as JSON")
    command.add_argument(
        "--height", type=int, choices=(360, 720, 1080, 2160), default=1080, help="of the sample clip (default: 1080)"
    )
    command.add_argument("--seconds", type=float, default=10.0, help="length of the sample clip (default: 10)")
    command.add_argument(
        "--videos", type=Path, nargs="+", default=[], metavar="VIDEO", help="to be measured after the sample clip"
    )
    _add_depth(command)
    command.set_defaults(run=_bench)
    return parser


def _add_depth(command: argparse.ArgumentParser) -> None:
    command.add_argument("--frames", type=int, default=60, help="how many to look at, 10 to 120 (default: 60)")
    command.add_argument("--model", type=Path, metavar="FOLDER", help="the model to use (default: the one installed)")


def _add_limits(command: argparse.ArgumentParser) -> None:
    from detector.video import Limits  # noqa: PLC0415 -- slow import

    limits = Limits()
    command.add_argument("--max-bytes", type=int, default=limits.max_bytes, help="default: %(default)s")
    command.add_argument("--max-duration-s", type=float, default=limits.max_duration_s, help="default: %(default)s")
    command.add_argument(
        "--max-pixels", type=int, default=limits.max_pixels, help="in one frame (default: %(default)s)"
    )
