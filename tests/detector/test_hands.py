"""Work is done side by side, and its results come in order."""

import threading

import pytest

from detector.hands import ALONE, MAX_HANDS, Hands


def test_results_come_in_order_though_the_first_is_done_last() -> None:
    first_may_end = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert first_may_end.wait(10), "nothing ran beside the first"
        else:
            first_may_end.set()
        return number * 10

    with Hands(2) as hands:
        assert hands.map(work, range(4)) == [0, 10, 20, 30]


def test_alone_all_is_done_where_it_is_asked_for() -> None:
    assert set(ALONE.map(lambda _: threading.get_ident(), range(3))) == {threading.get_ident()}


@pytest.mark.parametrize("count", [1, 2])
def test_the_first_failure_is_raised(count: int) -> None:
    def work(number: int) -> int:
        return 1 // number

    with Hands(count) as hands, pytest.raises(ZeroDivisionError):
        hands.map(work, [1, 0, 1])


def test_what_has_not_begun_is_left_at_the_end() -> None:
    begun = []
    go_on = threading.Event()

    def work(number: int) -> None:
        begun.append(number)
        go_on.wait(10)

    with Hands(2) as hands:
        hands.each(work, range(50))
        go_on.set()

    assert len(begun) < 50


def test_there_are_never_more_than_the_limit() -> None:
    with Hands(1000) as hands:
        threads = set(hands.map(lambda _: threading.get_ident(), range(200)))

    assert len(threads) <= MAX_HANDS
