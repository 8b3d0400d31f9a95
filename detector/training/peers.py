"""What others' ways reach on the very crops that our model judges: each a score a clip, measured alike.

- MesoNet's published weights, mean over frames (Afchar et al., WIFS 2018);
- the mean of our backbone's frame scores without a temporal head, as common student projects have it;
- a logistic regression on frozen CLIP ViT-B/16 features of single crops, averaged over a clip (a linear probe);
- and our model itself: the score from which its verdict follows.

Packs must be cut with our model's margin or wider. Nothing here is chosen or fitted on a measured pack.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from detector import intervals, verdict
from detector.inference import Network
from detector.release import sha256_of
from detector.training import mesonet
from detector.training.packs import Clip, Pack
from detector.training.pairs import normalised
from detector.vit import VisionTransformer
from detector.vit_shape import SIZE, WIDTH
from detector.weights import load_base

MARGIN = 1.45  # of MesoNet's and CLIP's crops: face and hair line
CROPS = 12  # of each clip at most, at regular intervals
PROBE_CROPS, PROBE_TRAIN_CROPS = 4, 2
MESONETS = ("Meso4_DF", "Meso4_F2F", "MesoInception_DF", "MesoInception_F2F")

Scores = NDArray[np.float64]  # (M,) one of each clip, rising towards fake
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Peers:
    """What is compared; None leaves a peer out."""

    network: Network | None = None  # ours
    mesonet: Path | None = None  # the folder of MesoNet's weight files
    clip: Path | None = None  # the base file of CLIP's image tower
    train: Pack | None = None  # for the linear probe
    cache: Path | None = None  # folder that keeps CLIP's features of a pack, which take longest


def compare(peers: Peers, packs: Mapping[str, Pack], tell: Tell | None = None) -> dict[str, Any]:
    """The figures of every peer on every pack, as plain JSON values.

    ``tell`` hears what is going on, and how many clips of how many are done. Raises DetectorError or OSError when
    weights cannot be read. The probe costs two passes of CLIP a training clip and four a measured one, 0.15 s each on
    one core that has bfloat16 and 0.4 s elsewhere.
    """
    tell = tell or _ignore
    found: dict[str, dict[str, Any]] = {name: {} for name in packs}
    for words, score in _ways(peers, tell).items():
        for name, pack in packs.items():
            found[name][words] = measure(pack.clips, score(pack))
    release = None if peers.network is None else peers.network.release
    return {
        "model": release and {"name": release.name, "version": release.version, "sha256": release.sha256},
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
        ours = _Ours(peers.network, tell)
        ways["our model"] = lambda pack: ours.of(pack)[0]
        ways[f"mean of frame scores, {peers.network.release.network.backbone}, no temporal head"] = lambda pack: (
            ours.of(pack)[1]
        )
    for name in MESONETS if peers.mesonet is not None else ():
        network = mesonet.load(peers.mesonet / f"{name}.h5") if peers.mesonet else None
        if network is not None:
            ways[f"MesoNet, {name}"] = _Meso(name, network, tell)
    if peers.clip is not None and peers.train is not None:
        ways["linear probe on frozen CLIP ViT-B/16"] = _Probe(peers.clip, peers.train, peers.cache, tell)
    return ways


class _Ours:
    """Track score and mean frame logit of our release, computed once a pack."""

    def __init__(self, network: Network, tell: Tell) -> None:
        self._network, self._tell = network, tell
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
        release, rows = self._network.release, spread(clip, CROPS)
        usable = [
            row
            for row in rows
            if verdict.is_usable(int(pack.face_px[row]), float(pack.sharpness[row]), release.decision)
        ]
        return fitted(pack, usable or rows, release.crop.size, release.crop.margin)


class _Meso:
    def __init__(self, name: str, network: mesonet.MesoNet, tell: Tell) -> None:
        self._name, self._network, self._tell = name, network, tell

    def __call__(self, pack: Pack) -> Scores:
        scores = []
        for index, clip in enumerate(pack.clips):
            crops = fitted(pack, spread(clip, CROPS), mesonet.SIDE, MARGIN)
            scores.append(float(self._network.probability_fake(crops).mean()))
            self._tell(self._name, index + 1, len(pack.clips))
        return np.array(scores)


class _Probe:
    """Logistic regression on CLIP's class tokens of single crops, trained once; a clip has its crops' mean score."""

    def __init__(self, base: Path, train: Pack, cache: Path | None, tell: Tell) -> None:
        self._train, self._cache, self._tell = train, cache, tell
        self._base_sha256 = sha256_of(base)
        self._tower = VisionTransformer()
        self._tower.load_state_dict({name: torch.from_numpy(array) for name, array in load_base(base).items()})
        self._tower.eval()
        self._fitted: Any = None

    def __call__(self, pack: Pack) -> Scores:
        if self._fitted is None:
            features, owners = self._features(self._train, PROBE_TRAIN_CROPS)
            labels = np.array([clip.label for clip in self._train.clips])[owners]
            model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=2000))
            self._fitted = model.fit(features, labels)
        features, owners = self._features(pack, PROBE_CROPS)
        logits = self._fitted.decision_function(features)
        return np.array([logits[owners == index].mean() for index in range(len(pack.clips))])

    def _features(self, pack: Pack, per_clip: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Class tokens (N, 768) of some crops of every clip, and the clips' indices (N,)."""
        rows = [spread(clip, per_clip) for clip in pack.clips]
        owners = np.repeat(np.arange(len(rows)), [len(of_clip) for of_clip in rows])
        kept = None if self._cache is None else self._cache / f"clip-{self._key(pack, rows)}.npy"
        if kept is not None and kept.exists():
            return np.asarray(np.load(kept), np.float32), owners
        tokens = np.concatenate([self._tokens(pack, of_clip, place) for place, of_clip in enumerate(rows)])
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            np.save(kept.with_suffix(".part.npy"), tokens)
            kept.with_suffix(".part.npy").replace(kept)
        return tokens, owners

    @torch.inference_mode()
    def _tokens(self, pack: Pack, rows: Sequence[int], place: int) -> NDArray[np.float32]:
        x = normalised(torch.from_numpy(fitted(pack, rows, SIZE, MARGIN).transpose(0, 3, 1, 2).copy()))
        with torch.autocast("cpu", torch.bfloat16):
            tokens = self._tower(x)[:, WIDTH:, 0, 0]
        self._tell("CLIP features", place + 1, len(pack.clips))
        return np.asarray(tokens.float().numpy(), np.float32)

    def _key(self, pack: Pack, rows: Sequence[Sequence[int]]) -> str:
        digest = hashlib.sha256(f"{self._base_sha256} {MARGIN} {pack.margin} {rows}".encode())
        digest.update(np.ascontiguousarray(pack.jpegs).data)
        return digest.hexdigest()[:16]


def fitted(pack: Pack, rows: Sequence[int], size: int, margin: float) -> NDArray[np.uint8]:
    """Crops (N, size, size, 3) of ``pack`` cut down to ``margin``, or as wide as the pack has them."""
    side = min(pack.size, round(pack.size * margin / pack.margin))
    start = (pack.size - side) // 2
    out = []
    for row in rows:
        inner = pack.crop(row)[start : start + side, start : start + side]
        way = cv2.INTER_AREA if size < side else cv2.INTER_LINEAR
        out.append(inner if size == side else np.asarray(cv2.resize(inner, (size, size), interpolation=way), np.uint8))
    return np.stack(out)


def spread(clip: Clip, count: int) -> list[int]:
    """``count`` rows at regular intervals over the clip, fewer where it has fewer."""
    places = (np.arange(min(count, clip.count)) + 0.5) * clip.count / min(count, clip.count)
    return [clip.first + int(place) for place in places]


def _ignore(words: str, done: int, total: int) -> None:
    """Nobody listens to the progress."""
