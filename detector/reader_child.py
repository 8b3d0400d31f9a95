"""The child process in which a video is decoded: ``python -m detector.reader_child``, started by reader.py alone.

It takes its rights away (sandbox.py), opens the one video it was told of, says what the file holds, and sends sampled
frames. It is told on stdin and answers on stdout (reader_messages.py); it ends when stdin does.
"""

import dataclasses
import importlib
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detector import sandbox
from detector.errors import DetectorError, ErrorCode
from detector.reader_messages import packed, read_message, write_all
from detector.stream import Limits, StreamInfo

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

STDIN, STDOUT = 0, 1
# What is decoded with, and what PyAV imports only when it meets such a stream or such data: later no file can be read.
PRELOADED = (
    "detector.sampling",
    "detector.video",
    "av.sidedata.encparams",
    "av.sidedata.motionvectors",
    "av.subtitles.codeccontext",
    "av.subtitles.stream",
)


def main() -> int:
    """Serve one parent; the exit code."""
    told = read_message(STDIN)
    if told is None:
        return 0
    sandbox.die_with_parent(int(told["parent"]))
    sandbox.limit(sandbox.Bounds(**told["bounds"]))
    serve(told)
    return 0


def serve(told: dict[str, Any]) -> None:
    """Confine this process, then answer until stdin ends; ``told`` names the ``path`` and the ``limits``."""
    for name in PRELOADED:
        importlib.import_module(name)
    from detector import video  # noqa: PLC0415 -- loaded only now, under the limits

    path, limits = Path(told["path"]), Limits(**told["limits"])
    confinement = sandbox.confine(readable=[path])
    _say({"kind": "ready", **dataclasses.asdict(confinement)})
    try:
        info = video.probe(path, limits)
        _say({"kind": "info", **dataclasses.asdict(info)})
        while (asked := read_message(STDIN)) is not None:
            _send_frames(path, info, limits, int(asked["count"]), asked["max_side"])
    except DetectorError as error:
        _say({"kind": "error", "code": error.code, "message": str(error)})
    except MemoryError:
        _say({"kind": "error", "code": ErrorCode.TOO_DEMANDING, "message": "The memory allowed is used up."})


def _send_frames(path: Path, info: StreamInfo, limits: Limits, count: int, max_side: int | None) -> None:
    from detector import sampling  # noqa: PLC0415 -- see above

    with ThreadPoolExecutor(1) as pool:  # so that the next is decoded while one waits to be read
        sent: Future[None] | None = None
        for found in sampling.sample(path, info, count, limits=limits, max_side=max_side):
            if sent is not None:
                sent.result()
            sent = pool.submit(_send_frame, *found)
        if sent is not None:
            sent.result()
    _say({"kind": "end"})


def _send_frame(index: int, time_s: float, picture: "NDArray[np.uint8]") -> None:
    height, width = picture.shape[:2]
    _say({"kind": "frame", "index": index, "time_s": time_s, "width": width, "height": height})
    write_all(STDOUT, picture.data.cast("B"))


def _say(message: dict[str, Any]) -> None:
    write_all(STDOUT, packed(message))


if __name__ == "__main__":
    sys.exit(main())
