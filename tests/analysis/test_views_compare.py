"""The same video by another model version: asked for, judged by it, and both results side by side."""

import re
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from analysis import model_versions
from analysis.messages import sentence_for
from analysis.models import Analysis, FaceSample, FaceTrack, ModelVersion, State, Verdict
from analysis.views import comparison
from detector import release
from detector.report import ModelInfo
from detector.report import Verdict as Answer
from tests.analysis.builders import (
    make_analysis,
    make_model_version,
    make_report,
    make_user,
    make_video,
    stand_in_release,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def user(client: Client) -> User:
    person = make_user()
    client.force_login(person)
    return person


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[SimpleNamespace]:
    found = [stand_in_release(version="1"), stand_in_release(version="2")]
    monkeypatch.setattr(release, "releases", lambda: found)
    monkeypatch.setattr(release, "default_release", lambda: found[0])
    model_versions.register()
    return found


def words(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def done_twice(owner: User | None = None, **other: Any) -> tuple[Analysis, Analysis]:
    """One video judged FAKE by net 1 and, unless told otherwise, REAL by net 2; the same face in the same place."""
    first = make_analysis(
        State.DONE, owner=owner, model_version=make_model_version(name="net", version="1"), frames_requested=10
    )
    values: dict[str, Any] = {
        "verdict": Verdict.REAL,
        "probability_fake": 0.04,
        "confidence": 0.96,
        "model_version": make_model_version(name="net", version="2"),
        "frames_requested": 10,
    }
    second = make_analysis(State.DONE, video=first.video, **values | other)
    second.tracks.update(verdict=Verdict.REAL, probability_fake=0.04, confidence=0.96)
    second.report = make_report(
        verdict=Answer.REAL, probability_fake=0.04, model=ModelInfo("net", "2", "ef" * 32, 0.7, 0.1)
    ).to_json()
    second.save(update_fields=["report"])
    return first, second


def test_the_form_offers_what_is_installed_and_queues_what_was_chosen(
    client: Client, user: User, installed: list[SimpleNamespace]
) -> None:
    old = make_analysis(State.DONE, owner=user)
    path = reverse("analysis:again", args=[old.pk])
    asked = ModelVersion.objects.get(version="2")

    page = client.get(path).content.decode()
    client.post(path, {"frames": 20, "model": asked.pk})
    client.post(path, {"frames": 30})

    assert re.findall(r"<option[^>]*>([^<]+)</option>", page) == ["The active one: net 1", "net 1", "net 2"]
    new = Analysis.objects.exclude(pk=old.pk).order_by("frames_requested")
    assert [(one.frames_requested, one.model_requested) for one in new] == [(20, asked), (30, None)]


def test_a_version_that_is_not_offered_is_refused_at_its_field(
    client: Client, user: User, installed: list[SimpleNamespace]
) -> None:
    old = make_analysis(State.DONE, owner=user)
    gone = make_model_version(name="gone")
    installed.append(stand_in_release(version="3", evaluated=False))
    model_versions.register()
    unmeasured = ModelVersion.objects.get(version="3")
    path = reverse("analysis:again", args=[old.pk])

    for asked, code in ((gone.pk, "model_version_gone"), (unmeasured.pk, "model_version_unmeasured")):
        page = client.post(path, {"frames": 20, "model": asked}).content.decode()
        assert page.count(sentence_for(code)) == 1
        assert "net 3" not in page
    assert "This model version is not known here" in client.post(path, {"frames": 20, "model": 0}).content.decode()
    del installed[1:]
    assert sentence_for("model_version_gone") in client.post(path, {"frames": 20, "model": gone.pk}).content.decode()
    assert Analysis.objects.count() == 1


def test_looking_at_the_form_writes_nothing(client: Client, user: User, installed: list[SimpleNamespace]) -> None:
    path = reverse("analysis:again", args=[make_analysis(State.DONE, owner=user).pk])
    installed[:] = [stand_in_release(version="4")]  # the active one is gone

    assert client.get(path).status_code == 200
    assert list(ModelVersion.objects.values_list("version", "is_active")) == [("1", True), ("2", False)]


def test_with_one_version_there_is_nothing_to_choose(
    client: Client, user: User, installed: list[SimpleNamespace]
) -> None:
    del installed[1]
    path = reverse("analysis:again", args=[make_analysis(State.DONE, owner=user).pk])

    assert "<select" not in client.get(path).content.decode()
    assert "It is judged by net 1, the only model version that can be chosen here." in words(client, path)


def test_two_verdicts_stand_side_by_side(client: Client, user: User) -> None:
    first, second = done_twice(user)

    text = words(client, reverse("analysis:compare_with", args=[first.pk, second.pk]))

    assert "They do not say the same: “Fake” and “Real”." in text
    assert "different numbers of frames" not in text
    for fact in ("net 1", "net 2", "97 % likely fake · confidence 97 %", "4 % likely fake · confidence 96 %"):
        assert text.count(fact) >= 2 if "confidence" in fact else fact in text  # of the video and of the person
    assert "Fake from 80 %, Real up to 20 %" in text
    assert "Fake from 70 %, Real up to 10 %" in text
    assert "Not found in this analysis" not in text


def test_the_error_rates_of_each_are_told(client: Client, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = done_twice(user)
    metrics = {"error_rates": {"FAKE": {"n": 40, "wrong": 3}, "REAL": {"n": 9, "wrong": 1}}}
    found = stand_in_release(version="2", sha256="ef" * 32, metrics=lambda: metrics)
    monkeypatch.setattr(release, "releases", lambda: [found])

    text = words(client, reverse("analysis:compare_with", args=[first.pk, second.pk]))

    assert text.count("Wrong before:") == 1  # the other came with no figures
    assert "On its test the model said “Real” of 9 clips of every quality. 1 of them was fake." in text


def test_thresholds_fitted_again_in_between_are_said(client: Client, user: User) -> None:
    weights = {"name": "net", "version": "1", "sha256": "ab" * 32}
    first = make_analysis(State.DONE, owner=user, model_version=make_model_version(**weights))
    other = make_model_version(**weights, config_sha256="b0" * 32)
    second = make_analysis(State.DONE, video=first.video, model_version=other)

    text = words(client, reverse("analysis:compare_with", args=[first.pk, second.pk]))

    assert "the same weights, but their calibration and thresholds were fitted again in between" in text


def test_agreement_and_its_conditions_are_said(client: Client, user: User) -> None:
    first, second = done_twice(user, verdict=Verdict.FAKE, frames_requested=20)
    path = reverse("analysis:compare_with", args=[first.pk, second.pk])
    assert "Both say “Fake”." in words(client, path)
    assert "They looked at different numbers of frames" in words(client, path)

    Analysis.objects.update(model_version=first.model_version, frames_requested=10)
    text = words(client, path)
    assert "Both were judged by the same model version. With the same frames, too, they should say the same." in text


def test_two_precisions_are_said(client: Client, user: User) -> None:
    first, second = done_twice(user, verdict=Verdict.FAKE)
    Analysis.objects.update(model_version=first.model_version)
    (second.report or {})["model"]["precision"] = "bfloat16"
    Analysis.objects.filter(pk=second.pk).update(report=second.report)

    text = words(client, reverse("analysis:compare_with", args=[first.pk, second.pk]))

    assert (
        "One was computed in float32 and one in bfloat16, which round differently, so their numbers differ a little."
        in text
    )
    assert "they should say the same" not in text
    assert text.count("computed in bfloat16") == 1  # at its side


def test_the_newest_by_another_version_is_compared_first(client: Client, user: User) -> None:
    first, second = done_twice(user)
    same = make_analysis(State.DONE, video=first.video, model_version=first.model_version)
    make_analysis(State.FAILED, video=first.video)
    path = reverse("analysis:compare", args=[first.pk])

    assert client.get(path).headers["Location"] == reverse("analysis:compare_with", args=[first.pk, second.pk])
    page = client.get(path, follow=True).content.decode()
    assert reverse("analysis:compare_with", args=[first.pk, same.pk]) in page

    second.delete()
    assert client.get(path).headers["Location"] == reverse("analysis:compare_with", args=[first.pk, same.pk])


def test_without_a_second_analysis_the_page_says_how_to_get_one(client: Client, user: User) -> None:
    analysis = make_analysis(State.DONE, owner=user)
    path = reverse("analysis:compare", args=[analysis.pk])

    assert "Nothing to compare with yet" in words(client, path)
    assert reverse("analysis:again", args=[analysis.pk]) in client.get(path).content.decode()


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING, State.FAILED, State.CANCELLED])
def test_what_is_not_finished_is_shown_by_itself(client: Client, user: User, state: str) -> None:
    done = make_analysis(State.DONE, owner=user)
    unfinished = make_analysis(state, video=done.video)
    address = reverse("analysis:detail", args=[unfinished.pk])

    for pair in ([done.pk, unfinished.pk], [unfinished.pk, done.pk]):
        assert client.get(reverse("analysis:compare_with", args=pair)).headers["Location"] == address
    assert client.get(reverse("analysis:compare", args=[unfinished.pk])).headers["Location"] == address


def test_only_ones_own_analyses_of_one_video_are_compared(client: Client, user: User) -> None:
    mine, other_video = make_analysis(State.DONE, owner=user), make_analysis(State.DONE, owner=user)
    strangers = make_analysis(State.DONE)

    for pair in ([mine.pk, other_video.pk], [mine.pk, strangers.pk], [strangers.pk, mine.pk], [mine.pk, mine.pk]):
        assert client.get(reverse("analysis:compare_with", args=pair)).status_code == 404


def test_staff_compare_anybodys(user: User) -> None:
    first, second = done_twice(user)
    staff = Client()
    staff.force_login(make_user(staff=True))

    text = words(staff, reverse("analysis:compare_with", args=[first.pk, second.pk]))
    assert f"belongs to {user.email}" in text


def test_a_report_of_another_version_is_compared_without_its_grounds(client: Client, user: User) -> None:
    first, second = done_twice(user)
    Analysis.objects.filter(pk=first.pk).update(report={"schema_version": 99})

    text = words(client, reverse("analysis:compare_with", args=[first.pk, second.pk]))

    assert "They do not say the same" in text
    assert "Fake from 80 %" not in text


def test_the_history_and_the_page_of_a_result_name_the_versions(client: Client, user: User) -> None:
    first, second = done_twice(user)
    waiting = make_analysis(video=first.video, model_requested=make_model_version(name="net", version="3"))

    history = words(client, reverse("analysis:list"))
    page = client.get(reverse("analysis:detail", args=[first.pk])).content.decode()

    assert all(f"net {version}" in history for version in "123")
    assert reverse("analysis:compare_with", args=[first.pk, second.pk]) in page
    assert reverse("analysis:compare_with", args=[first.pk, waiting.pk]) not in page


@pytest.mark.parametrize("samples", [1, 3])
def test_the_page_asks_the_database_as_often_for_many_faces_as_for_few(
    client: Client, user: User, samples: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    first, second = done_twice(user)
    FaceSample.objects.filter(frame_index__gte=samples).delete()

    # session, person, two analyses, tracks and samples of each, and what else could be compared
    with django_assert_num_queries(9):
        client.get(reverse("analysis:compare_with", args=[first.pk, second.pk]))


def faces(analysis: Analysis, index: int, x0: int, times: tuple[float, ...]) -> comparison.Found:
    """A person 100 px wide whose face stands at ``x0``."""
    track = FaceTrack.objects.create(
        analysis=analysis, index=index, verdict=Verdict.REAL, first_s=times[0], last_s=times[-1]
    )
    for at, time_s in enumerate(times):
        FaceSample.objects.create(
            track=track,
            frame_index=at,
            time_s=time_s,
            x0=x0,
            y0=0,
            x1=x0 + 100,
            y1=100,
            probability_fake=0.5,
            face_px=100,
            sharpness=50.0,
            usable=True,
        )
    return comparison.Found(analysis, track, track.samples.all()[0], [])


def test_people_are_matched_by_place_and_time() -> None:
    video = make_video()
    one, two = make_analysis(video=video), make_analysis(video=video)
    left = [faces(one, 0, 0, (0, 1, 2, 3)), faces(one, 1, 300, (0, 1, 2, 3)), faces(one, 2, 600, (0, 1))]
    right = [faces(two, 0, 310, (0.2, 1.2)), faces(two, 1, 60, (0.2, 1.2)), faces(two, 2, 600, (8.0, 9.0))]

    rows = comparison.match(left, right, tolerance_s=0.5)

    found = [(row.left and row.left.number, row.right and row.right.number) for row in rows]
    # the second on the right stands too far to the side of the first on the left, the third there much later
    assert found == [(1, None), (2, 1), (3, None), (None, 2), (None, 3)]


def test_people_side_by_side_say_where_one_was_not_found(client: Client, user: User) -> None:
    first, second = done_twice(user)
    FaceSample.objects.filter(track__analysis=second).update(x0=400, x1=500)

    text = words(client, reverse("analysis:compare_with", args=[first.pk, second.pk]))

    assert text.count("Not found in this analysis.") == 2


def test_words_exist_for_a_version_that_is_gone() -> None:
    assert "not installed any more as it was, so the video was not examined." in sentence_for("model_version_gone")
