"""Quality bands: which pictures fall where, and what a model's metrics say of verdicts on such pictures."""

import dataclasses
import json
from typing import Any

import pytest

from detector import quality
from detector.quality import Band, Quality
from detector.report import FaceSample, ModelInfo, Report, Track, Verdict, VideoInfo

CLEAR, BLURRED, SMALL = Quality(300, 200), Quality(300, 20), Quality(60, 200)


def _track(index: int, probability: float | None, *samples: tuple[int, float, bool]) -> Track:
    faces = tuple(
        FaceSample(place, place / 2, (0, 0, 9, 9), 0.5, face_px, sharpness, usable)
        for place, (face_px, sharpness, usable) in enumerate(samples)
    )
    return Track(index, Verdict.INCONCLUSIVE, probability, None, (), faces)


def _report(*tracks: Track) -> Report:
    video = VideoInfo("ab" * 32, 1000, "mp4", "h264", 640, 360, 0, 3.0, 25.0)
    model = ModelInfo("network", "1", "cd" * 32, 0.9, 0.1)
    return Report(Verdict.INCONCLUSIVE, None, None, (), 10, 10, tracks, (), video, model, {}, {})


def test_a_small_face_is_small_however_sharp_and_bounds_belong_to_the_better_band() -> None:
    assert [one.band() for one in (CLEAR, BLURRED, SMALL)] == [Band.CLEAR, Band.BLURRED, Band.SMALL]
    assert Quality(60, 1).band() is Band.SMALL
    assert Quality(120, 80).band() is Band.CLEAR
    assert Quality(119.5, 80).band() is Band.SMALL
    assert Quality(120, 79.9).band() is Band.BLURRED
    assert CLEAR.band(quality.Bounds(small_below_px=301)) is Band.SMALL


def test_quality_is_the_median_of_usable_samples_of_the_person_likeliest_to_be_fake() -> None:
    seen_most = _track(0, 0.2, (50, 10.0, True))
    likeliest = _track(1, 0.8, (100, 50.0, True), (200, 90.0, True), (300, 70.0, True), (10, 1.0, False))
    unjudged = _track(2, None, (900, 900.0, True))

    assert quality.of_report(_report(seen_most, likeliest, unjudged)) == Quality(200, 70)


def test_quality_of_a_video_nobody_was_judged_in_is_that_of_the_person_seen_most() -> None:
    seen_most = _track(0, None, (20, 3.0, False), (40, 5.0, False))

    assert quality.of_report(_report(seen_most, _track(1, None, (500, 90.0, False)))) == Quality(30, 4)
    assert quality.of_report(_report()) is None


def _metrics(**given: int) -> dict[str, Any]:
    """Metrics with so many FAKE verdicts by band, one of each band wrong; through JSON, as a release has them."""
    shown = {"small": SMALL, "blurred": BLURRED, "clear": CLEAR}
    verdicts = [(Verdict.FAKE, place == 0, shown[name]) for name, count in given.items() for place in range(count)]
    metrics: dict[str, Any] = json.loads(json.dumps({"quality_bands": quality.rates(verdicts)}))
    return metrics


def test_each_band_with_enough_verdicts_speaks_for_itself() -> None:
    metrics = _metrics(small=10, blurred=11, clear=30)

    rate = quality.rate_of(metrics, Verdict.FAKE, BLURRED)

    assert rate == quality.BandRate((Band.BLURRED,), 11, 1)
    assert quality.rate_of(metrics, Verdict.REAL, BLURRED) is None  # never said
    assert quality.rate_of(metrics, Verdict.INCONCLUSIVE, BLURRED) is None
    assert quality.rate_of(metrics, Verdict.FAKE, None) is None
    assert quality.rate_of({"error_rates": {}}, Verdict.FAKE, BLURRED) is None  # of an older release


def test_bands_with_few_verdicts_are_put_together() -> None:
    metrics = _metrics(small=9, blurred=3, clear=30)

    poor = quality.BandRate((Band.SMALL, Band.BLURRED), 12, 2)
    assert quality.rate_of(metrics, Verdict.FAKE, SMALL) == poor
    assert quality.rate_of(metrics, Verdict.FAKE, BLURRED) == poor
    assert quality.rate_of(metrics, Verdict.FAKE, CLEAR) == quality.BandRate((Band.CLEAR,), 30, 1)


@pytest.mark.parametrize("given", [{"small": 4, "blurred": 5, "clear": 30}, {"small": 20, "blurred": 20, "clear": 9}])
def test_where_too_few_are_left_the_rate_of_all_verdicts_is_the_answer(given: dict[str, int]) -> None:
    metrics = _metrics(**given)

    assert metrics["quality_bands"]["rates"]["FAKE"] == [
        {"bands": ["small", "blurred", "clear"], "n": sum(given.values()), "wrong": 3}
    ]
    assert quality.rate_of(metrics, Verdict.FAKE, CLEAR) is None


def test_the_bounds_are_those_the_metrics_were_made_with() -> None:
    metrics = _metrics(small=10, blurred=10, clear=30)
    metrics["quality_bands"]["bounds"]["small_below_px"] = 1000.0

    rate = quality.rate_of(metrics, Verdict.FAKE, CLEAR)

    assert rate is not None
    assert rate.bands == (Band.SMALL,)
    assert dataclasses.asdict(quality.Bounds()) == {"small_below_px": 120.0, "blurred_below": 80.0}
