"""/metrics: the right numbers in Prometheus' format, for whoever may read them, at a fixed cost."""

import contextlib
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as site
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import DjangoAssertNumQueries, Settings
from rq import Queue

from accounts.models import User
from analysis import inspection, lifecycle, results, services, tallies, tasks
from analysis.models import Analysis, State, Tally
from analysis.tallies import Counted
from deepfakesite import rq_worker, vitals
from tests.analysis.builders import make_analysis, make_report, make_user
from tests.analysis.stand_in import write_pictures

pytestmark = pytest.mark.django_db

TOKEN = "0123456789abcdef-metrics"


@pytest.fixture(autouse=True)
def _queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "jobs_waiting", lambda: 5)
    monkeypatch.setattr(vitals, "living_workers", lambda: 2)


def scrape(client: Client) -> dict[tuple[str, ...], float]:
    """Every sample by name and the values of its labels, these in the order of the labels' names."""
    response = client.get(reverse("metrics"))
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/plain; version=")
    return {
        (sample.name, *(value for _label, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(response.content.decode())
        for sample in family.samples
    }


def test_an_empty_installation_has_every_name(client: Client) -> None:
    found = scrape(client)

    assert {found["unmask_analyses", state] for state in State} == {0.0}
    assert found["unmask_queue_oldest_seconds",] == 0
    assert found["unmask_build", "0.1.0"] == 1
    assert found["unmask_cancelled_total",] == 0
    assert (found["unmask_queue_jobs",], found["unmask_workers",], found["unmask_queue_up",]) == (5, 2, 1)
    assert found["unmask_disk_free_bytes",] > 0


def test_what_waits_runs_and_is_kept_is_counted(client: Client) -> None:
    owner, now = make_user(max_running=2), timezone.now()
    for age_s in (300, 200, 100):
        make_analysis(State.QUEUED, owner, queued_at=now - timedelta(seconds=age_s))
    make_analysis(State.RUNNING, owner)
    done = make_analysis(State.DONE)

    found = scrape(client)

    assert [found["unmask_analyses", state] for state in ("queued", "running", "done")] == [3, 1, 1]
    assert found["unmask_queue_oldest_seconds",] == pytest.approx(300, abs=5)
    assert (found["unmask_queue_people",], found["unmask_queue_startable",]) == (1, 1)
    assert found["unmask_videos",] == 5
    assert found["unmask_stored_bytes",] == 5 * done.video.size_bytes


def test_what_is_finished_is_counted_with_its_stages_and_its_wait(client: Client, tmp_path: Path) -> None:
    for _number in range(2):
        analysis = make_analysis(queued_at=timezone.now() - timedelta(seconds=30))
        assert lifecycle.claim(analysis.pk, 1, "test:1")
        analysis.refresh_from_db()
        report = make_report(sha256=analysis.video.sha256)
        write_pictures(report, tmp_path)
        assert results.store(analysis, report, tmp_path)

    found = scrape(client)

    assert found["unmask_finished_total", "FAKE"] == 2
    assert found["unmask_stage_seconds_count", "detect"] == 2
    assert found["unmask_stage_seconds_sum", "network"] == 4.0
    assert [found["unmask_stage_seconds_bucket", bound, "network"] for bound in ("1.0", "2.5", "+Inf")] == [0, 2, 2]
    within = [found["unmask_stage_seconds_bucket", bound, "decode"] for bound in ("0.25", "0.5")]
    assert within == [0, 2]  # exactly half a second belongs to the bound of a half
    assert found["unmask_wait_seconds_count",] == 2
    assert found["unmask_wait_seconds_sum",] == pytest.approx(60, abs=5)
    services.delete(Analysis.objects.all())
    assert scrape(client)["unmask_finished_total", "FAKE"] == 2  # counters never go back


def test_durations_beyond_every_bound_are_counted(client: Client) -> None:
    tallies.observe(Counted.STAGE_SECONDS, {"total": 9999.0})

    found = scrape(client)
    assert found["unmask_stage_seconds_bucket", "2500.0", "total"] == 0
    assert found["unmask_stage_seconds_bucket", "+Inf", "total"] == 1


def test_failures_losses_cancellations_and_refusals_are_counted(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reject(path: Path, poster: Path) -> inspection.Inspection:
        raise inspection.Rejected("no_video_stream")

    monkeypatch.setattr(inspection, "inspect", reject)
    failing, cancelled = make_analysis(), make_analysis()
    assert lifecycle.fail(failing.pk, 1, "too_long")
    assert not lifecycle.fail(failing.pk, 1, "too_long")
    assert services.cancel(cancelled)
    assert not services.cancel(cancelled)
    past = timezone.now() - timedelta(seconds=1)
    silent = make_analysis(State.RUNNING, lease_expires_at=past)
    assert lifecycle.expire(silent.pk, 1)
    lost = make_analysis(State.RUNNING, lease_expires_at=past, lost_leases=2)
    assert lifecycle.expire(lost.pk, 1)
    for blame in (True, False):
        make_analysis(State.RUNNING, worker="test:9")
        assert rq_worker.give_back("test:9", blame=blame)
    with pytest.raises(services.Refused):
        services.submit(make_user(), SimpleUploadedFile("clip.mp4", b"sound"), 20)

    found = scrape(client)

    assert (found["unmask_failed_total", "too_long"], found["unmask_failed_total", "lost"]) == (1, 1)
    assert found["unmask_cancelled_total",] == 1
    assert [found["unmask_lease_expiries_total", reason] for reason in ("silent", "died", "stopped")] == [2, 1, 1]
    assert found["unmask_refused_total", "no_video_stream"] == 1


def test_it_costs_the_same_however_much_there_is(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _round in range(2):
        for state in State:
            make_analysis(state)
        for code in ("a", "b", "c"):
            tallies.count(Counted.FAILED, code)
        with django_assert_num_queries(4):
            scrape(client)


def test_two_that_count_the_first_at_once_both_count(monkeypatch: pytest.MonkeyPatch) -> None:
    create = Tally.objects.create

    def meanwhile(**values: object) -> Tally:
        monkeypatch.setattr(Tally.objects, "create", create)
        tallies.count(Counted.FAILED, "x")  # the other one was first
        raise IntegrityError

    monkeypatch.setattr(Tally.objects, "create", meanwhile)
    monkeypatch.setattr(transaction, "atomic", contextlib.nullcontext)  # in which the other's row would vanish
    tallies.count(Counted.FAILED, "x")

    assert Tally.objects.get().value == 2.0


def test_a_queue_that_is_down_is_a_number_too(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "jobs_waiting", lambda: None)

    found = scrape(client)

    assert found["unmask_queue_up",] == 0
    assert ("unmask_workers",) not in found


def test_jobs_are_counted_on_the_real_server(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert tasks.jobs_waiting() == 0
    tasks.enqueue(make_analysis())
    assert tasks.jobs_waiting() == 1


class TestWhoMayRead:
    @pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1"])
    def test_this_machine_may_where_there_is_no_token(self, client: Client, address: str) -> None:
        assert client.get(reverse("metrics"), REMOTE_ADDR=address).status_code == 200

    @pytest.mark.parametrize("address", ["203.0.113.7", "10.0.0.1", "", "unix:"])
    def test_others_may_not(self, client: Client, address: str) -> None:
        assert client.get(reverse("metrics"), REMOTE_ADDR=address).status_code == 404

    @pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"])
    def test_nobody_may_through_a_proxy_on_this_machine(self, client: Client, header: str) -> None:
        assert client.get(reverse("metrics"), headers={header: "127.0.0.1"}).status_code == 404

    def test_nobody_may_where_a_proxy_is_said_to_stand(self, client: Client, settings: Settings) -> None:
        settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
        assert client.get(reverse("metrics")).status_code == 404

    def test_staff_are_no_exception(self, client: Client) -> None:
        staff: User = make_user(staff=True)
        client.force_login(staff)
        assert client.get(reverse("metrics"), REMOTE_ADDR="203.0.113.7").status_code == 404

    def test_the_token_opens_it_from_anywhere(self, client: Client, settings: Settings) -> None:
        settings.METRICS_TOKEN = TOKEN
        given = {"Authorization": f"Bearer {TOKEN}", "X-Forwarded-For": "203.0.113.7"}
        assert client.get(reverse("metrics"), headers=given, REMOTE_ADDR="203.0.113.7").status_code == 200

    @pytest.mark.parametrize(
        "given", ["", f"Bearer {TOKEN}x", "Bearer", f"Basic {TOKEN}", f"Bearer {TOKEN[:-1]}", "Bearer é"]
    )
    def test_with_a_token_nothing_else_does(self, client: Client, settings: Settings, given: str) -> None:
        settings.METRICS_TOKEN = TOKEN
        headers = {"Authorization": given} if given else {}
        assert client.get(reverse("metrics"), headers=headers).status_code == 404

    def test_only_reading_is_allowed(self, client: Client) -> None:
        assert client.post(reverse("metrics")).status_code == 405

    def test_the_queues_own_numbers_are_not_open(self, client: Client) -> None:
        """The library that formats ours makes the queue's pages offer some too."""
        assert client.get("/admin/django-rq/metrics").status_code in {302, 401, 403, 404}


def test_every_name_is_explained(client: Client) -> None:
    explained = (Path(site.BASE_DIR) / "docs/operations.md").read_text(encoding="utf-8")
    tallies.observe(Counted.WAIT_SECONDS, {"": 1.0})

    families = text_string_to_metric_families(client.get(reverse("metrics")).content.decode())
    assert {family.name for family in families if f"`{family.name}" not in explained} == set()
