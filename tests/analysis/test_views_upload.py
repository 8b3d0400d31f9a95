"""The upload page and the page that examines a video again: what is accepted, and how a refusal comes back."""

import dataclasses
import errno
import hashlib
import io
import itertools
import os
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings as site
from django.core.files.uploadedfile import SimpleUploadedFile, TemporaryUploadedFile
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts.models import User
from analysis import files, inspection
from analysis.messages import sentence_for
from analysis.models import Analysis, State, Video
from tests.analysis.builders import make_analysis, make_user
from tests.faults.person import BOUNDARY, multipart
from tests.videos import face_clip

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

pytestmark = pytest.mark.django_db

NEW = "/analyses/new/"
MIB = 1024 * 1024
JSON = {"accept": "application/json"}


@pytest.fixture
def user(client: Client) -> User:
    person = make_user()
    client.force_login(person)
    return person


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return face_clip(tmp_path_factory.mktemp("clips") / "talk.mp4", duration_s=0.4)


def text_file() -> SimpleUploadedFile:
    return SimpleUploadedFile("notes.mp4", b"no video at all, only words " * 40, "video/mp4")


def test_the_empty_form_suggests_sixty_frames(client: Client, user: User) -> None:
    page = client.get(NEW).content.decode()

    assert 'name="frames" value="60" min="10" max="120"' in page
    assert 'enctype="multipart/form-data"' in page


@pytest.mark.parametrize(("max_duration_s", "words"), [(3600, "60 minutes"), (90, "1 minute"), (20, "20 seconds")])
@pytest.mark.usefixtures("user")
def test_limits_are_never_told_larger_than_they_are(
    client: Client, settings: Settings, max_duration_s: float, words: str
) -> None:
    settings.UNMASK = dataclasses.replace(settings.UNMASK, max_duration_s=max_duration_s, max_pixels=16_588_800)

    assert f" and {words}.</p>" in client.get(NEW).content.decode()
    assert f"longer than {words}." in sentence_for("too_long")
    assert "larger than 16.5 megapixels, or longer than 16,384 pixels." in sentence_for("too_many_pixels")


@pytest.mark.usefixtures("user")
def test_the_pace_of_earlier_analyses_is_told(client: Client) -> None:
    make_analysis(State.DONE, frames_requested=10)  # took 20 seconds

    assert 'data-seconds-per-frame="2.0' in client.get(NEW).content.decode()


def test_a_video_is_taken_and_its_page_shown(client: Client, user: User, clip: Path) -> None:
    with clip.open("rb") as file:
        response = client.post(NEW, {"video": file, "frames": 25})

    analysis = Analysis.objects.get()
    assert response.status_code == 302
    assert response.headers["Location"] == reverse("analysis:detail", args=[analysis.pk])
    assert (analysis.video.owner, analysis.video.name, analysis.frames_requested) == (user, "talk.mp4", 25)
    assert analysis.state == State.QUEUED


@pytest.mark.usefixtures("user")
def test_a_video_is_hashed_as_it_arrives_and_not_read_again(
    client: Client, monkeypatch: pytest.MonkeyPatch, clip: Path
) -> None:
    def read_again(file: TemporaryUploadedFile, chunk_size: int | None = None) -> None:
        raise AssertionError("The whole upload was read once more.")

    monkeypatch.setattr(TemporaryUploadedFile, "chunks", read_again)
    content = clip.read_bytes() + os.urandom(300_000)  # several of the pieces in which it arrives

    response = client.post(NEW, {"video": SimpleUploadedFile("talk.mp4", content, "video/mp4"), "frames": 25})

    video = Analysis.objects.get().video
    assert response.status_code == 302
    assert (video.sha256, video.size_bytes) == (hashlib.sha256(content).hexdigest(), len(content))
    with video.file.open("rb") as stored:
        assert stored.read() == content


class Body(io.RawIOBase):
    """A form's body with a file of so many MiB, made while it is read."""

    def __init__(self, size_mib: int) -> None:
        super().__init__()
        head, _content, tail = multipart({"frames": "10"}, b"<file>").partition(b"<file>")
        self._pieces = itertools.chain([head], itertools.repeat(os.urandom(MIB), size_mib), [tail])
        self._left = b""
        self.length = len(head + tail) + size_mib * MIB

    def readable(self) -> bool:
        return True

    def readinto(self, target: "WriteableBuffer") -> int:
        room = memoryview(target)
        self._left = self._left or next(self._pieces, b"")
        count = min(len(room), len(self._left))
        room[:count], self._left = self._left[:count], self._left[count:]
        return count


@pytest.mark.usefixtures("user")
def test_an_upload_takes_memory_that_does_not_grow_with_it(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    found = inspection.Inspection("mov,mp4,m4a,3gp,3g2,mj2", "h264", 640, 360, 1.0, 25.0)
    monkeypatch.setattr(inspection, "inspect", lambda path, poster: found)  # which is another process's memory
    peaks = []
    tracemalloc.start()
    try:
        for size_mib in (1, 48):  # the first brings everything into memory that any upload needs
            body = Body(size_mib)
            extra: dict[str, Any] = {
                "wsgi.input": io.BufferedReader(body),
                "CONTENT_LENGTH": str(body.length),
                "CONTENT_TYPE": f"multipart/form-data; boundary={BOUNDARY}",
            }
            before, _peak = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            response = client.generic("POST", NEW, headers=JSON, **extra)
            assert response.status_code == 201, response.json()
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()

    assert Video.objects.order_by("-size_bytes")[0].size_bytes == 48 * MIB
    assert peaks[-1] < 12 * MIB


@pytest.mark.usefixtures("user")
def test_the_same_video_is_recognised(client: Client, clip: Path) -> None:
    for frames in (25, 40):
        with clip.open("rb") as file:
            response = client.post(NEW, {"video": file, "frames": frames}, headers=JSON)
    first = Analysis.objects.get(frames_requested=25)

    page = client.get(response.json()["location"]).content.decode()

    assert response.status_code == 201
    assert Video.objects.count() == 1
    assert "You had this very file examined before" in page
    assert reverse("analysis:detail", args=[first.pk]) in page


@pytest.mark.usefixtures("user")
def test_a_refusal_keeps_the_frames_and_says_why_at_the_field(client: Client) -> None:
    response = client.post(NEW, {"video": text_file(), "frames": 33})
    page = response.content.decode()

    assert response.status_code == 200
    assert response.context["form"].errors == {"video": [sentence_for("unsupported")]}
    assert 'name="frames" value="33"' in page
    assert '<ul class="errorlist" id="id_video_error">' in page
    assert 'aria-invalid="true" aria-describedby="id_video_error"' in page
    assert not Video.objects.exists()


@pytest.mark.usefixtures("user")
def test_the_script_gets_the_same_refusal_as_json(client: Client) -> None:
    response = client.post(NEW, {"video": text_file(), "frames": 33}, headers=JSON)

    assert response.status_code == 422
    assert response.json() == {"errors": {"video": [sentence_for("unsupported")]}}


@pytest.mark.usefixtures("user")
@pytest.mark.parametrize(
    ("frames", "sentence"),
    [
        ("9", "Choose at least 10 frames; fewer say too little."),
        ("121", "Choose at most 120 frames; more take longer and add little."),
        ("many", "Enter a whole number of frames between 10 and 120."),
        ("", "Enter a number of frames between 10 and 120; 60 suits most videos."),
    ],
)
def test_frames_outside_the_range_are_refused(client: Client, frames: str, sentence: str) -> None:
    response = client.post(NEW, {"video": text_file(), "frames": frames})

    assert response.context["form"].errors == {"frames": [sentence]}


@pytest.mark.usefixtures("user")
def test_no_file_and_an_empty_file_have_their_own_sentences(client: Client) -> None:
    missing = client.post(NEW, {"frames": 60})
    empty = client.post(NEW, {"video": SimpleUploadedFile("a.mp4", b""), "frames": 60})

    assert missing.context["form"].errors == {"video": ["Choose a video first; nothing was sent."]}
    assert empty.context["form"].errors == {"video": [sentence_for("empty")]}


def test_a_full_queue_is_told_at_the_video(client: Client, user: User) -> None:
    make_analysis(State.QUEUED, owner=user)
    user.max_queued = 1
    user.save()

    response = client.post(NEW, {"video": text_file(), "frames": 60})

    assert response.context["form"].errors == {"video": [sentence_for("queue_full", {"max_queued": 1})]}


def test_a_name_with_markup_is_shown_as_text(client: Client, user: User) -> None:
    analysis = make_analysis(owner=user)
    analysis.video.name = "<script>alert(1)</script>.mp4"
    analysis.video.save()

    page = client.get(reverse("analysis:detail", args=[analysis.pk])).content.decode()

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;.mp4" in page


def test_again_queues_another_analysis_of_the_same_video(client: Client, user: User) -> None:
    old = make_analysis(State.DONE, owner=user)

    response = client.post(reverse("analysis:again", args=[old.pk]), {"frames": 99})

    new = Analysis.objects.exclude(pk=old.pk).get()
    assert response.headers["Location"] == reverse("analysis:detail", args=[new.pk])
    assert (new.video, new.frames_requested, new.state) == (old.video, 99, State.QUEUED)


def test_again_says_what_is_wrong_with_the_number(client: Client, user: User) -> None:
    old = make_analysis(State.DONE, owner=user)

    response = client.post(reverse("analysis:again", args=[old.pk]), {"frames": 500})

    assert response.context["form"].errors["frames"] == ["Choose at most 120 frames; more take longer and add little."]
    assert 'value="500"' in response.content.decode()
    assert Analysis.objects.count() == 1


def test_again_says_when_the_queue_is_full(client: Client, user: User) -> None:
    old = make_analysis(State.DONE, owner=user)
    make_analysis(State.QUEUED, owner=user)
    user.max_queued = 1
    user.save()

    response = client.post(reverse("analysis:again", args=[old.pk]), {"frames": 50})

    (told,) = response.context["form"].non_field_errors()
    assert told.startswith("You have 1 analysis waiting or running, which is as many as you may have.")


def broken_write(file: TemporaryUploadedFile, content: bytes) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.usefixtures("user")
@pytest.mark.parametrize("announced", [True, False])
def test_a_full_disk_is_told_at_the_video_and_nothing_is_kept(
    client: Client, monkeypatch: pytest.MonkeyPatch, announced: bool
) -> None:
    if announced:
        monkeypatch.setattr(files, "free_bytes", lambda: site.UNMASK.min_free_bytes)
    else:
        monkeypatch.setattr(TemporaryUploadedFile, "write", broken_write, raising=False)
    sentence = sentence_for("disk_full")

    as_page = client.post(NEW, {"video": text_file(), "frames": 25})
    as_json = client.post(NEW, {"video": text_file(), "frames": 25}, headers=JSON)

    assert (as_page.status_code, as_json.status_code) == (507, 507)
    assert sentence in as_page.content.decode()
    assert 'name="frames" value="25"' in as_page.content.decode()
    assert as_json.json() == {"errors": {"video": [sentence]}}
    assert list(Path(str(site.FILE_UPLOAD_TEMP_DIR)).iterdir()) == []


@pytest.mark.usefixtures("user")
def test_other_failures_of_the_disk_are_not_taken_for_a_full_one(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(file: TemporaryUploadedFile, content: bytes) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(TemporaryUploadedFile, "write", failing, raising=False)

    with pytest.raises(OSError, match="Input/output error"):
        client.post(NEW, {"video": text_file(), "frames": 25})
