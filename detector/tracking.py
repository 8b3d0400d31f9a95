"""Follows every face through the sampled frames and joins what belongs to one person.

Between neighbouring frames of one shot, boxes are linked that overlap the last place of a face, or where it would be
had it moved on as before (the assignment of SORT, Bewley et al., ICIP 2016, without its filter: samples lie too far
apart for one); then backwards in time, where a face's speed shows only later. A cut ends every link, since another
person may then be in the same place. The pieces are joined across cuts by face_recognition's encodings, never two that
share a frame.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import dlib
import numpy as np
from numpy.typing import NDArray

from detector.crops import Crop
from detector.faces import iou
from detector.pyramid import halved

LINK_IOU = 0.2
MAX_GAP_FRAMES = 3  # a face may be missed this many samples less one and still be the same link
CUT_DISTANCE = 0.4  # Bhattacharyya distance of colour histograms above which a cut is assumed
SAME_PERSON = 0.5  # distance of encodings below which two pieces are one person; stricter than the library's 0.6
ENCODED_PER_PIECE = 3
FLEETING_FROM_FRAMES = 10
HISTOGRAM_FROM = 256  # pixels of the shorter side that a picture's colours are counted from


@dataclass(frozen=True)
class Sighting:
    """One face in one sampled frame."""

    frame_index: int
    time_s: float
    box: tuple[float, float, float, float]  # xyxy in pixels of the upright frame
    crop: Crop
    score: float  # the finder's
    landmarks: NDArray[np.float32]  # (68, 2) in pixels of the upright frame


def colour_histogram(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(512,) share of pixels by colour of a (H, W, 3) picture, from a thumbnail; what ``is_cut`` compares."""
    small = cv2.resize(halved(picture, HISTOGRAM_FROM), (64, 64), interpolation=cv2.INTER_AREA)
    counts = cv2.calcHist([small], [0, 1, 2], None, [8, 8, 8], [0, 256] * 3).ravel()
    return np.asarray(counts / counts.sum(), np.float32)


def is_cut(before: NDArray[np.float32], after: NDArray[np.float32]) -> bool:
    """Whether the scene changes between two frames with these histograms."""
    return float(np.sqrt(max(0.0, 1.0 - float(np.sqrt(before * after).sum())))) > CUT_DISTANCE


def link(frames: Sequence[Sequence[Sighting]], cuts: set[int]) -> list[list[Sighting]]:
    """Pieces of tracks inside shots. frames: the sightings of every frame in order; cuts: frames that begin a shot."""
    pieces: list[list[Sighting]] = []
    live: list[list[Sighting]] = []
    for index, sightings in enumerate(frames):
        live = [] if index in cuts else [piece for piece in live if index - piece[-1].frame_index < MAX_GAP_FRAMES + 1]
        overlaps = np.array([[_overlap(piece, seen) for seen in sightings] for piece in live])
        taken: set[int] = set()
        if overlaps.size:
            for row, column in _assigned(overlaps):
                if overlaps[row, column] >= LINK_IOU:
                    live[row].append(sightings[column])
                    taken.add(column)
        for column, seen in enumerate(sightings):
            if column not in taken:
                live.append([seen])
                pieces.append(live[-1])
    return _linked_backwards(pieces, cuts)


def join(
    pieces: list[list[Sighting]],
    encode: Callable[[Sequence[NDArray[np.uint8]]], NDArray[np.float32]],
    is_frontal: Callable[[NDArray[np.uint8]], bool],
    frame_count: int,
) -> list[list[Sighting]]:
    """Tracks, one a person, the one seen most first; each ordered by time.

    Pairs of pieces are joined nearest first while their mean encodings lie within SAME_PERSON and they share no frame.
    ``encode`` describes who is in each of N crops, (N, D). A single sighting in a longer video is dropped as a false
    alarm unless ``is_frontal`` sees a face in its crop too.
    """
    pieces = [piece for piece in pieces if not _is_fleeting(piece, frame_count) or is_frontal(piece[0].crop.pixels)]
    groups = [{index} for index in range(len(pieces))]
    if len(pieces) > 1:
        encodings = _mean_encodings(pieces, encode)
        distances = np.linalg.norm(encodings[:, None] - encodings[None], axis=2)
        rows, columns = np.triu_indices(len(pieces), 1)
        for pair in np.argsort(distances[rows, columns], kind="stable"):
            a, b = int(rows[pair]), int(columns[pair])
            if distances[a, b] > SAME_PERSON:
                break
            ours, theirs = (next(group for group in groups if member in group) for member in (a, b))
            if ours is not theirs and not _frames(ours, pieces) & _frames(theirs, pieces):
                ours |= theirs
                groups.remove(theirs)
    tracks = [sorted((seen for member in group for seen in pieces[member]), key=_frame_index) for group in groups]
    return sorted(tracks, key=lambda track: (-len(track), track[0].frame_index, track[0].box))


def _linked_backwards(pieces: list[list[Sighting]], cuts: set[int]) -> list[list[Sighting]]:
    """The same with pieces linked that would have been, had time run backwards.

    How fast a face moves is not known in the first frame in which it is seen, but in the last it is.
    """
    left, whole = sorted(pieces, key=lambda piece: piece[0].frame_index), []
    while left:
        later = left.pop()
        while len(later) > 1 and (place := _place_before(later, left, cuts)) is not None:
            later = [*left.pop(place), *later]
        whole.append(later)
    return sorted(whole, key=lambda piece: (piece[0].frame_index, piece[0].box))


def _place_before(later: list[Sighting], pieces: Sequence[list[Sighting]], cuts: set[int]) -> int | None:
    """Which of ``pieces`` ends where ``later`` comes from, in the same shot."""
    begin = later[0].frame_index
    overlaps = [
        (_overlap([later[1], later[0]], piece[-1]), place)
        for place, piece in enumerate(pieces)
        if 0 < begin - (end := piece[-1].frame_index) <= MAX_GAP_FRAMES and cuts.isdisjoint(range(end + 1, begin + 1))
    ]
    overlap, place = max(overlaps, default=(0.0, -1))
    return place if overlap >= LINK_IOU else None


def _overlap(piece: list[Sighting], seen: Sighting) -> float:
    """Of ``seen`` with the piece's last box, or with that box moved on as fast as it came; whichever is more."""
    last = piece[-1]
    still = iou(last.box, seen.box)
    if len(piece) == 1:
        return still
    before = piece[-2]
    steps = (seen.frame_index - last.frame_index) / (last.frame_index - before.frame_index)
    across = steps * (last.box[0] + last.box[2] - before.box[0] - before.box[2]) / 2
    down = steps * (last.box[1] + last.box[3] - before.box[1] - before.box[3]) / 2
    x0, y0, x1, y1 = last.box
    return max(still, iou((x0 + across, y0 + down, x1 + across, y1 + down), seen.box))


def _assigned(overlaps: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pairs of rows and columns, none of which comes twice, that overlap most in all.

    By dlib, which is loaded anyway: SciPy's answer is the same, and takes 49 MB and half a second to import.
    """
    rows, columns = overlaps.shape
    square = np.zeros((max(rows, columns), max(rows, columns)))
    square[:rows, :columns] = overlaps
    pairs = enumerate(dlib.max_cost_assignment(dlib.matrix(square)))
    return [(row, column) for row, column in pairs if row < rows and column < columns]


def _frames(group: set[int], pieces: list[list[Sighting]]) -> set[int]:
    return {seen.frame_index for member in group for seen in pieces[member]}


def _frame_index(seen: Sighting) -> int:
    return seen.frame_index


def _is_fleeting(piece: list[Sighting], frame_count: int) -> bool:
    return len(piece) == 1 and frame_count >= FLEETING_FROM_FRAMES


def _mean_encodings(
    pieces: list[list[Sighting]], encode: Callable[[Sequence[NDArray[np.uint8]]], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Of the best sightings of each piece, (pieces, D)."""
    best = [
        sorted(piece, key=lambda seen: -seen.crop.face_px * min(seen.crop.sharpness, 100.0))[:ENCODED_PER_PIECE]
        for piece in pieces
    ]
    encodings = encode([seen.crop.pixels for of_piece in best for seen in of_piece])
    parts = np.split(encodings, np.cumsum([len(of_piece) for of_piece in best])[:-1])
    return np.stack([part.mean(axis=0) for part in parts])
