"""Fits the frame head on the features of a backbone that knows nothing of fakes yet, before both are trained on.

A head that begins at zero sends back gradients that say little, and every weight of the backbone moves after them. One
that is fitted first, on features computed once and kept, leaves less to undo (Kumar et al., ICLR 2022).
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from detector.model import Detector
from detector.training.pairs import normalised
from detector.training.teacher import resized

STRENGTHS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)  # inverses of the penalty on the head's weights
KEPT_ASIDE = 0.2  # of the batches, to choose among them

Arrays = Sequence[NDArray[Any]]


@dataclass(frozen=True)
class Fitted:
    """How it went, for the run's log."""

    crops: int
    loss: float  # cross-entropy of the crops kept aside; ln 2 = 0.693 for a head that knows nothing
    strength: float
    took_s: float


@torch.no_grad()
def fit(model: Detector, batches: Iterable[tuple[Tensor, Tensor]], size: int) -> Fitted:
    """Set the frame head of ``model`` to a logistic regression on the pooled features of ``batches``.

    batches: uint8 crops (N, 3, S, S), scaled to ``size`` here, and labels (N,), 1 for fake. The backbone stays as it is
    and computes as in serving, with its running statistics. The penalty is the one that does best on the last fifth of
    the batches, at least one; the head is then fitted on all. Raises ValueError for fewer than two batches.
    """
    started = time.monotonic()
    device = model.frame_head.weight.device
    model.eval()
    features, labels = [], []
    for crops, wanted in batches:
        x = normalised(resized(crops.to(device), size)).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16):
            maps = model.features(x)
        features.append(maps.float().mean(dim=(2, 3)).cpu().numpy())
        labels.append(wanted.numpy().astype(np.int64))
    if len(features) < 2:
        raise ValueError("a head is fitted first on at least two batches")
    aside = max(1, round(KEPT_ASIDE * len(features)))
    losses = {
        strength: _loss(_regression(features[:-aside], labels[:-aside], strength), features[-aside:], labels[-aside:])
        for strength in STRENGTHS
    }
    best = min(STRENGTHS, key=losses.__getitem__)
    scaler, regression = _regression(features, labels, best)
    weight = regression.coef_ / scaler.scale_
    model.frame_head.weight.copy_(torch.from_numpy(weight))
    model.frame_head.bias.copy_(torch.from_numpy(regression.intercept_ - weight @ scaler.mean_))
    return Fitted(sum(map(len, labels)), round(losses[best], 4), best, round(time.monotonic() - started, 1))


def _regression(features: Arrays, labels: Arrays, strength: float) -> Pipeline:
    regression = LogisticRegression(C=strength, max_iter=2000)
    return make_pipeline(StandardScaler(), regression).fit(np.concatenate(features), np.concatenate(labels))


def _loss(fitted: Pipeline, features: Arrays, labels: Arrays) -> float:
    return float(log_loss(np.concatenate(labels), fitted.predict_proba(np.concatenate(features))))
