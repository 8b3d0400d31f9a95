"""Makes packs of face crops from the videos or photographs of a manifest."""

import csv
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np

from detector import crops, faces
from detector.errors import DetectorError
from detector.following import follow
from detector.release import CropShape
from detector.training.packs import Clip, CropRow, write
from detector.video import probe


@dataclass(frozen=True)
class Plan:
    """How a manifest becomes a pack."""

    frames: int = 12  # of each video
    size: int = 224
    margin: float = 2.0
    quality: int = 95  # of the JPEGs in the pack
    jobs: int = 2


def prepare(manifest: Path, split: str | None, plan: Plan, target: Path) -> tuple[int, int]:
    """Write the pack of ``manifest`` (columns file, label, dataset, source, method; or file, set, person of
    photographs).

    Only rows of ``split`` are taken when it is given. Of each video the person seen most is taken. Returns the numbers
    of clips read and of crops written; videos that cannot be read are named on stderr and left out.
    """
    with manifest.open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if split is None or row["split"] == split]
    work = [(manifest.parent / row["file"], _clip(row), plan) for row in rows]
    with ProcessPoolExecutor(plan.jobs, mp_context=get_context("spawn")) as pool:
        made = pool.map(_crops_of, work, chunksize=4)
        count = write(target, _with_progress(made, len(work)), plan.size, plan.margin, plan.quality)
    return len(work), count


def _clip(row: dict[str, str]) -> Clip:
    if "label" in row:
        label = {"real": 0, "fake": 1}[row["label"]]
        return Clip(row["file"], label, row["dataset"], row["source"], row["method"])
    return Clip(row["file"], 0, row["set"], row["person"], "")


def _with_progress(made: Iterable[tuple[Clip, list[CropRow]]], total: int) -> Iterator[tuple[Clip, list[CropRow]]]:
    for index, item in enumerate(made, 1):
        if index % 50 == 0 or index == total:
            print(f"prepare: {index} of {total}", file=sys.stderr, flush=True)
        yield item


def _crops_of(work: tuple[Path, Clip, Plan]) -> tuple[Clip, list[CropRow]]:
    path, clip, plan = work
    cv2.setNumThreads(1)
    try:
        rows = _photograph(path, plan) if path.suffix.lower() in {".jpg", ".jpeg", ".png"} else _video(path, plan)
    except DetectorError as error:
        print(f"prepare: {clip.file}: {error}", file=sys.stderr, flush=True)
        rows = []
    return clip, rows


def _video(path: Path, plan: Plan) -> list[CropRow]:
    shape = CropShape(plan.size, plan.margin)
    followed = follow(path, probe(path), plan.frames, shape, max_faces=6, max_people=1)
    rows = []
    for seen in followed.tracks[0] if followed.tracks else []:
        placement = crops.place(seen.landmarks, plan.margin)
        points = crops.landmarks_in_crop(seen.landmarks, placement, plan.size)
        rows.append(CropRow(seen.crop.pixels, points, seen.time_s, seen.crop.face_px, seen.crop.sharpness))
    return rows


def _photograph(path: Path, plan: Plan) -> list[CropRow]:
    read = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if read is None:
        return []
    picture = np.asarray(cv2.cvtColor(read, cv2.COLOR_BGR2RGB), np.uint8)
    rows = []
    for face in faces.find(picture, 1):
        crop = crops.align(picture, face, plan.size, plan.margin)
        points = crops.landmarks_in_crop(face.landmarks, crops.place(face.landmarks, plan.margin), plan.size)
        rows.append(CropRow(crop.pixels, points, 0.0, crop.face_px, crop.sharpness))
    return rows
