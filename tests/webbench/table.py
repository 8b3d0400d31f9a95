"""What docs/performance-web.md shows of a measurement: pages, and uploads beside their floor."""

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from detector import marked
from tests.webbench.pages import Cost
from tests.webbench.run import MIB, Uploaded

BEGIN, END = "<!-- webbench: begin (made by `make webbench`) -->", "<!-- webbench: end -->"


def markdown(costs: Sequence[Cost], uploads: Sequence[Uploaded], count: int, frames: int) -> str:
    machine = f"{os.cpu_count()} cores and a load of {os.getloadavg()[0]:.0f} at the end, of which this was one"
    size = f"{count:,} analyses of one person and {count // 5:,} of others, {frames} frames in each"
    lines = [f"Run on {datetime.now(UTC):%d %B %Y} with {size}, on a machine with {machine}.", "", *_pages(costs)]
    if uploads:
        lines += ["", *_uploads(uploads)]
    return "\n".join(lines)


def write(page: Path, text: str) -> None:
    """Put it between the page's marks; raises ValueError when it has none."""
    marked.replace(page, BEGIN, END, text)


def _pages(costs: Sequence[Cost]) -> Iterator[str]:
    yield "| page | processor, ms | time, ms | slowest, ms | queries | HTML, KB | tables read whole |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | --- |"
    for cost in costs:
        times = " | ".join(f"{value:.1f}" for value in (cost.cpu_ms, cost.wall_ms, cost.slowest_ms))
        scans = ", ".join(name.removeprefix("analysis_") for name in cost.scans)
        yield f"| {cost.page.name} | {times} | {cost.queries} | {cost.size_bytes / 1000:.1f} | {scans or 'none'} |"


def _uploads(uploads: Sequence[Uploaded]) -> Iterator[str]:
    yield (
        "| an upload of | answer | sent, MiB/s | until the answer, s | processor, s | writing alone, MiB/s "
        "| hashing alone, MiB/s | web processes before, MiB | most that one grew, MiB |"
    )
    yield "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for one in uploads:
        seen, floor, size = one.seen, one.floor, one.seen.size_bytes / MIB
        before = sum(seen.before_mib.values())
        yield (
            f"| {size:.0f} MiB | {seen.answer} | {size / seen.sent_s:.0f} | {seen.answered_s:.1f} | {seen.cpu_s:.1f} "
            f"| {size / floor.write_s:.0f} | {size / floor.hash_s:.0f} | {before:.0f} | {seen.growth_mib:.1f} |"
        )
