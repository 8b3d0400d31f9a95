"""Every address of the site, asked for by nobody, a stranger, the owner, a clerk and staff.

access_table.txt says what each gets. It is held against the resolver, so that a page which is added later fails here
until it has its row.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.http.response import HttpResponseBase
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from rq import Queue

from accounts.models import User
from analysis import tasks
from analysis.models import Analysis, State
from audit import trail
from audit.models import Action
from tests.analysis.builders import PASSWORD, make_analysis, make_model_version, make_user

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # django_rq leaves connections open
]

VISITORS = ("nobody", "stranger", "owner", "clerk", "staff")
GET, POST = 0, 1
Row = tuple[list[str], list[str]]


def read_table() -> dict[str, Row]:
    rows = {}
    for line in (Path(__file__).parent / "access_table.txt").read_text(encoding="ascii").splitlines():
        if line and not line.startswith("#"):
            (name, *got), posted = (part.split() for part in line.split("|"))
            rows[name] = (got, posted)
    return rows


TABLE = read_table()


def addresses(patterns: list[URLPattern | URLResolver], namespace: str = "") -> Iterator[tuple[str, URLPattern]]:
    """Every named address with its namespace. Unnamed ones in the administration lead on to named ones."""
    for pattern in patterns:
        if isinstance(pattern, URLPattern):
            if pattern.name:
                yield f"{namespace}:{pattern.name}" if namespace else pattern.name, pattern
            else:
                assert namespace == "admin", f"{pattern} has no name, and so no row."
        else:
            inner = ":".join(part for part in (namespace, pattern.namespace or "") if part)
            yield from addresses(pattern.url_patterns, inner)


def all_addresses() -> dict[str, URLPattern]:
    return dict(addresses(get_resolver().url_patterns))


class Visit:
    """Rows of every kind, people of every kind, and the way from a name to an address."""

    def __init__(self) -> None:
        self.analysis = make_analysis(State.DONE)
        self.other = make_analysis(State.DONE, video=self.analysis.video)
        self.waiting = make_analysis(State.QUEUED)
        self.owner = self.analysis.video.owner
        Client().post(reverse("account_login"), {"login": self.owner.email, "password": PASSWORD})
        by_model = {
            "analysis_analysis": self.analysis.pk,
            "analysis_facetrack": self.analysis.tracks.get().pk,
            "analysis_video": self.analysis.video_id,
            "analysis_modelversion": make_model_version().pk,
            "audit_entry": trail.record(Action.VIEWED, "analysis", self.analysis.pk).pk,
            "accounts_user": self.owner.pk,
        }
        self._by_model: dict[str, Any] = by_model
        self._parts: dict[str, Any] = {
            "pk": self.analysis.pk,
            "other": self.other.pk,
            "job_id": tasks.job_id(self.waiting),
            "id": self.owner.pk,
            "object_id": self.owner.pk,
            "content_type_id": ContentType.objects.get_for_model(User).pk,
            "app_label": "analysis",
            "uidb36": "1",
            "key": "invented",
            "token": "invented",
        }

    def path(self, name: str) -> str:
        """The address with its parts filled in; one that is not known here is number 0 or called x."""
        namespace, _, plain = name.rpartition(":")
        resolver = get_resolver()
        if namespace:
            resolver = resolver.namespace_dict[namespace][1]
        parts = {}
        for part in resolver.reverse_dict.getlist(plain)[0][0][0][1]:
            parts[part] = self._parts.get(part, 0 if part.endswith("index") or part == "track" else "x")
        for model, pk in self._by_model.items():
            if f"{model}_" in name and "object_id" in parts:
                parts["object_id"] = pk
        if name == "end_session":
            parts["pk"] = UserSession.objects.get(user=self.owner).pk
        return reverse(name, kwargs=parts)

    def client(self, visitor: str, **options: Any) -> Client:
        client = Client(raise_request_exception=False, **options)
        person: dict[str, Callable[[], User]] = {
            "stranger": make_user,
            "owner": lambda: self.owner,
            "clerk": lambda: make_user(is_staff=True),
            "staff": lambda: make_user(staff=True),
        }
        if visitor != "nobody":
            client.force_login(person[visitor]())
        return client


@pytest.fixture
def visit(queue: Queue) -> Visit:
    return Visit()


def told(response: HttpResponseBase) -> str:
    """The answer in the words of the table; it is read to its end, so that no file stays open."""
    if response.streaming:
        b"".join(response)
    response.close()
    place = response.headers.get("Location", "")
    if place.startswith(f"{reverse('account_login')}?next="):
        return "login"
    if place.startswith(f"{reverse('admin:login')}?next="):
        return "door"
    return str(response.status_code)


def test_every_address_has_a_row_and_every_row_an_address() -> None:
    assert set(all_addresses()) == set(TABLE)


@pytest.mark.parametrize("visitor", VISITORS)
def test_each_gets_what_the_table_says(visit: Visit, visitor: str) -> None:
    column = VISITORS.index(visitor)
    wrong = []
    for name in TABLE:
        for method, verb in ((GET, "get"), (POST, "post")):
            if name.startswith("django_rq:"):
                tasks.enqueue(visit.waiting)  # the page before may have emptied the queue
            before = transaction.savepoint()
            answer = told(getattr(visit.client(visitor), verb)(visit.path(name)))
            transaction.savepoint_rollback(before)
            if answer != TABLE[name][method][column]:
                wrong.append(f"{verb} {name}: {answer}, not {TABLE[name][method][column]}")

    assert wrong == []


def test_no_form_from_elsewhere_is_taken(visit: Visit) -> None:
    """Without the token every POST is refused, wherever it goes; the analysis is still there."""
    taken = []
    client = visit.client("staff", enforce_csrf_checks=True)
    for name in TABLE:
        answer = told(client.post(visit.path(name)))
        if answer != "403":
            taken.append(f"{name}: {answer}")

    assert taken == []
    assert Analysis.objects.count() == 3


def test_what_a_stranger_sends_changes_nothing(visit: Visit) -> None:
    before = list(Analysis.objects.order_by("pk").values())
    client = visit.client("stranger")
    for name in TABLE:
        if name.startswith("analysis:") and "<uuid:" in str(all_addresses()[name].pattern):
            told(client.post(visit.path(name), {"frames": 20, "confirmed": "on"}))
    client.post(reverse("analysis:delete_many"), {"analyses": [visit.analysis.pk], "confirmed": "on"})

    assert list(Analysis.objects.order_by("pk").values()) == before


def test_a_part_of_a_page_sends_to_the_log_in_as_a_whole(visit: Visit) -> None:
    """htmx would put the log-in into the middle of the page."""
    for name, (got, _posted) in TABLE.items():
        if got[0] == "login" and name != "admin:login":  # which redirects by itself and has no parts
            response = visit.client("nobody").get(visit.path(name), headers={"hx-request": "true"})
            assert (response.status_code, response.content) == (200, b""), name
            assert response.headers["HX-Redirect"].startswith(reverse("account_login")), name


def test_files_and_reports_answer_strangers_as_if_there_were_none(visit: Visit) -> None:
    """Word for word what an address gives that nobody has: not even the length tells that there is something."""
    client = visit.client("stranger")
    token = re.compile(rb"\b\w{64}\b")  # of forms, new in every answer
    for name in ("detail", "video", "report", "status", "poster", "frame", "crop", "heatmap"):
        there = visit.path(f"analysis:{name}")
        nowhere = there.replace(str(visit.analysis.pk), "00000000-0000-4000-8000-000000000000")
        answers = [token.sub(b"", client.get(path).content) for path in (there, nowhere)]
        assert answers[0] == answers[1], name


@pytest.mark.parametrize("visitor", ["owner", "staff"])
def test_nothing_but_files_is_kept_by_a_browser(visit: Visit, visitor: str) -> None:
    """Back shows nothing after the log-out; a file is kept for minutes by the browser alone."""
    kept = []
    for name in TABLE:
        if name.startswith("django_rq:"):
            tasks.enqueue(visit.waiting)  # the page before may have emptied the queue
        response = visit.client(visitor).get(visit.path(name))
        is_file = response.headers.get("Content-Type", "").startswith(("image/", "video/"))
        told(response)
        if ("private, max-age=300" if is_file else "no-store") not in response.headers.get("Cache-Control", ""):
            kept.append(f"{name}: {response.headers.get('Cache-Control')}")

    assert kept == []


class TestIds:
    """What stands in an address that others must not guess is random, all 122 bits of it."""

    @pytest.mark.parametrize("row", ["analysis", "video"])
    def test_keys_are_random(self, row: str) -> None:
        analysis = make_analysis()
        key: UUID = analysis.pk if row == "analysis" else analysis.video.pk

        assert (key.version, key.variant) == (4, "specified in RFC 4122")

    def test_addresses_of_peoples_things_hold_nothing_that_can_be_counted_through(self) -> None:
        """A number stands only below a random key, or is looked up among the person's own (end_session)."""
        for name, pattern in all_addresses().items():
            address = str(pattern.pattern)
            if name.startswith(("admin:", "django_rq:")) or "<int:" not in address:
                continue
            assert name == "end_session" or address.index("<uuid:pk>") < address.index("<int:"), name

    def test_a_session_of_somebody_else_is_not_there(self, visit: Visit) -> None:
        answer = visit.client("staff").post(visit.path("end_session"))

        assert answer.status_code == 404
        assert UserSession.objects.filter(user=visit.owner).exists()
