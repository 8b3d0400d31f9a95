"""Starting, restarting and ending programs, with small programs instead of the site's."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deepfakesite import supervision
from deepfakesite.supervision import LEASH, Child, Supervisor

SLEEPER = "import time; time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open({!r}, 'w').close(); time.sleep(60)"


def python(source: str) -> list[str]:
    return [sys.executable, "-c", source]


def eventually(condition: Callable[[], bool], timeout_s: float = 10.0) -> bool:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_program_that_ends_is_started_again_with_growing_pauses(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    said: list[str] = []
    child = Child("counter", python(f"open({str(marks)!r}, 'a').write('x')"))
    supervisor = Supervisor([child], said.append)
    timer = threading.Timer(3.0, supervisor.stop.set)
    timer.start()

    supervisor.run()

    assert 2 <= len(marks.read_text()) <= 3
    assert said[:2] == [
        "The counter ended (exit status 0); it is started again in 0.5 s.",
        "The counter ended (exit status 0); it is started again in 1.0 s.",
    ]


def test_a_program_that_had_run_steadily_is_started_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "STEADY_S", 0.0)
    said: list[str] = []
    child = Child("sleeper", python(SLEEPER), pause_s=30.0)
    supervisor = Supervisor([child], said.append)
    supervisor._look_after(child)
    assert child.process is not None
    child.process.kill()
    child.process.wait()

    supervisor._look_after(child)

    assert said == ["The sleeper ended (signal 9); it is started again in 0.5 s."]


def test_the_end_goes_by_rank_and_kills_what_does_not_listen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "GRACE_S", 0.5)
    ready = tmp_path / "ready"
    said: list[str] = []
    stubborn = Child("stubborn", python(STUBBORN.format(str(ready))), rank=1)
    base = Child("base", python(SLEEPER), rank=0)
    supervisor = Supervisor([base, stubborn], said.append)
    first, second = base.start(), stubborn.start()
    assert eventually(ready.exists)

    supervisor.end()

    assert said == ["The stubborn did not end in time and was killed."]
    assert (first.returncode, second.returncode) == (-signal.SIGTERM, -signal.SIGKILL)
    assert (base.process, stubborn.process) == (None, None)


def test_what_a_program_has_started_ends_with_it(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    source = (
        "import subprocess, sys, time; "
        f"p = subprocess.Popen([sys.executable, '-c', {SLEEPER!r}]); "
        f"open({str(note)!r}, 'w').write(str(p.pid)); time.sleep(60)"
    )
    child = Child("parent", python(source))
    supervisor = Supervisor([child], print)
    child.start()
    assert eventually(lambda: note.exists() and note.read_text() != "")
    grandchild = int(note.read_text())

    supervisor.end()

    assert eventually(lambda: not is_alive(grandchild))


def test_a_leashed_program_ends_when_its_starter_is_killed(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    child = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    source = (
        "import os, subprocess, sys, time; "
        f"subprocess.Popen([sys.executable, {str(LEASH)!r}, str(os.getpid()), sys.executable, '-c', {child!r}]); "
        "time.sleep(60)"
    )
    with subprocess.Popen(python(source)) as starter:
        assert eventually(lambda: note.exists() and note.read_text() != "")
        leashed = int(note.read_text())
        assert is_alive(leashed)

        starter.kill()

        assert eventually(lambda: not is_alive(leashed))


def test_a_leashed_program_does_not_start_when_its_starter_is_gone() -> None:
    gone = subprocess.run([sys.executable, str(LEASH), "1", "/bin/echo", "started"], capture_output=True, check=False)

    assert (gone.returncode, gone.stdout) == (1, b"")
