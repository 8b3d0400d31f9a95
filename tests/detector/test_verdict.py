"""Each rule from logits to answers."""

import math
from dataclasses import replace

import pytest

from detector import verdict
from detector.release import Calibration, Decision
from detector.report import FaceSample, Reason, Track, Verdict

DECISION = Decision(threshold_fake=0.8, threshold_real=0.2, min_face_px=40, min_sharpness=5.0, min_frames=3, window=8)


def sample(face_px: int = 100, sharpness: float = 50.0) -> FaceSample:
    usable = verdict.is_usable(face_px, sharpness, DECISION)
    return FaceSample(0, 0.0, (0, 0, 10, 10), 0.5, face_px, sharpness, usable)


def track(answer: Verdict, probability: float | None, *reasons: Reason) -> Track:
    return Track(0, answer, probability, None, reasons, ())


@pytest.mark.parametrize(
    ("probability", "expected"),
    [
        (0.8, Verdict.FAKE),
        (0.799, Verdict.INCONCLUSIVE),
        (0.201, Verdict.INCONCLUSIVE),
        (0.2, Verdict.REAL),
        (0.0, Verdict.REAL),
        (1.0, Verdict.FAKE),
    ],
)
def test_real_and_fake_begin_at_their_thresholds(probability: float, expected: Verdict) -> None:
    assert verdict.answer(probability, DECISION) is expected


def test_a_crowd_needs_higher_odds_for_fake() -> None:
    assert verdict.answer(0.85, DECISION, people=1) is Verdict.FAKE
    assert verdict.answer(0.85, DECISION, people=4) is Verdict.INCONCLUSIVE
    assert verdict.answer(16 / 17, DECISION, people=4) is Verdict.FAKE


@pytest.mark.parametrize("people", [1, 3])
def test_thresholds_at_the_ends_leave_everything_open(people: int) -> None:
    decision = replace(DECISION, threshold_fake=1.0, threshold_real=0.0)

    assert [verdict.answer(p, decision, people) for p in (0.001, 0.5, 0.999)] == [Verdict.INCONCLUSIVE] * 3


@pytest.mark.parametrize("logit", [-800.0, -2.0, 0.0, 2.0, 800.0])
def test_calibration_is_platts_sigmoid(logit: float) -> None:
    calibration = Calibration(frame_scale=0.5, frame_offset=-1.0, track_scale=2.0, track_offset=0.25)
    expected = 1 / (1 + math.exp(-(0.5 * logit - 1))) if logit > -700 else 0.0

    assert verdict.frame_probability(logit, calibration) == pytest.approx(expected, abs=1e-12)


def test_a_tracks_score_is_the_mean_of_both_heads() -> None:
    calibration = Calibration(1, 0, track_scale=2.0, track_offset=0.25)

    assert verdict.track_score(3.0, [1.0, -2.0, 4.0]) == pytest.approx(2.0)
    assert verdict.track_probability(3.0, [1.0, -2.0, 4.0], calibration) == pytest.approx(verdict.sigmoid(4.25))


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([sample()] * 3, ()),
        ([sample()] * 2, (Reason.TOO_FEW_FRAMES,)),
        ([sample(face_px=39)] * 5, (Reason.FACE_TOO_SMALL,)),
        ([sample(sharpness=4.9)] * 5 + [sample()] * 2, (Reason.FACE_TOO_BLURRED,)),
        ([sample(face_px=20)] * 3 + [sample(sharpness=1)] * 2, (Reason.FACE_TOO_SMALL, Reason.FACE_TOO_BLURRED)),
        ([sample(face_px=20)], (Reason.TOO_FEW_FRAMES, Reason.FACE_TOO_SMALL)),
    ],
)
def test_what_is_too_little_to_judge_says_why(samples: list[FaceSample], expected: tuple[Reason, ...]) -> None:
    assert verdict.quality_reasons(samples, DECISION) == expected


def test_confidence_is_that_of_the_answer_given() -> None:
    assert verdict.confidence(Verdict.FAKE, 0.9) == 0.9
    assert verdict.confidence(Verdict.REAL, 0.1) == 0.9
    assert verdict.confidence(Verdict.INCONCLUSIVE, 0.6) is None
    assert verdict.confidence(Verdict.NO_FACE, None) is None


REAL, FAKE = track(Verdict.REAL, 0.1), track(Verdict.FAKE, 0.9)
BETWEEN = track(Verdict.INCONCLUSIVE, 0.5, Reason.SCORE_BETWEEN_THRESHOLDS)
SMALL = track(Verdict.INCONCLUSIVE, None, Reason.FACE_TOO_SMALL)


@pytest.mark.parametrize(
    ("tracks", "expected"),
    [
        ([], (Verdict.NO_FACE, None, ())),
        ([REAL], (Verdict.REAL, 0.1, ())),
        ([REAL, FAKE], (Verdict.FAKE, 0.9, ())),
        ([SMALL, FAKE], (Verdict.FAKE, 0.9, ())),
        ([REAL, SMALL], (Verdict.REAL, 0.1, ())),
        ([SMALL, REAL], (Verdict.INCONCLUSIVE, 0.1, (Reason.FACE_TOO_SMALL,))),
        ([REAL, BETWEEN], (Verdict.INCONCLUSIVE, 0.5, (Reason.SCORE_BETWEEN_THRESHOLDS,))),
        ([SMALL], (Verdict.INCONCLUSIVE, None, (Reason.FACE_TOO_SMALL,))),
    ],
)
def test_the_videos_answer_follows_from_its_people(
    tracks: list[Track], expected: tuple[Verdict, float | None, tuple[Reason, ...]]
) -> None:
    assert verdict.video_verdict(tracks) == expected
