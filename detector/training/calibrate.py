"""Fits calibration, thresholds and the temporal head's share on a validation pack, through the network as served."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from detector import verdict
from detector.inference import Network
from detector.release import Calibration, Decision
from detector.training.packs import Pack

HIGHEST = 0.99  # a threshold here means that the verdict is practically never given
SHARES = (0.1, 0.2, 0.35, 0.5, 0.75, 1.0)  # the LSTM always has a say


@dataclass(frozen=True)
class Targets:
    """What the thresholds promise on the validation clips."""

    real_called_fake: float = 0.05
    fake_called_real: float = 0.10
    wrong: float = 0.20  # of the verdicts given, both classes weighing the same
    support: int = 10  # clips beyond a threshold, below which nothing is concluded from them


def calibrate(network: Network, pack: Pack, decision: Decision, targets: Targets) -> tuple[Calibration, Decision]:
    """Platt scaling (Platt, 1999) of frames and tracks with both classes weighing the same, then both thresholds.

    Before that the temporal head gets its share in a track's score (``temporal_share``).
    FAKE begins, and REAL ends, where ``targets`` hold from there on, never on the wrong side of one half; a verdict for
    which they hold nowhere gets a threshold of HIGHEST, so that it is practically never given. The tail of the genuine
    clips' log odds goes with them: it says what a crowd needs (verdict.crowd_factor).
    """
    pack.check(network.release.crop)
    seen = _judged(network, pack, decision)
    labels, share = seen.labels, decision.temporal_share
    if network.release.network.recurrence == "lstm":
        share = temporal_share(seen.temporal, seen.frames, labels)
        track_scores = verdict.joined(seen.temporal, seen.frames, share)
    else:
        track_scores = seen.temporal
    track_scale, track_offset = _platt(track_scores, labels)
    frame_scale, frame_offset = _platt(seen.logits, seen.logit_labels)
    calibration = Calibration(frame_scale, frame_offset, track_scale, track_offset)
    probabilities = np.array([verdict.sigmoid(track_scale * score + track_offset) for score in track_scores])
    fake, real = thresholds(probabilities, labels, targets)
    tail = round(verdict.genuine_tail(list(track_scale * track_scores[labels == 0] + track_offset)), 3)
    fitted = replace(decision, threshold_fake=fake, threshold_real=real, genuine_tail=tail, temporal_share=share)
    return calibration, fitted


def temporal_share(temporal: NDArray[np.float64], frames: NDArray[np.float64], labels: NDArray[np.int_]) -> float:
    """The share out of SHARES whose joint score (M,), after Platt scaling, has the least log loss; the least of equals.

    Both classes weigh the same. Log loss tells shares apart more steadily than the few pairs that an AUC counts.
    """
    losses = []
    for share in SHARES:
        scores = verdict.joined(temporal, frames, share)
        scale, offset = _platt(scores, labels)
        margins = np.where(labels == 1, 1, -1) * (scale * scores + offset)
        lost = np.logaddexp(0, -margins)
        losses.append(float(lost[labels == 0].mean() + lost[labels == 1].mean()))
    return SHARES[int(np.argmin(np.round(losses, 6)))]


def thresholds(probabilities: NDArray[np.float64], labels: NDArray[np.int_], targets: Targets) -> tuple[float, float]:
    """The thresholds of FAKE and REAL for probabilities (M,) and labels (M,), to three digits away from one half."""
    fake = _threshold(probabilities, labels == 1, targets.real_called_fake, targets)
    real = _threshold(1 - probabilities, labels == 0, targets.fake_called_real, targets)
    return fake, round(1 - real, 3)


def _threshold(scores: NDArray[np.float64], right: NDArray[np.bool_], false_alarms: float, targets: Targets) -> float:
    """The least score from one half on from which a verdict holds its targets there and everywhere beyond."""
    best = HIGHEST
    for candidate in sorted({float(np.floor(score * 1000) / 1000) for score in scores if score >= 0.5}, reverse=True):
        given = scores >= candidate
        if given.sum() < targets.support:
            continue
        alarms, hits = float(given[~right].mean()), float(given[right].mean())
        if alarms > false_alarms or alarms > targets.wrong * (alarms + hits):
            break
        best = min(HIGHEST, candidate)
    return best


@dataclass(frozen=True)
class _Judged:
    """What both heads say of the M clips that serving would judge, and of their usable frames."""

    temporal: NDArray[np.float64]  # (M,)
    frames: NDArray[np.float64]  # (M,) mean logit
    labels: NDArray[np.int_]  # (M,)
    logits: NDArray[np.float64]  # of every usable frame
    logit_labels: NDArray[np.int_]


def _judged(network: Network, pack: Pack, decision: Decision) -> _Judged:
    temporal, frames, clip_labels, logits, labels = [], [], [], [], []
    for clip in pack.clips:
        rows = range(clip.first, clip.first + clip.count)
        usable = [i for i in rows if verdict.is_usable(int(pack.face_px[i]), float(pack.sharpness[i]), decision)]
        if len(usable) < decision.min_frames:
            continue
        output = network.frames(np.stack([pack.crop(index) for index in usable]))
        temporal.append(network.track_logit(output.pooled))
        frames.append(float(output.logits.mean()))
        clip_labels.append(clip.label)
        logits += list(output.logits)
        labels += [clip.label] * len(output.logits)
    if len(set(clip_labels)) < 2:
        raise ValueError("the pack does not hold both genuine and fake clips that can be judged")
    return _Judged(
        np.array(temporal, np.float64),
        np.array(frames, np.float64),
        np.array(clip_labels),
        np.array(logits, np.float64),
        np.array(labels),
    )


def _platt(scores: NDArray[np.float64], labels: NDArray[np.int_]) -> tuple[float, float]:
    fitted = LogisticRegression(C=1e6, class_weight="balanced").fit(scores[:, None], labels)
    return float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
