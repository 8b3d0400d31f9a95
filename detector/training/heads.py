"""Whether the temporal head earns its place: LSTM, mean of the frames' logits and both, at several frame counts.

As in serving, only usable crops speak, and a clip with too few of them is not judged.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector import intervals, metrics, verdict
from detector.inference import Network
from detector.training.packs import Clip, Pack

COUNTS = (6, 12, 24, 48, 96)  # frames, as far as a pack goes
MEAN = "mean of frames"
DEFINITIONS = {
    "frames": "At even distances over the clip; a clip with fewer crops gives all it has. Only usable ones are judged.",
    "judged": "Clips with enough usable crops at every number of frames; all figures are of these.",
    "spread_between_counts": "Standard deviation of a clip's score between the numbers of frames, over that between "
    "clips.",
    "differences": "Matched AUC of a head less that of the mean of frames on the same clips and frames; paired 95 % "
    "bootstrap over sources, both measured on the same draws.",
}


@dataclass(frozen=True)
class Judged:
    """What the network says of one clip's crops, in order of time."""

    logits: NDArray[np.float32]  # (T,)
    pooled: NDArray[np.float32]  # (T, C)
    usable: NDArray[np.bool_]  # (T,) large and sharp enough to be judged


def measure(network: Network, pack: Pack, counts: Sequence[int] | None = None) -> dict[str, Any]:
    """Every way of joining frames at every number of them (as far as the pack goes by default), as plain JSON values.

    Raises ValueError when ``pack`` is not cut as the network's release says or has too few crops for ``counts``.
    """
    pack.check(network.release.crop)
    counts = counts_for(pack, network.release.decision.min_frames, counts)
    release, crops = network.release, [clip.count for clip in pack.clips]
    return {
        "model": {"name": release.name, "version": release.version, "sha256": release.sha256},
        "temporal_share": release.decision.temporal_share,
        "clips": len(pack.clips),
        "crops": {"least": min(crops), "median": float(np.median(crops)), "most": max(crops)},
        **compare(network, pack.clips, judge(network, pack), counts),
        "definitions": DEFINITIONS,
    }


def counts_for(pack: Pack, least: int, counts: Sequence[int] | None = None) -> list[int]:
    """The numbers of frames to compare: ``counts``, or those of COUNTS that the pack can give and the most it can."""
    most = max(clip.count for clip in pack.clips)
    if counts is None:
        return sorted({count for count in COUNTS if least <= count < most} | {most})
    for count in counts:
        if not least <= count <= most:
            raise ValueError(
                f"{count} frames cannot be compared: a clip of this pack has up to {most} crops, and the model judges "
                f"from {least} on; cut a pack with more by `prepare --frames`"
            )
    return sorted(set(counts))


def judge(network: Network, pack: Pack) -> list[Judged]:
    """Every crop of every clip of ``pack``, which must be cut as the network's release says."""
    found, decision = [], network.release.decision
    for clip in pack.clips:
        rows = range(clip.first, clip.first + clip.count)
        output = network.frames(np.stack([pack.crop(row) for row in rows]))
        usable = [verdict.is_usable(int(pack.face_px[row]), float(pack.sharpness[row]), decision) for row in rows]
        found.append(Judged(output.logits, output.pooled, np.array(usable)))
    return found


def compare(network: Network, clips: Sequence[Clip], judged: Sequence[Judged], counts: Sequence[int]) -> dict[str, Any]:
    """Matched AUC, its interval over sources and overall AUC, for each way of joining frames and each number of them.

    The matched data sets are those of all ``clips``. Raises ValueError when no clip of one label can be judged.
    """
    spread = {count: [_usable(one, count) for one in judged] for count in counts}
    least = network.release.decision.min_frames
    kept = [at for at in range(len(clips)) if all(len(of_count[at].logits) >= least for of_count in spread.values())]
    labels = np.array([clips[at].label for at in kept])
    if len(set(labels.tolist())) < 2:
        raise ValueError("the pack does not hold both genuine and fake clips with enough usable crops")
    datasets, sources = [clips[at].dataset for at in kept], [clips[at].source for at in kept]
    sets = list(metrics.matched_sets([clip.label for clip in clips], [clip.dataset for clip in clips]))
    rows, differences = [], []
    plain: dict[int, NDArray[np.float64]] = {}
    for name, join in _ways(network).items():
        columns = {count: np.array([join(of_count[at]) for at in kept]) for count, of_count in spread.items()}
        plain = plain or columns
        table = np.stack([*columns.values()])
        unsteady = float(table.std(axis=0).mean() / max(table.std(axis=1).mean(), 1e-9))
        for count, scores in columns.items():
            found = intervals.ranking(labels, scores, datasets, sources, among=sets)
            rows.append(
                {
                    "head": name,
                    "frames": count,
                    "matched_auc": found["matched_auc"],
                    "interval": found["matched_auc_interval"],
                    "auc": found["auc"],
                    "spread_between_counts": round(unsteady, 4),
                }
            )
            if name != MEAN and found["matched_auc"] is not None:
                differences.append(
                    {
                        "head": name,
                        "against": MEAN,
                        "frames": count,
                        **_difference(labels, scores, plain[count], datasets, sources, sets),
                    }
                )
    return {"judged": len(kept), "sources": len(set(sources)), "heads": rows, "differences": differences}


def _difference(
    labels: NDArray[np.int64],
    scores: NDArray[np.float64],
    others: NDArray[np.float64],
    datasets: Sequence[str],
    sources: Sequence[str],
    sets: Sequence[str],
) -> dict[str, Any]:
    gain = metrics.matched_auc(labels, scores, datasets, sets) - metrics.matched_auc(labels, others, datasets, sets)
    found = intervals.matched_auc_difference_interval(labels, scores, others, datasets, sources, among=sets)
    return {
        "difference": round(gain, 4),
        "interval": None if found is None else [round(bound, 4) for bound in found],
    }


def _ways(network: Network) -> Mapping[str, Callable[[Judged], float]]:
    """The mean of frames first; without an LSTM there is nothing to set beside it."""
    ways: dict[str, Callable[[Judged], float]] = {MEAN: lambda one: float(np.mean(one.logits))}
    if network.release.network.recurrence == "lstm":
        ways["LSTM"] = lambda one: network.track_logit(one.pooled)
        ways["both"] = lambda one: verdict.track_score(
            network.track_logit(one.pooled), list(one.logits), network.release
        )
    return ways


def _usable(one: Judged, count: int) -> Judged:
    """The usable ones of ``count`` crops at even distances."""
    chosen = np.unique(np.linspace(0, len(one.logits) - 1, count).round().astype(int))
    chosen = chosen[one.usable[chosen]]
    return Judged(one.logits[chosen], one.pooled[chosen], one.usable[chosen])
