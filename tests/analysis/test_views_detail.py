"""The page of one analysis in every state, its progress, its JSON, and what can be done with it."""

import contextlib
import json
import re
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from analysis.messages import reason_sentence, sentence_for
from analysis.models import Analysis, AnnotatedFrame, FaceSample, FaceTrack, State, Verdict
from analysis.views import evidence
from detector import pipeline, release
from detector.errors import DetectorError, ErrorCode
from detector.report import Reason
from detector.report import Verdict as Answer
from tests.analysis.builders import make_analysis, make_report, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def user(client: Client) -> User:
    person = make_user()
    client.force_login(person)
    return person


def installed(metrics: Any, **fields: str) -> SimpleNamespace:
    """The release that judged the analyses of builders.py, as far as the pages look at it."""
    return SimpleNamespace(**{"name": "test", "version": "1", "sha256": "cd" * 32, "metrics": lambda: metrics} | fields)


def page_of(client: Client, analysis: Analysis, name: str = "detail") -> str:
    return client.get(reverse(f"analysis:{name}", args=[analysis.pk])).content.decode()


def words(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_a_waiting_analysis_tells_its_place(client: Client, user: User) -> None:
    make_analysis(queued_at=timezone.now() - timedelta(minutes=5))
    analysis = make_analysis(owner=user)

    page = page_of(client, analysis)

    assert "1 analysis is before this one Place 2 in the queue" in words(page)
    assert f'hx-get="{reverse("analysis:progress", args=[analysis.pk])}" hx-trigger="every 1s"' in page
    assert '<noscript><meta http-equiv="refresh" content="3"></noscript>' in page


@pytest.mark.parametrize(("before", "every_s"), [(4, 1), (5, 4)])
def test_far_back_in_the_queue_a_page_asks_more_seldom(client: Client, user: User, before: int, every_s: int) -> None:
    for _number in range(before):
        make_analysis(queued_at=timezone.now() - timedelta(minutes=5))
    analysis = make_analysis(owner=user)

    assert f'hx-trigger="every {every_s}s"' in page_of(client, analysis)
    assert f'hx-trigger="every {every_s}s"' in page_of(client, analysis, "progress")


def test_a_running_analysis_shows_stage_and_share(client: Client, user: User) -> None:
    analysis = make_analysis(State.RUNNING, owner=user)  # finding faces, 40 %, after 20 of about 50 seconds

    response = client.get(reverse("analysis:progress", args=[analysis.pk]))
    page = response.content.decode()

    assert response.status_code == 200
    assert "HX-Refresh" not in response.headers
    assert '<progress class="progress" max="100" value="40"' in page
    assert "about 30 seconds left" in page
    assert re.findall(r"stepper__step--(\w+)", page) == ["done", "current", "upcoming", "upcoming"]
    assert page.count('aria-current="step"') == 1


def test_the_page_holds_the_very_part_that_is_polled(client: Client, user: User) -> None:
    analysis = make_analysis(State.RUNNING, owner=user)

    assert page_of(client, analysis, "progress").strip() in page_of(client, analysis)


@pytest.mark.parametrize("state", [State.DONE, State.FAILED, State.CANCELLED])
def test_polling_ends_with_a_reload(client: Client, user: User, state: str) -> None:
    response = client.get(reverse("analysis:progress", args=[make_analysis(state, owner=user).pk]))

    assert response.status_code == 286
    assert response.headers["HX-Refresh"] == "true"


def test_a_failure_is_told_in_a_sentence_and_can_be_retried(client: Client, user: User) -> None:
    analysis = make_analysis(State.FAILED, owner=user, error_code="lost", error_detail="a secret traceback")

    page = page_of(client, analysis)
    response = client.post(reverse("analysis:retry", args=[analysis.pk]))

    assert sentence_for("lost") in page
    assert "a secret traceback" not in page
    assert response.headers["Location"] == reverse("analysis:detail", args=[analysis.pk])
    analysis.refresh_from_db()
    assert (analysis.state, analysis.attempt) == (State.QUEUED, 2)


def test_a_retry_is_refused_in_a_sentence_when_the_queue_is_full(client: Client, user: User) -> None:
    analysis = make_analysis(State.FAILED, owner=user)
    make_analysis(State.QUEUED, owner=user)
    user.max_queued = 1
    user.save()

    page = client.post(reverse("analysis:retry", args=[analysis.pk]), follow=True).content.decode()

    assert sentence_for("queue_full", {"max_queued": 1}) in page
    analysis.refresh_from_db()
    assert analysis.state == State.FAILED


def test_a_cancelled_one_can_be_run_again(client: Client, user: User) -> None:
    analysis = make_analysis(State.RUNNING, owner=user)

    client.post(reverse("analysis:cancel", args=[analysis.pk]))
    page = page_of(client, analysis)

    assert Analysis.objects.get().state == State.CANCELLED
    assert "The analysis was cancelled" in page
    assert reverse("analysis:retry", args=[analysis.pk]) in page


@pytest.mark.parametrize(
    ("action", "sentence"),
    [
        ("cancel", "The analysis had already ended, so there was nothing to cancel."),
        ("retry", "There was nothing to start again: the analysis was started already, or is gone."),
    ],
)
def test_what_comes_too_late_changes_nothing_and_says_so(
    client: Client, user: User, action: str, sentence: str
) -> None:
    analysis = make_analysis(State.DONE, owner=user)

    response = client.post(reverse(f"analysis:{action}", args=[analysis.pk]), follow=True)

    assert sentence in response.content.decode()
    assert Analysis.objects.get().state == State.DONE


def test_delete_asks_first_and_then_deletes(client: Client, user: User) -> None:
    analysis = make_analysis(State.DONE, owner=user)
    stored = Path(analysis.video.file.path)

    asked = page_of(client, analysis, "delete")
    assert analysis.video.name in asked
    assert Analysis.objects.count() == 1

    response = client.post(reverse("analysis:delete", args=[analysis.pk]), follow=True)

    assert f"“{analysis.video.name}” was deleted" in response.content.decode()
    assert not Analysis.objects.exists()
    assert stored.parent.parent.exists()


def test_a_result_shows_verdict_people_frames_and_particulars(client: Client, user: User) -> None:
    analysis = make_analysis(State.DONE, owner=user)

    page = page_of(client, analysis)
    text = words(page)

    assert "Verdict: Fake" in text
    assert "Confidence 97 %." in text
    assert "“Fake” is said from 80 % on, “Real” up to 20 %" in text
    assert "1 person in this video" in text
    assert page.count('class="point point--fake"') == 3
    assert page.count('class="frames-strip__frame"') == 3
    for name in ("crop", "heatmap"):
        assert reverse(f"analysis:{name}", args=[analysis.pk, 0, 2]) in page
    for fact in (analysis.video.sha256, "cd" * 32, "640 × 360", "h264", "25.00 frames a second", "av 18.1.0"):
        assert fact in text
    assert "Judging with the network 2.00" in text
    assert "The heatmap shows where the model looked, not proof." in text


def test_pictures_load_late_and_have_a_size(client: Client, user: User) -> None:
    pictures = re.findall(
        r"<img [^>]*/(?:frames|people)/[^>]*>", page_of(client, make_analysis(State.DONE, owner=user))
    )

    assert len(pictures) == 3 + 3 + 3 + 1  # frames, crops, heatmaps, the portrait
    for picture in pictures:
        assert 'loading="lazy"' in picture
        assert re.search(r'width="\d+" height="\d+"', picture)


def test_the_drawing_is_named_described_and_walked_by_links(client: Client, user: User) -> None:
    page = page_of(client, make_analysis(State.DONE, owner=user))

    assert '<title id="chart-0-title">Scores of person 1 over time</title>' in page
    assert re.search(r'<desc id="chart-0-text">3 points, one for each frame', page)
    labels = re.findall(r'<a class="point[^>]* aria-label="([^"]+)"', page)
    assert labels == [f"0:0{second}.0: 90 % fake, range of fake" for second in range(3)]
    assert "Scores of person 1 as a table" in page


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING, State.FAILED, State.CANCELLED, State.DONE])
def test_no_page_carries_styles_or_scripts_of_its_own(client: Client, user: User, state: str) -> None:
    page = page_of(client, make_analysis(state, owner=user))

    assert not re.search(r'\sstyle="|<style|\son\w+="|javascript:', page)
    assert all(" src=" in tag for tag in re.findall(r"<script[^>]*>", page))


def test_an_inconclusive_answer_says_why_and_what_to_do(client: Client, user: User) -> None:
    reasons = (Reason.FACE_TOO_SMALL, Reason.TOO_FEW_FRAMES)
    analysis = make_analysis(
        State.DONE, owner=user, verdict=Verdict.INCONCLUSIVE, probability_fake=0.5, confidence=None
    )
    analysis.report = make_report(
        verdict=Answer.INCONCLUSIVE, probability_fake=0.5, confidence=None, reasons=reasons
    ).to_json()
    analysis.save()
    FaceTrack.objects.update(verdict=Verdict.INCONCLUSIVE, reasons=[reason.value for reason in reasons])

    page = page_of(client, analysis)

    for reason in reasons:
        assert page.count(reason_sentence(reason)) == 2  # of the video and of the person
    assert "Confidence" not in page
    assert "Examine again with more frames" in page


def test_no_face_is_an_answer_of_its_own(client: Client, user: User) -> None:
    analysis = make_analysis(State.DONE, owner=user, verdict=Verdict.NO_FACE, probability_fake=None, confidence=None)
    FaceTrack.objects.all().delete()
    analysis.report = make_report(verdict=Answer.NO_FACE, probability_fake=None, confidence=None, tracks=()).to_json()
    analysis.save()

    text = words(page_of(client, analysis))

    assert "No face was found in the 3 frames that were looked at, so there is nothing to judge." in text
    assert "Nobody was found" in text
    assert "Probability of a fake" not in text


def test_error_rates_are_told_when_the_model_came_with_them(
    client: Client, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = {"error_rates": {"FAKE": {"n": 40, "wrong": 3}, "REAL": {"n": 0, "wrong": 0}}}
    monkeypatch.setattr(release, "releases", lambda: [installed(rates)])
    analysis = make_analysis(State.DONE, owner=user)

    text = words(page_of(client, analysis))

    assert "On its test the model said “Fake” of 40 clips of every quality. 3 of them were genuine." in text


BANDS = {
    "bounds": {"small_below_px": 120.0, "blurred_below": 80.0},
    "least": 10,
    "rates": {
        "FAKE": [{"bands": ["small", "blurred"], "n": 12, "wrong": 1}, {"bands": ["clear"], "n": 28, "wrong": 0}]
    },
}


@pytest.mark.parametrize(
    ("face_px", "sharpness", "expected"),
    [
        (100, 250.0, "of 12 clips with a small or blurred face, as in this video. 1 of them was genuine."),
        (300, 20.0, "of 12 clips with a small or blurred face, as in this video. 1 of them was genuine."),
        (300, 250.0, "of 28 clips with a large and sharp face, as in this video. None of them was genuine."),
    ],
)
def test_error_rates_are_those_of_pictures_like_these(
    client: Client, user: User, monkeypatch: pytest.MonkeyPatch, face_px: int, sharpness: float, expected: str
) -> None:
    rates = {"error_rates": {"FAKE": {"n": 40, "wrong": 3}}, "quality_bands": BANDS}
    monkeypatch.setattr(release, "releases", lambda: [installed(rates)])
    analysis = make_analysis(State.DONE, owner=user)
    report = analysis.report or {}
    for sample in report["tracks"][0]["samples"]:
        sample |= {"face_px": face_px, "sharpness": sharpness}
    analysis.save(update_fields=["report"])

    assert f"On its test the model said “Fake” {expected}" in words(page_of(client, analysis))


def test_a_verdict_never_given_on_the_test_has_an_unknown_rate(
    client: Client, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = {"error_rates": {"FAKE": {"n": 0, "wrong": 0}}, "quality_bands": {"bounds": {}, "rates": {}, "least": 10}}
    monkeypatch.setattr(release, "releases", lambda: [installed(rates)])

    page = words(page_of(client, make_analysis(State.DONE, owner=user)))

    assert "On its test the model never said “Fake”, so how often that is wrong is not known." in page


@pytest.mark.parametrize("other", [{}, {"sha256": "ef" * 32}, {"version": "2"}])
def test_error_rates_are_left_out_when_unknown(
    client: Client, user: User, monkeypatch: pytest.MonkeyPatch, other: dict[str, str]
) -> None:
    rates = {"error_rates": {"FAKE": {"n": 40, "wrong": 3}}} if other else {}
    monkeypatch.setattr(release, "releases", lambda: [installed(rates, **other)])

    assert "Wrong before" not in page_of(client, make_analysis(State.DONE, owner=user))


def test_a_damaged_neighbour_costs_no_error_rate(client: Client, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged() -> list[object]:
        raise DetectorError(ErrorCode.MODEL_DAMAGED, "Another model cannot be understood.")

    rates = {"error_rates": {"FAKE": {"n": 40, "wrong": 3}}}
    monkeypatch.setattr(release, "releases", damaged)
    monkeypatch.setattr(release, "load_release", lambda folder: {"test-1": installed(rates)}[folder.name])

    assert "said “Fake” of 40 clips" in words(page_of(client, make_analysis(State.DONE, owner=user)))


@pytest.mark.parametrize(
    ("precision", "said"),
    [
        ("float32", "Computed in float32"),
        ("bfloat16", "Computed in bfloat16, which rounds more"),
        ("int8", "Computed in int8, which rounds more"),
    ],
)
def test_a_result_says_in_which_precision_it_was_computed(
    client: Client, user: User, precision: str, said: str
) -> None:
    analysis = make_analysis(State.DONE, owner=user)
    (analysis.report or {})["model"]["precision"] = precision
    analysis.save(update_fields=["report"])

    assert said in words(page_of(client, analysis))


@pytest.mark.parametrize(("judged_with", "told"), [("a0", True), ("b0", False), ("", True)])
def test_error_rates_are_those_of_the_thresholds_that_judged(
    client: Client, user: User, monkeypatch: pytest.MonkeyPatch, judged_with: str, told: bool
) -> None:
    """A report from before configurations were kept does not say which ones these were."""
    model = {"sha256": "cd" * 32, "config_sha256": "a0" * 32}
    rates = {"error_rates": {"FAKE": {"n": 40, "wrong": 3}}, "test": {"model": model}}
    monkeypatch.setattr(release, "releases", lambda: [installed(rates)])
    analysis = make_analysis(State.DONE, owner=user)
    (analysis.report or {})["model"]["config_sha256"] = judged_with * 32
    analysis.save(update_fields=["report"])

    page = page_of(client, analysis)

    assert ("Wrong before" in page) is told
    assert ("SHA-256 of its configuration" in page) is bool(judged_with)


def test_metrics_that_cannot_be_read_cost_the_error_rate_alone(
    client: Client, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = installed({})
    damaged.metrics = lambda: json.loads("{")
    monkeypatch.setattr(release, "releases", lambda: [damaged])

    page = page_of(client, make_analysis(State.DONE, owner=user))

    assert "Confidence 97 %." in words(page)
    assert "Wrong before" not in page


@pytest.mark.parametrize("change", [{"schema_version": 99}, {"tracks": None}, {"video": 3}, {"verdict": "PERHAPS"}])
def test_a_report_of_another_version_is_told_and_can_be_fetched(
    client: Client, user: User, change: dict[str, Any]
) -> None:
    analysis = make_analysis(State.DONE, owner=user)
    analysis.report = {**(analysis.report or {}), **change}
    analysis.save(update_fields=["report"])

    response = client.get(reverse("analysis:detail", args=[analysis.pk]))
    page = response.content.decode()

    assert response.status_code == 200
    assert "This result comes from another version of Unmask" in page
    assert "badge--fake" in page
    for name in ("again", "report", "delete"):
        assert reverse(f"analysis:{name}", args=[analysis.pk]) in page
    assert client.get(reverse("analysis:report", args=[analysis.pk])).json() == analysis.report


def test_people_who_could_not_be_judged_are_named_beside_the_verdict(client: Client, user: User) -> None:
    analysis = make_analysis(State.DONE, owner=user)
    sentence = "1 more person is to be seen who could not be judged, and of whom this says nothing."
    before = words(page_of(client, analysis))
    small = FaceTrack.objects.create(
        analysis=analysis, index=1, verdict=Verdict.INCONCLUSIVE, reasons=["face_too_small"], first_s=0.0, last_s=0.0
    )
    face = FaceSample.objects.filter(track__analysis=analysis).first()
    assert face is not None
    face.pk, face.track = None, small
    face.save(force_insert=True)

    assert sentence not in before
    assert sentence in words(page_of(client, analysis))


def test_a_fake_among_several_people_explains_its_confidence(client: Client, user: User) -> None:
    analysis = make_analysis(State.DONE, owner=user)
    sentence = "the highest of 2 scores is high by chance more often than a single one"
    before = words(page_of(client, analysis))
    second = FaceTrack.objects.create(
        analysis=analysis, index=1, verdict=Verdict.REAL, probability_fake=0.1, first_s=0, last_s=2
    )
    for sample in FaceSample.objects.all():
        sample.pk, sample.track = None, second
        sample.save()
    at_its_own_odds = words(page_of(client, analysis))
    analysis.report = make_report(confidence=0.9).to_json()
    analysis.save(update_fields=["report"])

    assert sentence not in before + at_its_own_odds
    assert sentence in words(page_of(client, analysis))


def test_heatmaps_that_do_not_add_up_are_told_apart(client: Client, user: User) -> None:
    analysis = make_analysis(State.DONE, owner=user)
    sentence = "they do not add up to the score"
    before = page_of(client, analysis)
    report = make_report().to_json()
    report["model"]["maps_add_up"] = False
    analysis.report = report
    analysis.save(update_fields=["report"])

    assert sentence not in before
    assert sentence in page_of(client, analysis)


def test_a_moving_picture_is_shown_as_one(client: Client, user: User) -> None:
    analysis = make_analysis(State.DONE, owner=user)
    report = make_report().to_json()
    report["video"]["container"] = "gif"
    analysis.report = report
    analysis.save()

    page = page_of(client, analysis)

    assert "<video" not in page
    assert f'<img class="stage__picture" src="{reverse("analysis:video", args=[analysis.pk])}"' in page


def test_the_result_page_asks_the_database_as_often_for_many_faces_as_for_few(
    client: Client, user: User, django_assert_num_queries: Any
) -> None:
    analysis = make_analysis(State.DONE, owner=user)
    queries = 7  # session, person, analysis, tracks, samples, frames, other analyses
    with django_assert_num_queries(queries):
        page_of(client, analysis)

    second = FaceTrack.objects.create(
        analysis=analysis, index=1, verdict=Verdict.REAL, probability_fake=0.1, first_s=0, last_s=2
    )
    for sample in FaceSample.objects.all():
        sample.pk, sample.track = None, second
        sample.save()
    AnnotatedFrame.objects.create(analysis=analysis, index=9, time_s=3.0, picture="x.jpg")
    with django_assert_num_queries(queries):
        assert "2 people in this video" in page_of(client, analysis)


@pytest.mark.parametrize(
    ("state", "queries"),
    [
        (State.RUNNING, 3),  # session, person, analysis
        (State.DONE, 3),
        (State.QUEUED, 4),  # and the line, for the place in it
    ],
)
@pytest.mark.parametrize("view", ["progress", "status"])
def test_asking_how_far_it_has_come_costs_few_queries_however_long_the_line(
    client: Client, user: User, state: State, queries: int, view: str, django_assert_num_queries: Any
) -> None:
    analysis = make_analysis(state, owner=user)
    address = reverse(f"analysis:{view}", args=[analysis.pk])
    with django_assert_num_queries(queries):
        client.get(address)

    for _number in range(4):
        make_analysis()
        make_analysis(owner=user)
    with django_assert_num_queries(queries):
        assert client.get(address).status_code in {200, 286}


def test_a_session_that_was_ended_gets_no_progress_any_more(client: Client, user: User) -> None:
    address = reverse("analysis:progress", args=[make_analysis(State.RUNNING, owner=user).pk])
    assert client.get(address).status_code == 200

    client.session.delete()

    answer = client.get(address)
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/accounts/login/?next={address}")


def test_pictures_are_loaded_when_they_come_into_sight_and_have_their_place_before(client: Client, user: User) -> None:
    analysis = make_analysis(State.DONE, owner=user)
    pages = [page_of(client, analysis), client.get(reverse("analysis:list")).content.decode()]

    pictures = [tag for page in pages for tag in re.findall(r"<img [^>]*>", page.partition("<main")[2])]

    assert len(pictures) == 1 + 3 * 2 + 3 + 1  # portrait, crops with heatmaps, frames; the history's poster
    for tag in pictures:
        for wanted in (r'loading="lazy"', r'decoding="async"', r'width="[1-9]\d*"', r'height="[1-9]\d*"'):
            assert re.search(wanted, tag), f"{wanted} is not in {tag}"


def test_pictures_and_videos_are_sent_without_reading_the_report(client: Client, user: User) -> None:
    analysis = make_analysis(State.DONE, owner=user)
    person = {"pk": analysis.pk, "track": 0, "frame_index": 0}
    addresses = [
        reverse("analysis:poster", args=[analysis.pk]),
        reverse("analysis:video", args=[analysis.pk]),
        reverse("analysis:frame", args=[analysis.pk, 0]),
        reverse("analysis:crop", kwargs=person),
        reverse("analysis:heatmap", kwargs=person),
        reverse("analysis:progress", args=[analysis.pk]),
    ]

    with CaptureQueriesContext(connection) as asked:
        for address in addresses:
            with contextlib.closing(client.get(address)) as answer:
                assert answer.status_code in {200, 286}

    assert [query["sql"] for query in asked.captured_queries if '"report"' in query["sql"]] == []


def test_status_says_where_it_stands(client: Client, user: User) -> None:
    waiting = make_analysis(owner=user)
    failed = make_analysis(State.FAILED, owner=user, error_code="unreadable")

    first = client.get(reverse("analysis:status", args=[waiting.pk])).json()
    second = client.get(reverse("analysis:status", args=[failed.pk])).json()

    assert first == {
        "id": str(waiting.pk),
        "state": "queued",
        "stage": None,
        "share": 0.0,
        "queue_position": 1,
        "seconds_left": None,
        "error_code": None,
        "error": None,
        "verdict": None,
    }
    assert (second["state"], second["error_code"], second["error"]) == (
        "failed",
        "unreadable",
        sentence_for("unreadable"),
    )


def test_status_of_a_running_and_a_finished_one(client: Client, user: User) -> None:
    running = client.get(reverse("analysis:status", args=[make_analysis(State.RUNNING, owner=user).pk])).json()
    done = client.get(reverse("analysis:status", args=[make_analysis(State.DONE, owner=user).pk])).json()

    assert (running["stage"], running["share"], running["queue_position"]) == ("faces", 0.4, None)
    assert running["seconds_left"] == pytest.approx(30, abs=1)
    assert (done["state"], done["verdict"], done["share"]) == ("done", "FAKE", 1.0)


def test_the_report_is_the_stored_one_and_comes_as_a_file_when_asked(client: Client, user: User) -> None:
    analysis = make_analysis(State.DONE, owner=user)
    path = reverse("analysis:report", args=[analysis.pk])

    assert client.get(path).json() == analysis.report
    assert "Content-Disposition" not in client.get(path).headers
    named = client.get(path, {"download": ""}).headers["Content-Disposition"]
    assert re.fullmatch(r'attachment; filename="clip-\d+-report\.json"', named)


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING, State.FAILED, State.CANCELLED])
def test_there_is_no_report_before_the_end(client: Client, user: User, state: str) -> None:
    path = reverse("analysis:report", args=[make_analysis(state, owner=user).pk])

    assert client.get(path).status_code == 404


def test_staff_are_told_whose_it_is(user: User) -> None:
    client = Client()
    client.force_login(make_user(staff=True))

    page = page_of(client, make_analysis(State.DONE, owner=user))

    assert f"belongs to <bdi>{user.email}</bdi>" in page


def test_each_stage_whose_time_is_told_has_words_for_people() -> None:
    assert {*pipeline.TIMED, "total"} <= evidence.STAGE_WORDS.keys()
