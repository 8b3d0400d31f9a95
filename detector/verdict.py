"""From logits to answers: calibration, thresholds and the rules that join frames to people and people to a video."""

from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from detector.logistic import sigmoid as sigmoid  # what fits the calibration takes it from here
from detector.release import Calibration, Decision, Release
from detector.report import FaceSample, Reason, Track, Verdict

Logits = TypeVar("Logits", float, NDArray[np.float64])

UNMEASURED_TAIL = 1.0  # of release.Decision too
TAIL_SHARE, MIN_TAIL_CLIPS = 0.25, 20


def frame_probability(logit: float, calibration: Calibration) -> float:
    """Calibrated probability that one frame's face is fake (Platt, 1999)."""
    return sigmoid(calibration.frame_scale * logit + calibration.frame_offset)


def track_probability(temporal_logit: float, frame_logits: Sequence[float], release: Release) -> float:
    """Calibrated probability that one person is fake, from ``track_score``."""
    joint, calibration = track_score(temporal_logit, frame_logits, release), release.calibration
    return sigmoid(calibration.track_scale * joint + calibration.track_offset)


def track_score(temporal_logit: float, frame_logits: Sequence[float], release: Release) -> float:
    """The temporal head's logit and the frames' mean logit, joined by the release's ``temporal_share``; uncalibrated.

    Of an imported checkpoint (another recurrence than an LSTM) it is what the checkpoint itself goes by: the first.
    """
    if release.network.recurrence != "lstm":
        return temporal_logit
    return joined(temporal_logit, float(np.mean(frame_logits)), release.decision.temporal_share)


def joined(temporal_logit: Logits, frame_logit: Logits, share: float) -> Logits:
    """``share`` of the temporal head's logit and the rest of the frames': numbers, or arrays of them."""
    return share * temporal_logit + (1 - share) * frame_logit


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
    """The verdict on a person of ``people`` judged ones; FAKE needs odds ``crowd_factor`` times those of one alone."""
    if is_fake(probability_fake, decision, people):
        return Verdict.FAKE
    return Verdict.REAL if probability_fake <= decision.threshold_real else Verdict.INCONCLUSIVE


def is_fake(probability_fake: float, decision: Decision, people: int = 1) -> bool:
    """Whether the odds of a person of ``people`` judged ones reach ``crowd_factor`` times those of the threshold."""
    factor, threshold = crowd_factor(decision, people), decision.threshold_fake
    return probability_fake >= factor * threshold / (1 + (factor - 1) * threshold)


def crowd_factor(decision: Decision, people: int) -> float:
    """By how much the odds needed for FAKE grow when ``people`` are judged: people ** genuine_tail.

    Each person is one more chance of a false alarm. Bonferroni's rule keeps the rate of a whole video at that of one
    person a when each of n people is tested at a / n. The level is turned into a threshold by the tail of genuine
    scores: their odds are beyond c times the threshold c ** (-1 / tail) as often as beyond the threshold itself (a
    Pareto tail, as extreme value theory has it for most distributions), so a / n is met at n ** tail times the odds.
    ``genuine_tail`` is measured on the validation clips; where it was not, it is 1, the heaviest that well-calibrated
    odds can have in the long run (Markov: genuine odds reach c at most 1 / c of the time).
    """
    return float(max(1, people) ** decision.genuine_tail)


def genuine_tail(log_odds: Sequence[float]) -> float:
    """The tail of the calibrated log odds of genuine clips: Hill's estimator (Hill, Ann. Stat. 1975) of their odds.

    The mean excess of the highest quarter over the next value, plus one standard error, since a tail taken too short
    lets false alarms grow. Fewer than 20 clips say too little: then 1, as in a release that does not state it.
    """
    if len(log_odds) < MIN_TAIL_CLIPS:
        return UNMEASURED_TAIL
    ordered = np.sort(np.asarray(log_odds, np.float64))[::-1]
    count = round(TAIL_SHARE * len(ordered))
    return float((ordered[:count] - ordered[count]).mean() * (1 + 1 / np.sqrt(count)))


def open_reason(probability_fake: float, decision: Decision) -> Reason:
    """Why an INCONCLUSIVE person who was judged is not called: the score itself, or that there are others."""
    return Reason.ONE_OF_SEVERAL if is_fake(probability_fake, decision) else Reason.SCORE_BETWEEN_THRESHOLDS


def confidence(verdict: Verdict, probability_fake: float | None, factor: float = 1.0) -> float | None:
    """The calibrated probability that REAL or FAKE is right; None for the answers that leave it open.

    For FAKE the odds are divided by ``factor``, the crowd's: what chance alone brings about is no confidence.
    """
    if probability_fake is None or verdict not in (Verdict.REAL, Verdict.FAKE):
        return None
    if verdict is Verdict.REAL:
        return 1 - probability_fake
    return probability_fake / (probability_fake + (1 - probability_fake) * factor)


def video_verdict(tracks: Sequence[Track]) -> tuple[Verdict, float | None, tuple[Reason, ...]]:
    """Verdict, probability and reasons of the whole video.

    NO_FACE without people; FAKE when a person is FAKE; REAL when every judged person is REAL and the person seen most
    was judged; else INCONCLUSIVE with the reasons of the people who leave it open. The people's own verdicts have taken
    their number into account (``crowd_factor``). The probability is that of the person most likely to be fake.
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
