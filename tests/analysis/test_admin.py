"""The administration looks, and acts only through the services."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks

from accounts.models import User
from analysis import tasks
from analysis.models import Analysis, FaceTrack, ModelVersion, State, Video
from detector import release
from tests.analysis.builders import make_analysis, make_model_version, make_user, make_video, stand_in_release

pytestmark = pytest.mark.django_db

ANALYSES = "admin:analysis_analysis_changelist"
LIST_QUERIES = 9
DETAIL_QUERIES = 8  # one of them asks whether the audit trail knows that it was looked at


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(make_user("admin@example.org", staff=True))
    return client


@pytest.fixture(autouse=True)
def enqueued(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    jobs: list[str] = []

    def enqueue(analysis: Analysis) -> bool:
        jobs.append(tasks.job_id(analysis))
        return True

    monkeypatch.setattr(tasks, "enqueue", enqueue)
    return jobs


def text(response: Any) -> str:
    assert response.status_code == 200
    return str(response.content.decode())


def act(client: Client, address: str, action: str, *rows: Analysis | ModelVersion | Video | User, **more: str) -> str:
    data = {"action": action, "_selected_action": [str(row.pk) for row in rows], **more}
    return text(client.post(reverse(address), data, follow=True))


@pytest.mark.parametrize("who", [lambda: None, make_user], ids=["anonymous", "person"])
def test_administration_is_for_staff(client: Client, who: Callable[[], User | None]) -> None:
    person = who()
    if person is not None:
        client.force_login(person)
    analysis = make_analysis()

    for address in (reverse(ANALYSES), reverse("admin:analysis_analysis_change", args=[analysis.pk])):
        assert client.get(address).status_code in {302, 403}
    client.post(reverse(ANALYSES), {"action": "cancel", "_selected_action": [str(analysis.pk)]})
    analysis.refresh_from_db()
    assert analysis.state == State.QUEUED


def test_list_shows_state_error_time_and_thumbnail(staff: Client) -> None:
    done, failed = make_analysis(State.DONE), make_analysis(State.FAILED, error_code="too_long")

    page = text(staff.get(reverse(ANALYSES)))

    assert f'src="{reverse("analysis:poster", args=[done.pk])}"' in page
    assert all(words in page for words in (done.video.owner.email, "Fake", "too_long", "20.0", failed.video.name))


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("?state__exact=failed", {"b.mp4"}),
        ("?verdict__exact=FAKE", {"a.mp4"}),
        ("?error_code__exact=internal", {"b.mp4"}),
        ("?q=a.mp4", {"a.mp4"}),
        ("?q=finder@example.org", {"b.mp4"}),
        ("", {"a.mp4", "b.mp4"}),
    ],
)
def test_list_is_filtered_and_searched(staff: Client, query: str, shown: set[str]) -> None:
    make_analysis(State.DONE, video=make_video(name="a.mp4"))
    make_analysis(State.FAILED, video=make_video(make_user("finder@example.org"), name="b.mp4"))

    page = text(staff.get(reverse(ANALYSES) + query))

    assert {name for name in ("a.mp4", "b.mp4") if name in page} == shown


@pytest.mark.parametrize("count", [1, 3])
def test_list_takes_the_same_queries_for_every_length(
    staff: Client, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _number in range(count):
        make_analysis(State.DONE)
    staff.get(reverse(ANALYSES))

    with django_assert_num_queries(LIST_QUERIES):
        staff.get(reverse(ANALYSES))


def test_analysis_is_shown_with_its_people_and_cannot_be_changed(staff: Client) -> None:
    analysis = make_analysis(State.DONE)
    address = reverse("admin:analysis_analysis_change", args=[analysis.pk])

    page = text(staff.get(address))

    assert f'src="{reverse("analysis:crop", args=[analysis.pk, 0, 2])}"' in page
    assert "network 2.00" in page
    assert 'name="_save"' not in page
    assert staff.post(address, {"state": "queued"}).status_code == 403
    analysis.refresh_from_db()
    assert analysis.state == State.DONE
    assert staff.get(reverse("admin:analysis_analysis_add")).status_code == 403


@pytest.mark.parametrize("samples", [1, 3])
def test_analysis_takes_the_same_queries_for_every_length(
    staff: Client, samples: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    analysis = make_analysis(State.DONE)
    analysis.tracks.get().samples.filter(frame_index__gte=samples).delete()
    address = reverse("admin:analysis_analysis_change", args=[analysis.pk])
    staff.get(address)

    with django_assert_num_queries(DETAIL_QUERIES):
        staff.get(address)


def test_waiting_analysis_links_to_its_job(staff: Client) -> None:
    analysis = make_analysis()
    page = text(staff.get(reverse("admin:analysis_analysis_change", args=[analysis.pk])))
    assert reverse("django_rq:job_detail", args=[0, tasks.job_id(analysis)]) in page


def test_person_in_a_video_is_shown_with_crops_and_heatmaps(staff: Client) -> None:
    analysis = make_analysis(State.DONE)
    track = FaceTrack.objects.get()

    page = text(staff.get(reverse("admin:analysis_facetrack_change", args=[track.pk])))

    for kind in ("crop", "heatmap"):
        assert page.count(f'src="/analyses/{analysis.pk}/people/0/') == 6
        assert f'src="{reverse(f"analysis:{kind}", args=[analysis.pk, 0, 1])}"' in page
    assert text(staff.get(reverse("admin:analysis_facetrack_changelist"))).count("person 1") == 1
    assert staff.post(reverse("admin:analysis_facetrack_delete", args=[track.pk]), {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(("kind", "queries"), [("analysis", LIST_QUERIES), ("facetrack", 5), ("video", 9)])
def test_no_list_reads_a_report(staff: Client, kind: str, queries: int, count: int) -> None:
    for _number in range(count):
        make_analysis(State.DONE, report={"faces": "many"})
    address = reverse(f"admin:analysis_{kind}_changelist")
    staff.get(address)

    with CaptureQueriesContext(connection) as asked:
        text(staff.get(address))

    assert len(asked) == queries
    assert not [query["sql"] for query in asked if '"report"' in query["sql"]]


def test_the_page_of_a_person_in_a_video_reads_no_report(staff: Client) -> None:
    make_analysis(State.DONE)

    with CaptureQueriesContext(connection) as asked:
        text(staff.get(reverse("admin:analysis_facetrack_change", args=[FaceTrack.objects.get().pk])))

    assert not [query["sql"] for query in asked if '"report"' in query["sql"]]


def test_names_are_escaped(staff: Client) -> None:
    analysis = make_analysis(State.DONE, video=make_video(name='"><script>alert(1)</script>.mp4'))

    for address in (reverse(ANALYSES), reverse("admin:analysis_analysis_change", args=[analysis.pk])):
        assert "<script>alert" not in text(staff.get(address))


def test_requeue_and_cancel_say_what_they_did(
    staff: Client, enqueued: list[str], django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    failed, done, waiting = (make_analysis(state) for state in (State.FAILED, State.DONE, State.QUEUED))

    with django_capture_on_commit_callbacks(execute=True):
        page = act(staff, ANALYSES, "requeue", failed, done)
    assert "1 analysis was changed." in page
    assert "1 analysis was left as it is" in page
    assert enqueued == [f"analysis-{failed.pk}-2"]

    assert "2 analyses were changed." in act(staff, ANALYSES, "cancel", failed, waiting)
    assert set(Analysis.objects.values_list("state", flat=True)) == {State.CANCELLED, State.DONE}


@pytest.mark.parametrize("one", [True, False], ids=["page", "action"])
@pytest.mark.parametrize("kind", ["analysis", "video"])
def test_deleting_removes_the_files_too(
    staff: Client, kind: str, one: bool, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    analysis = make_analysis(State.DONE)
    row: Analysis | Video = analysis if kind == "analysis" else analysis.video
    listing = f"admin:analysis_{kind}_changelist"
    address = reverse(f"admin:analysis_{kind}_delete", args=[row.pk])

    with django_capture_on_commit_callbacks(execute=True):
        asked = text(staff.get(address)) if one else act(staff, listing, "delete_selected", row)
        assert analysis.video.name in asked
        assert Analysis.objects.exists()
        if one:
            staff.post(address, {"post": "yes"})
        else:
            act(staff, listing, "delete_selected", row, post="yes")

    assert not Video.objects.exists()
    assert [path for path in Path(site.MEDIA_ROOT).rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("one", [True, False], ids=["page", "action"])
def test_deleting_a_person_removes_their_files_too(
    staff: Client, one: bool, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    owner = make_analysis(State.DONE).video.owner

    with django_capture_on_commit_callbacks(execute=True):
        if one:
            staff.post(reverse("admin:accounts_user_delete", args=[owner.pk]), {"post": "yes"})
        else:
            act(staff, "admin:accounts_user_changelist", "delete_selected", owner, post="yes")

    assert not User.objects.filter(pk=owner.pk).exists()
    assert [path for path in Path(site.MEDIA_ROOT).rglob("*") if path.is_file()] == []


def test_videos_are_listed_with_links_to_their_analyses(staff: Client) -> None:
    video = make_analysis(State.DONE).video
    make_analysis(video=video)

    page = text(staff.get(reverse("admin:analysis_video_changelist")))

    assert f"?video__id__exact={video.pk}" in page
    assert text(staff.get(reverse("admin:analysis_video_change", args=[video.pk]))).count(video.sha256) == 1
    assert text(staff.get(reverse(ANALYSES) + f"?video__id__exact={video.pk}")).count('class="action-select"') == 2


def test_one_model_is_activated_and_lists_its_analyses(staff: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = [stand_in_release(version=version, evaluated=version != "3") for version in "123"]
    monkeypatch.setattr(release, "releases", lambda: installed)
    monkeypatch.setattr(release, "default_release", lambda: installed[0])
    listing = "admin:analysis_modelversion_changelist"
    gone = make_model_version(name="gone")
    make_analysis(State.DONE, model_version=gone)

    page = text(staff.get(reverse(listing)))
    assert f"?model_version__id__exact={gone.pk}" in page
    first, second, unmeasured = ModelVersion.objects.filter(name="net")
    assert (first.is_active, second.is_active) == (True, False)

    assert "exactly one" in act(staff, listing, "activate", first, second)
    assert "not installed any more" in act(staff, listing, "activate", gone)
    refused = act(staff, listing, "activate", unmeasured)
    assert "There are no figures from test clips for net-3" in refused
    assert ModelVersion.objects.get(is_active=True) == first
    assert "New analyses are judged by net-2 now." in act(staff, listing, "activate", second)
    assert list(ModelVersion.objects.filter(is_active=True)) == [second]
    assert staff.post(reverse("admin:analysis_modelversion_delete", args=[gone.pk])).status_code == 403
