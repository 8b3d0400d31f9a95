"""A small picture of a video, to know it by."""

from pathlib import Path

from PIL import Image

from detector.reader import Reader

MAX_SIDE = 640
_QUALITY = 82


def save(reader: Reader, target: Path) -> None:
    """Write a JPEG of a frame from about a tenth into the video, at most MAX_SIDE pixels; raises as ``sample`` does."""
    first = next(reader.sample(5, max_side=MAX_SIDE), None)  # the middle of the first fifth; the reader is closed next
    if first is not None:
        Image.fromarray(first[2]).save(target, "JPEG", quality=_QUALITY)
