"""Quotas: each refusal says how much is used and when there is room, and then there is."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as site
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import formats, timezone

from accounts.models import User
from analysis import inspection, quotas, services, tasks
from analysis.messages import Code
from analysis.models import Analysis, ExaminedLength, State
from tests.analysis.builders import make_analysis, make_user, make_video

pytestmark = pytest.mark.django_db

TEN_MINUTES = inspection.Inspection("mov,mp4,m4a,3gp,3g2,mj2", "h264", 640, 360, 600.0, 25.0)


@pytest.fixture(autouse=True)
def _stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every upload is ten minutes long; no queue server is needed."""
    monkeypatch.setattr(tasks, "enqueue", lambda analysis: True)
    monkeypatch.setattr(inspection, "inspect", lambda path, poster: TEN_MINUTES)


def submit(owner: User, content: bytes) -> Analysis:
    return services.submit(owner, SimpleUploadedFile("clip.mp4", content), 20)


def refusal(owner: User, content: bytes) -> services.Refused:
    with pytest.raises(services.Refused) as caught:
        submit(owner, content)
    return caught.value


def test_minutes_of_a_day_are_used_up_and_come_back_when_it_says() -> None:
    owner = make_user(max_minutes_a_day=25)
    submit(owner, b"first")
    ExaminedLength.objects.update(asked_at=timezone.now() - timedelta(hours=20))
    submit(owner, b"second")

    refused = refusal(owner, b"third")

    room_at = ExaminedLength.objects.earliest("asked_at").asked_at + quotas.DAY
    shown = formats.date_format(timezone.localtime(room_at + timedelta(minutes=1)), "j M, H:i")
    assert refused.code == Code.MINUTES_USED_UP
    assert refused.message == (
        "You may have 25 minutes of video examined within 24 hours. You have used 20 minutes, and this video takes "
        f"10 minutes. There is room for it from {shown} on."
    )
    ExaminedLength.objects.filter(pk=ExaminedLength.objects.earliest("asked_at").pk).update(
        asked_at=timezone.now() - quotas.DAY
    )
    assert submit(owner, b"third").state == State.QUEUED
    assert ExaminedLength.objects.count() == 2  # what no longer counts is forgotten


def test_a_single_minute_is_told_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "inspect", lambda path, poster: replace(TEN_MINUTES, duration_s=40.0))
    owner = make_user(max_minutes_a_day=1)
    submit(owner, b"first")

    message = refusal(owner, b"second").message

    assert "You may have 1 minute of video examined within 24 hours." in message
    assert "You have used 1 minute, and this video takes 1 minute." in message


def test_deleting_does_not_give_minutes_back() -> None:
    owner = make_user(max_minutes_a_day=10)
    services.delete([submit(owner, b"first")])

    assert refusal(owner, b"second").code == Code.MINUTES_USED_UP


def test_examining_and_trying_again_cost_minutes_too_but_not_the_administrators() -> None:
    owner = make_user(max_minutes_a_day=20)
    analysis = submit(owner, b"first")
    services.cancel(analysis)
    analysis.refresh_from_db()
    assert services.retry(analysis)

    with pytest.raises(services.Refused) as caught:
        services.analyze_again(analysis, 30)
    assert caught.value.code == Code.MINUTES_USED_UP
    services.cancel(analysis)
    with pytest.raises(services.Refused):
        services.retry(analysis)
    assert services.retry(analysis, within_quota=False)
    assert quotas.use_of(owner).minutes == 20


def test_a_video_longer_than_a_day_allows_is_never_promised_room() -> None:
    refused = refusal(make_user(max_minutes_a_day=5), b"long")

    assert refused.code == Code.LONGER_THAN_A_DAY
    assert "This video takes 10 minutes, and within 24 hours you may have 5 minutes examined." in refused.message


def test_full_storage_says_how_much_to_delete() -> None:
    owner = make_user(max_storage_bytes=3000)
    make_analysis(State.DONE, video=make_video(owner, content=b"x" * 2500))

    refused = refusal(owner, b"y" * 1500)

    assert refused.code == Code.STORAGE_FULL
    assert refused.message.replace("\xa0", " ") == (
        "Your videos take 2.4 KB of the 2.9 KB that you may keep, and this one takes 1.5 KB. There is room for it as "
        "soon as you have deleted analyses whose videos take 1000 bytes."
    )


def test_a_video_larger_than_all_storage_is_never_promised_room() -> None:
    assert refusal(make_user(max_storage_bytes=3), b"more").code == Code.LARGER_THAN_STORAGE


def test_whoever_may_have_nothing_examined_is_sent_to_an_administrator(client: Client) -> None:
    owner = make_user(max_queued=0)
    make_analysis(State.RUNNING, owner)  # from before
    client.force_login(owner)
    sentence = (
        "Your account may not have videos examined at present; the results that you have stay. Please ask an "
        "administrator to allow it."
    )

    refused = refusal(owner, b"first")

    assert (refused.code, refused.message) == (Code.QUEUE_CLOSED, sentence)
    assert sentence in client.get(reverse("analysis:new")).content.decode()


def test_a_full_queue_says_when_the_running_one_is_done() -> None:
    owner, now = make_user(max_queued=2), timezone.now()
    make_analysis(State.RUNNING, owner, started_at=now - timedelta(seconds=90), heartbeat_at=now, share=0.5)
    make_analysis(State.QUEUED, owner)

    refused = refusal(owner, b"third")

    assert refused.code == Code.QUEUE_FULL
    assert refused.message == (
        "You have 2 analyses waiting or running, which is as many as you may have. There is room as soon as one of "
        "them is done, probably in 2 minutes, or when you cancel one."
    )


def test_a_full_queue_in_which_nothing_runs_is_estimated_by_the_place_in_it() -> None:
    owner, now = make_user(max_queued=1), timezone.now()
    make_analysis(State.DONE, started_at=now - timedelta(seconds=600), finished_at=now, frames_requested=10)
    make_analysis(State.QUEUED)  # somebody else's is before
    make_analysis(State.QUEUED, owner, queued_at=now)

    assert "probably in 20 minutes" in refusal(owner, b"second").message


def test_a_full_queue_without_any_experience_promises_no_time() -> None:
    owner = make_user(max_queued=1)
    make_analysis(State.QUEUED, owner)

    assert "as soon as one of them is done, or when you cancel one." in refusal(owner, b"second").message


def test_a_refusal_leaves_nothing() -> None:
    owner = make_user(max_minutes_a_day=5)

    refusal(owner, b"long")

    assert (owner.videos.count(), ExaminedLength.objects.count()) == (0, 0)
    assert [path for path in Path(site.MEDIA_ROOT).rglob("*") if path.is_file()] == []


def test_the_upload_page_says_beforehand_that_the_queue_is_full(client: Client) -> None:
    owner = make_user(max_queued=1)
    client.force_login(owner)
    address = reverse("analysis:new")
    assert "as many as you may have" not in client.get(address).content.decode()

    submit(owner, b"first")

    assert "You have 1 analysis waiting or running" in client.get(address).content.decode()


def test_the_profile_shows_every_quota(client: Client) -> None:
    owner = make_user(max_queued=7, max_running=3, max_minutes_a_day=90)
    submit(owner, b"first")
    make_analysis(State.RUNNING, owner)
    client.force_login(owner)

    page = client.get(reverse("profile")).content.decode()

    assert "2 of 7 analyses" in page
    assert "1 running; 3 of yours may run at once" in page
    assert "10 of 90 minutes of video" in page
