"""The commands that measure the detector: ``evaluate``, ``robustness`` and ``faces``."""

import argparse
import sys
from pathlib import Path
from typing import Any

from detector.cli_options import (
    OK,
    Refused,
    add_depth,
    add_limits,
    add_precision,
    check_frames,
    limits_of,
    precision_of,
    print_json,
    release_of,
    settings_of,
)


def add_commands(commands: Any) -> None:
    """Add them to the parsers of ``python -m detector``."""
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
    add_depth(command)
    add_precision(command, "float32")
    add_limits(command)
    command.set_defaults(run=_evaluate)

    command = commands.add_parser("robustness", help="measure the detector on degraded copies of videos, as JSON")
    command.add_argument("manifest", type=Path, metavar="MANIFEST", help="as for evaluate")
    command.add_argument("--split", help="only the videos of this split")
    command.add_argument(
        "--out", type=Path, metavar="DIR", required=True, help="gets all results, the JSON and a plot; resumes there"
    )
    command.add_argument("--limit", type=int, metavar="N", help="so many videos, spread over data sets and sources")
    command.add_argument(
        "--only", nargs="+", metavar="KIND", help="of compression, size, blur, noise and brightness (default: all)"
    )
    command.add_argument("--jobs", type=int, default=1, help="processes that share the cores (default: 1)")
    add_depth(command)
    add_limits(command)
    command.set_defaults(run=_robustness)

    command = commands.add_parser("faces", help="note which faces are found in videos, or what changed since, as JSON")
    command.add_argument("manifest", type=Path, metavar="MANIFEST", help="as for evaluate")
    command.add_argument("--split", help="only the videos of this split")
    command.add_argument("--limit", type=int, metavar="N", help="so many videos, spread over data sets and sources")
    command.add_argument("--out", type=Path, metavar="FILE", help="keeps what is found, for a later comparison")
    command.add_argument("--since", type=Path, metavar="FILE", help="what was kept earlier; prints what changed")
    add_depth(command)
    add_limits(command)
    command.set_defaults(run=_faces)


def _evaluate(options: argparse.Namespace) -> int:
    from detector import evaluate, evaluate_text  # noqa: PLC0415 -- slow import
    from detector.evaluate_kinds import read_kinds  # noqa: PLC0415 -- slow import
    from detector.evaluate_rows import ManifestError  # noqa: PLC0415 -- slow import
    from detector.precision import available  # noqa: PLC0415 -- slow import
    from detector.progress import Progress  # noqa: PLC0415 -- slow import

    if options.jobs < 1:
        raise Refused(f"The number of jobs must be at least 1, not {options.jobs}.")
    settings, release = settings_of(options, limits_of(options)), release_of(options.model)
    with Progress() as bar:
        try:
            order = evaluate.Order(
                options.manifest,
                options.split,
                release,
                settings,
                options.jobs,
                read_kinds(options.kinds) if options.kinds else None,
                options.metadata_baseline,
                available(precision_of(options, release), release),
            )
            evaluation = evaluate.evaluate(
                order,
                options.out,
                lambda done, total: bar.show(f"{done} of {total} videos", done / total),
            )
        except ManifestError as refusal:
            raise Refused(str(refusal)) from refusal
    if options.text:
        print(evaluate_text.of(evaluation), flush=True)
    else:
        print_json(evaluation)
    return OK


def _robustness(options: argparse.Namespace) -> int:
    from detector import robustness  # noqa: PLC0415 -- slow import
    from detector.evaluate_rows import ManifestError  # noqa: PLC0415 -- slow import
    from detector.progress import Progress  # noqa: PLC0415 -- slow import

    if options.jobs < 1 or (options.limit is not None and options.limit < 1):
        raise Refused("The numbers of jobs and of videos must be at least 1.")
    settings = settings_of(options, limits_of(options))
    with Progress() as bar:

        def say(line: str) -> None:
            bar.clear()
            print(line, file=sys.stderr, flush=True)

        try:
            chosen = robustness.parse_sweep(options.only)
            order = robustness.Order(
                options.manifest,
                options.split,
                release_of(options.model),
                settings,
                options.jobs,
                options.limit,
                chosen,
            )
            found = robustness.sweep(
                order,
                options.out,
                lambda done, total: bar.show(f"{done} of {total} analyses", done / total),
                say,
            )
        except ManifestError as refusal:
            raise Refused(str(refusal)) from refusal
    print_json(found)
    return OK


def _faces(options: argparse.Namespace) -> int:
    from detector import evaluate_faces  # noqa: PLC0415 -- slow import
    from detector.evaluate_rows import ManifestError, read_manifest  # noqa: PLC0415 -- slow import
    from detector.progress import Progress  # noqa: PLC0415 -- slow import
    from detector.robustness import chosen  # noqa: PLC0415 -- slow import

    if options.limit is not None and options.limit < 1:
        raise Refused("The number of videos must be at least 1.")
    check_frames(options.frames)
    shape = release_of(options.model).crop
    try:
        before = evaluate_faces.read(options.since) if options.since else {}
        clips = chosen(read_manifest(options.manifest, options.split), options.limit)
    except (ManifestError, ValueError) as refusal:
        raise Refused(str(refusal)) from refusal
    with Progress() as bar:
        found = evaluate_faces.note(
            clips,
            options.frames,
            shape,
            limits_of(options),
            lambda done: bar.show(f"{done} of {len(clips)} videos", done / len(clips)),
        )
    if options.out:
        evaluate_faces.write(found, options.out)
    print_json(evaluate_faces.compare(before, found, shape.margin) if options.since else evaluate_faces.summary(found))
    return OK
