"""From logits to answers: calibration, thresholds and the rules that join frames to people and people to a video."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from detector.release import Calibration, Decision
from detector.report import FaceSample, Reason, Track, Verdict


def frame_probability(logit: float, calibration: Calibration) -> float:
    """Calibrated probability that one frame's face is fake (Platt, 1999)."""
    return sigmoid(calibration.frame_scale * logit + calibration.frame_offset)


def track_probability(temporal_logit: float, frame_logits: Sequence[float], calibration: Calibration) -> float:
    """Calibrated probability that one person is fake, from ``track_score``."""
    joint = track_score(temporal_logit, frame_logits)
    return sigmoid(calibration.track_scale * joint + calibration.track_offset)


def track_score(temporal_logit: float, frame_logits: Sequence[float]) -> float:
    """The mean of the temporal head's logit and the frames' mean logit, uncalibrated."""
    return (temporal_logit + float(np.mean(frame_logits))) / 2


def is_usable(face_px: int, sharpness: float, decision: Decision) -> bool:
    """Whether a face is large and sharp enough to be judged."""
    return face_px >= decision.min_face_px and sharpness >= decision.min_sharpness


def quality_reasons(samples: Sequence[FaceSample], decision: Decision) -> tuple[Reason, ...]:
    """Why a person cannot be judged, most frequent cause first; empty when there are enough usable samples."""
    if sum(sample.usable for sample in samples) >= decision.min_frames:
        return ()
    causes: Counter[Reason] = Counter()
    for sample in samples:
        if sample.face_px < decision.min_face_px:
            causes[Reason.FACE_TOO_SMALL] += 1
        elif not sample.usable:
            causes[Reason.FACE_TOO_BLURRED] += 1
    found = [reason for reason, _ in causes.most_common()]
    return tuple(found) if len(samples) >= decision.min_frames else (Reason.TOO_FEW_FRAMES, *found)


def answer(probability_fake: float, decision: Decision, people: int = 1) -> Verdict:
    """The verdict on a person of ``people`` judged ones.

    Each person is a chance of a false alarm, so with n people the odds needed for FAKE are n times those of the
    threshold (Bonferroni on the odds): a crowd does not turn fake by chance.
    """
    more, threshold = max(1, people), decision.threshold_fake
    if probability_fake >= more * threshold / (1 + (more - 1) * threshold):
        return Verdict.FAKE
    return Verdict.REAL if probability_fake <= decision.threshold_real else Verdict.INCONCLUSIVE


def confidence(verdict: Verdict, probability_fake: float | None) -> float | None:
    """The calibrated probability that REAL or FAKE is right; None for the answers that leave it open."""
    if probability_fake is None or verdict not in (Verdict.REAL, Verdict.FAKE):
        return None
    return probability_fake if verdict is Verdict.FAKE else 1 - probability_fake


def video_verdict(tracks: Sequence[Track]) -> tuple[Verdict, float | None, tuple[Reason, ...]]:
    """Verdict, probability and reasons of the whole video.

    NO_FACE without people; FAKE when a person is FAKE; REAL when every judged person is REAL and the person seen most
    was judged; else INCONCLUSIVE with the reasons of the people who leave it open. The probability is that of the
    person most likely to be fake.
    """
    if not tracks:
        return Verdict.NO_FACE, None, ()
    judged = [track for track in tracks if track.probability_fake is not None]
    highest = max((track.probability_fake for track in judged if track.probability_fake is not None), default=None)
    verdicts = {track.verdict for track in judged}
    if Verdict.FAKE in verdicts:
        return Verdict.FAKE, highest, ()
    if tracks[0].probability_fake is not None and verdicts == {Verdict.REAL}:
        return Verdict.REAL, highest, ()
    open_ones = [track for track in tracks if track.verdict is Verdict.INCONCLUSIVE]
    return (
        Verdict.INCONCLUSIVE,
        highest,
        tuple(dict.fromkeys(reason for track in open_ones for reason in track.reasons)),
    )


def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)) without overflow."""
    return 0.5 * (1 + float(np.tanh(0.5 * x)))
