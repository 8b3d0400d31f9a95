"""The usual way of judging a video, to compare with: what most programs of this kind do, written down plainly.

All frames of the video are held in a list. face_recognition's HOG finder goes over the first frames at full size with
its defaults, and goes over them once more to cut the faces out. Each crop passes through ResNeXt50 and LSTM in torch,
by itself, at single precision, as they are; then through the network once more for its class activation map. The
LSTM sees one frame at a time, as in the much-copied implementation. Weights and calibration are those of our
ResNeXt50 release, so the work is real; what comes out is no judgement to rely on.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import face_recognition
import numpy as np
import torch
from numpy.typing import NDArray

from detector import verdict
from detector.model import Detector
from detector.release import MODELS_DIR, Release, load_release
from detector.stopwatch import Stopwatch
from detector.training.pairs import normalised
from detector.training.teacher import load_detector

MODEL = MODELS_DIR / "resnext50-lstm-0.2.0"
MEMORY_SHARE = 0.7  # of what the machine has left, that the list of frames may take
QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 85]

Picture = NDArray[np.uint8]
Location = tuple[int, int, int, int]  # top, right, bottom, left: face_recognition's order


@dataclass(frozen=True)
class Found:
    """What the usual way says and what it took."""

    frames_read: int
    faces: int  # the largest of each frame, in as many frames as had one
    probability_fake: float | None  # the mean over the frames; None without a face
    stopwatch: Stopwatch


class TooManyFramesError(ValueError):
    """The list of frames has no room; ``str`` is one whole sentence."""


@dataclass(frozen=True)
class Model:
    """A ResNeXt50 release in torch."""

    release: Release
    network: Detector


def load(folder: Path = MODEL) -> Model:
    """The model in ``folder``. Raises DetectorError where its files are amiss."""
    release = load_release(folder)
    return Model(release, load_detector(release))


def examine(path: Path, frames: int, model: Model, out_dir: Path) -> Found:
    """Judge the first ``frames`` frames, and write a crop, a heatmap and an annotated frame for each face as JPEG.

    Raises OSError when no frame can be read. Takes memory for all frames at once: see ``check_memory``.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    watch = Stopwatch()
    with watch.stage("decode"):
        pictures = _all_frames(path)
    looked_at = pictures[:frames]
    with watch.stage("detect"):
        boxes = [face_recognition.face_locations(picture) for picture in looked_at]
    probabilities: list[float] = []
    for index, (picture, seen) in enumerate(zip(looked_at, boxes, strict=True)):
        with watch.stage("detect"):
            again = face_recognition.face_locations(picture)
        if again:
            location = max(again, key=_width)
            probabilities.append(_judge(picture, location, model, watch, out_dir, index))
        with watch.stage("draw"):
            drawn = _boxed(picture, seen)
        with watch.stage("write"):
            _write(out_dir / f"frame-{index:03}.jpg", drawn)
    mean = float(np.mean(probabilities)) if probabilities else None
    return Found(len(pictures), len(probabilities), mean, watch)


def check_memory(path: Path) -> None:
    """Raise TooManyFramesError when the list of all frames would not fit into what memory is left."""
    capture = cv2.VideoCapture(str(path))
    sizes = (cv2.CAP_PROP_FRAME_COUNT, cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
    count, width, height = (max(0.0, capture.get(size)) for size in sizes)
    capture.release()
    needed, there = count * width * height * 3, _memory_left()
    if needed > MEMORY_SHARE * there:
        raise TooManyFramesError(
            f"A list of all {count:.0f} frames would take {needed / 1e9:.0f} GB, and {there / 1e9:.0f} GB are left."
        )


def _memory_left() -> float:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return float("inf")
    sizes = {name: rest for name, _, rest in (line.partition(":") for line in lines)}
    return int(sizes["MemAvailable"].split()[0]) * 1024


def _all_frames(path: Path) -> list[Picture]:
    """Every frame of the video, (H, W, 3) RGB."""
    capture = cv2.VideoCapture(str(path))
    pictures: list[Picture] = []
    while True:
        is_there, picture = capture.read()
        if not is_there:
            break
        pictures.append(np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8))
    capture.release()
    if not pictures:
        raise OSError(f"{path} holds no frame that OpenCV can read.")
    return pictures


@torch.no_grad()
def _judge(picture: Picture, location: Location, model: Model, watch: Stopwatch, out_dir: Path, index: int) -> float:
    """The probability of fake that this frame's face has by itself, after its crop and heatmap were written."""
    with watch.stage("crop"):
        top, right, bottom, left = location
        face = picture[max(0, top) : bottom, max(0, left) : right]
        crop = np.asarray(cv2.resize(face, (model.release.crop.size, model.release.crop.size)), np.uint8)
    with watch.stage("network"):
        x = normalised(torch.from_numpy(crop).permute(2, 0, 1)[None])
        answer = model.network(x[None], torch.ones(1, 1, dtype=torch.bool))
        temporal, frame = float(answer.track_logits[0, 1] - answer.track_logits[0, 0]), float(answer.frame_logits)
    with watch.stage("heatmap"):
        _, maps = model.network.frame_maps(model.network.features(x))
        overlaid = _overlaid(crop, maps[0].numpy())
    with watch.stage("write"):
        _write(out_dir / f"crop-{index:03}.jpg", crop)
        _write(out_dir / f"heatmap-{index:03}.jpg", overlaid)
    return verdict.track_probability(temporal, [frame], model.release)


def _overlaid(crop: Picture, map_: NDArray[np.float32]) -> Picture:
    """The crop under its own map in false colours, which are stretched over whatever it holds."""
    low, high = float(map_.min()), float(map_.max())
    levels = np.asarray((map_ - low) / max(high - low, 1e-6) * 255, np.uint8)
    colours = cv2.applyColorMap(cv2.resize(levels, crop.shape[:2]), cv2.COLORMAP_JET)
    return np.asarray(cv2.addWeighted(crop, 0.6, cv2.cvtColor(colours, cv2.COLOR_BGR2RGB), 0.4, 0), np.uint8)


def _boxed(picture: Picture, seen: list[Location]) -> Picture:
    drawn = picture.copy()
    for top, right, bottom, left in seen:
        cv2.rectangle(drawn, (left, top), (right, bottom), (200, 30, 45), 2)
    return drawn


def _write(path: Path, picture: Picture) -> None:
    cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), QUALITY)


def _width(location: Location) -> int:
    return location[1] - location[3]


def told(found: Found) -> dict[str, Any]:
    """``found`` as plain JSON."""
    stages = {
        name: {"wall_s": round(spent.wall_s, 4), "cpu_s": round(spent.cpu_s, 4)}
        for name, spent in found.stopwatch.spent.items()
    }
    return {
        "frames_read": found.frames_read,
        "faces": found.faces,
        "probability_fake": found.probability_fake,
        "stages": stages,
    }
