"""Notes every face that is found in the clips of a manifest, and says what changed since an earlier note.

For changes to the finder: a face that was found before must be found again, small, turned and dark ones above all, and
be cut as before, since the networks were trained on such crops.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector import crops
from detector.crops import CHIN, NOSE_TIP
from detector.evaluate_rows import Clip
from detector.faces import iou
from detector.following import follow
from detector.reader import Reader
from detector.release import CropShape
from detector.stream import Limits
from detector.tracking import Sighting

SMALL_PX, DARK, TURNED = 64, 60.0, 2.5  # of the face's width; mean of the crop, 0 to 255; one cheek over the other
SAME_FACE_IOU = 0.4  # of the landmarks' extents
MAX_FACES, MAX_PEOPLE = 12, 20  # as an analysis has them

Found = dict[str, Any]  # "file" -> {"people", "frames": one list of faces for each frame}; plain JSON values


def note(
    clips: Sequence[Clip],
    frames: int,
    shape: CropShape,
    limits: Limits | None = None,
    on_clip: Callable[[int], None] | None = None,
) -> Found:
    """The faces of the people that are followed through ``frames`` frames of each clip. Raises as a Reader does."""
    found: Found = {}
    for clip in clips:
        with Reader(clip.path, limits or Limits()) as reader:
            followed = follow(reader.sample(frames), shape, max_faces=MAX_FACES, max_people=MAX_PEOPLE)
        by_frame: list[list[dict[str, Any]]] = [[] for _ in followed.frames]
        for track in followed.tracks:
            for seen in track:
                by_frame[seen.frame_index].append(_face(seen))
        found[clip.file] = {"people": len(followed.tracks), "frames": by_frame}
        if on_clip is not None:
            on_clip(len(found))
    return found


def summary(found: Found) -> dict[str, int]:
    """How many clips, people and faces there are."""
    return {
        "clips": len(found),
        "people": sum(clip["people"] for clip in found.values()),
        "frames": sum(len(clip["frames"]) for clip in found.values()),
        "faces": sum(len(faces) for clip in found.values() for faces in clip["frames"]),
    }


def compare(before: Found, after: Found, margin: float) -> dict[str, Any]:
    """What became of the faces ``before`` in the clips that both know, as plain JSON values.

    Distances are shares of the face's width, or degrees: each the mean and the 95th percentile over all faces found
    both times. "lost" and "new" name clip, frame, corner and width of every face found one time alone.
    """
    groups: dict[str, list[bool]] = {name: [] for name in ("all", "small", "turned", "dark")}
    distances: list[list[float]] = []
    lost, new = [], []
    common = [file for file in before if file in after]
    for file in common:
        for index, (old, current) in enumerate(zip(before[file]["frames"], after[file]["frames"], strict=True)):
            pairs = _pairs(old, current)
            for place, face in enumerate(old):
                is_found = place in pairs
                for name in ["all", *_groups(face)]:
                    groups[name].append(is_found)
                if is_found:
                    distances.append(_distances(face, current[pairs[place]], margin))
                else:
                    lost.append([file, index, *face["box"][:2], _width(face)])
            taken = set(pairs.values())
            new += [[file, index, *face["box"][:2], _width(face)] for n, face in enumerate(current) if n not in taken]
    measured = np.array(distances or [[0.0] * 5])
    return {
        "clips": len(common),
        "people_changed": [file for file in common if before[file]["people"] != after[file]["people"]],
        "found_again": {name: [sum(hits), len(hits)] for name, hits in groups.items()},
        "distances": {
            name: {"mean": round(float(column.mean()), 4), "p95": round(float(np.percentile(column, 95)), 4)}
            for name, column in zip(
                ("box", "crop_centre", "crop_side", "roll_deg", "landmarks"), measured.T, strict=True
            )
        },
        "lost": lost,
        "new": new,
    }


def read(path: Path) -> Found:
    """What ``write`` wrote. Raises OSError, and ValueError when it is something else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if all("frames" in clip for clip in found.values()):
            return dict(found)
    except (AttributeError, TypeError, UnicodeDecodeError, json.JSONDecodeError):
        pass
    raise ValueError(f"{path} holds no faces that were noted earlier.")


def write(found: Found, path: Path) -> None:
    """Keep ``found`` for a later comparison."""
    path.write_text(json.dumps(found) + "\n", encoding="utf-8")


def _face(seen: Sighting) -> dict[str, Any]:
    return {
        "box": [round(value, 1) for value in seen.box],
        "landmarks": np.round(seen.landmarks.astype(float), 1).tolist(),
        "light": round(float(seen.crop.pixels.mean()), 1),
    }


def _groups(face: dict[str, Any]) -> list[str]:
    points = np.array(face["landmarks"])
    cheeks = np.hypot(*(points[[CHIN.start, CHIN.stop - 1]] - points[NOSE_TIP]).T)
    is_turned = max(cheeks) > TURNED * max(1e-6, min(cheeks))
    named = {"small": _width(face) < SMALL_PX, "turned": is_turned, "dark": face["light"] < DARK}
    return [name for name, holds in named.items() if holds]


def _pairs(old: Sequence[dict[str, Any]], current: Sequence[dict[str, Any]]) -> dict[int, int]:
    """Places of the same faces, the most alike first."""
    overlaps = [(iou(_extent(a), _extent(b)), i, j) for i, a in enumerate(old) for j, b in enumerate(current)]
    pairs: dict[int, int] = {}
    for overlap, i, j in sorted(overlaps, reverse=True):
        if overlap >= SAME_FACE_IOU and i not in pairs and j not in pairs.values():
            pairs[i] = j
    return pairs


def _distances(old: dict[str, Any], current: dict[str, Any], margin: float) -> list[float]:
    a, b = (np.array(face["landmarks"], np.float32) for face in (old, current))
    was, is_ = crops.place(a, margin), crops.place(b, margin)
    width = max(1, _width(old))
    return [
        float(np.abs(np.array(old["box"]) - current["box"]).mean()) / width,
        float(np.hypot(was.centre[0] - is_.centre[0], was.centre[1] - is_.centre[1])) / width,
        abs(was.side - is_.side) / was.side,
        abs((was.roll_deg - is_.roll_deg + 180) % 360 - 180),
        float(np.hypot(*(a - b).T).mean()) / width,
    ]


def _extent(face: dict[str, Any]) -> tuple[float, float, float, float]:
    points: NDArray[np.float64] = np.array(face["landmarks"])
    (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
    return float(x0), float(y0), float(x1), float(y1)


def _width(face: dict[str, Any]) -> int:
    return crops.face_width(np.array(face["landmarks"], np.float32))
