"""A linear probe: logistic regression on CLIP's features of single crops, or of low-level views of them.

The tower stays as published; a clip has the mean score of its crops. It tells what is in the features before anything
is trained, and which views of a picture would add to them.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from detector.release import sha256_of
from detector.training.packs import Clip, Pack
from detector.training.pairs import normalised
from detector.vit import VisionTransformer
from detector.vit_shape import SIZE, WIDTH
from detector.weights import load_base

MARGIN = 1.45  # of the crops: face and hair line
PROBE_CROPS, PROBE_TRAIN_CROPS = 4, 2
GAIN = 8.0  # of a residual: its usual extent then fills the range of a picture

Crops = NDArray[np.uint8]  # (N, S, S, 3)
Tell = Callable[[str, int, int], None]


def noise_residual(crops: Crops) -> Crops:
    """What a median of 3 x 3 pixels takes away, GAIN times as strong, around mid-grey; (N, S, S, 3) to the same."""
    return _around_grey(crops, [np.asarray(cv2.medianBlur(crop, 3), np.uint8) for crop in crops])


def upsampling_residual(crops: Crops) -> Crops:
    """What every second pixel, repeated, leaves of a picture, GAIN times as strong, around mid-grey.

    Neighbouring pixels that a generator made of one carry the trace (NPR, Tan et al., CVPR 2024). S must be even.
    """
    return _around_grey(crops, [crop[::2, ::2].repeat(2, axis=0).repeat(2, axis=1) for crop in crops])


def _around_grey(crops: Crops, smooth: Sequence[Crops]) -> Crops:
    residual = crops.astype(np.float32) - np.stack(smooth)
    return np.asarray(np.clip(128 + GAIN * residual, 0, 255), np.uint8)


VIEWS: dict[str, Callable[[Crops], Crops]] = {
    "picture": lambda crops: crops,
    "noise residual": noise_residual,
    "up-sampling residual": upsampling_residual,
}


class Features:
    """CLIP's class tokens of crops under a view, each pack's computed once where there is a ``cache`` folder."""

    def __init__(self, base: Path, cache: Path | None, tell: Tell) -> None:
        self._cache, self._tell = cache, tell
        self._base_sha256 = sha256_of(base)
        self._tower = VisionTransformer()
        self._tower.load_state_dict({name: torch.from_numpy(array) for name, array in load_base(base).items()})
        self._tower.eval()

    def of(self, pack: Pack, per_clip: int, view: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Class tokens (N, 768) of some crops of every clip, and the clips' indices (N,)."""
        rows = [spread(clip, per_clip) for clip in pack.clips]
        owners = np.repeat(np.arange(len(rows)), [len(of_clip) for of_clip in rows])
        kept = None if self._cache is None else self._cache / f"clip-{self._key(pack, rows, view)}.npy"
        if kept is not None and kept.exists():
            return np.asarray(np.load(kept), np.float32), owners
        tokens = []
        for place, of_clip in enumerate(rows):
            tokens.append(self._tokens(VIEWS[view](fitted(pack, of_clip, SIZE, MARGIN))))
            self._tell(f"CLIP features, {view}", place + 1, len(rows))
        found = np.concatenate(tokens)
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            np.save(kept.with_suffix(".part.npy"), found)
            kept.with_suffix(".part.npy").replace(kept)
        return found, owners

    @torch.inference_mode()
    def _tokens(self, crops: Crops) -> NDArray[np.float32]:
        x = normalised(torch.from_numpy(crops.transpose(0, 3, 1, 2).copy()))
        with torch.autocast("cpu", torch.bfloat16):
            tokens = self._tower(x)[:, WIDTH:, 0, 0]
        return np.asarray(tokens.float().numpy(), np.float32)

    def _key(self, pack: Pack, rows: Sequence[Sequence[int]], view: str) -> str:
        digest = hashlib.sha256(f"{self._base_sha256} {MARGIN} {pack.margin} {view} {GAIN} {rows}".encode())
        digest.update(np.ascontiguousarray(pack.jpegs).data)
        return digest.hexdigest()[:16]


class LinearProbe:
    """Trained once, on the crops of ``train`` under all of ``views`` side by side."""

    def __init__(self, features: Features, train: Pack, views: Sequence[str]) -> None:
        self._features, self._train, self._views = features, train, views
        self._fitted: Any = None

    def __call__(self, pack: Pack) -> NDArray[np.float64]:
        """(M,) the mean logit of each clip of ``pack``."""
        if self._fitted is None:
            features, owners = self._of(self._train, PROBE_TRAIN_CROPS)
            labels = np.array([clip.label for clip in self._train.clips])[owners]
            model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=2000))
            self._fitted = model.fit(features, labels)
        features, owners = self._of(pack, PROBE_CROPS)
        logits = self._fitted.decision_function(features)
        return np.array([logits[owners == index].mean() for index in range(len(pack.clips))])

    def _of(self, pack: Pack, per_clip: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        found = [self._features.of(pack, per_clip, view) for view in self._views]
        return np.concatenate([features for features, _ in found], axis=1), found[0][1]


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
