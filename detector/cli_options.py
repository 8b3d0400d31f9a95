"""What the commands of the command line share: their common options, and how they refuse and print."""

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from detector.pipeline import Settings
    from detector.precision import Precision
    from detector.release import Release
    from detector.stream import Limits

OK = 0


class Refused(Exception):
    """The arguments cannot be used; the message is one whole sentence."""


def print_json(value: Any) -> None:
    """Write ``value`` to stdout."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False), flush=True)


def release_of(folder: Path | None) -> "Release":
    """The model to use: the one in ``folder``, or the one installed."""
    from detector.release import default_release, load_release  # noqa: PLC0415 -- slow import

    return load_release(folder) if folder else default_release()


def settings_of(options: argparse.Namespace, limits: "Limits") -> "Settings":
    """Settings with the frames that were asked for; Refused when they are too few or too many."""
    from detector.pipeline import Settings  # noqa: PLC0415 -- slow import

    check_frames(options.frames)
    return Settings(frames=options.frames, limits=limits)


def check_frames(frames: int) -> None:
    """Raise Refused unless so many frames can be looked at."""
    from detector.pipeline import MAX_FRAMES, MIN_FRAMES  # noqa: PLC0415 -- slow import

    if not MIN_FRAMES <= frames <= MAX_FRAMES:
        raise Refused(f"The number of frames must lie between {MIN_FRAMES} and {MAX_FRAMES}, not {frames}.")


def limits_of(options: argparse.Namespace) -> "Limits":
    """The limits that were asked for; Refused when one is not finite or not above zero."""
    from detector.stream import Limits  # noqa: PLC0415 -- needed by few commands

    for name in ("max_bytes", "max_duration_s", "max_pixels"):
        if not 0 < (value := getattr(options, name)) < math.inf:
            raise Refused(f"The limit --{name.replace('_', '-')} must be a finite number above zero, not {value}.")
    return Limits(options.max_bytes, options.max_duration_s, options.max_pixels)


def add_depth(command: argparse.ArgumentParser) -> None:
    """How many frames to look at, with which model."""
    command.add_argument("--frames", type=int, default=60, help="how many to look at, 10 to 120 (default: 60)")
    command.add_argument("--model", type=Path, metavar="FOLDER", help="the model to use (default: the one installed)")


def add_precision(command: argparse.ArgumentParser, default: str = "auto") -> None:
    """What the network computes in."""
    command.add_argument(
        "--precision",
        choices=("auto", "float32", "bfloat16", "int8"),
        default=default,
        help="bfloat16 and int8 are faster where the processor has them, and round otherwise; auto is int8 where "
        "processor and model have it, else float32 (default: %(default)s)",
    )


def precision_of(options: argparse.Namespace, *models: "Release") -> "Precision":
    """What was asked for; Refused where it was named and this processor or a model has not got it."""
    from detector.precision import AUTO, asked_for, model_has, processor_has  # noqa: PLC0415 -- slow import

    wanted = asked_for(options.precision)
    if options.precision == AUTO:  # each network is then loaded in what it can have
        return wanted
    if not processor_has(wanted):
        raise Refused(f"On this processor nothing is computed in {wanted}; leave --precision out.")
    for model in models:
        if not model_has(wanted, model):
            raise Refused(
                f"{model.name} {model.version} cannot be served in {wanted}; leave --precision out, or see "
                "`python -m detector.training quantise --help`."
            )
    return wanted


def add_limits(command: argparse.ArgumentParser) -> None:
    """What is refused."""
    from detector.stream import Limits  # noqa: PLC0415 -- needed by few commands

    limits = Limits()
    command.add_argument("--max-bytes", type=int, default=limits.max_bytes, help="default: %(default)s")
    command.add_argument("--max-duration-s", type=float, default=limits.max_duration_s, help="default: %(default)s")
    command.add_argument(
        "--max-pixels", type=int, default=limits.max_pixels, help="in one frame (default: %(default)s)"
    )
