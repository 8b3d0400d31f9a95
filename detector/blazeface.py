"""BlazeFace (Bazarevsky et al., 2019), the face finder: small, turned and dark faces too.

The full-range model lies inside the mediapipe wheel (Apache-2.0); only that file is read, by OpenVINO.
"""

import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.errors import DetectorError, ErrorCode
from detector.runtime import SmallGraph, core

SIDE = 192  # of the model's square input
SCALED = (np.arange(256) / 127.5 - 1).astype(np.float32)  # a pixel's value as the model takes it
CELLS = 48  # one anchor in the middle of each of 48 x 48 cells
MODEL_FILE = "modules/face_detection/face_detection_full_range_sparse.tflite"


@dataclass(frozen=True)
class Detections:
    """N faces in pixels of the picture."""

    keypoints: NDArray[np.float32]  # (N, 6, 2): the eyes, nose tip, mouth, the ears
    scores: NDArray[np.float32]  # (N,) between 0 and 1


def model_path() -> Path:
    """Where the model file lies. Raises DetectorError(MODEL_MISSING) when the mediapipe wheel is not installed."""
    found = importlib.util.find_spec("mediapipe")
    folders = found.submodule_search_locations if found else None
    path = Path(folders[0]) / MODEL_FILE if folders else None
    if path is None or not path.is_file():
        raise DetectorError(ErrorCode.MODEL_MISSING, "The face finder's model is missing; run `make setup` again.")
    return path


def detect(picture: NDArray[np.uint8], min_score: float) -> Detections:
    """Faces in a (H, W, 3) uint8 RGB picture, overlapping hits included; about 5 ms. Threads may call it at once.

    The picture is scaled linearly to fit a square of 192 px, in which faces from about 12 px are found; one more than
    twice as large is to be halved before (pyramid.py).
    """
    height, width = picture.shape[:2]
    scale = SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
    square = np.zeros((1, SIDE, SIDE, 3), np.float32)
    square[0, : small.shape[0], : small.shape[1]] = cv2.LUT(small, SCALED)
    values, logits = _graph()(square)
    scores = 1 / (1 + np.exp(-np.clip(logits[:, 0], -50, 50)))
    keep = np.flatnonzero(scores >= min_score)
    anchors = np.stack([(keep % CELLS + 0.5) / CELLS, (keep // CELLS + 0.5) / CELLS], axis=1)
    places = values[keep, 4:].reshape(-1, 6, 2) / SIDE  # behind the box, which reaches from the forehead to the chin
    keypoints = (places + anchors[:, None]) * (SIDE / scale)
    return Detections(keypoints.astype(np.float32), scores[keep].astype(np.float32))


@cache
def _graph() -> SmallGraph:
    return SmallGraph(core().read_model(model_path()))
