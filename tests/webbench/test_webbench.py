"""What is measured is what it is called, and asks the database as often as the page says, however much there is."""

import re
from pathlib import Path

import pytest
from django.test import Client

from analysis.models import Analysis, FaceSample, State
from tests.webbench import pages, population, table, upload
from tests.webbench.run import Uploaded

# Session and person are two of them.
QUERIES = {
    "history": 4,
    "result": 7,
    "progress of a running analysis": 3,
    "progress of a waiting analysis": 4,
    "page of a waiting analysis": 5,
    "status of a waiting analysis, as JSON": 4,
    "report as JSON": 3,
    "upload form": 4,
    "form to examine again": 5,
    "staff’s numbers": 6,
}


@pytest.fixture
def filled(db: None) -> population.Population:
    return population.fill(40, 10)


def test_there_is_an_analysis_of_every_kind(filled: population.Population) -> None:
    mine = Analysis.objects.filter(video__owner=filled.person)
    done = mine.filter(state=State.DONE).count()

    assert mine.exclude(state__in=[State.QUEUED, State.RUNNING]).count() == 40
    assert mine.filter(state__in=[State.FAILED, State.CANCELLED]).count() == 40 - done > 0
    assert FaceSample.objects.filter(track__analysis__video__owner=filled.person).count() == 10 * done
    assert Analysis.objects.filter(state=State.QUEUED).count() == 3 * (1 + population.OTHERS)


def test_pages_of_people_cost_a_fixed_number_of_queries_and_read_no_table_whole(
    filled: population.Population,
) -> None:
    costs = list(pages.measure(pages.pages_of(filled), times=1))

    counted = {cost.page.name.partition(",")[0]: cost.queries for cost in costs}
    counted |= {cost.page.name: cost.queries for cost in costs}
    assert {name: counted[name] for name in QUERIES} == QUERIES
    assert {cost.queries for cost in costs if cost.page.name.startswith("history")} == {4}
    assert [(cost.page.name, cost.scans) for cost in costs if cost.page.who == filled.person and cost.scans] == []


@pytest.mark.django_db
def test_a_table_that_is_read_whole_is_named() -> None:
    assert pages.scans_of("SELECT * FROM analysis_video WHERE codec = %s", ["h264"]) == {"analysis_video"}
    assert pages.scans_of("SELECT * FROM analysis_video WHERE id = %s", ["x"]) == set()
    assert pages.scans_of("SELECT * FROM accounts_user", None) == set()


@pytest.mark.parametrize("asked", ["", "?state=done", "?verdict=FAKE", "?state=done&verdict=FAKE", "?q=clip"])
def test_a_history_is_found_by_its_person_and_sorted_without_reading_a_row(
    filled: population.Population, client: Client, asked: str
) -> None:
    client.force_login(filled.person)
    with pages.recording() as recorder:
        assert client.get(f"/analyses/{asked}").status_code == 200

    (page,) = (one for one in recorder.statements if "people" in one[0])
    steps = pages.plan_of(*page)

    assert any(re.fullmatch(r"SEARCH \w+ USING (COVERING )?INDEX \w+owner\w+ .*", step) for step in steps), steps
    assert any(re.fullmatch(r"SEARCH \w+ USING COVERING INDEX analysis_history .*", step) for step in steps), steps


def test_the_file_that_is_sent_has_the_size_that_was_asked_for(tmp_path: Path) -> None:
    upload.make_file(tmp_path / "large.mp4", 3_000_000)

    floor = upload.floor_of(tmp_path / "large.mp4", tmp_path)

    assert (tmp_path / "large.mp4").stat().st_size == 3_000_000
    assert min(floor.write_s, floor.hash_s) > 0
    assert [path.name for path in tmp_path.iterdir()] == ["large.mp4"]


def test_the_table_shows_pages_and_uploads(filled: population.Population, tmp_path: Path) -> None:
    page = pages.Page("history", "/analyses/", filled.person)
    cost = pages.Cost(page, 20.0, 30.0, 10.0, 4, 26_900, ("analysis_video",))
    seen = upload.Seen(64 * 2**20, 201, 1.0, 2.0, 0.5, {"web process 1": 100.0}, {"web process 1": 104.0})
    target = tmp_path / "page.md"
    target.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n", encoding="utf-8")

    table.write(target, table.markdown([cost], [Uploaded(seen, upload.Floor(0.5, 0.25))], 10_000, 60))

    text = target.read_text(encoding="utf-8")
    assert "| history | 10.0 | 20.0 | 30.0 | 4 | 26.9 | video |" in text
    assert "| 64 MiB | 201 | 64 | 2.0 | 0.5 | 128 | 256 | 100 | 4.0 |" in text
    assert "10,000 analyses of one person and 2,000 of others" in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
