"""A part of a page that a program writes, between two marks that stay."""

from pathlib import Path


def replace(page: Path, begin: str, end: str, text: str) -> None:
    """Put ``text`` between the marks; raises ValueError, and leaves the page alone, when it lacks one of them."""
    before, found_begin, rest = page.read_text(encoding="utf-8").partition(begin)
    _old, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"{page} lacks the marks between which the table belongs: {begin} and {end}.")
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
