"""Memory of each process of a site over time: proportional set size (PSS), which counts what is shared once in all.

What a worker and the process of its job have in common moves between the two with every fork, so they are added up.
Decoders are left out: each lives for less than a second and may not see whose it is.
"""

import contextlib
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.rig import parent_of
from tests.running import processes_of

_KINDS = (  # the first that is found in a command line
    ("valkey-server", "queue server"),
    ("gunicorn", "web process"),
    ("manage.py worker", "worker"),
    ("manage.py up", "supervisor"),
)


@dataclass(frozen=True)
class Growth:
    """MiB of one process over a run; each but the peak is the median of a fifth of the samples."""

    name: str
    start: float
    middle: float
    end: float
    peak: float

    @property
    def second_half(self) -> float:
        """What was added when everything had been in use already."""
        return self.end - self.middle


@dataclass
class Watch:
    """Samples of one site; ``pids`` tells whether what has a name is still the same process."""

    folder: Path
    samples: dict[str, list[float]] = field(default_factory=dict)  # MiB by name, in the order in which they were taken
    pids: dict[str, set[int]] = field(default_factory=dict)

    def sample(self) -> None:
        for name, (pid, mebibytes) in measured(processes(self.folder)).items():
            self.samples.setdefault(name, []).append(mebibytes)
            self.pids.setdefault(name, set()).add(pid)

    def growth(self) -> list[Growth]:
        return [growth_of(name, samples) for name, samples in sorted(self.samples.items())]


@dataclass(frozen=True)
class Process:
    pid: int
    parent: int
    kind: str
    kibibytes: int


def processes(folder: Path) -> list[Process]:
    """Every process of the site in ``folder`` of which something is known; those that end meanwhile are left out."""
    found = []
    for pid in processes_of(folder):
        with contextlib.suppress(OSError, StopIteration):
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            kind = next(name for part, name in _KINDS if part in command)
            found.append(Process(pid, parent_of(pid), kind, pss_kibibytes(pid)))
    return found


def pss_kibibytes(pid: int) -> int:
    """Raises OSError when the process has ended."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def measured(found: Sequence[Process]) -> Mapping[str, tuple[int, float]]:
    """By name: the pid of whichever process stays, and MiB. Children of the same kind are their parent's."""
    by_pid = {one.pid: one for one in found}
    result: dict[str, tuple[int, float]] = {}
    for kind in {one.kind for one in found}:
        alike = sorted((one for one in found if one.kind == kind), key=lambda one: one.pid)
        heads = [one for one in alike if getattr(by_pid.get(one.parent), "kind", "") != kind]
        if kind == "web process":  # a main process, and those that answer
            answering = [one for one in alike if one not in heads]
            for one in heads:
                result["web server's main process"] = (one.pid, one.kibibytes / 1024)
            for number, one in enumerate(answering, 1):
                result[f"web process {number}"] = (one.pid, one.kibibytes / 1024)
            continue
        for number, head in enumerate(heads, 1):
            family = [head, *(one for one in alike if one.parent == head.pid)]
            name = f"worker {number} and its job" if kind == "worker" else kind
            result[name] = (head.pid, sum(one.kibibytes for one in family) / 1024)
    return result


def growth_of(name: str, samples: Sequence[float]) -> Growth:
    """At least one sample is needed."""
    size = max(1, len(samples) // 5)
    half = (len(samples) - size) // 2
    start, middle, end = samples[:size], samples[half : half + size], samples[-size:]
    medians = {"start": start, "middle": middle, "end": end}
    return Growth(name, peak=max(samples), **{when: statistics.median(some) for when, some in medians.items()})
