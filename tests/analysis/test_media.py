"""Files are sent whole or in parts, conditionally, to those who may have them."""

import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import cast

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.test import Client, RequestFactory
from django.urls import reverse
from PIL import Image

from accounts.models import User
from analysis import media, queries
from analysis.files import StorageDown
from analysis.models import Analysis, FaceSample, FaceTrack, State, Video
from detector import drawing
from detector.report import Verdict
from tests.analysis.builders import jpeg, make_analysis, make_user, make_video

pytestmark = pytest.mark.django_db

CONTENT = bytes(range(256)) * 1200  # more than two blocks
SIZE = len(CONTENT)


@pytest.fixture
def video() -> Video:
    return make_video(content=CONTENT)


def get(video: Video, method: str = "GET", name: str | None = None, **headers: str) -> HttpResponse:
    request = RequestFactory().generic(method, "/", headers=headers)
    return cast("HttpResponse", media.serve(request, video.file, "video/mp4", download_name=name))


def body(response: HttpResponse) -> bytes:
    if isinstance(response, StreamingHttpResponse):
        sent = b"".join(cast("list[bytes]", list(response)))
        response.close()
        return sent
    return response.content


def test_whole_file_is_sent_in_blocks(video: Video) -> None:
    response = get(video)

    assert isinstance(response, StreamingHttpResponse)
    assert (response.status_code, response["Content-Length"]) == (200, str(SIZE))
    blocks = list(response)
    response.close()
    assert b"".join(cast("list[bytes]", blocks)) == CONTENT
    assert max(map(len, cast("list[bytes]", blocks))) <= 128 * 1024


def test_headers_keep_the_file_private_and_harmless(video: Video) -> None:
    response = get(video)

    assert response["Content-Type"] == "video/mp4"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Cache-Control"] == "private, max-age=300"
    assert response["Accept-Ranges"] == "bytes"
    assert response["Content-Disposition"] == "inline"
    assert response["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "sandbox" in response["Content-Security-Policy"]
    assert "default-src 'none'" in response["Content-Security-Policy"]
    response.close()


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-", 0, SIZE - 1),
        ("bytes=0-0", 0, 0),
        ("bytes=10-19", 10, 19),
        (f"bytes=200000-{SIZE + 500}", 200_000, SIZE - 1),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE - 1),
        ("bytes=-5", SIZE - 5, SIZE - 1),
        (f"bytes=-{SIZE * 2}", 0, SIZE - 1),
    ],
)
def test_part_is_sent(video: Video, asked: str, first: int, last: int) -> None:
    response = get(video, Range=asked)

    assert response.status_code == 206
    assert response["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
    assert response["Content-Length"] == str(last - first + 1)
    assert body(response) == CONTENT[first : last + 1]


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", "bytes=9999999999-", "bytes=-0"])
def test_part_outside_the_file_is_416(video: Video, asked: str) -> None:
    response = get(video, Range=asked)

    assert (response.status_code, response["Content-Range"]) == (416, f"bytes */{SIZE}")
    assert response.content == b""


@pytest.mark.parametrize(
    "asked", ["bytes=-", "bytes=5-3", "bytes=1-2,4-5", "items=0-1", "bytes=a-b", "bytes=１-２", ""]
)
def test_range_that_is_not_understood_gets_the_whole_file(video: Video, asked: str) -> None:
    response = get(video, Range=asked)
    assert (response.status_code, body(response)) == (200, CONTENT)


def test_if_range_sends_the_whole_file_when_it_is_another(video: Video) -> None:
    response = get(video)
    etag = response["ETag"]
    response.close()

    same = get(video, Range="bytes=1-3", **{"If-Range": etag})
    other = get(video, Range="bytes=1-3", **{"If-Range": '"another"'})

    assert (same.status_code, body(same)) == (206, CONTENT[1:4])
    assert (other.status_code, body(other)) == (200, CONTENT)


def test_browser_that_has_the_file_gets_304(video: Video) -> None:
    response = get(video)
    etag = response["ETag"]
    response.close()

    for known in (etag, f'"x", W/{etag}', "*"):
        again = get(video, **{"If-None-Match": known})
        assert (again.status_code, again.content, again["ETag"]) == (304, b"", etag)
    changed = get(video, **{"If-None-Match": '"another"'})
    assert changed.status_code == 200
    changed.close()


def test_files_have_different_etags(video: Video) -> None:
    responses = [get(video), get(make_video(content=CONTENT))]
    assert len({response["ETag"] for response in responses}) == 2
    for response in responses:
        response.close()


def test_head_has_the_headers_of_get_and_no_body(video: Video) -> None:
    whole, part = get(video, "HEAD"), get(video, "HEAD", Range="bytes=2-4")

    assert (whole.status_code, whole["Content-Length"], whole.content) == (200, str(SIZE), b"")
    assert (part.status_code, part["Content-Length"], part.content) == (206, "3", b"")
    assert part["Content-Range"] == f"bytes 2-4/{SIZE}"


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("clip.mp4", 'attachment; filename="clip.mp4"'),
        ('a"b\\c.mp4', 'attachment; filename="a\\"b\\\\c.mp4"'),
        ("été.mp4", "attachment; filename*=utf-8''%C3%A9t%C3%A9.mp4"),
    ],
)
def test_download_has_a_safe_name(video: Video, name: str, header: str) -> None:
    response = get(video, name=name)
    assert response["Content-Disposition"] == header
    response.close()


def test_empty_file_is_sent_as_it_is(video: Video) -> None:
    default_storage.delete(str(video.file.name))
    default_storage.save(str(video.file.name), ContentFile(b""))
    row = Video.objects.get()

    assert body(get(row)) == b""
    assert get(row, Range="bytes=0-").status_code == 416


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_missing_file_is_404(video: Video, method: str) -> None:
    default_storage.delete(str(video.file.name))
    with pytest.raises(Http404):
        get(Video.objects.get(), method)
    with pytest.raises(Http404):
        get(Video(), method)


def addresses(analysis: Analysis) -> list[str]:
    face = {"pk": analysis.pk, "track": 0, "frame_index": 1}
    return [
        reverse("analysis:video", args=[analysis.pk]),
        reverse("analysis:poster", args=[analysis.pk]),
        reverse("analysis:frame", args=[analysis.pk, 1]),
        reverse("analysis:crop", kwargs=face),
        reverse("analysis:heatmap", kwargs=face),
    ]


@pytest.mark.parametrize(
    ("who", "status"),
    [
        (lambda owner: owner, 200),
        (lambda owner: make_user(staff=True), 200),
        (lambda owner: make_user(), 404),
        (lambda owner: None, 404),
    ],
    ids=["owner", "staff", "stranger", "anonymous"],
)
def test_files_are_for_the_owner_and_staff(client: Client, who: Callable[[User], User | None], status: int) -> None:
    analysis = make_analysis(State.DONE)
    person = who(analysis.video.owner)
    if person is not None:
        client.force_login(person)

    answers = [client.get(address) for address in addresses(analysis)]

    assert [answer.status_code for answer in answers] == [status] * 5
    assert all(answer.getvalue() for answer in answers)


def test_video_can_be_sought_through_its_address(client: Client) -> None:
    analysis = make_analysis(State.DONE, video=make_video(content=CONTENT))
    client.force_login(analysis.video.owner)

    answer = client.get(addresses(analysis)[0], headers={"Range": "bytes=100-199"})

    assert isinstance(answer, StreamingHttpResponse)
    assert (answer.status_code, answer.getvalue()) == (206, CONTENT[100:200])
    assert "private" in answer["Cache-Control"]
    assert "sandbox" in answer["Content-Security-Policy"]


def frame_of(analysis: Analysis, client: Client, **headers: str) -> HttpResponse:
    client.force_login(analysis.video.owner)
    return cast("HttpResponse", client.get(addresses(analysis)[2], headers=headers))


def test_faces_are_drawn_on_a_frame_when_it_is_looked_at(client: Client) -> None:
    """The box reaches from 100, 50 to 200, 150 in a video 640 pixels wide, and the picture is half as wide."""
    analysis = make_analysis(State.DONE)
    frame = analysis.frames.get(index=1)
    frame.picture.save("1-test/wide.jpg", ContentFile(jpeg(size=(320, 180))))

    answer = frame_of(analysis, client)

    assert (answer.status_code, answer["Content-Type"], answer["Accept-Ranges"]) == (200, "image/jpeg", "none")
    assert answer["Cache-Control"] == "private, max-age=300"
    assert answer["X-Content-Type-Options"] == "nosniff"
    picture = np.asarray(Image.open(io.BytesIO(body(answer))).convert("RGB"), np.int16)
    assert picture.shape == (180, 320, 3)
    is_red = picture[..., 0] - picture[..., 1:].max(axis=-1) > 60
    rows, columns = np.nonzero(is_red)
    assert abs(rows.max() - 75) <= 5
    assert abs(columns.min() - 50) <= 5
    assert not is_red[85:].any()


def test_only_the_faces_of_that_frame_are_drawn_and_each_with_its_number() -> None:
    analysis = make_analysis(State.DONE)
    make_analysis(State.DONE)
    second = FaceTrack.objects.create(analysis=analysis, index=1, verdict="REAL", first_s=0.0, last_s=0.0)
    seen = FaceSample.objects.get(track__analysis=analysis, track__index=0, frame_index=0)
    seen.pk, seen.track = None, second
    seen.save()

    faces = [queries.faces_in(frame) for frame in analysis.frames.all()]

    assert [[(face.track.analysis_id, face.track.index, face.frame_index) for face in found] for found in faces] == [
        [(analysis.pk, 0, 0), (analysis.pk, 1, 0)],
        [(analysis.pk, 0, 1)],
        [(analysis.pk, 0, 2)],
    ]


def test_a_person_bears_the_same_number_on_a_frame_as_in_the_page(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[drawing.DrawnFace] = []

    def noting(kept: bytes, width: int, faces: list[drawing.DrawnFace]) -> bytes:
        drawn.extend(faces)
        return kept

    monkeypatch.setattr(drawing, "on_frame", noting)
    frame_of(make_analysis(State.DONE), client)

    assert drawn == [drawing.DrawnFace((100, 50, 200, 150), Verdict.FAKE, 0.9, "1")]


def test_the_head_of_a_drawn_frame_and_a_part_of_it(client: Client) -> None:
    """A part cannot be had: the whole is sent, as RFC 9110 allows."""
    analysis = make_analysis(State.DONE)
    whole = frame_of(analysis, client)

    head = client.head(addresses(analysis)[2])
    part = frame_of(analysis, client, Range="bytes=0-9")

    assert (head.status_code, head.content, head["ETag"]) == (200, b"", whole["ETag"])
    assert (part.status_code, body(part)) == (200, body(whole))


def test_a_storage_that_does_not_answer_is_said_as_for_every_file(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    analysis = make_analysis(State.DONE)
    client.force_login(analysis.video.owner)

    def away(*_: object) -> None:
        raise StorageDown("It is away.")

    monkeypatch.setattr(default_storage, "open", away)
    answers = [client.get(address) for address in addresses(analysis)[2:4]]

    assert [answer.status_code for answer in answers] == [503, 503]


def test_a_frame_that_was_drawn_when_it_was_stored_is_sent_as_it_is(client: Client) -> None:
    analysis = make_analysis(State.DONE)
    analysis.frames.update(width=None)

    assert body(frame_of(analysis, client)) == jpeg()


def test_a_drawn_frame_is_sent_once_until_what_is_drawn_changes(client: Client) -> None:
    analysis = make_analysis(State.DONE)
    etag = frame_of(analysis, client)["ETag"]

    again = frame_of(analysis, client, **{"If-None-Match": etag})
    analysis.tracks.update(verdict="REAL")
    changed = frame_of(analysis, client, **{"If-None-Match": etag})

    assert (again.status_code, body(again), again["ETag"]) == (304, b"", etag)
    assert changed.status_code == 200
    assert changed["ETag"] != etag


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_a_damaged_frame_is_404_and_said_in_the_log(
    client: Client, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    analysis = make_analysis(State.DONE)
    analysis.frames.get(index=1).picture.save("1-test/damaged.jpg", ContentFile(content))

    assert frame_of(analysis, client).status_code == 404
    assert "1-test/damaged.jpg: These bytes are no JPEG." in caplog.text


def test_a_frame_that_is_gone_is_404(client: Client) -> None:
    analysis = make_analysis(State.DONE)
    default_storage.delete(str(analysis.frames.get(index=1).picture.name))

    assert frame_of(analysis, client).status_code == 404


def test_a_drawn_frame_costs_as_many_queries_for_a_crowd_as_for_one(
    client: Client, django_assert_num_queries: Callable[[int], AbstractContextManager[object]]
) -> None:
    analysis = make_analysis(State.DONE)
    seen = FaceSample.objects.get(track__analysis=analysis, frame_index=1)
    for index in range(1, 6):
        track = FaceTrack.objects.create(analysis=analysis, index=index, verdict="REAL", first_s=0.0, last_s=2.0)
        seen.pk, seen.track = None, track
        seen.save()
    client.force_login(analysis.video.owner)

    with django_assert_num_queries(5):  # session, person, analysis, frame, faces
        client.get(addresses(analysis)[2])
