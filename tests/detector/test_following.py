"""Faces are found, cut level and followed; people are kept apart and joined across cuts."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from detector import blazeface, crops, faces, jpeg, tracking
from detector.following import Followed, follow
from detector.hands import Hands
from detector.release import CropShape
from detector.sampling import sample
from detector.video import probe
from tests import videos

SHAPE = CropShape(size=96, margin=1.45)


def followed(path: Path, count: int = 10) -> Followed:
    return follow(sample(path, probe(path), count), SHAPE, max_faces=6, max_people=5)


def test_a_face_is_found_where_it_is() -> None:
    canvas = videos.background((640, 360))
    videos.paste(canvas, videos.portrait(), 200, 30)

    (face,) = faces.find(canvas, 5)

    x, y = (face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2
    eyes = face.landmarks[36:48].mean(axis=0)
    assert (x, y) == pytest.approx((350, 150), abs=40)
    assert face.landmarks.shape == (68, 2)
    assert face.box[1] - 20 < eyes[1] < y


def test_a_small_face_is_found_in_a_large_frame() -> None:
    canvas = videos.background((1280, 720))
    small = videos.resized(videos.portrait(), 110)
    videos.paste(canvas, small, 900, 300)

    found = faces.find(canvas, 5)

    assert len(found) == 1
    assert 900 < found[0].box[0] < found[0].box[2] < 1010


def test_a_face_that_the_first_finder_overlooks_is_found_by_hog(monkeypatch: pytest.MonkeyPatch) -> None:
    canvas = videos.background((640, 360))
    videos.paste(canvas, videos.portrait(), 200, 30)
    (face,) = faces.find(canvas, 5)
    nobody = blazeface.detect(np.zeros((64, 64, 3), np.uint8), 0.5)
    monkeypatch.setattr(blazeface, "detect", lambda picture, min_score: nobody)

    (again,) = faces.find(canvas, 5)

    assert len(nobody.scores) == 0
    assert again.score == 1
    assert faces.iou(again.box, face.box) > 0.6


def test_nothing_is_found_in_an_empty_scene() -> None:
    assert faces.find(videos.empty_scene()(0.5), 5) == []


@pytest.mark.parametrize("roll_deg", [-25.0, 0.0, 25.0])
def test_a_crop_is_level_and_centred_whatever_the_roll(roll_deg: float) -> None:
    angle = np.radians(roll_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    face = np.random.default_rng(0).uniform(-30, 30, (68, 2))
    face[36:42], face[42:48] = (-15, -10), (15, -10)
    landmarks = (face @ turn.T + [200, 120]).astype(np.float32)

    placement = crops.place(landmarks, margin=1.5)
    points = crops.landmarks_in_crop(landmarks, placement, 160)

    assert placement.roll_deg == pytest.approx(roll_deg, abs=1e-3)
    assert points[36:42, 1].mean() == pytest.approx(points[42:48, 1].mean(), abs=1e-2)
    assert (points.min(axis=0) + points.max(axis=0)) / 2 == pytest.approx([80, 80], abs=1e-2)
    assert np.ptp(points, axis=0).max() == pytest.approx(160 / 1.5, rel=1e-3)


def test_a_cut_shows_the_pixels_under_its_landmarks() -> None:
    """Draw a dot at a landmark's place in the frame; it must appear where the crop says that landmark is."""
    landmarks = np.random.default_rng(1).uniform(100, 300, (68, 2)).astype(np.float32)
    placement = crops.place(landmarks, margin=1.6)
    for point in landmarks[:5]:
        picture = np.zeros((400, 400, 3), np.uint8)
        x, y = point.round().astype(int)
        picture[y - 4 : y + 5, x - 4 : x + 5] = 255
        crop = crops.cut(picture, placement, 160)
        expected = crops.landmarks_in_crop(np.array([[x, y]], np.float32), placement, 160)[0]
        rows, columns = np.nonzero(crop[..., 0] > 100)
        assert [columns.mean(), rows.mean()] == pytest.approx(expected.tolist(), abs=1.0)


def test_sharpness_falls_with_blur() -> None:
    import cv2

    sharp = videos.resized(videos.portrait(), 160)
    blurred = np.asarray(cv2.GaussianBlur(sharp, (0, 0), 3), np.uint8)

    assert crops.sharpness(sharp) > 5 * crops.sharpness(blurred)


def test_one_person_is_one_track_over_the_whole_clip(tmp_path: Path) -> None:
    seen = followed(videos.face_clip(tmp_path / "clip.mp4"))

    assert len(seen.frames) == 10
    assert [len(track) for track in seen.tracks] == [10]
    assert seen.tracks[0][0].crop.pixels.shape == (96, 96, 3)


def test_each_frame_kept_says_how_wide_it_was() -> None:
    """A stream may change its size on the way; boxes are in pixels of each frame."""
    sizes = ((640, 360), (1920, 1080), (320, 180))
    pictures = ((index, float(index), videos.background(size)) for index, size in enumerate(sizes))

    kept = follow(pictures, SHAPE, max_faces=5, max_people=5, keep_width=1280).frames

    assert [frame.width for frame in kept] == [640, 1920, 320]
    assert [jpeg.decode(frame.jpeg or b"").shape[1] for frame in kept] == [640, 1280, 320]


def test_two_people_are_two_tracks(tmp_path: Path) -> None:
    seen = followed(videos.two_faces_clip(tmp_path / "clip.mp4"))

    assert [len(track) for track in seen.tracks] == [10, 10]
    for track in seen.tracks:
        centres = np.array([(one.box[0] + one.box[2]) / 2 for one in track])
        assert np.ptp(centres) < 100


def test_a_person_is_joined_across_a_cut(tmp_path: Path) -> None:
    seen = followed(videos.cut_clip(tmp_path / "clip.mp4"), count=15)

    assert len(seen.tracks) == 1
    assert len(seen.tracks[0]) == 10


def test_nobody_gives_no_track(tmp_path: Path) -> None:
    seen = followed(videos.no_face_clip(tmp_path / "clip.mp4"))

    assert (len(seen.frames), seen.tracks) == (10, [])


def sighting(frame: int, x: float, score: float = 1.0, mark: int = 0) -> tracking.Sighting:
    pixels = np.full((8, 8, 3), mark, np.uint8)
    crop = crops.Crop(pixels, 100, 50.0)
    return tracking.Sighting(frame, frame * 0.1, (x, 0.0, x + 100, 100.0), crop, score, np.zeros((68, 2), np.float32))


def encode_mark(crops: Sequence[np.ndarray]) -> np.ndarray:
    return np.eye(128, dtype=np.float32)[[int(pixels[0, 0, 0]) for pixels in crops]]


def never(pixels: np.ndarray) -> bool:
    return False


def test_linking_follows_overlap_and_bridges_a_missed_frame() -> None:
    frames = [[sighting(0, 0), sighting(0, 400)], [sighting(1, 410)], [sighting(2, 420), sighting(2, 20)]]

    pieces = tracking.link(frames, cuts=set())

    assert sorted([one.frame_index for one in piece] for piece in pieces) == [[0, 1, 2], [0, 2]]


def test_a_cut_ends_every_link() -> None:
    frames = [[sighting(index, 0)] for index in range(4)]

    pieces = tracking.link(frames, cuts={2})

    assert [[one.frame_index for one in piece] for piece in pieces] == [[0, 1], [2, 3]]


def test_joining_never_merges_two_faces_of_one_frame() -> None:
    together = [[sighting(0, 0, mark=1), sighting(1, 0, mark=1)], [sighting(0, 400, mark=1), sighting(1, 400, mark=1)]]

    assert len(tracking.join(together, encode_mark, never, frame_count=2)) == 2


def test_joining_keeps_other_people_apart() -> None:
    pieces = [[sighting(0, 0, mark=1)], [sighting(1, 0, mark=2)], [sighting(2, 0, mark=1)]]

    tracks = tracking.join(pieces, encode_mark, never, frame_count=3)

    assert [[one.frame_index for one in track] for track in tracks] == [[0, 2], [1]]


def test_a_single_sighting_in_a_longer_video_needs_a_second_opinion() -> None:
    pieces = [[sighting(index, 0) for index in range(10)], [sighting(3, 500, mark=7)]]

    assert len(tracking.join(pieces, encode_mark, never, frame_count=10)) == 1
    assert len(tracking.join(pieces, encode_mark, never, frame_count=5)) == 2
    assert len(tracking.join(pieces, encode_mark, lambda pixels: pixels[0, 0, 0] == 7, frame_count=10)) == 2


def test_a_face_that_moves_on_as_before_is_linked_though_its_boxes_no_longer_overlap() -> None:
    frames = [[sighting(0, 0)], [sighting(1, 60)], [sighting(2, 150)], [], [sighting(4, 330)]]

    assert [len(piece) for piece in tracking.link(frames, cuts=set())] == [4]


def test_a_face_that_hurries_from_its_first_frame_on_is_one_piece() -> None:
    """It slows down; only from the third frame on its boxes overlap, and from there it is followed backwards too."""
    frames = [[sighting(index, x), sighting(index, 2000)] for index, x in enumerate((-160, -75, 0, 60, 120, 170))]

    pieces = tracking.link(frames, cuts=set())

    assert [[one.box[0] for one in piece] for piece in pieces] == [[-160, -75, 0, 60, 120, 170], [2000] * 6]


@pytest.mark.parametrize(
    ("first", "cuts"),
    [(-75, {1}), (150, set()), (-300, set()), (-135, set())],
    ids=["a cut", "from the other side", "from afar", "with too little overlap"],
)
def test_backwards_too_nothing_is_linked_over_a_cut_or_from_elsewhere(first: float, cuts: set[int]) -> None:
    frames = [[sighting(index, x)] for index, x in enumerate((first, 0, 60, 120))]

    pieces = tracking.link(frames, cuts)

    assert [len(piece) for piece in pieces] == [1, 3]


def test_backwards_too_a_face_may_be_missed_for_a_few_frames_and_no_longer() -> None:
    def pieces(gap: int) -> list[int]:
        begin = [[sighting(0, -60 * gap - 20)], *([] for _ in range(gap - 1))]
        frames = [*begin, *([sighting(gap + place, x)] for place, x in enumerate((0, 60, 120)))]
        return [len(piece) for piece in tracking.link(frames, cuts=set())]

    assert pieces(tracking.MAX_GAP_FRAMES) == [4]
    assert pieces(tracking.MAX_GAP_FRAMES + 1) == [1, 3]


def test_backwards_a_piece_goes_to_one_other_at_most() -> None:
    """Two come from about the same place; the one before belongs to one of them, and nothing is lost."""
    frames = [
        [sighting(0, 0)],
        *([sighting(index, x), sighting(index, -x)] for index, x in enumerate((75, 135, 195), 1)),
    ]

    pieces = tracking.link(frames, cuts=set())

    assert sorted(len(piece) for piece in pieces) == [3, 4]


def test_a_face_elsewhere_is_not_linked_to_one_that_stood_still() -> None:
    frames = [[sighting(0, 0)], [sighting(1, 0)], [sighting(2, 90)]]

    assert [len(piece) for piece in tracking.link(frames, cuts=set())] == [2, 1]


def test_a_box_within_a_face_is_no_other_face() -> None:
    face = (100.0, 100.0, 300.0, 300.0)

    assert faces.is_among((150.0, 150.0, 220.0, 220.0), [face])
    assert faces.is_among((110.0, 95.0, 310.0, 290.0), [face])
    assert not faces.is_among((290.0, 100.0, 490.0, 300.0), [face])


@pytest.mark.parametrize("by_hog_alone", [False, True])
def test_a_close_up_tells_a_face_from_a_lamp(by_hog_alone: bool) -> None:
    canvas = videos.background((640, 360))
    videos.paste(canvas, videos.portrait(), 200, 30)
    (face,) = faces.find(canvas, 5)
    canvas[250:330, 20:100] = 255

    assert faces._is_face_from_close_up(canvas, face.box, by_hog_alone)
    assert not faces._is_face_from_close_up(canvas, (20.0, 250.0, 100.0, 330.0), by_hog_alone)


def test_people_beyond_the_limit_are_counted(tmp_path: Path) -> None:
    path = videos.two_faces_clip(tmp_path / "clip.mp4", duration_s=1.0)

    seen = follow(sample(path, probe(path), 5), SHAPE, max_faces=6, max_people=1)

    assert (len(seen.tracks), seen.people_left_out) == (1, 1)


def test_an_aligned_crop_shows_a_face_and_a_lamp_does_not(tmp_path: Path) -> None:
    seen = followed(videos.face_clip(tmp_path / "clip.mp4", duration_s=0.5))
    lamp = np.zeros((96, 96, 3), np.uint8)
    lamp[20:70, 30:60] = 255

    assert faces.is_frontal(seen.tracks[0][0].crop.pixels, SHAPE.margin)
    assert not faces.is_frontal(lamp, SHAPE.margin)


def test_threads_change_nothing_but_the_time(tmp_path: Path) -> None:
    path = videos.two_faces_clip(tmp_path / "clip.mp4", duration_s=2.0)
    alone = follow(sample(path, probe(path), 12), SHAPE, max_faces=6, max_people=5, keep_width=320)
    with Hands(3) as hands:
        together = follow(sample(path, probe(path), 12), SHAPE, max_faces=6, max_people=5, keep_width=320, hands=hands)

    assert together.frames == alone.frames
    assert len(alone.tracks) == len(together.tracks) == 2
    for one, other in zip(alone.tracks, together.tracks, strict=True):
        assert [(seen.frame_index, seen.box, seen.score) for seen in one] == [
            (seen.frame_index, seen.box, seen.score) for seen in other
        ]
        assert all(np.array_equal(a.crop.pixels, b.crop.pixels) for a, b in zip(one, other, strict=True))
        assert all(np.array_equal(a.landmarks, b.landmarks) for a, b in zip(one, other, strict=True))
