"""The progress bar: drawn on a terminal only, over itself, within its width."""

import io
import os
import shutil
import time

import pytest

from detector.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: os.terminal_size((80, 24)))
    return Terminal()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def _drawn(terminal: Terminal) -> list[str]:
    return terminal.getvalue().split("\r\x1b[K")[1:]


def test_bar_shows_share_words_and_time_left(terminal: Terminal, clock: list[float]) -> None:
    with Progress(terminal) as bar:
        bar.show("reading", 0.0)
        clock[0] += 10
        bar.show("judging", 0.5)
        clock[0] += 10
        bar.show("drawing", 1.0)

    assert _drawn(terminal) == [
        "[" + "." * 30 + "]   0%  reading",
        "[" + "#" * 15 + "." * 15 + "]  50%  judging, 10 s left",
        "[" + "#" * 30 + "] 100%  drawing",
        "",
    ]


@pytest.mark.parametrize(("spent_s", "left"), [(0.2, "1 s"), (89, "89 s"), (600, "10 min"), (3 * 3600, "3.0 h")])
def test_time_left_is_said_in_fitting_units(terminal: Terminal, clock: list[float], spent_s: float, left: str) -> None:
    bar = Progress(terminal)
    clock[0] += spent_s

    bar.show("judging", 0.5)

    assert _drawn(terminal)[0].endswith(f"judging, {left} left")


def test_bar_is_redrawn_at_most_ten_times_a_second(terminal: Terminal, clock: list[float]) -> None:
    bar = Progress(terminal)

    for _ in range(100):
        clock[0] += 0.01
        bar.show("judging", 0.5)

    assert 8 <= len(_drawn(terminal)) <= 11


def test_bar_keeps_within_a_narrow_terminal(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: os.terminal_size((20, 5)))

    Progress(terminal).show("a long description of what goes on", 0.5)

    assert len(_drawn(terminal)[0]) == 19


def test_nothing_is_drawn_into_a_file() -> None:
    written = io.StringIO()

    with Progress(written) as bar:
        bar.show("reading", 0.3)

    assert written.getvalue() == ""


def test_the_line_is_cleared_when_something_fails(terminal: Terminal) -> None:
    def fail() -> None:
        with Progress(terminal) as bar:
            bar.show("reading", 0.3)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()

    assert terminal.getvalue().endswith("\r\x1b[K")
