"""Linear probing before fine-tuning (LP-FT; Kumar et al., ICLR 2022): fits the frame head on features computed once.

A head that begins at zero sends back gradients that say little, and every weight of the backbone moves after them; one
that was fitted on what the backbone knows already leaves less to undo.
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

PENALTIES = (1e2, 1e3, 1e4, 1e5, 1e6)  # times half the squared weights of the head, beside the sum of the losses
KEPT_ASIDE = 0.2  # of the batches, to choose among them

Arrays = Sequence[NDArray[Any]]


@dataclass(frozen=True)
class Fitted:
    """How it went, for the run's log."""

    crops: int
    loss: float  # cross-entropy of the crops kept aside; ln 2 = 0.693 for a head that knows nothing. They may show the
    # same people: it compares penalties, and says nothing of people who were never seen.
    penalty: float
    took_s: float


@torch.no_grad()
def fit(model: Detector, batches: Iterable[tuple[Tensor, Tensor]], size: int) -> Fitted:
    """Set the frame head of ``model`` to a logistic regression on the pooled features of ``batches``.

    batches: uint8 crops (N, 3, S, S), scaled to ``size`` here, and labels (N,), 1 for fake. The backbone stays as it is
    and computes as in serving, with its running statistics. The penalty is the one that does best on the last fifth of
    the batches, at least one; the head is then fitted on all. Two batches are the least.
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
    aside = max(1, round(KEPT_ASIDE * len(features)))
    losses = {
        penalty: _loss(_regression(features[:-aside], labels[:-aside], penalty), features[-aside:], labels[-aside:])
        for penalty in PENALTIES
    }
    best = min(PENALTIES, key=losses.__getitem__)
    scaler, regression = _regression(features, labels, best)
    weight = regression.coef_ / scaler.scale_
    model.frame_head.weight.copy_(torch.from_numpy(weight))
    model.frame_head.bias.copy_(torch.from_numpy(regression.intercept_ - weight @ scaler.mean_))
    return Fitted(sum(map(len, labels)), round(losses[best], 4), best, round(time.monotonic() - started, 1))


def _regression(features: Arrays, labels: Arrays, penalty: float) -> Pipeline:
    regression = LogisticRegression(C=1 / penalty, max_iter=2000)
    return make_pipeline(StandardScaler(), regression).fit(np.concatenate(features), np.concatenate(labels))


def _loss(fitted: Pipeline, features: Arrays, labels: Arrays) -> float:
    return float(log_loss(np.concatenate(labels), fitted.predict_proba(np.concatenate(features))))
