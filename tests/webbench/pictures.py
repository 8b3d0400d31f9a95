"""``python -m tests.webbench.pictures [VIDEO …]``: what WebP would save on the pictures of a result, and what it costs.

The detector analyses the videos, or a clip of its own, and each picture is taken before it is encoded: as JPEG the way
it is written today, and as WebP of the lowest quality that is as like the original (SSIM) as that JPEG.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from detector import inference, jpeg, pipeline, release
from detector.sample_clip import make_clip

Picture = NDArray[np.uint8]
MOST = 6  # pictures of a kind from one video
_CROP_QUALITY = 92


@dataclass(frozen=True)
class Encoded:
    size_bytes: int
    likeness: float  # SSIM of the luminance, 1 for the same
    cpu_ms: float


@dataclass(frozen=True)
class Compared:
    """One picture both ways; ``quality`` is WebP's."""

    jpeg: Encoded
    webp: Encoded
    quality: int


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.webbench.pictures", description="JPEG and WebP compared.")
    parser.add_argument("videos", nargs="*", type=Path, help="default: a clip made of the sample photograph")
    parser.add_argument("--frames", type=int, default=12, help="of each video (default: 12)")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory(prefix="unmask-pictures-") as name:
        videos = options.videos
        if not videos:
            videos = [Path(name) / "clip.mp4"]
            make_clip(videos[0], seconds=2.0, width=1920, height=1080)
        found: dict[str, list[Compared]] = defaultdict(list)
        for video in videos:
            for kind, drawn in drawn_of(video, Path(name), options.frames).items():
                found[kind] += [compared(picture, quality) for picture, quality in drawn[:MOST]]
    print("\n".join(table(found)))
    return 0


def drawn_of(video: Path, folder: Path, frames: int) -> dict[str, list[tuple[Picture, int]]]:
    """By kind, each picture of a result before it is encoded, with the quality of its JPEG."""
    drawn: dict[str, list[tuple[Picture, int]]] = defaultdict(list)
    network, encode = inference.load_network(release.default_release()), jpeg.encode
    face = (network.release.crop.size,) * 2

    def noting(picture: Picture, quality: int, full_colour: bool = False) -> bytes:
        if picture.shape[:2] == face:
            drawn["crop" if quality == _CROP_QUALITY else "heatmap"].append((picture.copy(), quality))
        else:
            drawn["frame"].append((picture.copy(), quality))
        return encode(picture, quality, full_colour)

    jpeg.encode = noting  # whoever draws asks the module for it
    try:
        settings = pipeline.Settings(frames=frames)
        pipeline.analyze(video, network, settings, out_dir=folder / "out", draw_frames=False)
    finally:
        jpeg.encode = encode
    return drawn


def compared(picture: Picture, quality: int) -> Compared:
    as_jpeg = _encoded(picture, lambda: jpeg.encode(picture, quality))
    low, high = 40, 99  # of WebP; more of it never makes a picture less like the original by much
    while low < high:
        middle = (low + high) // 2
        if _encoded(picture, partial(_webp, picture, middle)).likeness >= as_jpeg.likeness:
            high = middle
        else:
            low = middle + 1
    return Compared(as_jpeg, _encoded(picture, partial(_webp, picture, low)), low)


def table(found: dict[str, list[Compared]]) -> Iterator[str]:
    yield "| picture | number | JPEG, KB | WebP as like, KB | saved | quality of WebP | SSIM | JPEG, ms | WebP, ms |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for kind, rows in found.items():
        jpegs, webps = [row.jpeg for row in rows], [row.webp for row in rows]
        was, would = (statistics.mean(one.size_bytes / 1000 for one in some) for some in (jpegs, webps))
        likeness = ", ".join(f"{statistics.mean(one.likeness for one in some):.3f}" for some in (jpegs, webps))
        times = " | ".join(f"{statistics.mean(one.cpu_ms for one in some):.1f}" for some in (jpegs, webps))
        quality = statistics.mean(row.quality for row in rows)
        saved = f"{1 - would / was:.0%} | {quality:.0f} | {likeness}"
        yield f"| {kind} | {len(rows)} | {was:.1f} | {would:.1f} | {saved} | {times} |"


def _webp(picture: Picture, quality: int) -> bytes:
    _, encoded = cv2.imencode(".webp", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_WEBP_QUALITY, quality])
    return encoded.tobytes()


def _encoded(picture: Picture, encode: Callable[[], bytes]) -> Encoded:
    begun = time.process_time()
    content = encode()
    cpu_ms = 1000 * (time.process_time() - begun)
    decoded = jpeg.decode(content)  # which takes whatever OpenCV knows
    likeness = structural_similarity(_grey(picture), _grey(decoded))  # type: ignore[no-untyped-call]
    return Encoded(len(content), float(likeness), cpu_ms)


def _grey(picture: Picture) -> Picture:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


if __name__ == "__main__":
    sys.exit(main())
