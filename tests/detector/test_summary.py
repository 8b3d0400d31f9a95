"""The report in plain text: every answer in words, and how often such an answer was wrong."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from detector import summary
from detector.pipeline import STAGES
from detector.release import Release, default_release
from detector.report import FaceSample, ModelInfo, Reason, Report, SampledFrame, Track, Verdict, VideoInfo


def _report(verdict: Verdict, probability: float | None, confidence: float | None, *reasons: Reason) -> Report:
    samples = tuple(FaceSample(index, index / 2, (10, 20, 110, 140), 0.5, 100, 50.0, True) for index in (0, 2, 5))
    person = Track(0, verdict, probability, confidence, reasons, samples)
    return Report(
        verdict=verdict,
        probability_fake=probability,
        confidence=confidence,
        reasons=reasons,
        frames_requested=60,
        frames_analyzed=6,
        tracks=() if verdict is Verdict.NO_FACE else (person,),
        frames=tuple(SampledFrame(index, index / 2) for index in range(6)),
        video=VideoInfo("ab" * 32, 1000, "mov,mp4,m4a,3gp,3g2,mj2", "h264", 640, 360, 0, 3.0, 25.0),
        model=ModelInfo("network", "1.2.3", "cd" * 32, 0.91, 0.12),
        timings_s={"read": 1.25, "total": 3.5},
        libraries={},
    )


def test_the_precision_is_said_where_it_is_not_single(release: Release) -> None:
    report = _report(Verdict.FAKE, 0.973, 0.973)
    rounded = dataclasses.replace(report, model=dataclasses.replace(report.model, precision="bfloat16"))

    assert "model   network 1.2.3; FAKE from" in summary.of(report, release, None)
    assert "model   network 1.2.3 in bfloat16; FAKE from" in summary.of(rounded, release, None)


@pytest.fixture
def release(tmp_path: Path) -> Release:
    return dataclasses.replace(default_release(), folder=tmp_path)


def _with_metrics(release: Release, metrics: dict[str, Any]) -> Release:
    (release.folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    return release


@pytest.mark.parametrize(
    ("report", "first"),
    [
        (_report(Verdict.FAKE, 0.973, 0.973), "FAKE, 97.3% sure (probability of fake 0.973)"),
        (_report(Verdict.FAKE, 0.99996, 0.99996), "FAKE, 99.9% sure (probability of fake 1.000)"),
        (_report(Verdict.REAL, 0.021, 0.979), "REAL, 97.9% sure (probability of fake 0.021)"),
        (
            _report(Verdict.INCONCLUSIVE, 0.5, None, Reason.SCORE_BETWEEN_THRESHOLDS),
            "INCONCLUSIVE: the score lies between the thresholds (probability of fake 0.500)",
        ),
        (
            _report(Verdict.INCONCLUSIVE, None, None, Reason.TOO_FEW_FRAMES, Reason.FACE_TOO_SMALL),
            "INCONCLUSIVE: the face is seen in too few frames; the face is too small",
        ),
        (_report(Verdict.NO_FACE, None, None), "NO_FACE: no face was found in the frames that were examined."),
    ],
)
def test_the_first_line_answers(report: Report, first: str, release: Release) -> None:
    assert summary.of(report, release, None).splitlines()[0] == first


def test_people_stand_in_a_table_and_the_rest_below(release: Release, tmp_path: Path) -> None:
    report = _report(Verdict.INCONCLUSIVE, None, None, Reason.FACE_TOO_BLURRED)

    lines = summary.of(report, release, tmp_path).splitlines()

    assert lines[2:4] == [
        "person  verdict       fake  frames  from   to     why undecided",
        "1       INCONCLUSIVE  –     3       0.0 s  2.5 s  the face is too blurred",
    ]
    assert lines[5:] == [
        "video   640 x 360, 3.0 s, h264; 6 of 60 frames examined",
        f"SHA-256 {'ab' * 32}",
        "model   network 1.2.3; FAKE from 0.910, REAL to 0.120",
        "time    read 1.2 s, total 3.5 s",
        f"Crops, heatmaps and annotated frames are in {tmp_path}.",
    ]


def test_it_says_how_often_such_a_verdict_was_wrong(release: Release) -> None:
    known = _with_metrics(release, {"error_rates": {"FAKE": {"n": 40, "wrong": 3}, "REAL": {"n": 0, "wrong": 0}}})

    fake = summary.of(_report(Verdict.FAKE, 0.95, 0.95), known, None)
    real = summary.of(_report(Verdict.REAL, 0.05, 0.95), known, None)

    assert "Of the 40 clips that this model called FAKE in its test, 3 were not." in fake.splitlines()
    assert "in its test" not in real


def test_it_says_so_of_pictures_like_these_where_that_is_known(release: Release) -> None:
    bands = {
        "bounds": {"small_below_px": 120.0, "blurred_below": 80.0},
        "least": 10,
        "rates": {
            "FAKE": [{"bands": ["small", "blurred"], "n": 12, "wrong": 2}, {"bands": ["clear"], "n": 28, "wrong": 1}]
        },
    }
    rates = {"FAKE": {"n": 40, "wrong": 3}, "REAL": {"n": 9, "wrong": 1}}
    known = _with_metrics(release, {"error_rates": rates, "quality_bands": bands})

    fake = summary.of(_report(Verdict.FAKE, 0.95, 0.95), known, None)  # of a face 100 px wide
    real = summary.of(_report(Verdict.REAL, 0.05, 0.95), known, None)
    damaged = _with_metrics(release, {"error_rates": rates, "quality_bands": {"bounds": 3}})

    words = "Of the 12 clips with a small face or a blurred face that this model called FAKE in its test, 2 were not."
    assert words in fake.splitlines()
    assert "Of the 9 clips that this model called REAL in its test, 1 were not." in real.splitlines()
    assert "in its test" not in summary.of(_report(Verdict.FAKE, 0.95, 0.95), damaged, None)


def test_a_model_without_figures_promises_none(release: Release) -> None:
    assert "in its test" not in summary.of(_report(Verdict.FAKE, 0.95, 0.95), release, None)
    assert "in its test" not in summary.of(_report(Verdict.FAKE, 0.95, 0.95), _with_metrics(release, {}), None)


def test_every_reason_and_stage_has_words() -> None:
    assert set(summary.REASON_WORDS) == set(Reason)
    assert tuple(summary.STAGE_WORDS) == STAGES
