"""What a confined process may not do, tried out in one; and that each of the two fences holds without the other."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from detector import sandbox
from detector.reader_process import ROOT

ATTEMPTS = """
import ctypes, errno, json, mmap, os, resource, signal, socket, sys, threading
from pathlib import Path
from detector import sandbox

video, secret, folder, port, fence = sys.argv[1:]
attempts = {
    "read the video": lambda: open(video, "rb").read(),
    "start a thread": lambda: threading.Thread(target=int).start(),
    "take memory": lambda: bytearray(50_000_000),
    "read another file": lambda: open(secret, "rb").read(),
    "list a folder": lambda: os.listdir(folder),
    "write a file": lambda: open(folder + "/new", "wb"),
    "overwrite the video": lambda: open(video, "r+b"),
    "delete a file": lambda: os.unlink(secret),
    "rename a file": lambda: os.rename(secret, secret + "2"),
    "make a folder": lambda: os.mkdir(folder + "/sub"),
    "open a socket": lambda: socket.socket().connect(("127.0.0.1", int(port))),
    "open a local socket": lambda: socket.socket(socket.AF_UNIX),
    "fork": os.fork,
    "start a program": lambda: os.execv("/bin/true", ["true"]),
    "signal its parent": lambda: os.kill(os.getppid(), 0),
    "make memory executable": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC),
    "raise its limits": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2**40, 2**40)),
    "limit its parent": lambda: resource.prlimit(os.getppid(), resource.RLIMIT_CPU),
}
if fence == "seccomp":
    sandbox._landlock = lambda readable: 0
if fence == "landlock":
    sandbox._filter_system_calls = lambda: False
sandbox.limit(sandbox.Bounds(memory_bytes=2 * 1024**3, cpu_s=20))
found = sandbox.confine([Path(video)])
outcomes = {}
for name, attempt in attempts.items():
    try:
        attempt()
        outcomes[name] = "done"
        if name == "fork" and os.getppid() != int(os.environ["PARENT"]):
            os._exit(0)
    except OSError as error:
        outcomes[name] = errno.errorcode.get(error.errno, "?")
    except ValueError:
        outcomes[name] = "EPERM"
print(json.dumps({"found": [found.seccomp, found.landlock], "outcomes": outcomes}))
"""
HARMLESS = {"read the video", "start a thread", "take memory"}
FILES = {"read another file", "list a folder", "write a file", "overwrite the video", "delete a file", "rename a file"}

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="These fences are Linux's.")


def outcomes(folder: Path, fence: str) -> tuple[list[int], dict[str, str]]:
    """What the kernel gave, and what became of each attempt."""
    video, secret = folder / "video", folder / "secret"
    video.write_bytes(b"video")
    secret.write_bytes(b"secret")
    script = folder / "attempts.py"
    script.write_text(f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{ATTEMPTS}")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        with subprocess.Popen(
            [sys.executable, str(script), str(video), str(secret), str(folder), str(server.getsockname()[1]), fence],
            stdout=subprocess.PIPE,
            text=True,
            env={"PARENT": str(os.getpid())},
        ) as process:
            said = process.communicate(timeout=30)[0]
        answer = json.loads(said)
        reached = False
        try:
            server.accept()[0].close()
            reached = True
        except TimeoutError:
            pass
    assert reached == (answer["outcomes"]["open a socket"] == "done")
    assert secret.read_bytes() == b"secret"
    return answer["found"], answer["outcomes"]


@on_linux
def test_a_confined_process_reads_its_video_and_does_nothing_else(tmp_path: Path) -> None:
    found, done = outcomes(tmp_path, "both")

    assert found == [True, sandbox.offered().landlock]
    assert {name for name, outcome in done.items() if outcome == "done"} == HARMLESS
    assert {outcome for name, outcome in done.items() if name not in HARMLESS} <= {"EPERM", "EACCES"}


@on_linux
def test_the_filter_holds_where_there_is_no_landlock(tmp_path: Path) -> None:
    found, done = outcomes(tmp_path, "seccomp")

    assert found == [True, 0]
    assert {name for name, outcome in done.items() if outcome == "done"} == HARMLESS | {
        "read another file",
        "list a folder",
    }


@on_linux
def test_landlock_hides_files_and_network_where_there_is_no_filter(tmp_path: Path) -> None:
    found, done = outcomes(tmp_path, "landlock")

    assert found == [False, sandbox.offered().landlock]
    assert {name: outcome for name, outcome in done.items() if name in FILES} == dict.fromkeys(FILES, "EACCES")
    assert done["start a program"] == "EACCES"
    if found[1] >= 4:
        assert done["open a socket"] == "EACCES"
    if found[1] >= 6:
        assert done["signal its parent"] == "EPERM"


def test_limits_are_those_asked_for_and_never_more_than_there_were() -> None:
    program = """
import resource, json
from detector import sandbox
resource.setrlimit(resource.RLIMIT_NOFILE, (20, 30))
sandbox.limit(sandbox.Bounds(memory_bytes=10**9, cpu_s=7, file_bytes=5000, open_files=50))
names = ("CORE", "AS", "CPU", "FSIZE", "NOFILE")
print(json.dumps({name: resource.getrlimit(getattr(resource, "RLIMIT_" + name)) for name in names}))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert json.loads(done.stdout) == {
        "CORE": [0, 0],
        "AS": [10**9, 10**9],
        "CPU": [7, 12],
        "FSIZE": [5000, 5000],
        "NOFILE": [20, 20],
    }


@pytest.mark.parametrize(
    ("kind", "held", "expected"),
    [
        ("CPU", (3, 100), [3, 8]),
        ("CPU", (3, 4), [3, 4]),
        ("CPU", (9, 9), [7, 9]),
        ("NOFILE", (16, 1024), [16, 16]),
        ("NOFILE", (64, 64), [50, 50]),
    ],
)
def test_a_stricter_limit_in_force_is_kept(kind: str, held: tuple[int, int], expected: list[int]) -> None:
    program = f"""
import resource, json
from detector import sandbox
resource.setrlimit(resource.RLIMIT_{kind}, {held!r})
sandbox.limit(sandbox.Bounds(memory_bytes=10**9, cpu_s=7, file_bytes=5000, open_files=50))
print(json.dumps(resource.getrlimit(resource.RLIMIT_{kind})))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert json.loads(done.stdout) == expected


@on_linux
def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    program = """
import os, subprocess, sys, time
child = '''
import os, sys, time
from detector import sandbox
sandbox.die_with_parent(int(sys.argv[1]))
print(os.getpid(), flush=True)
time.sleep(60)
'''
command = [sys.executable, "-c", child, str(os.getpid())]
with subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE) as it:
    print(it.stdout.readline().decode(), flush=True)
    os._exit(0)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)

    end = time.monotonic() + 5
    while Path(f"/proc/{int(done.stdout)}").exists():
        assert time.monotonic() < end
        time.sleep(0.02)
