"""A clock that can be set while the site runs, for every Python process of one installation.

``time.time``, ``datetime.now`` and the like are moved by time-machine, so Django, RQ and our own code all see it. The
kernel's times of files and the queue server's clock stay as they are, and so do monotonic clocks, which setting a
machine's clock does not move either. Whoever writes a number of seconds into ``clock`` in DATA_DIR sets it.
"""

import datetime
import os
import threading
import time
from pathlib import Path

import time_machine

_LOOK_EVERY_S = 0.05


def follow(file: Path) -> None:
    """Let this process, and those it forks, see the real time plus the seconds that stand in ``file``."""
    travel = time_machine.travel(datetime.datetime.now(datetime.UTC), tick=True)
    traveller = travel.start()
    now_s = [0.0]

    def look() -> None:
        while True:
            wanted_s = _seconds(file, now_s[0])
            if wanted_s != now_s[0]:
                traveller.shift(wanted_s - now_s[0])
                now_s[0] = wanted_s
            time.sleep(_LOOK_EVERY_S)

    def start() -> None:
        threading.Thread(target=look, name="clock", daemon=True).start()

    os.register_at_fork(after_in_child=start)
    start()


def _seconds(file: Path, otherwise: float) -> float:
    try:
        return float(file.read_text(encoding="ascii"))
    except (OSError, ValueError):  # not there, or being written at this moment
        return otherwise
