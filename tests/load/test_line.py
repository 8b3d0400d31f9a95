"""The replay of the waiting line: what is in turn passes, and each kind of unfairness is told."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.load import line
from tests.load.line import ARRIVE, END, LEAVE, START, Event
from tests.load.stand_in import RUNS

ANN, BOB, CID = 1, 2, 3
TWO_EACH = {ANN: 2, BOB: 2, CID: 2}


def arrivals(count: int, owner: int = ANN) -> list[Event]:
    return [Event(float(number), ARRIVE, f"{owner}-{number:02}", owner) for number in range(count)]


def served(*keys: str, begin: float, owners: dict[str, int]) -> list[Event]:
    """Each starts and ends before the next one starts."""
    found = []
    for number, pk in enumerate(keys):
        at = begin + 2 * number
        found += [Event(at, START, pk, owners[pk]), Event(at + 1, END, pk, owners[pk])]
    return found


def replayed(*parts: list[Event], many: int = 5) -> line.Told:
    return line.replay(sorted(event for part in parts for event in part), TWO_EACH, many)


def test_people_who_take_turns_are_in_order() -> None:
    hers, his = arrivals(3), [Event(5.0, ARRIVE, "2-00", BOB)]
    owners = {one.pk: one.owner for one in (*hers, *his)}

    told = replayed(hers, his, served("1-00", "2-00", "1-01", "1-02", begin=10, owners=owners))

    assert (told.starts, told.longest, told.wrong) == (4, 4, [])


def test_a_second_turn_before_anothers_first_is_told() -> None:
    hers, his = arrivals(10), [Event(20.0, ARRIVE, "2-00", BOB)]
    owners = {one.pk: one.owner for one in (*hers, *his)}
    in_turn = served("1-00", "2-00", begin=30, owners=owners)
    out_of_turn = served("1-00", "1-01", "2-00", begin=30, owners=owners)

    fair, unfair = replayed(hers, his, in_turn), replayed(hers, his, out_of_turn)

    assert line.breaches(fair) == []
    assert [(one.before, one.most_of_one, one.wait_s) for one in fair.lone] == [(1, 1, 12.0)]
    assert len(unfair.wrong) == 1
    assert "the analysis 1-01 of person 1 started, and it was the turn of 2-00 of person 2." in unfair.wrong[0]
    assert "waited while somebody else had 2 turns." in line.breaches(unfair)[1]


def test_a_persons_own_go_in_the_order_in_which_they_came() -> None:
    told = replayed(arrivals(2), [Event(10.0, START, "1-01", ANN)])

    assert "it was the turn of 1-00" in told.wrong[0]


def test_what_somebody_has_running_counts_before_their_next() -> None:
    """Ann was served longer ago, but has one running."""
    hers = arrivals(2)
    his = [Event(5.0, ARRIVE, "2-00", BOB), Event(5.5, ARRIVE, "2-01", BOB)]
    starts = [Event(6.0, START, "1-00", ANN), Event(7.0, START, "2-00", BOB), Event(8.0, END, "2-00", BOB)]

    assert replayed(hers, his, starts, [Event(9.0, START, "2-01", BOB)]).wrong == []
    assert len(replayed(hers, his, starts, [Event(9.0, START, "1-01", ANN)]).wrong) == 1


def test_who_runs_as_many_as_they_may_is_not_due() -> None:
    starts = [Event(10.0, START, "1-00", ANN), Event(11.0, START, "1-01", ANN)]
    told = line.replay([*arrivals(3), *starts, Event(12.0, START, "1-02", ANN)], {ANN: 2}, 5)

    assert told.wrong == []  # nothing was due; that it started all the same is for the quota's own tests to tell
    assert line.replay([*arrivals(3), *starts], {ANN: 1}, 5).starts == 2


def test_what_was_cancelled_is_waited_for_by_nobody() -> None:
    left = [Event(5.0, LEAVE, "1-00", ANN)]

    assert replayed(arrivals(2), left, [Event(10.0, START, "1-01", ANN)]).wrong == []


def test_events_are_read_from_the_trail_and_from_the_workers_log(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "unmask.sqlite3")) as database:
        database.execute("CREATE TABLE audit_entry (at, action, kind, object_id, owner_id)")
        database.executemany(
            "INSERT INTO audit_entry VALUES (?, ?, ?, ?, ?)",
            [
                ("2026-11-28 04:00:00.250000", "submitted", "analysis", "a-b", 7),
                ("2026-11-28 04:00:09", "deleted", "analysis", "a-b", 7),
                ("2026-11-28 04:00:09", "deleted", "video", "c", 7),
                ("2026-11-28 04:00:01", "viewed", "analysis", "a-b", 7),
            ],
        )
        database.commit()
    begin = 1795838400.0  # 28 November 2026, 04:00 UTC
    run = {"what": START, "pk": "a-b", "owner": 7, "at": begin + 2}
    (tmp_path / RUNS).write_text(json.dumps(run) + "\n")

    assert line.events(tmp_path) == [
        Event(begin + 0.25, ARRIVE, "ab", 7),
        Event(begin + 2, START, "ab", 7),
        Event(begin + 9, LEAVE, "ab", 7),
    ]
