"""Fits calibration and thresholds on a validation pack, through the network as it is served."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from detector import verdict
from detector.inference import Network
from detector.release import Calibration, Decision
from detector.training.packs import Pack

HIGHEST = 0.99  # thresholds beyond it would rest on the fit's tails, and FAKE or REAL hardly ever be said


@dataclass(frozen=True)
class Targets:
    """What the thresholds promise on the validation clips."""

    real_called_fake: float = 0.05
    fake_called_real: float = 0.10


def calibrate(network: Network, pack: Pack, decision: Decision, targets: Targets) -> tuple[Calibration, Decision]:
    """Platt scaling (Platt, 1999) of frames and tracks with both classes weighing the same, then both thresholds.

    FAKE begins where at most ``targets.real_called_fake`` of the genuine clips lie beyond, REAL ends where at most
    ``targets.fake_called_real`` of the fake ones lie below; never on the wrong side of one half.
    """
    labels = np.array([clip.label for clip in pack.clips])
    track_scores, frame_logits, frame_labels = _scores(network, pack, decision)
    track_scale, track_offset = _platt(track_scores, labels)
    frame_scale, frame_offset = _platt(frame_logits, frame_labels)
    calibration = Calibration(frame_scale, frame_offset, track_scale, track_offset)
    probabilities = np.array([verdict.sigmoid(track_scale * score + track_offset) for score in track_scores])
    fake, real = thresholds(probabilities, labels, targets)
    return calibration, replace(decision, threshold_fake=fake, threshold_real=real)


def thresholds(probabilities: NDArray[np.float64], labels: NDArray[np.int_], targets: Targets) -> tuple[float, float]:
    """The thresholds of FAKE and REAL for probabilities (M,) and labels (M,), rounded away from one half."""
    fake = float(np.quantile(probabilities[labels == 0], 1 - targets.real_called_fake))
    real = float(np.quantile(probabilities[labels == 1], targets.fake_called_real))
    return (
        min(HIGHEST, float(np.ceil(max(fake, 0.5) * 1000) / 1000)),
        max(1 - HIGHEST, float(np.floor(min(real, 0.5) * 1000) / 1000)),
    )


def _scores(
    network: Network, pack: Pack, decision: Decision
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int_]]:
    """Track scores (M,), and the logits and labels of all frames."""
    scores, logits, labels = [], [], []
    for clip in pack.clips:
        rows = range(clip.first, clip.first + clip.count)
        usable = [i for i in rows if verdict.is_usable(int(pack.face_px[i]), float(pack.sharpness[i]), decision)]
        output = network.frames(np.stack([pack.crop(index) for index in usable or rows]))
        scores.append(verdict.track_score(network.track_logit(output.pooled), list(output.logits)))
        logits += list(output.logits)
        labels += [clip.label] * len(output.logits)
    return np.array(scores), np.array(logits, np.float64), np.array(labels)


def _platt(scores: NDArray[np.float64], labels: NDArray[np.int_]) -> tuple[float, float]:
    fitted = LogisticRegression(C=1e6, class_weight="balanced").fit(scores[:, None], labels)
    return float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
