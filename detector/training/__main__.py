"""The command line of training: ``python -m detector.training STEP --help`` explains each step.

Order: prepare (train, val, photographs) -> initialise, efficientnet or clip-tower -> train (several times: average) ->
temporal -> export -> evaluate -> heads, peers, robustness where wanted -> card; quantise for int8.
"""

import argparse
import pickle
import sys
import zipfile
from collections.abc import Sequence

from safetensors import SafetensorError

from detector.errors import DetectorError
from detector.training import cli_data, cli_measure, cli_train

WRONG_INPUT = (
    DetectorError,
    OSError,
    ValueError,
    RuntimeError,  # torch: weights of another shape
    EOFError,
    zipfile.BadZipFile,
    pickle.UnpicklingError,
    SafetensorError,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one step; 0 when it worked, 2 with a sentence on stderr when its input is wrong."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except KeyError as error:
        print(
            f"{options.step} cannot go on: its input lacks {error}; check that each file is of its kind.",
            file=sys.stderr,
        )
        return 2
    except WRONG_INPUT as error:
        print(f"{options.step} cannot go on: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m detector.training", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    steps = parser.add_subparsers(dest="step", required=True)
    cli_data.add_steps(steps)
    cli_train.add_steps(steps)
    cli_measure.add_steps(steps)
    return parser


if __name__ == "__main__":
    sys.exit(main())
