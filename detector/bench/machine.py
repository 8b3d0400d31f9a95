"""What the machine is, and how much of it other programs took."""

import os
import platform
from pathlib import Path
from typing import Any

from detector.hands import cores


class Machine:
    """Watched from its making on."""

    def __init__(self) -> None:
        self._busy_s, self._own_s = _busy_s(), _own_s()

    def facts(self) -> dict[str, Any]:
        """The machine, and the share of its processor time since then that was not this program's, 0 to 1.

        The share counts ended children of this program as its own; it is None where the system does not tell.
        """
        busy, idle = (now - before for now, before in zip(_busy_s(), self._busy_s, strict=True))
        whole, own = busy + idle, _own_s() - self._own_s
        return {
            "cores": cores(),
            "processor": _processor(),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "system": f"{platform.system()} {platform.release().partition('-')[0]}",
            "python": platform.python_version(),
            "others_share": round(min(1.0, max(0.0, busy - own) / whole), 3) if whole > 0 else None,
        }


def shares_of_cores(count: int) -> list[list[int]]:
    """The cores this process may use in ``count`` equal shares; none where there are too few or it cannot be said."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    allowed = sorted(os.sched_getaffinity(0))
    size = len(allowed) // count
    return [allowed[place * size : (place + 1) * size] for place in range(count)] if size else []


def _own_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _busy_s() -> tuple[float, float]:
    """Seconds that all cores together have worked (for others on the same hardware too), and idled, since the start."""
    try:
        first = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0]
    except OSError:
        return 0.0, 0.0
    user, nice, system, idle, waiting, *rest = (int(word) / os.sysconf("SC_CLK_TCK") for word in first.split()[1:9])
    return user + nice + system + sum(rest), idle + waiting


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
