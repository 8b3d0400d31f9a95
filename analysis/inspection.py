"""How this installation has strangers' videos read: under which limits, and what is asked of an upload.

The reading itself is done in a confined process (detector/reader.py); the worker reads the same way.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

from analysis.messages import Code
from detector.errors import DetectorError
from detector.hands import cores
from detector.stream import MAX_THREADS, Limits

if TYPE_CHECKING:
    from detector.reader import Allowance, Reader

logger = logging.getLogger(__name__)


class Rejected(Exception):
    """The file is not one that can be analysed; ``code`` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(str(code))
        self.code = str(code)


@dataclass(frozen=True)
class Inspection:
    """What was found out about the video."""

    container: str
    codec: str
    width: int
    height: int
    duration_s: float
    frame_rate: float


def inspect(path: Path, poster: Path) -> Inspection:
    """Opens and checks the video, decodes its first frames and draws ``poster`` (JPEG); raises Rejected."""
    from detector import poster as drawn  # noqa: PLC0415 -- slow import, and not every web process sees an upload
    from detector.reader import ReaderError  # noqa: PLC0415 -- slow import

    try:
        with reader(path, probe_allowance()) as opened:
            found = opened.info()
            drawn.save(opened, poster)
    except DetectorError as error:
        raise Rejected(error.code) from error
    except ReaderError as error:
        logger.exception("An upload could not be opened: no confined process can be had.")
        raise Rejected(Code.INTERNAL) from error
    return Inspection(found.container, found.codec, found.width, found.height, found.duration_s, found.frame_rate)


def reader(path: Path, allowance: "Allowance") -> "Reader":
    """A Reader on ``path`` with the limits of this installation; to be entered by the caller."""
    from detector.reader import Reader  # noqa: PLC0415 -- slow import

    bounds = settings.UNMASK
    limits = Limits(
        max_bytes=bounds.max_upload_bytes, max_duration_s=bounds.max_duration_s, max_pixels=bounds.max_pixels
    )
    return Reader(path, limits, allowance)


def probe_allowance() -> "Allowance":
    """What opening an upload may cost; somebody waits for the page."""
    from detector.reader import Allowance  # noqa: PLC0415 -- slow import

    bounds = settings.UNMASK
    return Allowance(
        memory_bytes=bounds.decode_memory_bytes, cpu_s=bounds.probe_timeout_s, wait_s=bounds.probe_timeout_s
    )


def work_allowance() -> "Allowance":
    """What decoding a video for an analysis may cost: processor time for as many threads as decode at once."""
    from detector.reader import Allowance  # noqa: PLC0415 -- slow import

    bounds = settings.UNMASK
    threads = min(MAX_THREADS, cores())
    return Allowance(
        memory_bytes=bounds.decode_memory_bytes,
        cpu_s=bounds.decode_timeout_s * threads,
        wait_s=bounds.decode_timeout_s,
    )
