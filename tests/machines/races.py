"""What two people, a worker or retention do at one moment to the same rows of PostgreSQL, each pausing at every lock.

Run with a database of its own as ``python -m tests.machines.races``: each verb meets each, both on a person, a video
and analyses made for them. Prints one JSON line for each pair: what came of either, and what is left.
"""

import itertools
import json
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import django

django.setup()

from django.conf import settings  # noqa: E402 -- after the setup
from django.db import connection, transaction  # noqa: E402
from django.utils import timezone  # noqa: E402

from accounts.models import User  # noqa: E402
from analysis import lifecycle, results, services, tasks, uploads  # noqa: E402
from analysis.models import Analysis, State, Video  # noqa: E402
from tests.analysis.builders import make_analysis, make_report, make_user, make_video  # noqa: E402
from tests.analysis.stand_in import write_pictures  # noqa: E402

PAUSE_S = 0.06  # after each statement that locks rows; long enough for the other to reach its own
GIVE_UP_S = 60.0


class Stage:
    """One person with one video, and an analysis in each state that a verb may want."""

    def __init__(self, states: set[State]) -> None:
        self.owner = make_user(max_queued=99, max_running=9, retention_days=1)
        self.video = make_video(self.owner)
        long_ago = timezone.now() - timedelta(days=9)
        Video.objects.filter(pk=self.video.pk).update(uploaded_at=long_ago)
        self.analyses = {state: make_analysis(state, video=self.video) for state in sorted(states)}
        Analysis.objects.filter(video=self.video).update(queued_at=long_ago)

    def row(self, state: State) -> Analysis:
        return Analysis.objects.get(pk=self.analyses[state].pk)


def again(stage: Stage) -> bool:
    return bool(services.analyze_again(stage.row(State.FAILED), 20))


def retry(stage: Stage) -> bool:
    return services.retry(stage.row(State.FAILED))


def upload(stage: Stage) -> bool:
    received = uploads.Received(Path("unused"), "again.mp4", stage.video.sha256, 1)
    return services._submit_known(stage.owner, received, 20) is not None


def delete(stage: Stage) -> int:
    return services.delete(Analysis.objects.filter(video=stage.video))


def delete_video(stage: Stage) -> int:
    return services.delete_videos([stage.video])


def delete_person(stage: Stage) -> bool:
    services.delete_person(User.objects.get(pk=stage.owner.pk))
    return True


def prune(stage: Stage) -> int:
    return services.prune().analyses


def cancel(stage: Stage) -> bool:
    return services.cancel(stage.row(State.RUNNING))


def claim(stage: Stage) -> bool:
    return lifecycle.claim_next("racer") is not None


def store(stage: Stage) -> bool:
    report = make_report(samples=2)
    with tempfile.TemporaryDirectory() as folder:
        write_pictures(report, Path(folder))
        return results.store(stage.row(State.RUNNING), report, Path(folder))


VERBS: dict[Callable[[Stage], Any], set[State]] = {  # each with the states of the analyses that it needs
    again: {State.FAILED},
    retry: {State.FAILED},
    upload: {State.FAILED},
    delete: {State.FAILED},
    delete_video: {State.FAILED},
    delete_person: {State.FAILED},
    prune: {State.FAILED},
    cancel: {State.RUNNING},
    claim: {State.QUEUED},
    store: {State.RUNNING},
}


def _pausing(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    """Runs the statement, then waits where it may have locked rows."""
    answer = execute(sql, params, many, context)
    if "FOR UPDATE" in sql or sql.startswith(("UPDATE", "DELETE")):
        time.sleep(PAUSE_S)
    return answer


def meet(one: Callable[[Stage], Any], other: Callable[[Stage], Any]) -> dict[str, Any]:
    """Both at one moment; what came of each, and what is left of the failed analysis that was there."""
    stage = Stage(VERBS[one] | VERBS[other])
    answers: list[Any] = [None, None]
    start = threading.Barrier(2)

    def act(place: int, verb: Callable[[Stage], Any]) -> None:
        try:
            Analysis.objects.exists()  # connected before it counts
            start.wait(GIVE_UP_S)
            with connection.execute_wrapper(_pausing):
                answers[place] = verb(stage)
        except services.Refused:
            answers[place] = False
        except Exception as error:  # noqa: BLE001 -- which one it was is what is asked for
            answers[place] = f"{type(error).__name__}: {error}".splitlines()[0]
        finally:
            connection.close()

    threads = [threading.Thread(target=act, args=pair, daemon=True) for pair in enumerate((one, other))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(GIVE_UP_S)
        if thread.is_alive():
            raise TimeoutError(f"{one.__name__} and {other.__name__} wait for each other.")
    failed = stage.analyses.get(State.FAILED)
    left = None if failed is None else Analysis.objects.filter(pk=failed.pk).values_list("state", flat=True).first()
    with transaction.atomic():  # nothing of this pair meets the next
        services.delete_videos(Video.objects.all())
        User.objects.all().delete()
    return {"verbs": [one.__name__, other.__name__], "answers": answers, "left": left}


def main() -> None:
    """Every verb with every one, itself too."""
    with tempfile.TemporaryDirectory() as settings.MEDIA_ROOT, mock.patch.object(tasks, "enqueue"):  # there is no queue
        for one, other in itertools.combinations_with_replacement(VERBS, 2):
            print(json.dumps(meet(one, other)), flush=True)


if __name__ == "__main__":
    main()
