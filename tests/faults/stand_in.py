"""The detector's stand-in inside the real processes: goes through every stage, and stops where a round wants it to.

It is put in place when Django starts, in the supervisor, the web server and the workers alike. Everything around the
detector is the real thing. A round says in ``hold`` in DATA_DIR at which point a job waits; the job answers by making
``held-POINT``. The pauses of the reconciler are shortened here, since a round waits for them.
"""

import contextlib
import hashlib
import os
import time
from pathlib import Path
from typing import Any

from django.apps import AppConfig

POINTS = ("taken", "reading", "faces", "judging", "drawing", "storing", "stored")  # in their order
STAGES = POINTS[1:5]
STEPS = 3  # of each stage
STEP_S = 0.03
SAMPLES = 4  # faces in a report; each has a crop and a heatmap, each frame a picture
RECONCILE_EVERY_S = 1.0
SWEEP_EVERY_S = 1.0
STRAY_S = 4.0
STEADY_S = 3.0  # rounds follow each other closely; a program killed in each is not one that cannot live
FINISHED = "finished.log"  # a line for each attempt that stored its result: analysis, attempt, process

_HOLD_S = 900.0  # a round that forgets to let go is found out, not waited for


class StandIn(AppConfig):
    name = "tests.faults"
    label = "stand_in"
    path = str(Path(__file__).parent)

    def ready(self) -> None:
        from django.conf import settings

        from tests.faults import clock

        folder = Path(settings.DATA_DIR)
        if os.environ.get("FAULTS_CLOCK"):
            clock.follow(folder / "clock")
        _shorten_pauses()
        _watch_storing(folder)
        if not os.environ.get("FAULTS_REAL_DETECTOR"):
            _replace_detector(folder)


def hold(folder: Path, point: str) -> None:
    """Wait here while ``hold`` names this point; a job says that it waits."""
    end = time.monotonic() + _HOLD_S
    while _wanted(folder) == point and time.monotonic() < end:
        with contextlib.suppress(OSError):  # the disk may be full
            (folder / f"held-{point}").touch()
        time.sleep(0.02)


def _wanted(folder: Path) -> str:
    try:
        return (folder / "hold").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _shorten_pauses() -> None:
    from analysis import files, tasks
    from deepfakesite import supervision
    from deepfakesite.management.commands import up

    supervision.STEADY_S = STEADY_S
    up.RECONCILE_EVERY_S = RECONCILE_EVERY_S
    tasks._SWEEP_EVERY_S = SWEEP_EVERY_S
    tasks._STRAY_S = files._OBJECT_STRAY_S = STRAY_S
    tasks._SWEEP_SHARED_EVERY_S = SWEEP_EVERY_S


def _watch_storing(folder: Path) -> None:
    """Points before, in and after the storing, which no stage of the detector's names; and who finished what."""
    from analysis import lifecycle, results

    claim, keep, store = lifecycle.claim, results._keep, results.store

    def held_claim(pk: Any, attempt: int, worker: str) -> bool:
        hold(folder, "taken")
        return claim(pk, attempt, worker)

    def held_keep(*arguments: Any) -> str:
        name = keep(*arguments)
        hold(folder, "storing")
        return name

    def held_store(analysis: Any, *arguments: Any) -> bool:
        won = store(analysis, *arguments)
        if won:
            note_finished(folder, analysis)
        hold(folder, "stored")
        return won

    lifecycle.claim = held_claim
    results._keep = held_keep  # type: ignore[assignment]
    results.store = held_store  # type: ignore[assignment]


def note_finished(folder: Path, analysis: Any) -> None:
    """Write down which attempt was stored, and by which process."""
    with (folder / FINISHED).open("a", encoding="ascii") as log:
        log.write(f"{analysis.pk.hex} {analysis.attempt} {os.getpid()}\n")


def _replace_detector(folder: Path) -> None:
    from deepfakesite import rq_worker
    from detector.errors import DetectorError, ErrorCode
    from tests.analysis.builders import make_report
    from tests.analysis.replaced_detector import replace_detector
    from tests.analysis.stand_in import write_pictures

    def detect(path: Path, release: Any, frames: int, pictures: Path, lease: Any, **_more: Any) -> Any:
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        for number, stage in enumerate(STAGES):
            for step in range(STEPS):
                lease.on_progress(stage, (number + step / STEPS) / len(STAGES))
                hold(folder, stage)
                if lease.should_stop():
                    raise DetectorError(ErrorCode.CANCELLED, "The analysis was cancelled.")
                time.sleep(STEP_S)
        report = make_report(sha256=sha256, samples=SAMPLES)
        write_pictures(report, pictures)
        return report

    replace_detector(detect)
    rq_worker.preload = lambda: None
