"""A progress bar on a terminal's stderr; silent where stderr is a file or a pipe."""

import shutil
import sys
import time
from types import TracebackType
from typing import TextIO

_WIDTH = 30
_REDRAW_S = 0.1
_ESTIMATE_FROM = 0.05  # share done from which the time left is worth saying


class Progress:
    """One line that is written over; as a context manager it leaves a clean line behind."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._is_shown = self._stream.isatty()
        self._started = time.monotonic()
        self._drawn_at = 0.0
        self._drawn = ""

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.clear()

    def show(self, words: str, share: float) -> None:
        """Draw ``share`` (0 to 1) as a bar with ``words`` and the time left; at most ten times a second."""
        now = time.monotonic()
        is_news = words != self._drawn
        if not self._is_shown or (now - self._drawn_at < _REDRAW_S and not is_news):
            return
        filled = round(min(max(share, 0.0), 1.0) * _WIDTH)
        left_s = (now - self._started) * (1 - share) / share if _ESTIMATE_FROM <= share < 1 else None
        left = "" if left_s is None else f", {_spoken(left_s)} left"
        line = f"[{'#' * filled}{'.' * (_WIDTH - filled)}] {share:4.0%}  {words}{left}"
        self._stream.write("\r\x1b[K" + line[: shutil.get_terminal_size().columns - 1])
        self._stream.flush()
        self._drawn_at, self._drawn = now, words

    def clear(self) -> None:
        """Remove the bar, so that something else can be written."""
        if self._is_shown and self._drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._drawn = ""


def _spoken(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
