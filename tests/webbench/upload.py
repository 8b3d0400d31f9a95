"""One large upload to a real site: how fast it goes, beside writing the same bytes alone, and what memory it takes.

The file is a small clip and behind it a box that every reader skips, filled to the size that is asked for.
"""

import hashlib
import http.client
import json
import os
import struct
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.person import BOUNDARY, Person, multipart, small_clip
from tests.load import memory

BLOCK_BYTES = 1024 * 1024
SAMPLE_EVERY_S = 0.1
TIMEOUT_S = 600.0
_CONTENT = b"<the file>"


@dataclass(frozen=True)
class Seen:
    """One upload. ``peak_mib`` and ``before_mib`` are PSS by process; like ``cpu_s``, of the web processes alone."""

    size_bytes: int
    answer: int  # status code
    sent_s: float  # until the last byte was handed over
    answered_s: float  # until the answer was there
    cpu_s: float  # processor time
    before_mib: dict[str, float]
    peak_mib: dict[str, float]

    @property
    def growth_mib(self) -> float:
        """Of the process that grew most."""
        return max(self.peak_mib[name] - before for name, before in self.before_mib.items())


@dataclass(frozen=True)
class Floor:
    """What the same bytes cost without a site: written and brought to the disk itself; hashed, in one thread."""

    write_s: float
    hash_s: float


def make_file(path: Path, size_bytes: int) -> None:
    """An MP4 of exactly that size which is accepted as a video; random, so that no disk can make it small."""
    clip = small_clip(path.parent)
    block = os.urandom(BLOCK_BYTES)
    left = size_bytes - len(clip)
    with path.open("wb") as target:
        target.write(clip + struct.pack(">I4s", left, b"free"))
        left -= 8
        while left > 0:
            left -= target.write(block[: min(left, BLOCK_BYTES)])


def floor_of(source: Path, folder: Path) -> Floor:
    """Writes a copy as ``dd bs=1M conv=fsync`` would, and takes it away again."""
    copy, digest, write_s, hash_s = folder / "copy", hashlib.sha256(), 0.0, 0.0
    try:
        with source.open("rb") as blocks, copy.open("wb", buffering=0) as target:
            while block := blocks.read(BLOCK_BYTES):
                begun = time.perf_counter()
                target.write(block)
                write_s += time.perf_counter() - begun
                begun = time.perf_counter()
                digest.update(block)
                hash_s += time.perf_counter() - begun
            begun = time.perf_counter()
            os.fsync(target.fileno())
            write_s += time.perf_counter() - begun
    finally:
        copy.unlink(missing_ok=True)
    return Floor(write_s, hash_s)


def send(person: Person, folder: Path, source: Path) -> Seen:
    """Send the file as the page's script does, with an eye on the site in ``folder``; it is deleted there afterwards.

    Raises OSError or HTTPException when the connection breaks off.
    """
    fields = {"csrfmiddlewaretoken": person.cookie("csrftoken"), "frames": "10"}
    head, _content, tail = multipart(fields, _CONTENT).partition(_CONTENT)
    size_bytes = source.stat().st_size
    connection = _begun(person, len(head) + size_bytes + len(tail))
    try:
        with watching(folder) as watch, source.open("rb") as blocks:
            begun = time.perf_counter()
            connection.send(head)
            connection.sock.sendfile(blocks)
            connection.send(tail)
            sent_s = time.perf_counter() - begun
            response = connection.getresponse()
            body = response.read().decode(errors="replace")
            answered_s = time.perf_counter() - begun
    finally:
        connection.close()
    if response.status == http.HTTPStatus.CREATED:
        _deleted(person, str(json.loads(body)["location"]))
    return Seen(size_bytes, response.status, sent_s, answered_s, watch.cpu_s, watch.before, watch.peak)


@dataclass
class Watch:
    """PSS of the web processes of one site, in MiB, and the processor time that they took meanwhile."""

    folder: Path
    before: dict[str, float] = field(default_factory=dict)
    peak: dict[str, float] = field(default_factory=dict)
    cpu_s: float = 0.0
    _pids: dict[str, int] = field(default_factory=dict)
    _cpu_before_s: float = 0.0

    def begin(self) -> None:
        found = memory.measured(memory.processes(self.folder))
        self.before = {name: mib for name, (_pid, mib) in found.items() if name.startswith("web ")}
        self._pids = {name: found[name][0] for name in self.before}
        self.peak = dict(self.before)
        self._cpu_before_s = self._spent_s()

    def look(self) -> None:
        for name, pid in self._pids.items():
            self.peak[name] = max(self.peak[name], memory.pss_kibibytes(pid) / 1024)

    def end(self) -> None:
        self.look()
        self.cpu_s = self._spent_s() - self._cpu_before_s

    def _spent_s(self) -> float:
        return sum(_cpu_s(pid) for pid in self._pids.values())


@contextmanager
def watching(folder: Path) -> Iterator[Watch]:
    """Looks every tenth of a second, in a thread, while the block runs, and once more at its end."""
    watch, over = Watch(folder), threading.Event()
    watch.begin()

    def looking() -> None:
        while not over.wait(SAMPLE_EVERY_S):
            watch.look()

    thread = threading.Thread(target=looking, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()
        watch.end()


def _cpu_s(pid: int) -> float:
    """User and system time so far, of the process and not of its children."""
    after_name = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


def _begun(person: Person, length: int) -> http.client.HTTPConnection:
    address = urllib.parse.urlsplit(person.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=TIMEOUT_S)
    connection.putrequest("POST", "/analyses/new/")
    headers = {
        "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        "Content-Length": str(length),
        "Accept": "application/json",
        "Cookie": "; ".join(f"{cookie.name}={cookie.value}" for cookie in person.cookies),
    }
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    return connection


def _deleted(person: Person, location: str) -> None:
    fields = {"csrfmiddlewaretoken": person.cookie("csrftoken")}
    address = urllib.parse.urlsplit(person.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=TIMEOUT_S)
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in person.cookies)
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": cookies}
    try:
        connection.request("POST", f"{location}delete/", urllib.parse.urlencode(fields), headers)
        connection.getresponse().read()
    finally:
        connection.close()
