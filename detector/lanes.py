"""Several decoders of one video side by side, and what they give in order of time."""

import heapq
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from operator import itemgetter

from av.video.frame import VideoFrame

Timed = tuple[float, VideoFrame]  # seconds from the beginning


def side_by_side(lanes: Sequence[Generator[Timed]]) -> Iterator[Timed]:
    """What all of ``lanes`` give, in order of time, no time twice; each is in order itself.

    Every lane is one frame ahead, in a thread. All are closed at the end, also when nobody wants the rest.
    """
    with ExitStack() as stack:
        for lane in lanes:
            stack.enter_context(closing(lane))
        pool = stack.enter_context(ThreadPoolExecutor(len(lanes), thread_name_prefix="lane"))
        newest_s = -1.0
        for time_s, frame in heapq.merge(*(_ahead(lane, pool) for lane in lanes), key=itemgetter(0)):
            if time_s > newest_s:
                newest_s = time_s
                yield time_s, frame


def _ahead(lane: Generator[Timed], pool: ThreadPoolExecutor) -> Iterator[Timed]:
    coming = pool.submit(next, lane, None)
    while (timed := coming.result()) is not None:
        coming = pool.submit(next, lane, None)
        yield timed
