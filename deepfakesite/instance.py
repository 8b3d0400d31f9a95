"""One installation on this machine: the lock on its DATA_DIR, its port, and the programs that make it up."""

import fcntl
import os
import socket
import sys
from pathlib import Path
from typing import IO

from deepfakesite import valkey
from deepfakesite.supervision import Child

WEB_PROCESSES = 2
WEB_THREADS = 12  # each video that is being watched or uploaded holds one
IDLE_TIMEOUT_S = 120  # of the web process's own heartbeat; slow uploads run in threads and are not cut off by it


class AlreadyRunning(Exception):
    """Another supervisor holds the DATA_DIR."""


def lock(folder: Path) -> IO[str]:
    """Take DATA_DIR for this process until it ends or closes the file; raises AlreadyRunning."""
    file = (folder / "up.lock").open("a+", encoding="ascii")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise AlreadyRunning from error
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


def keep_private(database: Path) -> None:
    """Makes SQLite's file readable by its owner alone, also in a folder that others may enter; its index follows it."""
    os.close(os.open(database, os.O_RDWR | os.O_CREAT, 0o600))
    database.chmod(0o600)


def port_is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def queue_server(folder: Path) -> Child:
    """The carried Valkey; ended last, so that what the others say in their last moments is kept."""
    data = folder / "queue"
    data.mkdir(exist_ok=True)
    return Child("queue server", valkey.command(folder / "valkey.sock", data), rank=0)


def worker(manage: Path, number: int) -> Child:
    return Child(f"worker {number}", [sys.executable, str(manage), "worker"], rank=1)


def web_server(folder: Path, host: str, port: int, *, json_logs: bool = False) -> Child:
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    options = {
        "chdir": str(folder),
        "bind": address,
        "workers": str(WEB_PROCESSES),
        "worker-class": "gthread",
        "threads": str(WEB_THREADS),
        "timeout": str(IDLE_TIMEOUT_S),
        "graceful-timeout": "3",
        "keep-alive": "5",
        "log-level": "warning",
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    if json_logs:
        arguments += ["--logger-class", "deepfakesite.gunicorn_logs.JsonLogger"]
    command = [sys.executable, "-m", "gunicorn", *arguments, "--no-control-socket", "deepfakesite.wsgi:application"]
    return Child("web server", command, rank=1)
