"""A real worker with a detector that takes its time, for the test that kills it.

It is started with the environment of an installation of its own. With ``quick`` as its argument it reconciles first,
the detector is done at once, and the worker ends when the queue is empty.
"""

import sys
import time
from typing import Any

import django


def main() -> None:
    django.setup()
    from django.core.management import call_command

    from analysis import tasks
    from analysis.models import Analysis
    from deepfakesite import rq_worker
    from tests.analysis.builders import make_report
    from tests.analysis.replaced_detector import replace_detector
    from tests.analysis.stand_in import write_pictures

    quick = "quick" in sys.argv

    def detect(path: Any, release: Any, frames: int, pictures: Any, lease: Any) -> Any:
        for step in range(1 if quick else 600):
            lease.on_progress("faces", step / 600)
            time.sleep(0 if quick else 0.1)
        report = make_report(sha256=Analysis.objects.get().video.sha256)
        write_pictures(report, pictures)
        return report

    replace_detector(detect)
    rq_worker.preload = lambda: None
    if quick:
        tasks.reconcile()
    call_command("worker", burst=quick)


if __name__ == "__main__":
    main()
