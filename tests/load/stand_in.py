"""The detector's stand-in inside the real workers: takes a drawn time, goes through every stage, writes real pictures.

Everything around the detector is as shipped, every pause too. While ``filling`` lies in DATA_DIR, no analysis ends, so
that the queue stands at its full length before it drains. What starts and ends is written down (``RUNS``), since rows
that are deleted later cannot tell it.
"""

import hashlib
import json
import math
import os
import random
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from django.apps import AppConfig

from tests.faults.stand_in import STAGES, note_finished
from tests.load.plan import FILLING

RUNS = "runs.log"  # a line of JSON for each start and end: what, pk, owner, at
MEAN_S = "LOAD_MEAN_S"  # the variable with the mean of the drawn times
SPREAD = 0.8  # of their logarithms: most analyses are short, some are long
LONGEST = 8.0  # times the mean
STEP_S = 0.2  # between two notes of the progress, as between two frames


class StandIn(AppConfig):
    name = "tests.load"
    label = "stand_in"
    path = str(Path(__file__).parent)

    def ready(self) -> None:
        from django.conf import settings

        folder = Path(settings.DATA_DIR)
        _replace_detector(folder, float(os.environ.get(MEAN_S, "1")))
        _note_runs(folder)


def drawn_s(chance: random.Random, mean_s: float) -> float:
    """A log-normal length of time with that mean, cut off at ``LONGEST`` times of it."""
    return min(chance.lognormvariate(math.log(mean_s) - SPREAD**2 / 2, SPREAD), LONGEST * mean_s)


def _replace_detector(folder: Path, mean_s: float) -> None:
    from detector.errors import DetectorError, ErrorCode
    from tests.analysis.replaced_detector import replace_detector

    def detect(path: Path, release: Any, frames: int, pictures: Path, lease: Any, **_more: Any) -> Any:
        # Here, in the process of a job, and not above, where the web server's memory would grow by all they need.
        from tests.analysis.builders import make_report
        from tests.analysis.stand_in import write_pictures

        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        seconds = drawn_s(random.Random(f"{sha256} {frames}"), mean_s)
        begun = time.monotonic()
        while (spent := time.monotonic() - begun) < seconds or (folder / FILLING).exists():
            share = min(spent / seconds, 0.99)
            lease.on_progress(STAGES[int(share * len(STAGES))], share)
            if lease.should_stop():
                raise DetectorError(ErrorCode.CANCELLED, "The analysis was cancelled.")
            time.sleep(STEP_S)
        report = make_report(sha256=sha256, samples=frames)
        write_pictures(report, pictures)
        return report

    replace_detector(detect)


def _note_runs(folder: Path) -> None:
    from analysis import lifecycle, results, tasks
    from analysis.models import Analysis

    claim_next, store, run = lifecycle.claim_next, results.store, tasks._run

    def note(what: str, pk: Any, owner: int, at: datetime) -> None:
        line = {"what": what, "pk": str(pk), "owner": owner, "at": at.timestamp()}
        with (folder / RUNS).open("a", encoding="ascii") as log:  # one short write to the end: lines stay whole
            log.write(json.dumps(line) + "\n")

    def noted_claim(worker: str) -> Analysis | None:
        row = claim_next(worker)
        if row is not None:
            (started_at,) = Analysis.objects.filter(pk=row.pk).values_list("started_at", flat=True) or (None,)
            if started_at is not None:
                note("start", row.pk, row.video.owner_id, started_at)
        return row

    def noted_store(analysis: Any, *arguments: Any) -> bool:
        won = store(analysis, *arguments)
        if won:
            note_finished(folder, analysis)
        return won

    def noted_run(pk: str, attempt: int, lease: Any) -> None:
        run(pk, attempt, lease)
        for finished_at, owner in Analysis.objects.filter(pk=pk).values_list("finished_at", "video__owner_id"):
            if finished_at is not None:
                note("end", pk, owner, finished_at)

    lifecycle.claim_next = noted_claim
    results.store = noted_store  # type: ignore[assignment]
    tasks._run = noted_run
