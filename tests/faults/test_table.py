"""The table that the rounds write: whole, added to, and not added to what was broken."""

from pathlib import Path

import pytest

from tests.faults import table
from tests.faults.faults import FAULTS
from tests.faults.rounds import Tally

FIRST, SECOND = FAULTS[:2]


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "reliability.md"
    path.write_text(f"Before.\n\n{table.BEGIN}\nold\n{table.END}\n\nAfter.\n")
    return path


def tally(fault: object = FIRST, **numbers: float) -> Tally:
    values = {"rounds": 2, "acknowledged": 4, "done": 3, "failed": 1, "slowest_s": 7.25}
    return Tally(fault, **values | numbers)  # type: ignore[arg-type]


def test_the_table_replaces_what_stands_between_the_marks(page: Path) -> None:
    table.write(page, [tally(), tally(SECOND)])

    text = page.read_text()
    assert text.startswith(f"Before.\n\n{table.BEGIN}\n| fault | rounds |")
    assert text.endswith(f"{table.END}\n\nAfter.\n")
    assert f"| {FIRST.words} | 2 | 4 | 3 | 1 | 0 | {FIRST.limit_s:.0f} | 7.2 |" in text
    assert "| **all** | **4** | **8** | **6** | **2** | **0** | | |" in text
    assert table.UNBROKEN in text
    assert "old" not in text


def test_rounds_are_added_to_earlier_ones(page: Path) -> None:
    table.write(page, [tally()])

    table.write(page, [tally(slowest_s=5.0), tally(SECOND)], table.read(page))

    assert f"| {FIRST.words} | 4 | 8 | 6 | 2 | 0 | {FIRST.limit_s:.0f} | 7.2 |" in page.read_text()
    assert f"| {SECOND.words} | 2 | 4 | 3 | 1 | 0 |" in page.read_text()


def test_a_broken_promise_is_told_and_not_added_to(page: Path) -> None:
    table.write(page, [Tally(FIRST, rounds=1, lost=1, complaints=["The analysis 1 hangs in running."])])

    assert f"- {FIRST.words}: The analysis 1 hangs in running." in page.read_text()
    assert table.UNBROKEN not in page.read_text()
    with pytest.raises(ValueError, match="do them again without --add"):
        table.read(page)


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("Nothing here.")

    with pytest.raises(ValueError, match="lacks the marks"):
        table.write(page, [tally()])

    assert page.read_text() == "Nothing here."
