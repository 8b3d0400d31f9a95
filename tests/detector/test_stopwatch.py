"""Seconds by stage, one after another and side by side, on clocks that the test turns."""

import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from detector import stopwatch
from detector.stopwatch import Spent, Stopwatch


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    now = SimpleNamespace(wall_s=100.0, cpu_s=10.0)
    monkeypatch.setattr(
        stopwatch, "time", SimpleNamespace(perf_counter=lambda: now.wall_s, process_time=lambda: now.cpu_s)
    )
    return now


def _pass(clock: SimpleNamespace, wall_s: float, cpu_s: float) -> None:
    clock.wall_s += wall_s
    clock.cpu_s += cpu_s


def test_times_of_a_stage_add_up_and_what_lies_between_counts_for_none(clock: SimpleNamespace) -> None:
    watch = Stopwatch()
    for _ in range(2):
        with watch.stage("detect"):
            _pass(clock, 2.0, 3.0)
        _pass(clock, 5.0, 5.0)

    assert watch.spent == {"detect": Spent(4.0, 6.0)}


def test_a_stage_that_raises_is_counted_and_ended(clock: SimpleNamespace) -> None:
    watch = Stopwatch()

    def break_down() -> None:
        with watch.stage("detect"):
            _pass(clock, 1.0, 1.0)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        break_down()
    _pass(clock, 1.0, 1.0)
    with watch.stage("network"):
        _pass(clock, 1.0, 2.0)

    assert watch.spent == {"detect": Spent(1.0, 1.0), "network": Spent(1.0, 2.0)}


def test_stages_side_by_side_share_the_processor_and_not_the_clock(clock: SimpleNamespace) -> None:
    watch, inside, leave = Stopwatch(), threading.Event(), threading.Event()

    def other() -> None:
        with watch.stage("network"):
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with watch.stage("detect"):
        _pass(clock, 1.0, 1.0)
        thread.start()
        assert inside.wait(10)
        _pass(clock, 2.0, 4.0)
    _pass(clock, 1.0, 1.0)
    leave.set()
    thread.join()

    assert watch.spent == {"detect": Spent(3.0, 3.0), "network": Spent(3.0, 3.0)}


def test_the_wait_for_each_item_counts_and_the_work_on_it_does_not(clock: SimpleNamespace) -> None:
    watch = Stopwatch()

    def pictures() -> Iterator[int]:
        for number in range(3):
            _pass(clock, 1.0, 0.5)
            yield number

    seen = []
    for number in watch.each("decode", pictures()):
        seen.append(number)
        _pass(clock, 10.0, 10.0)

    assert seen == [0, 1, 2]
    assert watch.spent == {"decode": Spent(3.0, 1.5)}


def test_another_process_adds_processor_time_alone() -> None:
    watch = Stopwatch()
    watch.add("decode", 2.5)
    watch.add("decode", 0.5)

    assert watch.spent == {"decode": Spent(0.0, 3.0)}
