"""The limits of a run: nothing is said of a good one, and each broken limit is told in a sentence."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.load import limits, table
from tests.load.line import Lone, Told
from tests.load.memory import Growth
from tests.load.plan import NARROW
from tests.load.run import Load, Seen


@pytest.fixture
def good() -> Seen:
    page = {"requests": 20, "failures": 0, "p50_ms": 12, "p95_ms": 30, "p99_ms": 44}
    return Seen(
        Load(10, 40, 0.5),
        accepted=40,
        states=Counter(done=38, cancelled=1, deleted=1),
        drain_s=60.0,
        drained=30,
        told=Told(starts=39, longest=38, lone=[Lone("a", 7.5, 3, 1)]),
        memory=[Growth("web process 1", 80, 90, 91, 95)],
        counts={
            "pages": {"history": page, "upload": dict(page)},
            "errors": [],
            "mistakes": [],
            "refusals": dict.fromkeys(NARROW, 2),
            "sentences": dict.fromkeys(NARROW, "There is room tomorrow."),
            "without_room": [],
            "locked": 0,
        },
    )


def test_a_good_run_breaks_nothing(good: Seen) -> None:
    assert limits.complaints(good) == []


def fail_requests(seen: Seen) -> None:
    seen.counts["pages"]["upload"]["failures"] = 3
    seen.counts["errors"] = ["upload: 500 instead of 201 (3)"]


def refuse_without_a_word(seen: Seen) -> None:
    seen.counts["without_room"] = ["No."]


def grow(seen: Seen) -> None:
    seen.memory.append(Growth("supervisor", 50, 60, 60 + limits.GROWTH_MIB + 1, 200))


HARM: dict[str, Callable[[Seen], object]] = {
    "3 requests failed: upload: 500 instead of 201 (3).": fail_requests,
    "The load program itself made a mistake: KeyError": lambda seen: seen.counts.update(mistakes=["KeyError"]),
    "The database was locked for too long 2 times.": lambda seen: setattr(seen, "locked_in_log", 2),
    "The site's log holds 1 tracebacks.": lambda seen: setattr(seen, "tracebacks", 1),
    "A refusal does not say when there is room: “No.”": refuse_without_a_word,
    "Nobody of the kind “few bytes” met their quota": lambda seen: seen.counts["refusals"].pop("few bytes"),
    "It did not come about": lambda seen: seen.late.append("It did not come about in 9 s: the queue worked off."),
    "1 analyses that were accepted have no outcome.": lambda seen: setattr(seen, "lost", 1),
    "belongs to no row": lambda seen: seen.breaches.append("The file x belongs to no row."),
    "4 analyses failed.": lambda seen: seen.states.update(failed=4),
    "Workers lost 1 analyses on the way.": lambda seen: setattr(seen, "taken_back", 1),
    "it was the turn of": lambda seen: seen.told.wrong.append("At 1 a started, and it was the turn of b."),
    "somebody else had 2 turns": lambda seen: seen.told.lone.append(Lone("b", 9.0, 4, 2)),
    "nothing is known of their wait": lambda seen: seen.told.lone.clear(),
    "The web process 1 did not live through the run.": lambda seen: seen.restarted.append("web process 1"),
    "The supervisor grew by 41 MiB in the second half of the run; 40 are allowed.": grow,
}


@pytest.mark.parametrize("words", HARM)
def test_each_broken_limit_is_told(good: Seen, words: str) -> None:
    HARM[words](good)

    (complaint,) = limits.complaints(good)

    assert words in complaint


def test_many_of_a_kind_are_counted_and_not_all_told(good: Seen) -> None:
    good.told.wrong += [f"Start {number} was out of turn." for number in range(limits.SHOWN + 5)]

    assert limits.complaints(good)[-1] == "So it went 5 times more."


def test_the_table_goes_between_its_marks(good: Seen, tmp_path: Path) -> None:
    page = tmp_path / "load.md"
    page.write_text(f"Before.\n\n{table.BEGIN}\nold\n{table.END}\n\nAfter.\n")

    table.write(page, good, [], "2 cores and 24 GiB of memory")

    text = page.read_text()
    assert "with 10 people, 40 analyses, 2 workers and a mean of 1.5 s an analysis, on a machine with 2 cores" in text
    assert "(`make load PEOPLE=10 ANALYSES=40 MINUTES=0.5 WORKERS=2`)" in text
    assert "| history | 20 | 12 | 30 | 44 | 0 |" in text
    assert "| **all** | **40** | | | | **0** |" in text
    assert "| few bytes | 2 | There is room tomorrow. |" in text
    assert "| of these done, cancelled, deleted afterwards | 38, 1, 1 |" in text
    assert "| their longest wait, s; analyses of others before it | 7.5; 3 |" in text
    assert "| web process 1 | 80 | 90 | 91 | 95 |" in text
    assert table.UNBROKEN in text
    assert "old" not in text
    assert text.endswith("\n\nAfter.\n")


def test_broken_limits_stand_in_the_table(good: Seen) -> None:
    text = table.markdown(good, ["Something broke."], "one core")

    assert "- Something broke." in text
    assert table.UNBROKEN not in text
