"""Has an uploaded file judged by its content, in a short-lived child process under limits.

The child decodes what a stranger sent, so it gets little memory, time, disk and environment, and a session of its own
that is killed as a whole. What it says is checked against the same limits again here.
"""

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from analysis.messages import Code
from detector.errors import ErrorCode

logger = logging.getLogger(__name__)

_ADDRESS_BYTES = 3 * 1024**3
_POSTER_BYTES = 8 * 1024**2
_OPEN_FILES = 64
_OUTPUT_BYTES = 64 * 1024


class Rejected(Exception):
    """The file is not one that can be analysed; ``code`` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(str(code))
        self.code = str(code)


@dataclass(frozen=True)
class Inspection:
    """What the child found out about the video."""

    container: str
    codec: str
    width: int
    height: int
    duration_s: float
    frame_rate: float


def inspect(path: Path, poster: Path) -> Inspection:
    """Opens and checks the video, decodes its first frame and draws ``poster`` (JPEG); raises Rejected."""
    limits = settings.UNMASK
    bounds = {
        "--max-bytes": limits.max_upload_bytes,
        "--max-duration-s": limits.max_duration_s,
        "--max-pixels": limits.max_pixels,
    }
    options = [part for name, value in bounds.items() for part in (name, str(value))]
    outcome = _run(["probe", str(path), "--json", "--poster", str(poster), *options], folder=poster.parent)
    if outcome is None:
        raise Rejected(ErrorCode.TIMED_OUT)
    code, stdout, stderr = outcome
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        raise Rejected(ErrorCode.TIMED_OUT)
    if code < 0:
        logger.warning("The child that opens uploads died of signal %d: %s", -code, stderr[-2000:])
        raise Rejected(ErrorCode.UNREADABLE)
    answer = _parsed(stdout)
    if code == 2 and isinstance(answer.get("error"), dict):
        raise Rejected(str(answer["error"].get("code", Code.INTERNAL)))
    if code != 0:
        if "MemoryError" in stderr or "Cannot allocate memory" in stderr:
            raise Rejected(Code.TOO_DEMANDING)
        logger.error("The child that opens uploads ended with exit code %d: %s", code, stderr[-2000:])
        raise Rejected(Code.INTERNAL)
    return _checked(answer)


def _run(arguments: list[str], folder: Path) -> tuple[int, str, str] | None:
    """Exit code, stdout and stderr of the limited child; None when it ran out of time."""
    limits = settings.UNMASK
    bounds = {
        "address_bytes": _ADDRESS_BYTES,
        "cpu_s": max(int(limits.probe_timeout_s), 1),
        "file_bytes": _POSTER_BYTES,
        "open_files": _OPEN_FILES,
    }
    command = [sys.executable, "-m", "analysis.confined", json.dumps(bounds), *arguments]
    with (folder / "stdout").open("w+b") as stdout, (folder / "stderr").open("w+b") as stderr:
        child = subprocess.Popen(  # noqa: S603 -- a fixed command; the path is one of our own
            command,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            cwd=settings.BASE_DIR,
            env=_environment(folder),
            start_new_session=True,
        )
        try:
            code = child.wait(timeout=limits.probe_timeout_s)
        except subprocess.TimeoutExpired:
            return None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        return code, _start_of(stdout), _start_of(stderr)


def _environment(folder: Path) -> dict[str, str]:
    """Nothing of the server's environment but where programs lie: no secrets, no proxies, no settings."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }


def _start_of(file: Any) -> str:
    file.seek(0)
    return bytes(file.read(_OUTPUT_BYTES)).decode("utf-8", "replace")


def _parsed(text: str) -> dict[str, Any]:
    try:
        answer = json.loads(text)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _checked(answer: dict[str, Any]) -> Inspection:
    """The child's answer, held against the limits of this installation; it may have been taken over by the file."""
    limits = settings.UNMASK
    try:
        found = Inspection(
            container=str(answer["container"])[:64],
            codec=str(answer["codec"])[:32],
            width=int(answer["width"]),
            height=int(answer["height"]),
            duration_s=float(answer["duration_s"]),
            frame_rate=float(answer["frame_rate"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        logger.error("The child that opens uploads gave an answer without sense: %r", answer)
        raise Rejected(Code.INTERNAL) from error
    if found.width <= 0 or found.height <= 0:
        raise Rejected(ErrorCode.UNREADABLE)
    if found.width * found.height > limits.max_pixels:
        raise Rejected(ErrorCode.TOO_MANY_PIXELS)
    if not 0 <= found.duration_s <= limits.max_duration_s:
        raise Rejected(ErrorCode.TOO_LONG)
    return found
