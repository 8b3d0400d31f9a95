"""Videos go when their time has come, not before, with everything made from them; pages say when."""

import threading
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings as site
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import connections
from django.test import Client
from django.urls import reverse
from django.utils import formats, timezone
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from accounts.models import MAX_RETENTION_DAYS, User
from analysis import inspection, retention, services, tasks
from analysis.models import Analysis, State, Video
from deepfakesite.management.commands import up
from tests.analysis.builders import make_analysis, make_user, make_video

pytestmark = pytest.mark.django_db


def aged(owner: User, days: float, state: str = State.DONE, video: Video | None = None) -> Analysis:
    """An analysis that was asked for so many days ago, of a video that came then."""
    analysis = make_analysis(state, owner, video)
    then = timezone.now() - timedelta(days=days)
    Analysis.objects.filter(pk=analysis.pk).update(created_at=then, queued_at=then)
    if video is None:
        Video.objects.filter(pk=analysis.video_id).update(uploaded_at=then)
    analysis.refresh_from_db()
    return analysis


@pytest.mark.parametrize(
    ("installation", "own", "days"),
    [(0, None, None), (30, None, 30), (0, 7, 7), (30, 7, 7), (30, 90, 30)],
)
def test_the_shorter_time_holds(settings: Settings, installation: int, own: int | None, days: int | None) -> None:
    settings.RETENTION_DAYS = installation
    owner = make_user(retention_days=own)
    old, young = aged(owner, (days or 9000) + 0.1), aged(owner, (days or 9000) - 0.1)

    assert retention.days_of(owner) == days
    assert list(retention.due()) == ([old.video] if days else [])
    expected = young.queued_at + timedelta(days=days) if days else None
    assert retention.delete_at(young.video, owner) == expected


@pytest.mark.parametrize(("installation", "own"), [(36_500, None), (0, MAX_RETENTION_DAYS)])
def test_the_longest_time_is_within_the_calendar(settings: Settings, installation: int, own: int | None) -> None:
    settings.RETENTION_DAYS = installation
    young = aged(make_user(retention_days=own), 1)

    assert list(retention.due()) == []
    assert retention.delete_at(young.video, young.video.owner) is not None
    assert retention.freed_at(young.video.owner, 1) is not None


def test_one_persons_time_is_not_anothers(settings: Settings) -> None:
    settings.RETENTION_DAYS = 30
    hasty, other = make_user(retention_days=1), make_user()
    gone = aged(hasty, 2)
    aged(other, 2)

    assert list(retention.due()) == [gone.video]


def test_the_newest_analysis_counts_and_an_unfinished_one_holds_everything_up(settings: Settings) -> None:
    settings.RETENTION_DAYS = 30
    owner = make_user()
    again = aged(owner, 40)
    aged(owner, 10, video=again.video)
    for state in (State.QUEUED, State.RUNNING):
        aged(owner, 40, state)

    assert list(retention.due()) == []


def test_trying_again_counts_as_asking(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.RETENTION_DAYS = 30
    monkeypatch.setattr(tasks, "enqueue", lambda analysis: True)
    old = aged(make_user(), 40, State.FAILED)
    assert list(retention.due()) == [old.video]

    assert services.retry(old)
    Analysis.objects.update(state=State.DONE, verdict="REAL", finished_at=timezone.now())

    assert list(retention.due()) == []
    old.refresh_from_db()
    assert retention.delete_at(old.video, old.video.owner) == old.queued_at + timedelta(days=30)
    assert retention.freed_at(old.video.owner, 1) == old.queued_at + timedelta(days=30)
    assert old.queued_at > timezone.now() - timedelta(minutes=1)


def test_prune_deletes_rows_and_files_and_leaves_the_rest(
    settings: Settings, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    settings.RETENTION_DAYS = 30
    owner = make_user()
    for _number in range(3):
        aged(owner, 31)
    kept = aged(owner, 29)
    before = Video.objects.count()

    assert services.prune(dry_run=True) == services.Pruned(3, 3, 3 * kept.video.size_bytes)
    assert Video.objects.count() == before
    with django_capture_on_commit_callbacks(execute=True):
        assert services.prune() == services.Pruned(3, 3, 3 * kept.video.size_bytes)

    assert list(Analysis.objects.all()) == [kept]
    folders = {path.parts[-1] for kind in ("videos", "analyses") for path in (Path(site.MEDIA_ROOT) / kind).iterdir()}
    assert folders == {str(kept.pk), str(kept.video_id)}
    assert services.prune() == services.Pruned(0, 0, 0)


def test_a_video_that_is_examined_again_at_that_moment_stays(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.RETENTION_DAYS = 30
    old = aged(make_user(), 31)
    due = retention.due
    asked: list[list[Video]] = []

    def meanwhile() -> object:
        found = due()
        if not asked:
            asked.append(list(found))
            pks = [video.pk for video in found]
            make_analysis(State.QUEUED, video=old.video)
            return Video.objects.filter(pk__in=pks)
        return found

    monkeypatch.setattr(retention, "due", meanwhile)

    assert services.prune() == services.Pruned(0, 0, 0)
    assert Video.objects.get() == old.video


def test_the_command_says_what_it_would_delete_and_then_does(settings: Settings) -> None:
    settings.RETENTION_DAYS = 30
    old = aged(make_user(), 31)
    out = StringIO()

    call_command("prune", dry_run=True, stdout=out)

    listed, summary = out.getvalue().splitlines()
    assert listed == f"video {old.video_id}, uploaded {old.video.uploaded_at:%Y-%m-%d}"
    assert summary.startswith("1 videos of 10.0 KB with 1 analyses would be deleted (the installation's rule: 30 days;")
    assert Video.objects.exists()
    call_command("prune", stdout=StringIO())
    assert not Video.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_supervisor_prunes_and_survives_a_failure(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()
    turns: list[int] = []

    def prune() -> None:
        turns.append(1)
        if len(turns) == 2:
            stop.set()
        raise RuntimeError("the disk is gone")

    monkeypatch.setattr(services, "prune", prune)
    monkeypatch.setattr(up, "PRUNE_EVERY_S", 0.01)
    monkeypatch.setattr(connections, "close_all", lambda: None)

    up.prune_until(stop)

    assert len(turns) == 2


class TestPages:
    @pytest.fixture
    def owner(self, client: Client) -> User:
        owner = make_user(retention_days=10)
        client.force_login(owner)
        return owner

    @pytest.mark.parametrize("state", [State.DONE, State.FAILED, State.CANCELLED, State.QUEUED])
    def test_an_analysis_says_when_its_video_goes(self, client: Client, owner: User, state: str) -> None:
        analysis = make_analysis(state, owner)
        day = formats.date_format(timezone.localtime(analysis.queued_at + timedelta(days=10)), "j M Y")

        address = reverse("analysis:detail", args=[analysis.pk])
        assert f"will be deleted on {day}" in client.get(address).content.decode()
        User.objects.update(retention_days=None)
        assert "will be deleted" not in client.get(address).content.decode()

    def test_staff_are_told_the_owners_time(self, client: Client, owner: User) -> None:
        analysis = make_analysis(State.DONE, owner)
        client.force_login(make_user(staff=True))

        assert "will be deleted on" in client.get(reverse("analysis:detail", args=[analysis.pk])).content.decode()

    def test_the_list_and_the_upload_page_tell_the_rule(self, client: Client, owner: User) -> None:
        listing, upload = reverse("analysis:list"), reverse("analysis:new")

        assert "kept here for 10 days" in " ".join(client.get(listing).content.decode().split())
        assert "10 days after it was last examined" in client.get(upload).content.decode()
        make_analysis(State.DONE, owner)
        assert "10 days after it was last examined" in client.get(listing).content.decode()
        User.objects.update(retention_days=None)
        assert "last examined" not in client.get(listing).content.decode()
        assert "last examined" not in client.get(upload).content.decode()

    def test_a_person_chooses_their_own_time(self, client: Client, owner: User) -> None:
        client.post(reverse("profile"), {"display_name": "", "retention_days": "5"})
        owner.refresh_from_db()
        assert owner.retention_days == 5

        page = client.post(reverse("profile"), {"display_name": "", "retention_days": "0"}).content.decode()
        owner.refresh_from_db()
        assert "greater than or equal to 1" in page
        assert owner.retention_days == 5

    def test_a_person_can_choose_no_time_beyond_the_calendar(self, client: Client, owner: User) -> None:
        page = client.post(reverse("profile"), {"display_name": "", "retention_days": "32768"}).content.decode()

        owner.refresh_from_db()
        assert "less than or equal to 32767" in page
        assert owner.retention_days == 10

    def test_the_profile_tells_the_installations_rule(self, client: Client, owner: User, settings: Settings) -> None:
        settings.RETENTION_DAYS = 30
        assert "30 days after it was last examined, or sooner" in client.get(reverse("profile")).content.decode()


def test_full_storage_says_when_it_empties_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    found = inspection.Inspection("mov,mp4,m4a,3gp,3g2,mj2", "h264", 640, 360, 10.0, 25.0)
    monkeypatch.setattr(inspection, "inspect", lambda path, poster: found)
    monkeypatch.setattr(tasks, "enqueue", lambda analysis: True)
    owner = make_user(max_storage_bytes=3000, retention_days=10)
    for days in (8, 2):
        aged(owner, days, video=None if days == 8 else make_video(owner, content=b"x" * 1000))
    Video.objects.exclude(size_bytes=1000).update(size_bytes=2000)

    with pytest.raises(services.Refused) as refusal:
        services.submit(owner, SimpleUploadedFile("clip.mp4", b"y" * 1500), 20)

    day = formats.date_format(timezone.localtime(timezone.now() + timedelta(days=2)), "j M Y")
    assert refusal.value.message.endswith(
        f"Otherwise there is room from {day} on, when enough of them are old enough to be deleted."
    )
