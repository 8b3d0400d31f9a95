"""Finds the faces of one frame with BlazeFace, and their 68 landmarks with face_recognition.

BlazeFace looks at the whole picture and at overlapping squares of it, so that small faces are found too; what it is
unsure of is looked at again from close up, where it or face_recognition's HOG finder must agree. Where it finds nobody,
HOG looks for a face that nearly fills the picture. Landmarks are then fitted in a close-up of every face, so neither
their cost nor their precision depends on the picture's size.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import face_recognition
import numpy as np
from numpy.typing import NDArray

from detector import blazeface
from detector.hands import ALONE, Hands
from detector.pyramid import Pyramid, halvings

HOG_LONGER_SIDE = 640
CLOSE_UP_FACE = 160  # pixels that a face's width has in its close-up
MIN_FACE_PX = 20  # faces narrower than this are not reported
MIN_SCORE = 0.5
SURE_SCORE = 0.85  # hits below it are looked at again from close up,
CLOSE_UP_MIN_SCORE = 0.6  # where one of the finders must agree: BlazeFace from this score,
CLOSE_UP_HOG_THRESHOLD = -0.95  # HOG from this one (by itself it asks for 0);
DOUBTFUL_SCORE = 0.6  # of hits below it HOG must be sure by itself
SAME_FACE_IOU = 0.35
SAME_FACE_SHARE = 0.7  # of the smaller box: a box within a face is no other face
SQUARES_FROM_ASPECT = 1.2  # wider or taller pictures are also searched in overlapping squares,
SQUARES_TO_ASPECT = 8.0  # unless they are mere strips, where the squares would be many and small
SMALL_FACES_FROM = 900  # pictures with a longer shorter side are searched in six parts too
NEAR_FACES = 3.5  # a face is looked for again in a square this many times as wide as it was
NEAR_PX = 192  # and at least this wide

LANDMARK_GROUPS = {  # face_recognition's names for the 68 points, in order; the inner lips come twice there
    "chin": range(17),
    "left_eyebrow": range(17, 22),
    "right_eyebrow": range(22, 27),
    "nose_bridge": range(27, 31),
    "nose_tip": range(31, 36),
    "left_eye": range(36, 42),
    "right_eye": range(42, 48),
    "top_lip": [*range(48, 55), 64, 63, 62, 61, 60],
    "bottom_lip": [*range(54, 60), 48, 60, 67, 66, 65, 64],
}


Box = tuple[float, float, float, float]  # xyxy in pixels
Region = tuple[int, int, int, int]  # left, top, width, height in pixels


@dataclass(frozen=True)
class Face:
    """One face of one frame, in pixels of that frame."""

    box: Box  # xyxy, from the brows to the chin and ear to ear
    landmarks: NDArray[np.float32]  # (68, 2)
    score: float  # of the finder, 0 to 1; 1 for HOG


@dataclass(frozen=True)
class Places:
    """Where faces may be in a picture, by what frames before and after it show."""

    lasting: list[Box] = field(default_factory=list)  # in both
    coming_or_going: list[Box] = field(default_factory=list)  # in one alone
    on_the_way: list[Box] = field(default_factory=list)  # of faces that moved, had they moved evenly

    def __bool__(self) -> bool:
        return any(self)

    def __iter__(self) -> Iterator[Box]:
        return iter((*self.lasting, *self.coming_or_going, *self.on_the_way))

    @property
    def seen(self) -> list[Box]:
        """Those where a face was seen."""
        return [*self.lasting, *self.coming_or_going]


def find(picture: NDArray[np.uint8], max_faces: int, hands: Hands = ALONE) -> list[Face]:
    """The faces of a (H, W, 3) uint8 RGB picture, largest first, at most ``max_faces``.

    About 20 ms for a small frame with one face, and 60 ms for one of 1080p, which is searched in ten regions. ``hands``
    do the parts side by side; the answer is the same.
    """
    hits = _hits(picture, _regions(picture.shape[1], picture.shape[0]), hands)
    agreed = hands.map(lambda hit: _is_face(picture, *hit), hits)
    proven = [hit for hit, is_face in zip(hits, agreed, strict=True) if is_face]
    return _faces(picture, proven or _filling(picture), max_faces, hands)


def find_near(picture: NDArray[np.uint8], places: Places, max_faces: int, hands: Hands = ALONE) -> list[Face]:
    """As ``find``, but looking only near places where faces may be, and at the whole picture where that may not do.

    That is where a face is coming or going, which may be anywhere by now, or where there are no places. Where there
    would be more to search than in ``find``, that is searched instead. HOG does not look for a face that fills the
    picture. What lies where a face was seen need not be proven again; what is on its way must be.
    """
    height, width = picture.shape[:2]
    everywhere = _regions(width, height)
    near = [_near(box, width, height) for box in places]
    if places.coming_or_going or not near:
        near.insert(0, everywhere[0])
    hits = _hits(picture, near if len(near) <= len(everywhere) else everywhere, hands)
    agreed = hands.map(lambda hit: _is_same_place(hit[0], places.seen) or _is_face(picture, *hit), hits)
    return _faces(picture, [hit for hit, is_face in zip(hits, agreed, strict=True) if is_face], max_faces, hands)


def is_frontal(pixels: NDArray[np.uint8], margin: float) -> bool:
    """Whether HOG finds a face in an aligned crop cut with ``margin``. About 10 ms."""
    small = _scaled(pixels, CLOSE_UP_FACE * margin / len(pixels))
    return len(_hog_boxes(small)) > 0


def landmarks(picture: NDArray[np.uint8], box: Box) -> NDArray[np.float32]:
    """The 68 points of the face in ``box``, (68, 2) in pixels of the picture. About 3 ms."""
    close_up, scale, left, top = _close_up(picture, box)
    named = face_recognition.face_landmarks(close_up, face_locations=[_location(box, scale, left, top)])[0]
    points = np.zeros((68, 2), np.float32)
    for name, indices in LANDMARK_GROUPS.items():
        points[list(indices)] = named[name]
    return points / scale + np.array([left, top], np.float32)


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two xyxy boxes, 0 to 1."""
    shared = _shared_area(a, b)
    return shared / (_area(a) + _area(b) - shared) if shared else 0.0


def is_among(box: Box, known: Iterable[Box]) -> bool:
    """Whether ``box`` shows a face that is known already: much the same box, or one within the other."""
    for other in known:
        shared = _shared_area(box, other)
        if shared and (iou(box, other) >= SAME_FACE_IOU or shared / min(_area(box), _area(other)) >= SAME_FACE_SHARE):
            return True
    return False


def _is_same_place(box: Box, seen: Iterable[Box]) -> bool:
    """Whether ``box`` is much the same as one of those; not a speck within it."""
    return any(iou(box, other) >= SAME_FACE_IOU for other in seen)


def _faces(picture: NDArray[np.uint8], hits: Iterable[tuple[Box, float]], max_faces: int, hands: Hands) -> list[Face]:
    widest = sorted(hits, key=lambda hit: -_width(hit[0]))[:max_faces]
    return hands.map(lambda hit: Face(hit[0], landmarks(picture, hit[0]), hit[1]), widest)


def _width(box: Box) -> float:
    return box[2] - box[0]


def _filling(picture: NDArray[np.uint8]) -> list[tuple[Box, float]]:
    """What HOG sees in the whole picture, scaled down: faces that nearly fill it, which BlazeFace overlooks."""
    height, width = picture.shape[:2]
    scale = min(1.0, HOG_LONGER_SIDE / max(height, width))
    small = _scaled(picture, scale)
    doublings = 0 if max(small.shape[:2]) > HOG_LONGER_SIDE / 2 else 1
    return [
        ((max(0, x0) / scale, max(0, y0) / scale, min(width, x1 / scale), min(height, y1 / scale)), 1.0)
        for x0, y0, x1, y1 in _hog_boxes(small, doublings=doublings)
    ]


def _is_face(picture: NDArray[np.uint8], box: Box, score: float) -> bool:
    return score >= SURE_SCORE or _is_face_from_close_up(picture, box, score < DOUBTFUL_SCORE)


def _is_face_from_close_up(picture: NDArray[np.uint8], box: Box, by_hog_alone: bool = False) -> bool:
    """Whether BlazeFace again, or HOG at a lower threshold, finds a face when shown little else. About 5 to 15 ms.

    ``by_hog_alone``: only HOG counts, and at the threshold that it has by itself.
    """
    close_up, scale, left, top = _close_up(picture, box)

    def is_there(boxes: Iterable[Box]) -> bool:
        return any(
            iou(box, (x0 / scale + left, y0 / scale + top, x1 / scale + left, y1 / scale + top)) >= SAME_FACE_IOU
            for x0, y0, x1, y1 in boxes
        )

    if not by_hog_alone:
        again = blazeface.detect(close_up, CLOSE_UP_MIN_SCORE)
        if is_there(_box_of(keypoints) for keypoints in again.keypoints):
            return True
    return is_there(_hog_boxes(close_up, 0.0 if by_hog_alone else CLOSE_UP_HOG_THRESHOLD))


def _hog_boxes(picture: NDArray[np.uint8], threshold: float = 0.0, doublings: int = 0) -> list[Box]:
    """Where face_recognition's HOG finder sees faces, at a threshold which that library does not pass on.

    One thread at a time: a finder cannot be shared, and half a second goes into making one.
    """
    with _one_at_a_time:
        found, _, _ = face_recognition.api.face_detector.run(picture, doublings, threshold)
    return [(one.left(), one.top(), one.right(), one.bottom()) for one in found]


_one_at_a_time = threading.Lock()


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _shared_area(a: Box, b: Box) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return width * height if width > 0 and height > 0 else 0.0


def _hits(picture: NDArray[np.uint8], regions: Sequence[Region], hands: Hands) -> list[tuple[Box, float]]:
    """What BlazeFace finds in the regions: best first, each face once, none too narrow, boxes as HOG draws them."""
    pyramid = Pyramid(picture, max(halvings(max(width, height), blazeface.SIDE) for _, _, width, height in regions))

    def search(region: Region) -> list[tuple[Box, float]]:
        part, left, top, span = pyramid.cut(*region, blazeface.SIDE)
        found = blazeface.detect(part, MIN_SCORE)
        places = found.keypoints * span + np.array([left, top], np.float32)
        return [(_box_of(keypoints), float(score)) for keypoints, score in zip(places, found.scores, strict=True)]

    hits = [hit for in_region in hands.map(search, regions) for hit in in_region if _width(hit[0]) >= MIN_FACE_PX]
    hits.sort(key=lambda hit: -hit[1])
    kept: list[tuple[Box, float]] = []
    for box, score in hits:
        if not is_among(box, [known for known, _ in kept]):
            kept.append((box, score))
    return kept


def _box_of(keypoints: NDArray[np.float32]) -> Box:
    """The square HOG would draw, from BlazeFace's eyes and mouth.

    Side and centre are medians over 59 faces of training videos that both finders found.
    """
    eyes, mouth = keypoints[:2].mean(axis=0), keypoints[3]
    down = mouth - eyes
    half = 2.15 * float(np.hypot(*down)) / 2
    x, y = eyes + 0.44 * down
    return float(x) - half, float(y) - half, float(x) + half, float(y) + half


def _regions(width: int, height: int) -> list[Region]:
    """(left, top, width, height) of the whole picture, then of the squares it is searched in again."""
    regions = [(0, 0, width, height)]
    side = min(width, height)
    if SQUARES_FROM_ASPECT * side <= max(width, height) <= SQUARES_TO_ASPECT * side:
        count = int(np.ceil((max(width, height) - side) / (0.6 * side))) + 1
        starts = [round(index * (max(width, height) - side) / (count - 1)) for index in range(count)]
        regions += [(start, 0, side, side) if width > height else (0, start, side, side) for start in starts]
    if side >= SMALL_FACES_FROM:
        part = round(side * 0.55)
        lefts = [round(index * (width - part) / 2) for index in range(3)] if width >= height else [0, width - part]
        tops = [0, height - part] if width >= height else [round(index * (height - part) / 2) for index in range(3)]
        regions += [(left, top, part, part) for top in tops for left in lefts]
    return regions


def _near(box: Box, width: int, height: int) -> Region:
    """The square around ``box`` in which the same face is looked for; moved into the picture, and cut where it must."""
    side = round(max(NEAR_FACES * (box[2] - box[0]), NEAR_PX))
    across, down = min(side, width), min(side, height)
    left = min(max(0, round((box[0] + box[2] - side) / 2)), width - across)
    top = min(max(0, round((box[1] + box[3] - side) / 2)), height - down)
    return left, top, across, down


def _close_up(picture: NDArray[np.uint8], box: Box) -> tuple[NDArray[np.uint8], float, int, int]:
    """The surroundings of ``box`` with the face CLOSE_UP_FACE wide; with the scale and the corner it was cut at."""
    height, width = picture.shape[:2]
    margin = 0.6 * (box[2] - box[0])
    left, top = max(0, int(box[0] - margin)), max(0, int(box[1] - margin))
    right, bottom = min(width, int(box[2] + margin) + 1), min(height, int(box[3] + margin) + 1)
    left, top = min(left, max(0, width - 2)), min(top, max(0, height - 2))
    right, bottom = max(right, left + 2), max(bottom, top + 2)
    scale = CLOSE_UP_FACE / max(1.0, box[2] - box[0])
    return _scaled(picture[top:bottom, left:right], scale), scale, left, top


def _location(box: Box, scale: float, left: int, top: int) -> tuple[int, int, int, int]:
    """``box`` inside its close-up, in face_recognition's order: top, right, bottom, left."""
    return (
        round((box[1] - top) * scale),
        round((box[2] - left) * scale),
        round((box[3] - top) * scale),
        round((box[0] - left) * scale),
    )


def _scaled(picture: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    if scale == 1.0:
        return np.ascontiguousarray(picture)
    size = max(2, round(picture.shape[1] * scale)), max(2, round(picture.shape[0] * scale))
    smaller = scale < 1
    return np.asarray(
        cv2.resize(picture, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR), np.uint8
    )
