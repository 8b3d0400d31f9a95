"""How well a video shows the face it was judged by, in three bands, and how often a model was wrong in each.

The one place where the bands are defined. They describe the pictures and never the score: bounds were set on the
validation clips of the data used here, where a sixth show a small face and a fifth to a quarter a blurred one, by the
size of the crops.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import Any

from detector.report import Report, Track, Verdict

LEAST = 10  # verdicts of one kind that a band needs before a share of them says anything


class Band(StrEnum):
    """What the pictures are like; the first that fits."""

    SMALL = "small"
    BLURRED = "blurred"
    CLEAR = "clear"


@dataclass(frozen=True)
class Bounds:
    """Where the bands begin and end, in the units of ``Quality``."""

    small_below_px: float = 120.0
    blurred_below: float = 80.0


@dataclass(frozen=True)
class Quality:
    """The median size and sharpness of one person's face over the sampled frames."""

    face_px: float  # width of the face in pixels of the upright frame
    sharpness: float  # variance of the Laplacian, as crops.sharpness measures it

    def band(self, bounds: Bounds | None = None) -> Band:
        """The band of these pictures."""
        bounds = bounds or Bounds()
        if self.face_px < bounds.small_below_px:
            return Band.SMALL
        return Band.BLURRED if self.sharpness < bounds.blurred_below else Band.CLEAR


@dataclass(frozen=True)
class BandRate:
    """Of ``count`` verdicts of one kind on test clips of these bands, ``wrong`` were wrong."""

    bands: tuple[Band, ...]
    count: int
    wrong: int


def of_report(report: Report) -> Quality | None:
    """The quality behind the video's answer; None when no face was found.

    It is that of the person whose probability the video has, which is the highest, or of the person seen most when
    nobody was judged; over the usable samples, or all where none is usable.
    """
    if not report.tracks:
        return None
    return of_track(max(report.tracks, key=lambda track: (track.probability_fake is not None, _order(track))))


def of_track(track: Track) -> Quality:
    """The quality of one person's samples, of which there is at least one."""
    samples = [sample for sample in track.samples if sample.usable] or list(track.samples)
    return Quality(
        float(median(sample.face_px for sample in samples)),
        float(median(sample.sharpness for sample in samples)),
    )


def rates(given: Sequence[tuple[Verdict, bool, Quality]]) -> dict[str, Any]:
    """How often each verdict was wrong by band, as the plain JSON values that ``rate_of`` reads.

    ``given`` has, of each clip with a face, the verdict, whether it was wrong, and the quality. Bands with fewer than
    LEAST verdicts of a kind are put together: small with blurred, and all three where that is not enough.
    """
    bounds = Bounds()
    return {
        "bounds": {"small_below_px": bounds.small_below_px, "blurred_below": bounds.blurred_below},
        "least": LEAST,
        "rates": {
            str(verdict): _grouped([(one.band(bounds), wrong) for word, wrong, one in given if word is verdict])
            for verdict in (Verdict.FAKE, Verdict.REAL)
        },
    }


def rate_of(metrics: Mapping[str, Any], verdict: Verdict, quality: Quality | None) -> BandRate | None:
    """What a model's metrics say of such a verdict on pictures like these; None where they say nothing.

    ``metrics`` is a release's metrics.json. The bounds are those the metrics were made with. None too when the bands
    had to be put together to all three, for then metrics["error_rates"] says the same.
    """
    found = metrics.get("quality_bands")
    if quality is None or not found:
        return None
    band = quality.band(Bounds(**found["bounds"]))
    for group in found["rates"].get(str(verdict), []):
        bands = tuple(Band(name) for name in group["bands"])
        if band in bands and len(bands) < len(Band) and group["n"] >= found["least"]:
            return BandRate(bands, int(group["n"]), int(group["wrong"]))
    return None


def _order(track: Track) -> float:
    """Among judged people the probability decides, among others who was seen most."""
    return -track.index if track.probability_fake is None else track.probability_fake


def _grouped(members: Sequence[tuple[Band, bool]]) -> list[dict[str, Any]]:
    apart: tuple[tuple[Band, ...], ...] = tuple((band,) for band in Band)
    poor_together: tuple[tuple[Band, ...], ...] = ((Band.SMALL, Band.BLURRED), (Band.CLEAR,))
    for groups in (apart, poor_together, (tuple(Band),)):
        counted = [_count(members, bands) for bands in groups]
        if all(one["n"] >= LEAST for one in counted):
            break
    return counted


def _count(members: Sequence[tuple[Band, bool]], bands: tuple[Band, ...]) -> dict[str, Any]:
    chosen = [wrong for band, wrong in members if band in bands]
    return {"bands": [str(band) for band in bands], "n": len(chosen), "wrong": sum(chosen)}
