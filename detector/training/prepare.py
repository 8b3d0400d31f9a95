"""Makes packs of face crops from the videos or photographs of a listing."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np

from detector import crops, faces
from detector.errors import DetectorError
from detector.following import follow
from detector.release import CropShape
from detector.sampling import sample
from detector.training.listing import Row
from detector.training.packs import Clip, CropRow, write
from detector.video import probe


@dataclass(frozen=True)
class Plan:
    """How videos become a pack."""

    frames: int = 12  # of each video
    size: int = 224
    margin: float = 2.0
    quality: int = 95  # of the JPEGs in the pack
    jobs: int = 2


def prepare(rows: Sequence[Row], root: Path, plan: Plan, target: Path) -> int:
    """Write the pack of ``rows``, whose files lie under ``root``, and return its number of crops.

    Of each video the person seen most is taken. Videos that cannot be read are named on stderr and left out. Writes
    nothing and raises ValueError when ``plan`` or the name of ``target`` make no sense or when no face is found, and
    ChildProcessError when a process dies.
    """
    if target.suffix != ".npz":
        raise ValueError(f"The pack {target} should be named with the ending .npz.")
    if min(plan.frames, plan.jobs) < 1 or plan.size < 16 or plan.margin < 1 or not 1 <= plan.quality <= 100:
        raise ValueError(
            "Frames and jobs must be at least 1, the size at least 16, the margin at least 1, and the quality 1 to 100."
        )
    work = [(root / row.file, Clip(row.file, row.label, row.dataset, row.source, row.method), plan) for row in rows]
    try:
        with ProcessPoolExecutor(plan.jobs, mp_context=get_context("spawn")) as pool:
            made = pool.map(_crops_of, work, chunksize=4)
            return write(target, _with_progress(made, len(work)), plan.size, plan.margin, plan.quality)
    except BrokenProcessPool as error:
        raise ChildProcessError(
            "A process that reads videos was ended from outside, perhaps for lack of memory; give fewer --jobs."
        ) from error


def _with_progress(made: Iterable[tuple[Clip, list[CropRow]]], total: int) -> Iterator[tuple[Clip, list[CropRow]]]:
    crops = 0
    for index, item in enumerate(made, 1):
        if index % 50 == 0 or index == total:
            print(f"prepare: {index} of {total}", file=sys.stderr, flush=True)
        crops += len(item[1])
        yield item
    if not crops:
        raise ValueError(f"No face was found in any of {total} files, so there is no pack to write.")


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
    followed = follow(sample(path, probe(path), plan.frames), shape, max_faces=6, max_people=1)
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
