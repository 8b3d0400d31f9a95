"""What others' ways reach on the very crops that our model judges: each a score a clip, measured alike.

- MesoNet's published weights, mean over frames (Afchar et al., WIFS 2018);
- the mean of our backbone's frame scores without a temporal head, as common student projects have it;
- a logistic regression on frozen CLIP ViT-B/16 features of single crops, averaged over a clip (a linear probe);
- the same on low-level views of the crops, by themselves and beside the picture;
- and our model itself: the score from which its verdict follows.

Packs must be cut with our model's margin or wider. Nothing here is chosen or fitted on a measured pack.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector import intervals, verdict
from detector.inference import Network
from detector.training import linear_probe, mesonet
from detector.training.linear_probe import MARGIN, Tell, fitted, spread
from detector.training.packs import Clip, Pack

CROPS = 12  # of each clip at most, at regular intervals, unless told otherwise
MESONETS = ("Meso4_DF", "Meso4_F2F", "MesoInception_DF", "MesoInception_F2F")
PROBE = "linear probe on frozen CLIP ViT-B/16"
PROBES = {
    PROBE: ("picture",),
    f"{PROBE}, noise residual": ("noise residual",),
    f"{PROBE}, picture and noise residual": ("picture", "noise residual"),
    f"{PROBE}, up-sampling residual": ("up-sampling residual",),
    f"{PROBE}, picture and up-sampling residual": ("picture", "up-sampling residual"),
}

Scores = NDArray[np.float64]  # (M,) one of each clip, rising towards fake


@dataclass(frozen=True)
class Peers:
    """What is compared; None leaves a peer out."""

    network: Network | None = None  # ours
    mesonet: Path | None = None  # the folder of MesoNet's weight files
    clip: Path | None = None  # the base file of CLIP's image tower
    train: Pack | None = None  # for the linear probe
    cache: Path | None = None  # folder that keeps CLIP's features of a pack, which take longest
    crops: int = CROPS  # of each clip at most, at regular intervals; the probes have counts of their own


def compare(peers: Peers, packs: Mapping[str, Pack], tell: Tell | None = None) -> dict[str, Any]:
    """The figures of every peer on every pack, as plain JSON values.

    ``tell`` hears what is going on, and how many clips of how many are done. Raises DetectorError or OSError when
    weights cannot be read. The probes cost three views' passes of CLIP for two crops a training clip and four a
    measured one, 0.15 s each on one core that has bfloat16 and 0.4 s elsewhere.
    """
    tell = tell or _ignore
    found: dict[str, dict[str, Any]] = {name: {} for name in packs}
    for words, score in _ways(peers, tell).items():
        for name, pack in packs.items():
            found[name][words] = measure(pack.clips, score(pack))
    release = None if peers.network is None else peers.network.release
    return {
        "model": release and {"name": release.name, "version": release.version, "sha256": release.sha256},
        "crops_per_clip": peers.crops,
        "packs": {
            name: {
                "clips": len(pack.clips),
                "crops": len(pack.time_s),
                "sources": len({clip.source for clip in pack.clips}),
                "peers": found[name],
            }
            for name, pack in packs.items()
        },
    }


def measure(clips: Sequence[Clip], scores: Scores) -> dict[str, Any]:
    """Matched and overall AUC of ``scores`` with their intervals over sources."""
    labels, datasets = [clip.label for clip in clips], [clip.dataset for clip in clips]
    return intervals.ranking(labels, scores, datasets, [clip.source for clip in clips])


def _ways(peers: Peers, tell: Tell) -> dict[str, Callable[[Pack], Scores]]:
    ways: dict[str, Callable[[Pack], Scores]] = {}
    if peers.network is not None:
        ours = _Ours(peers.network, peers.crops, tell)
        ways["our model"] = lambda pack: ours.of(pack)[0]
        ways[f"mean of frame scores, {peers.network.release.network.backbone}, no temporal head"] = lambda pack: (
            ours.of(pack)[1]
        )
    for name in MESONETS if peers.mesonet is not None else ():
        network = mesonet.load(peers.mesonet / f"{name}.h5") if peers.mesonet else None
        if network is not None:
            ways[f"MesoNet, {name}"] = _Meso(name, network, peers.crops, tell)
    if peers.clip is not None and peers.train is not None:
        features = linear_probe.Features(peers.clip, peers.cache, tell)
        for words, views in PROBES.items():
            ways[words] = linear_probe.LinearProbe(features, peers.train, views)
    return ways


class _Ours:
    """Track score and mean frame logit of our release, computed once a pack."""

    def __init__(self, network: Network, count: int, tell: Tell) -> None:
        self._network, self._count, self._tell = network, count, tell
        self._known: dict[int, tuple[Scores, Scores]] = {}

    def of(self, pack: Pack) -> tuple[Scores, Scores]:
        if id(pack) not in self._known:
            tracks, frames = [], []
            for index, clip in enumerate(pack.clips):
                output = self._network.frames(self._crops(pack, clip))
                temporal = self._network.track_logit(output.pooled)
                frames.append(float(output.logits.mean()))
                tracks.append(verdict.track_score(temporal, list(output.logits), self._network.release))
                self._tell("our model", index + 1, len(pack.clips))
            self._known[id(pack)] = np.array(tracks), np.array(frames)
        return self._known[id(pack)]

    def _crops(self, pack: Pack, clip: Clip) -> NDArray[np.uint8]:
        """Those a verdict would rest on; all where too few are usable."""
        release, rows = self._network.release, spread(clip, self._count)
        usable = [
            row
            for row in rows
            if verdict.is_usable(int(pack.face_px[row]), float(pack.sharpness[row]), release.decision)
        ]
        return fitted(pack, usable or rows, release.crop.size, release.crop.margin)


class _Meso:
    def __init__(self, name: str, network: mesonet.MesoNet, count: int, tell: Tell) -> None:
        self._name, self._network, self._count, self._tell = name, network, count, tell

    def __call__(self, pack: Pack) -> Scores:
        scores = []
        for index, clip in enumerate(pack.clips):
            crops = fitted(pack, spread(clip, self._count), mesonet.SIDE, MARGIN)
            scores.append(float(self._network.probability_fake(crops).mean()))
            self._tell(self._name, index + 1, len(pack.clips))
        return np.array(scores)


def _ignore(words: str, done: int, total: int) -> None:
    """Nobody listens to the progress."""
