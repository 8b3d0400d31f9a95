"""Each rule from logits to answers."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from detector import verdict
from detector.logistic import sigmoid
from detector.release import Calibration, CropShape, Decision, NetworkShape, Release
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


def test_a_crowd_needs_more_the_longer_the_tail_of_genuine_scores_is() -> None:
    factors = [verdict.crowd_factor(replace(DECISION, genuine_tail=tail), 9) for tail in (0.5, 1.0, 1.5)]

    assert factors == pytest.approx([3.0, 9.0, 27.0])
    assert [verdict.crowd_factor(DECISION, people) for people in (0, 1)] == [1.0, 1.0]


def test_an_open_person_of_several_says_that_the_others_are_why() -> None:
    assert verdict.open_reason(0.85, DECISION) is Reason.ONE_OF_SEVERAL
    assert verdict.open_reason(0.79, DECISION) is Reason.SCORE_BETWEEN_THRESHOLDS


def test_the_tail_of_exponential_excesses_is_their_scale() -> None:
    drawn = np.random.default_rng(1).exponential(0.7, 40_000)

    assert verdict.genuine_tail(list(drawn)) == pytest.approx(0.7, rel=0.03)
    assert verdict.genuine_tail(list(drawn[:19])) == 1.0  # too few to tell


# Log odds that a detector might give genuine people; the spread is up to three times what good calibration allows.
Draw = Callable[[np.random.Generator, int | tuple[int, int]], NDArray[np.float64]]
GENUINE: dict[str, Draw] = {
    "calibrated": lambda generator, size: generator.normal(-0.5, 1.0, size),
    "far apart": lambda generator, size: generator.normal(-4.5, 3.0, size),
    "long tail": lambda generator, size: generator.logistic(-3.0, 1.5, size),
}


@pytest.mark.parametrize("name", GENUINE)
def test_false_alarms_do_not_grow_with_the_number_of_genuine_people(name: str) -> None:
    generator, videos = np.random.default_rng(7), 4000
    draw = GENUINE[name]
    clips = draw(generator, 400)
    threshold = verdict.sigmoid(float(np.quantile(clips, 0.95)))
    decision = replace(DECISION, threshold_fake=threshold, genuine_tail=verdict.genuine_tail(list(clips)))

    def rate(people: int, judged_as: int) -> float:
        highest = draw(generator, (videos, people)).max(axis=1)
        given = [verdict.answer(verdict.sigmoid(value), decision, judged_as) for value in highest]
        return given.count(Verdict.FAKE) / videos

    alone = rate(1, 1)
    error = 3 * math.sqrt(2 * 0.06 * 0.94 / videos)  # three standard errors of a difference of two such rates
    assert alone == pytest.approx(0.05, abs=0.025)
    for people in (2, 5, 20):
        assert rate(people, people) <= alone + error
    assert rate(20, 1) > 0.4  # what it would be without the rule


@pytest.mark.parametrize("people", [1, 5, 20])
def test_one_plainly_fake_face_among_many_is_called(people: int) -> None:
    genuine = [verdict.sigmoid(value) for value in np.random.default_rng(3).normal(-2.0, 1.0, people - 1)]
    tracks = [
        track(verdict.answer(probability, DECISION, people), probability)
        for probability in (*genuine, verdict.sigmoid(6))
    ]

    assert verdict.video_verdict(tracks)[0] is Verdict.FAKE
    assert verdict.video_verdict([*tracks[:-1], REAL])[0] is not Verdict.FAKE


@pytest.mark.parametrize("people", [1, 3])
def test_thresholds_at_the_ends_leave_everything_open(people: int) -> None:
    decision = replace(DECISION, threshold_fake=1.0, threshold_real=0.0)

    assert [verdict.answer(p, decision, people) for p in (0.001, 0.5, 0.999)] == [Verdict.INCONCLUSIVE] * 3


@pytest.mark.parametrize("logit", [-800.0, -2.0, 0.0, 2.0, 800.0])
def test_calibration_is_platts_sigmoid(logit: float) -> None:
    calibration = Calibration(frame_scale=0.5, frame_offset=-1.0, track_scale=2.0, track_offset=0.25)
    expected = 1 / (1 + math.exp(-(0.5 * logit - 1))) if logit > -700 else 0.0

    assert verdict.frame_probability(logit, calibration) == pytest.approx(expected, abs=1e-12)


def released(decision: Decision = DECISION) -> Release:
    shape = NetworkShape("resnext50_32x4d", 2048, 256, 256, 0.4)
    calibration = Calibration(1, 0, track_scale=2.0, track_offset=0.25)
    return Release("m", "1", Path("m-1"), "", shape, CropShape(160, 1.45), calibration, decision)


@pytest.mark.parametrize(("share", "score"), [(0.0, 1.0), (0.25, 1.5), (1.0, 3.0)])
def test_a_tracks_score_joins_both_heads_by_the_models_share(share: float, score: float) -> None:
    release = released(replace(DECISION, temporal_share=share))

    assert verdict.track_score(3.0, [1.0, -2.0, 4.0], release) == pytest.approx(score)
    expected = verdict.sigmoid(2 * score + 0.25)
    assert verdict.track_probability(3.0, [1.0, -2.0, 4.0], release) == pytest.approx(expected)


def test_a_model_that_states_no_share_is_judged_by_the_mean_of_both_heads() -> None:
    assert verdict.track_score(3.0, [1.0, -2.0, 4.0], released()) == pytest.approx(2.0)


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


def test_confidence_in_a_fake_of_a_crowd_is_less_and_never_below_the_threshold() -> None:
    factor = verdict.crowd_factor(DECISION, 4)

    assert verdict.confidence(Verdict.FAKE, 16 / 17, factor) == pytest.approx(DECISION.threshold_fake)
    assert verdict.confidence(Verdict.REAL, 0.1, factor) == 0.9


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


@pytest.mark.filterwarnings("error")
def test_the_logistic_function_takes_numbers_and_arrays_and_never_overflows() -> None:
    values = np.array([-800.0, -2.0, 0.0, 2.0, 800.0], np.float32)
    expected = [0.0, 1 / (1 + math.exp(2)), 0.5, 1 / (1 + math.exp(-2)), 1.0]

    assert [sigmoid(float(value)) for value in values] == pytest.approx(expected)
    assert type(sigmoid(0.3)) is float
    assert sigmoid(values) == pytest.approx(expected)
    assert sigmoid(values).dtype == np.float32
