"""What a process has used so far, by its number, while it lives. Only Linux tells; 0 stands for anything unknown."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Usage:
    """Of one process, all its threads together."""

    cpu_s: float = 0.0
    memory_bytes: int = 0  # resident now
    peak_memory_bytes: int = 0  # the most that was resident at once


def of_process(pid: int) -> Usage:
    """The usage of the living process ``pid``; what cannot be told is 0."""
    if sys.platform != "linux":
        return Usage()
    try:
        # A process's clock by its number, as clock_getcpuclockid(3) makes it; Python has that for threads alone.
        cpu_s = time.clock_gettime((~pid << 3) | 2)
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return Usage()
    kibibytes = {line.partition(":")[0]: line.split()[1] for line in status.splitlines() if line.startswith("Vm")}
    # Not getrusage's ru_maxrss: a new program inherits there what its parent had when it was started.
    return Usage(cpu_s, int(kibibytes.get("VmRSS", 0)) * 1024, int(kibibytes.get("VmHWM", 0)) * 1024)
