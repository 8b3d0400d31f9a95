"""What each page costs the server: time, processor time, queries, and whether a query reads a whole table."""

import re
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import connection
from django.test import Client
from django.urls import reverse

from accounts.models import User
from tests.webbench.population import Population

TIMES = 25
WARM = 3
# Tables that grow with use; those of people and model versions stay small.
GROWING = frozenset({"analysis_analysis", "analysis_video", "analysis_facetrack", "analysis_facesample"})
_SCAN = re.compile(r"SCAN (\w+)$")


@dataclass(frozen=True)
class Page:
    """A page that is asked for: what it is called, where it is, and who asks."""

    name: str
    address: str
    who: User


@dataclass(frozen=True)
class Cost:
    """Of one page: medians of milliseconds, queries with those for session and person, growing tables read whole."""

    page: Page
    wall_ms: float
    slowest_ms: float
    cpu_ms: float
    queries: int
    size_bytes: int
    scans: tuple[str, ...]


@dataclass
class Recorder:
    """The statements that go to the database, with their values."""

    statements: list[tuple[str, Any]] = field(default_factory=list)

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        self.statements.append((sql, params))
        return execute(sql, params, many, context)


def pages_of(found: Population) -> list[Page]:
    """Everything that is measured."""
    listing, admin = reverse("analysis:list"), reverse("admin:analysis_analysis_changelist")
    last = 10**6  # the paginator takes its last page for it
    mine = {
        "history, first page": listing,
        "history, page 250": f"{listing}?page=250",
        "history, last page": f"{listing}?page={last}",
        "history, searched (many found)": f"{listing}?q=clip",
        "history, searched (none found)": f"{listing}?q=zebra",
        "history, of one verdict": f"{listing}?verdict=FAKE",
        "history, of one state": f"{listing}?state=failed",
        "history, searched and of one verdict, last page": f"{listing}?q=clip&verdict=REAL&page={last}",
        "result": reverse("analysis:detail", args=[found.finished.pk]),
        "progress of a running analysis": reverse("analysis:progress", args=[found.running.pk]),
        "progress of a waiting analysis": reverse("analysis:progress", args=[found.waiting.pk]),
        "page of a waiting analysis": reverse("analysis:detail", args=[found.waiting.pk]),
        "status of a waiting analysis, as JSON": reverse("analysis:status", args=[found.waiting.pk]),
        "report as JSON": reverse("analysis:report", args=[found.finished.pk]),
        "upload form": reverse("analysis:new"),
        "form to examine again": reverse("analysis:again", args=[found.finished.pk]),
        "account": reverse("profile"),
    }
    theirs = {
        "staff’s numbers": reverse("analysis:staff"),
        "administration, list of analyses": admin,
        "administration, searched": f"{admin}?q=clip",
        "administration, last page": f"{admin}?p={last}",
    }
    return [Page(name, address, found.person) for name, address in mine.items()] + [
        Page(name, address, found.staff) for name, address in theirs.items()
    ]


def measure(pages: Sequence[Page], times: int = TIMES) -> Iterator[Cost]:
    """Asks for each page again and again, in this process; raises RuntimeError where one is not answered well."""
    clients: dict[int, Client] = {}
    for page in pages:
        if page.who.pk not in clients:
            clients[page.who.pk] = Client(headers={"host": "localhost"})
            clients[page.who.pk].force_login(page.who)
        yield _cost(page, clients[page.who.pk], times)


def _cost(page: Page, client: Client, times: int) -> Cost:
    for _number in range(WARM):
        _asked(page, client)
    walls, cpus = [], []
    for _number in range(times):
        wall, cpu = time.perf_counter(), time.process_time()
        _asked(page, client)
        walls.append(1000 * (time.perf_counter() - wall))
        cpus.append(1000 * (time.process_time() - cpu))
    with recording() as recorder:
        size_bytes = _asked(page, client)
    return Cost(
        page=page,
        wall_ms=statistics.median(walls),
        slowest_ms=max(walls),
        cpu_ms=statistics.median(cpus),
        queries=len(recorder.statements),
        size_bytes=size_bytes,
        scans=tuple(sorted({table for sql, params in recorder.statements for table in scans_of(sql, params)})),
    )


def _asked(page: Page, client: Client) -> int:
    """How many bytes came back."""
    response = client.get(page.address, follow=page.name == "administration, last page")
    if response.status_code != 200:
        raise RuntimeError(f"{page.name} ({page.address}) was answered with {response.status_code}.")
    return len(response.content)


@contextmanager
def recording() -> Iterator[Recorder]:
    recorder = Recorder()
    with connection.execute_wrapper(recorder):
        yield recorder


def plan_of(sql: str, params: Any) -> list[str]:
    """How SQLite goes about a statement: a line for each step."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
        return [str(row[3]) for row in cursor.fetchall()]


def scans_of(sql: str, params: Any) -> set[str]:
    """The growing tables that it reads from end to end, by row and not by an index that holds all it needs."""
    if not sql.lstrip().upper().startswith("SELECT"):
        return set()
    found = (_SCAN.match(step) for step in plan_of(sql, params))
    return {match[1] for match in found if match} & GROWING
