"""/metrics: the installation's numbers in Prometheus' text format.

All of it comes from the database and the queue at that moment, so it does not matter which process answers. Each name
is explained in docs/operations.md.
"""

import hmac
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator
from ipaddress import ip_address

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db.models import Count, Min, Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from analysis import tallies, tasks, turns
from analysis.models import Analysis, State, Tally, Video
from analysis.tallies import Counted
from deepfakesite import vitals
from deepfakesite.version import version

_FORWARDED = ("X-Forwarded-For", "Forwarded", "Via", "X-Real-IP")
_COUNTERS = {
    Counted.FINISHED: ("unmask_finished", "Analyses that were finished, by verdict.", "verdict"),
    Counted.FAILED: ("unmask_failed", "Analyses that failed, by code.", "code"),
    Counted.CANCELLED: ("unmask_cancelled", "Analyses that were cancelled.", None),
    Counted.LEASE_EXPIRED: ("unmask_lease_expiries", "Analyses that were taken back from a worker.", "reason"),
    Counted.REFUSED: ("unmask_refused", "Uploads and other wishes that were refused, by code.", "code"),
}
_HISTOGRAMS = {
    Counted.STAGE_SECONDS: ("unmask_stage_seconds", "How long a stage took in what was finished.", "stage"),
    Counted.WAIT_SECONDS: ("unmask_wait_seconds", "How long what was finished had waited for a worker.", None),
}

Values = dict[tuple[str, str, str], float]  # by what is counted, label and bound


@login_not_required
@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """For whoever knows METRICS_TOKEN, or for this machine itself where none is set; 404 for everyone else."""
    if not _may_read(request):
        raise Http404
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Installation())
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(registry), content_type=content_type)


def _may_read(request: HttpRequest) -> bool:
    if settings.METRICS_TOKEN:
        scheme, _space, given = request.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(given.encode(), settings.METRICS_TOKEN.encode())
    if settings.ALLAUTH_TRUSTED_PROXY_COUNT or any(name in request.headers for name in _FORWARDED):
        return False  # a proxy on this machine makes everybody look like this machine
    try:
        return ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


class Installation(Collector):
    """Asks once and yields every number; a fixed number of queries, however much there is."""

    def collect(self) -> Iterator[Metric]:
        build = GaugeMetricFamily("unmask_build", "1 for the version that runs.", labels=["version"])
        build.add_metric([version()], 1)
        yield build
        yield from _analyses()
        yield from _queue()
        yield from _room()
        kept: Values = {
            (row.counted, row.label, row.bound): row.value
            for row in Tally.objects.order_by("counted", "label", "bound")
        }
        yield from _counters(kept)
        yield from _histograms(kept)


def _analyses() -> Iterator[Metric]:
    counts = dict.fromkeys(State.values, 0)
    oldest = None
    rows = Analysis.objects.order_by().values_list("state").annotate(count=Count("pk"), oldest=Min("queued_at"))
    for state, number, queued_at in rows:
        counts[state] = number
        oldest = queued_at if state == State.QUEUED else oldest
    by_state = GaugeMetricFamily("unmask_analyses", "Analyses that are kept, by state.", labels=["state"])
    for state, number in counts.items():
        by_state.add_metric([state], number)
    yield by_state
    waited_s = (timezone.now() - oldest).total_seconds() if oldest else 0.0
    yield _gauge(
        "unmask_queue_oldest_seconds", "How long the longest waiting analysis has waited; 0 for none.", waited_s
    )


def _queue() -> Iterator[Metric]:
    people = turns.in_line()
    yield _gauge("unmask_queue_people", "People who have something waiting.", sum(p.waiting > 0 for p in people))
    startable = sum(person.startable for person in people)
    yield _gauge("unmask_queue_startable", "Waiting analyses that could start, were there workers enough.", startable)
    jobs = tasks.jobs_waiting()
    yield _gauge("unmask_queue_up", "Whether the queue's server answers.", jobs is not None)
    if jobs is not None:
        yield _gauge("unmask_queue_jobs", "Jobs in the queue; fewer than startable is mended by the reconciler.", jobs)
        yield _gauge("unmask_workers", "Workers that are alive.", vitals.living_workers())


def _room() -> Iterator[Metric]:
    stored = Video.objects.aggregate(count=Count("pk"), size_bytes=Sum("size_bytes"))
    yield _gauge("unmask_videos", "Videos that are kept.", stored["count"])
    yield _gauge("unmask_stored_bytes", "What these take, as they were uploaded.", stored["size_bytes"] or 0)
    free = shutil.disk_usage(settings.DATA_DIR).free
    yield _gauge("unmask_disk_free_bytes", "Free on the disk that DATA_DIR lies on.", free)


def _counters(kept: Values) -> Iterator[Metric]:
    for counted, (name, words, label_name) in _COUNTERS.items():
        family = CounterMetricFamily(name, words, labels=[label_name] if label_name else [])
        if label_name is None:
            family.add_metric([], kept.get((counted, "", ""), 0.0))
        for (what, label, _bound), value in kept.items():
            if what == counted and label_name:
                family.add_metric([label], value)
        yield family


def _histograms(kept: Values) -> Iterator[Metric]:
    for counted, (name, words, label_name) in _HISTOGRAMS.items():
        family = HistogramMetricFamily(name, words, labels=[label_name] if label_name else [])
        by_label: dict[str, dict[str, float]] = defaultdict(dict)
        for (what, label, bound), value in kept.items():
            if what == counted:
                by_label[label][bound] = value
        for label, values in by_label.items():
            labels = [label] if label_name else []
            family.add_metric(labels, list(_cumulated(values)), values.get(tallies.SUM, 0.0))
        yield family


def _cumulated(values: dict[str, float]) -> Iterable[tuple[str, float]]:
    total = 0.0
    for bound in (*map(str, tallies.BUCKETS_S), tallies.INFINITY):
        total += values.get(bound, 0.0)
        yield bound, total


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, value=float(value))
