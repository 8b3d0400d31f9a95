"""Prepares a released model for being served in int8 (detector/int8.py), and says what that does to its answers."""

from dataclasses import dataclass

import numpy as np
import openvino
from numpy.typing import NDArray

from detector import int8, metrics, verdict
from detector.inference import BATCH, Network, build_graph, in_trained_order
from detector.precision import Precision
from detector.release import INT8, Release
from detector.runtime import core
from detector.training import heads
from detector.training.export import write_checksums
from detector.training.linear_probe import fitted, spread
from detector.training.packs import Pack
from detector.weights import SCALE, Arrays, stored

GROUP_SIZE = 128  # activations that share a scale: groups of 32 take a quarter longer, and round little less
TOLD_APART = 0.9999  # of what enters a convolution, for one crop, that is told apart; the few values beyond are cut off
CROPS = 120  # at most that activation ranges are taken from


@dataclass(frozen=True)
class Difference:
    """What int8 changes on the clips of a pack that have enough usable crops."""

    clips: int
    matched_auc: tuple[float, float]  # in float32, in int8; NaN where no data set holds both labels
    auc: tuple[float, float]
    mean: float  # of the absolute differences of a clip's probability
    most: float
    verdicts: int  # that differ, each clip's person alone


def quantise(release: Release, videos: Pack) -> int8.Plan:
    """Write the release's int8 plan, then the folder's checksums anew, without which the plan does not count.

    Activation ranges are taken from crops of the training pack ``videos``, cut at least as wide as the release cuts.
    Raises ValueError where there is a plan already, since results say only that they were computed in int8, and for a
    network that cannot be served so.
    """
    if release.is_quantised:
        raise ValueError(f"{release.folder} can be served in int8 already; give another version another plan")
    arrays = stored(release)
    if any(name.endswith(SCALE) for name in arrays):
        plan = int8.Plan(group_size=GROUP_SIZE)
    else:
        chosen = [spread(clip, 1)[0] for clip in videos.clips[:: -(-len(videos.clips) // CROPS)]]
        crops = fitted(videos, chosen, release.crop.size, release.crop.margin)
        plan = int8.Plan(activation_ranges=activation_ranges(release, arrays, crops))
    int8.write_plan(release.folder, plan)
    write_checksums(release.folder)
    return plan


def take_back(release: Release) -> None:
    """Remove the plan that ``quantise`` wrote, so that the release is served in single precision as before."""
    (release.folder / INT8).unlink()
    write_checksums(release.folder)


def activation_ranges(release: Release, arrays: Arrays, crops: NDArray[np.uint8]) -> dict[str, float]:
    """For each convolution what TOLD_APART of its inputs do not pass, in the crop (of N) where that is most.

    crops: (N, S, S, 3) uint8 RGB. Raises ValueError where the network has no such convolutions.
    """
    graph = build_graph(release, arrays)
    inputs = int8.convolution_inputs(graph)
    if not inputs:
        raise ValueError(f"{release.name} {release.version} has nothing that could be served in int8")
    taps = openvino.Model(list(inputs.values()), graph.get_parameters(), "convolution_inputs")
    compiled = core().compile_model(taps, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    most = dict.fromkeys(inputs, 1e-6)  # of one into which nothing but zeros comes
    ordered = in_trained_order(crops, release)
    for start in range(0, len(crops), BATCH):
        found = compiled(np.ascontiguousarray(ordered[start : start + BATCH]))
        for place, name in enumerate(most):
            tops = np.quantile(found[place], TOLD_APART, axis=tuple(range(1, found[place].ndim)))
            most[name] = max(most[name], float(tops.max()))
    return {name: float(f"{top:.4g}") for name, top in most.items()}


def compare(exact: Network, rounded: Network, pack: Pack) -> Difference:
    """What the same release answers in float32 and in int8 about the clips of ``pack``, cut as it is served.

    Raises ValueError where ``rounded`` does not compute in int8, and where fewer than two classes can be judged.
    """
    pack.check(exact.release.crop)
    if rounded.precision is not Precision.INT8:
        raise ValueError(f"{exact.release.name} {exact.release.version} cannot compute in int8 on this processor.")
    both = [heads.judge(network, pack) for network in (exact, rounded)]
    rows = [place for place, one in enumerate(both[0]) if one.usable.sum() >= exact.release.decision.min_frames]
    clips = [pack.clips[place] for place in rows]
    labels = np.array([clip.label for clip in clips])
    if len(set(labels)) < 2:
        raise ValueError("the pack does not hold both genuine and fake clips that can be judged")
    before, after = (
        _probabilities(network, [one[place] for place in rows])
        for network, one in zip((exact, rounded), both, strict=True)
    )
    datasets = [clip.dataset for clip in clips]
    is_matched = bool(metrics.matched_sets(labels, datasets))
    matched = [
        metrics.matched_auc(labels, scores, datasets) if is_matched else float("nan") for scores in (before, after)
    ]
    apart = np.abs(after - before)
    return Difference(
        len(rows),
        (matched[0], matched[1]),
        (metrics.auc(labels, before), metrics.auc(labels, after)),
        float(apart.mean()),
        float(apart.max()),
        sum(
            verdict.answer(one, exact.release.decision) is not verdict.answer(other, exact.release.decision)
            for one, other in zip(before, after, strict=True)
        ),
    )


def _probabilities(network: Network, judged: list[heads.Judged]) -> NDArray[np.float64]:
    found = []
    for one in judged:
        temporal = network.track_logit(one.pooled[one.usable])
        found.append(verdict.track_probability(temporal, list(one.logits[one.usable]), network.release))
    return np.array(found)
