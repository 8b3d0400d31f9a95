"""Whether the temporal head earns its place: LSTM, mean of the frames' logits and both, at several frame counts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector import intervals, metrics, verdict
from detector.inference import Network
from detector.training.packs import Pack


@dataclass(frozen=True)
class Judged:
    """What the network says of one clip's crops, in order of time."""

    logits: NDArray[np.float32]  # (T,)
    pooled: NDArray[np.float32]  # (T, C)


def judge(network: Network, pack: Pack) -> list[Judged]:
    """Every crop of every clip of ``pack``, which must be cut as the network's release says."""
    found = []
    for clip in pack.clips:
        output = network.frames(np.stack([pack.crop(clip.first + offset) for offset in range(clip.count)]))
        found.append(Judged(output.logits, output.pooled))
    return found


def compare(network: Network, pack: Pack, judged: Sequence[Judged], counts: Sequence[int]) -> list[dict[str, Any]]:
    """Matched AUC, its interval over sources and overall AUC, for each way of joining frames and each number of them.

    ``counts`` are frames at even distances; a clip with fewer crops gives all it has. The standard deviation of a
    clip's score between the numbers of frames, over that between clips, says how stable an answer is.
    """
    labels = np.array([clip.label for clip in pack.clips])
    datasets, sources = [clip.dataset for clip in pack.clips], [clip.source for clip in pack.clips]
    rows = []
    for name, join in _ways(network).items():
        columns = {count: np.array([join(_spread(one, count)) for one in judged]) for count in counts}
        table = np.stack([*columns.values()])
        spread = float(table.std(axis=0).mean() / max(table.std(axis=1).mean(), 1e-9))
        for count, scores in columns.items():
            interval = intervals.matched_auc_interval(labels, scores, datasets, sources)
            rows.append(
                {
                    "head": name,
                    "frames": count,
                    "matched_auc": round(metrics.matched_auc(labels, scores, datasets), 4),
                    "interval": None if interval is None else [round(bound, 4) for bound in interval],
                    "auc": round(metrics.auc(labels, scores), 4),
                    "spread_between_counts": round(spread, 4),
                }
            )
    return rows


def _ways(network: Network) -> Mapping[str, Callable[[Judged], float]]:
    return {
        "mean of frames": lambda one: float(np.mean(one.logits)),
        "LSTM": lambda one: network.track_logit(one.pooled),
        "both": lambda one: verdict.track_score(network.track_logit(one.pooled), list(one.logits)),
    }


def _spread(one: Judged, count: int) -> Judged:
    chosen = np.unique(np.linspace(0, len(one.logits) - 1, count).round().astype(int))
    return Judged(one.logits[chosen], one.pooled[chosen])
