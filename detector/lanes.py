"""Several decoders of one video side by side, and what they give in order of time."""

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

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
        ahead = [pool.submit(next, lane, None) for lane in lanes]
        newest_s = -1.0
        while heads := [(head[0], place) for place, one in enumerate(ahead) if (head := one.result()) is not None]:
            place = min(heads)[1]
            head = ahead[place].result()
            ahead[place] = pool.submit(next, lanes[place], None)
            if head is not None and head[0] > newest_s:
                newest_s = head[0]
                yield head
