"""``python -m detector``: see cli.py. Here an interruption is made to end the program quietly wherever it strikes."""

import signal
import sys
from types import FrameType

from detector.cli import INTERRUPTED, main


def run() -> int:
    """The command's exit code; 130 after Ctrl-C, whatever became of the interruption on its way up.

    A compiled module that is being loaded turns KeyboardInterrupt into an ImportError of its own.
    """
    was_interrupted = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal was_interrupted
        was_interrupted = True
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where a shell has it ignored
        signal.signal(signal.SIGINT, interrupt)
    try:
        return main()
    except Exception:
        if was_interrupted:
            return INTERRUPTED
        raise


if __name__ == "__main__":
    sys.exit(run())
