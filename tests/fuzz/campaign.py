"""Runs mutated videos through what a person's upload goes through, and holds the promises against what happens.

Each input is inspected as an upload; what is accepted is analysed by the whole pipeline, what is refused is given to
the reader once more, which must refuse it for the same reason. Nothing may break the calling process, hang past its
limit, or leave a file or a process behind.
"""

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from analysis import inspection
from detector import pipeline, reader_process
from detector.errors import DetectorError
from detector.inference import Network
from tests.fuzz import mutations
from tests.fuzz.warm import Warm

FRAMES = 10
GRACE_S = 5.0  # for a busy machine, over the limit of a step
_SLOWEST = 5


@dataclass
class Outcome:
    """What a campaign saw."""

    uploads: Counter[str] = field(default_factory=Counter)  # by code; "accepted"
    analyses: Counter[str] = field(default_factory=Counter)  # of what was accepted: by verdict or code
    slowest: list[tuple[float, str]] = field(default_factory=list)  # seconds, number and name
    broken: list[str] = field(default_factory=list)  # promises that did not hold
    seconds: float = 0.0

    @property
    def inputs(self) -> int:
        return sum(self.uploads.values())

    @property
    def crashes(self) -> int:
        """Decoders that died of a signal, or in another way that is not foreseen."""
        return self.uploads["decoder_crashed"] + self.analyses["decoder_crashed"]

    def as_text(self) -> str:
        """A report in Markdown."""
        rows = ["| outcome | uploads | analyses |", "| --- | --- | --- |"]
        rows += [
            f"| {code} | {self.uploads[code] or ''} | {self.analyses[code] or ''} |"
            for code in sorted({*self.uploads, *self.analyses})
        ]
        slowest = ", ".join(f"{seconds:.2f} s ({name})" for seconds, name in self.slowest)
        return "\n".join(
            [
                f"{self.inputs} inputs in {self.seconds:.0f} s",
                "",
                *rows,
                "",
                f"decoders that crashed: {self.crashes}",
                f"slowest: {slowest}",
                f"promises broken: {len(self.broken)}",
                *self.broken,
            ]
        )


def run(
    corpus: dict[str, bytes],
    network: Network,
    numbers: Iterable[int],
    seed: int,
    folder: Path,
    keep: Path | None = None,
) -> Outcome:
    """Throw the inputs with these ``numbers``; those that break a promise are copied to ``keep``.

    Works in ``folder``, which holds nothing afterwards; the settings' limits of time count.
    """
    outcome, clock = Outcome(), time.monotonic()
    with Warm() as warm, _in_place_of_fresh_decoders(warm), _temporary(folder):
        for number in numbers:
            name, content = mutations.mutated(corpus, seed, number)
            before = len(outcome.broken)
            path = folder / f"input-{number}"
            path.write_bytes(content)
            _throw(path, f"{number} {name}", network, outcome)
            if keep is not None and len(outcome.broken) > before:
                shutil.copy(path, keep / f"{seed}-{number}-{name}")
            path.unlink()
            strays = [stray.name for stray in folder.iterdir()]
            if strays:
                outcome.broken.append(f"{number} {name}: left {strays}")
                shutil.rmtree(folder / strays[0], ignore_errors=True)
        end = time.monotonic() + GRACE_S
        while warm.children() and time.monotonic() < end:
            time.sleep(0.05)
        if warm.children():
            outcome.broken.append(f"processes left: {sorted(warm.children())}")
    outcome.seconds = time.monotonic() - clock
    return outcome


def _throw(path: Path, name: str, network: Network, outcome: Outcome) -> None:
    clock = time.monotonic()
    poster, pictures = path.with_suffix(".poster"), path.with_suffix(".pictures")
    try:
        refusal = _upload(path, poster, name, outcome)
        if refusal is None:
            _analyse(path, pictures, network, outcome)
        else:
            _read_again(path, refusal, name, outcome)
    except Exception as error:  # noqa: BLE001 -- whatever it is, it is a finding
        outcome.broken.append(f"{name}: {type(error).__name__}: {error}")
    finally:
        poster.unlink(missing_ok=True)
        shutil.rmtree(pictures, ignore_errors=True)
    seconds = time.monotonic() - clock
    limit_s = inspection.probe_allowance().wait_s + inspection.work_allowance().wait_s
    if seconds > limit_s + GRACE_S:
        outcome.broken.append(f"{name}: took {seconds:.0f} s")
    outcome.slowest = sorted([*outcome.slowest, (seconds, name)], reverse=True)[:_SLOWEST]


def _upload(path: Path, poster: Path, name: str, outcome: Outcome) -> str | None:
    """The code with which the upload is refused; None when it is accepted."""
    clock = time.monotonic()
    try:
        inspection.inspect(path, poster)
    except inspection.Rejected as rejection:
        outcome.uploads[rejection.code] += 1
        if rejection.code == "internal":
            outcome.broken.append(f"{name}: the upload fails on our side")
        if poster.exists():
            outcome.broken.append(f"{name}: refused ({rejection.code}), but has a poster")
        return rejection.code
    finally:
        if time.monotonic() - clock > inspection.probe_allowance().wait_s + GRACE_S:
            outcome.broken.append(f"{name}: the upload hung")
    outcome.uploads["accepted"] += 1
    if not poster.exists():
        outcome.broken.append(f"{name}: accepted without a poster")
    return None


def _analyse(path: Path, pictures: Path, network: Network, outcome: Outcome) -> None:
    try:
        with inspection.reader(path, inspection.work_allowance()) as reader:
            report = pipeline.analyze(
                path, network, pipeline.Settings(FRAMES, reader.limits), out_dir=pictures, reader=reader
            )
    except DetectorError as error:
        outcome.analyses[error.code] += 1
        return
    outcome.analyses[report.verdict.value] += 1


def _read_again(path: Path, refusal: str, name: str, outcome: Outcome) -> None:
    """The worker would refuse it too, for the same reason."""
    try:
        with inspection.reader(path, inspection.work_allowance()) as reader:
            list(reader.sample(FRAMES))
    except DetectorError as error:
        if error.code != refusal and "timed_out" not in (error.code, refusal):
            outcome.broken.append(f"{name}: refused as {refusal} at the upload, as {error.code} by the worker")
        return
    if refusal != "timed_out":
        outcome.broken.append(f"{name}: refused as {refusal} at the upload, but the worker reads it")


@contextmanager
def _in_place_of_fresh_decoders(warm: Warm) -> Iterator[None]:
    fresh = reader_process.start
    reader_process.start = warm.start
    try:
        yield
    finally:
        reader_process.start = fresh


@contextmanager
def _temporary(folder: Path) -> Iterator[None]:
    """Temporary files of this process lie in ``folder``, where they are seen when they stay."""
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
