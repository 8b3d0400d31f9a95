"""The head of imported student checkpoints: an LSTM that starts anew at every frame, and a linear layer.

Such checkpoints build their LSTM without batch_first and hand it (batch, time, features). With one video at a time it
takes the frames for sequences of their own, each one step long: the state before each is zero, so neither the recurrent
weights nor the forget gate ever act. What is left is a function of one frame.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from detector.logistic import sigmoid

RECURRENCES = ("last_frame", "frame_mean")  # which frames decide; release.NetworkShape names it

Weights = Mapping[str, NDArray[np.float32]]


def frame_logits(pooled: NDArray[np.float32], head: Weights) -> NDArray[np.float32]:
    """(N, C) pooled features -> (N,) logits of fake against genuine.

    head: lstm.weight (3H, C) and lstm.bias (3H,), the input gate, the candidate and the output gate one after another;
    classify.weight (2, H) and classify.bias (2,), genuine and fake.
    """
    gates = pooled @ head["lstm.weight"].T + head["lstm.bias"]
    enter, candidate, leave = np.split(gates, 3, axis=1)
    hidden = sigmoid(leave) * np.tanh(sigmoid(enter) * np.tanh(candidate))
    genuine, fake = (hidden @ head["classify.weight"].T + head["classify.bias"]).T
    return np.asarray(fake - genuine, np.float32)


def track_logit(pooled: NDArray[np.float32], head: Weights, recurrence: str) -> float:
    """The logit of one track's (T, C) features in order of time: of its last frame, or the mean over its frames."""
    if recurrence == "last_frame":
        return float(frame_logits(pooled[-1:], head)[0])
    return float(frame_logits(pooled, head).mean())
