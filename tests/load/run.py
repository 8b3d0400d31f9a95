"""One run: a site as shipped but for the detector, its people, and what was seen of both."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults import invariants
from tests.faults.person import Person
from tests.faults.rig import PATIENCE, Rig, TookTooLong, wait_for
from tests.load import line
from tests.load.memory import Growth, Watch
from tests.load.plan import FILLING, Participant, participants
from tests.load.stand_in import MEAN_S
from tests.running import ROOT, environment

Say = Callable[[str], None]
SAMPLE_EVERY_S = 5.0
FILL_S, FILL_EACH_S = 180.0, 3.0  # how long the queue may take to be filled: in all, and for each analysis more
DRAIN_S, LONGER = 180.0, 4.0  # and to be worked off: in all, and times the minutes that were asked for
REST_S = 90.0  # until nothing waits and no file is left over, once people have gone
SHORTEST_MEAN_S = 0.2
PRINTED = 6000  # characters of the site's own output that are shown when something is wrong


@dataclass(frozen=True)
class Load:
    """What a run is asked for. ``minutes``: about how long the whole queue takes to be worked off."""

    people: int = 50
    analyses: int = 500
    minutes: float = 10.0
    workers: int = 2

    @property
    def mean_s(self) -> float:
        """Of an analysis."""
        return max(60 * self.minutes * self.workers / self.analyses, SHORTEST_MEAN_S)


@dataclass
class Seen:
    """What came of it."""

    load: Load
    accepted: int = 0
    states: Counter[str] = field(default_factory=Counter)  # of what was accepted, at the end
    lost: int = 0
    breaches: list[str] = field(default_factory=list)  # of tests/faults/invariants.py
    fill_s: float = 0.0
    drain_s: float = 0.0
    drained: int = 0  # analyses that ended in that time
    told: line.Told = field(default_factory=line.Told)
    memory: list[Growth] = field(default_factory=list)
    restarted: list[str] = field(default_factory=list)
    locked_in_log: int = 0
    tracebacks: int = 0
    taken_back: int = 0  # analyses whose worker fell silent or died
    counts: dict[str, Any] = field(default_factory=dict)  # crowd.counts
    late: list[str] = field(default_factory=list)  # what did not come about in time
    output: str = ""  # the last of what the site printed


def run(load: Load, say: Say) -> Seen:
    """Raises ValueError when the numbers make no run, RuntimeError when the people's own program breaks down."""
    seen = Seen(load)
    with tempfile.TemporaryDirectory(prefix="unmask-load-", ignore_cleanup_errors=True) as name:
        folder, beside = Path(name) / "data", Path(name) / "crowd"
        folder.mkdir(mode=0o700)
        beside.mkdir()
        clips = make_clips(beside)
        everybody = participants(load.people, load.analyses, clips["usual"].stat().st_size + 1024)
        variables = {
            "DJANGO_SETTINGS_MODULE": "tests.load.settings",
            "TRUSTED_PROXY_COUNT": "1",  # a proxy in front says where each person comes from
            MEAN_S: str(load.mean_s),
        }
        rig = Rig(folder, variables, load.workers)
        (folder / FILLING).touch()
        try:
            rig.start()
            say(f"The site runs at {rig.site.url}; {load.people} accounts are made.")
            populate(rig, everybody)
            _watch_a_crowd(rig, seen, everybody, clips, beside, say)
            seen.output = rig.site.output()[-PRINTED:]
        finally:
            rig.end()
    return seen


def make_clips(folder: Path) -> dict[str, Path]:
    """A clip of three seconds, and one of twenty for those who are short of minutes."""
    from detector.sample_clip import make_clip

    usual, long = folder / "usual.mp4", folder / "long.mp4"
    make_clip(usual, seconds=3.0, width=320, height=180, frame_rate=12)
    make_clip(long, seconds=20.0, width=128, height=128, frame_rate=2)
    return {"usual": usual, "long": long}


def populate(rig: Rig, everybody: Sequence[Participant]) -> None:
    """Raises CalledProcessError when the accounts could not be made."""
    subprocess.run(
        [sys.executable, "-m", "tests.load.population"],
        input=json.dumps([who.to_json() for who in everybody]),
        env=environment(rig.folder, **rig.variables),
        cwd=ROOT,
        text=True,
        check=True,
    )


def _watch_a_crowd(
    rig: Rig, seen: Seen, everybody: Sequence[Participant], clips: dict[str, Path], beside: Path, say: Say
) -> None:
    load, watch = seen.load, Watch(rig.folder)
    to_send = sum(who.to_send for who in everybody)
    begun = time.monotonic()
    with _crowd(rig, everybody, clips, beside) as (crowd, accepted):
        fill_limit_s = FILL_S + FILL_EACH_S * load.analyses
        _wait(watch, seen, lambda: len(accepted()) >= to_send, "all planned videos accepted", fill_limit_s)
        seen.fill_s = time.monotonic() - begun
        say(f"{len(accepted())} analyses were accepted in {seen.fill_s:.0f} s; the queue drains now.")
        (rig.folder / FILLING).unlink()
        begun, before = time.monotonic(), _ended(rig.folder)
        few = max(2, load.people // 10)  # those who come late go on sending
        drain_limit_s = DRAIN_S + LONGER * 60 * load.minutes
        _wait(watch, seen, lambda: _waiting(rig.folder) <= few, "the queue worked off", drain_limit_s)
        seen.drain_s, seen.drained = time.monotonic() - begun, _ended(rig.folder) - before
        say(f"{seen.drained} analyses ended in {seen.drain_s:.0f} s; the people go home.")
        crowd.send_signal(signal.SIGTERM)
        crowd.wait(60 * PATIENCE)
        keys = accepted()
    seen.counts = json.loads((beside / "counts.json").read_text(encoding="utf-8"))
    seen.accepted = len(keys)
    _wait(watch, seen, lambda: not invariants.unfinished(rig.folder), "an outcome for everything", drain_limit_s)
    happened = line.events(rig.folder)
    quotas = invariants.rows(rig.folder, "SELECT id, max_running FROM accounts_user")
    seen.told = line.replay(happened, {row["id"]: row["max_running"] for row in quotas}, load.analyses // 10)
    _look_at_the_end(rig, seen, keys)
    seen.memory = watch.growth()
    seen.restarted = [name for name, pids in watch.pids.items() if len(pids) > 1]


@contextlib.contextmanager
def _crowd(
    rig: Rig, everybody: Sequence[Participant], clips: dict[str, Path], beside: Path
) -> "Iterator[tuple[subprocess.Popen[str], Callable[[], set[str]]]]":
    """The crowd's process, and a function that tells the keys of what was accepted so far."""
    accepted = beside / "accepted.txt"
    accepted.touch()
    asked = {
        "url": rig.site.url,
        "folder": str(rig.folder),
        "participants": [who.to_json() for who in everybody],
        "clips": {name: str(path) for name, path in clips.items()},
        "accepted": str(accepted),
        "counts": str(beside / "counts.json"),
    }
    crowd = subprocess.Popen([sys.executable, "-m", "tests.load.crowd"], stdin=subprocess.PIPE, cwd=ROOT, text=True)

    def keys() -> set[str]:
        if crowd.poll() not in {None, 0}:
            raise RuntimeError(f"The people's own program ended before its time, with status {crowd.returncode}.")
        return {text.split()[0].replace("-", "") for text in accepted.read_text(encoding="ascii").splitlines() if text}

    try:
        assert crowd.stdin is not None
        crowd.stdin.write(json.dumps(asked))
        crowd.stdin.close()
        yield crowd, keys
    finally:
        crowd.kill()
        crowd.wait()


def _wait(watch: Watch, seen: Seen, until: Callable[[], Any], what: str, limit_s: float) -> None:
    """Sample the memory until something has come about; what does not come about in time is noted."""
    due = [0.0]

    def came_about() -> bool:
        if time.monotonic() >= due[0]:
            watch.sample()
            due[0] = time.monotonic() + SAMPLE_EVERY_S
        return bool(until())

    try:
        wait_for(came_about, what, limit_s, every_s=0.5)
    except TookTooLong as error:
        seen.late.append(str(error))


def _look_at_the_end(rig: Rig, seen: Seen, keys: set[str]) -> None:
    deleted = {
        row["object_id"].replace("-", "")
        for row in invariants.rows(rig.folder, "SELECT object_id FROM audit_entry WHERE action = 'deleted'")
    }
    kept = keys - deleted
    rig.person = Person(rig.site.url, acknowledged=kept)
    rig.struck()
    _seconds, seen.breaches = rig.come_to_rest(REST_S)
    found = invariants.analyses(rig.folder)
    seen.states = Counter(found[pk]["state"] if pk in found else "gone" for pk in kept)
    seen.states["deleted"] = len(keys & deleted)
    seen.lost = len(invariants.lost(rig.folder, kept))
    seen.taken_back = sum(row["lost_leases"] for row in found.values())
    output = rig.site.output()
    seen.locked_in_log = output.count("database is locked")
    seen.tracebacks = output.count("Traceback (most recent call last)")


def _waiting(folder: Path) -> int:
    (row,) = invariants.rows(folder, "SELECT COUNT(*) AS count FROM analysis_analysis WHERE state = 'queued'")
    return int(row["count"])


def _ended(folder: Path) -> int:
    question = "SELECT COUNT(*) AS count FROM analysis_analysis WHERE state NOT IN ('queued', 'running')"
    return int(invariants.rows(folder, question)[0]["count"])


def machine() -> str:
    """Cores and memory of this machine."""
    total = next(text for text in Path("/proc/meminfo").read_text().splitlines() if text.startswith("MemTotal:"))
    return f"{os.cpu_count()} cores and {int(total.split()[1]) / 1024**2:.0f} GiB of memory"
