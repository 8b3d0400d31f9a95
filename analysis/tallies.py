"""Counts of what has happened, kept in the database: several web processes and workers add to the same ones.

They only grow, also when what they counted is deleted, as a monitoring system expects of a counter. Count in the
transaction of what is counted. How they are shown is for deepfakesite/metrics.py.
"""

from bisect import bisect_left
from collections.abc import Mapping

from django.db import IntegrityError, transaction
from django.db.models import F, TextChoices

from analysis.models import Tally

BUCKETS_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0)
INFINITY, SUM = "+Inf", "sum"


class Counted(TextChoices):
    """What is counted, and by what."""

    FINISHED = "finished"  # by verdict
    FAILED = "failed"  # by code
    CANCELLED = "cancelled"
    LEASE_EXPIRED = "lease_expired"  # by how a worker came to lose an analysis: see lifecycle.expire
    REFUSED = "refused"  # by code
    STAGE_SECONDS = "stage_seconds"  # by stage: how long it took in what was finished
    WAIT_SECONDS = "wait_seconds"  # how long what was finished had waited for a worker


def count(counted: Counted, label: str = "") -> None:
    """One more of it."""
    _add(counted, label, "", 1.0)


def observe(counted: Counted, seconds_by_label: Mapping[str, float]) -> None:
    """One more duration for each label: a row for each bound counts what lies up to it, and one row sums them all."""
    additions = []
    for label, seconds in seconds_by_label.items():
        at = bisect_left(BUCKETS_S, seconds)
        bound = str(BUCKETS_S[at]) if at < len(BUCKETS_S) else INFINITY
        additions += [(label, bound, 1.0), (label, SUM, seconds)]
    for label, bound, amount in sorted(additions):  # in one order everywhere, so that two transactions cannot deadlock
        _add(counted, label, bound, amount)


def _add(counted: Counted, label: str, bound: str, amount: float) -> None:
    rows = Tally.objects.filter(counted=counted, label=label, bound=bound)
    if rows.update(value=F("value") + amount):
        return
    try:
        with transaction.atomic():
            Tally.objects.create(counted=counted, label=label, bound=bound, value=amount)
    except IntegrityError:  # the first two at the same moment
        rows.update(value=F("value") + amount)
