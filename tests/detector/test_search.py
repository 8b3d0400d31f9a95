"""Frames between two that are searched in full are looked at near the faces of both, or in full."""

import weakref
from collections.abc import Iterator

import numpy as np
import pytest

from detector import blazeface, faces, search
from detector.faces import Box, Face, Places
from detector.search import Shown
from tests import videos

HERE: Box = (100.0, 100.0, 160.0, 160.0)
THERE: Box = (400.0, 100.0, 460.0, 160.0)


class Finder:
    """Stands for faces.py: knows where faces are in each frame, and which frames were searched how."""

    def __init__(self, present: dict[int, list[Box]], overlooked: dict[int, list[Box]] | None = None) -> None:
        self.present, self.overlooked = present, overlooked or {}
        self.in_full: list[int] = []
        self.near: dict[int, list[Box]] = {}

    def find(self, picture: np.ndarray, max_faces: int, hands: object) -> list[Face]:
        index = int(picture[0, 0, 0])
        self.in_full.append(index)
        return self._faces(self.present.get(index, []))

    def find_near(self, picture: np.ndarray, places: Places, max_faces: int, hands: object) -> list[Face]:
        index = int(picture[0, 0, 0])
        self.near[index] = [*places]
        hidden = self.overlooked.get(index, [])
        there = [box for box in self.present.get(index, []) if box not in hidden]
        is_whole = bool(places.coming_or_going) or not places
        return self._faces(
            [box for box in there if (is_whole and is_large(box)) or any(_is_near(box, place) for place in places)]
        )

    def _faces(self, boxes: list[Box]) -> list[Face]:
        return [Face(box, np.zeros((68, 2), np.float32), 0.9) for box in boxes]


def is_large(box: Box) -> bool:
    """Whether the whole picture alone shows it."""
    return box[2] - box[0] > 100


def _is_near(box: Box, place: Box) -> bool:
    """Whether ``box`` lies in the square that is searched around ``place``."""
    reach = (faces.NEAR_FACES - 1) / 2 * (place[2] - place[0])
    return abs(box[0] - place[0]) <= reach and abs(box[1] - place[1]) <= reach


def frames(times_s: list[float], shots: tuple[int, ...] = ()) -> Iterator[Shown]:
    for index, time_s in enumerate(times_s):
        yield Shown(index, time_s, np.full((8, 8, 3), index, np.uint8), index in shots)


def run(monkeypatch: pytest.MonkeyPatch, finder: Finder, shown: Iterator[Shown]) -> list[tuple[int, list[Box]]]:
    monkeypatch.setattr(faces, "find", finder.find)
    monkeypatch.setattr(faces, "find_near", finder.find_near)
    return [(frame.index, [face.box for face in found]) for frame, found in search.search(shown, max_faces=5)]


def test_every_fourth_frame_is_searched_in_full_and_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    finder = Finder({index: [HERE] for index in range(11)})

    found = run(monkeypatch, finder, frames([index / 6 for index in range(11)]))

    assert found == [(index, [HERE]) for index in range(11)]
    assert finder.in_full == [0, 4, 8, 10]
    assert sorted(finder.near) == [1, 2, 3, 5, 6, 7, 9]


def test_frames_far_apart_are_all_searched_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    finder = Finder({})

    run(monkeypatch, finder, frames([index * 0.5 for index in range(6)]))

    assert (finder.in_full, finder.near) == ([0, 1, 2, 3, 4, 5], {})


def test_nobody_is_carried_over_a_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    finder = Finder({0: [HERE], 1: [HERE], 2: [HERE], 3: [THERE], 4: [THERE], 5: [THERE]})

    found = run(monkeypatch, finder, frames([index / 10 for index in range(6)], shots=(3,)))

    assert [boxes for _, boxes in found] == [[HERE]] * 3 + [[THERE]] * 3
    assert finder.in_full == [0, 2, 3, 5]
    assert finder.near == {1: [HERE], 4: [THERE]}


def test_a_face_of_either_neighbour_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first goes after frame 1, the second comes with frame 2."""
    present = {0: [HERE], 1: [HERE], 2: [THERE], 3: [THERE], 4: [THERE]}
    finder = Finder(present)

    found = run(monkeypatch, finder, frames([index / 6 for index in range(5)]))

    assert dict(found) == present
    assert finder.in_full == [0, 4]
    assert finder.near[1] == finder.near[3] == [HERE, THERE]


def test_a_face_that_moved_is_looked_for_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two widths in four frames, and growing; beside one that stays."""
    places: list[Box] = [(400.0 + 30 * i, 300.0, 460.0 + 34 * i, 360.0 + 4 * i) for i in range(5)]
    finder = Finder({index: [HERE, place] for index, place in enumerate(places)})

    found = run(monkeypatch, finder, frames([index / 6 for index in range(5)]))

    assert [boxes for _, boxes in found] == [[HERE, place] for place in places]
    assert finder.in_full == [0, 4]
    for index in (1, 2, 3):
        assert finder.near[index] == [HERE, pytest.approx(places[index])]


@pytest.mark.parametrize(
    "last",
    [(400.0 + 60 * search.MAX_MOVE + 1, 300.0, 460.0 + 60 * search.MAX_MOVE + 1, 360.0), (460.0, 300.0, 490.0, 330.0)],
    ids=["further than a face goes", "half as wide"],
)
def test_what_may_be_another_face_is_looked_for_in_both_places(monkeypatch: pytest.MonkeyPatch, last: Box) -> None:
    first: Box = (400.0, 300.0, 460.0, 360.0)
    finder = Finder({0: [first], 1: [first], 2: [first], 3: [last], 4: [last]})

    found = run(monkeypatch, finder, frames([index / 6 for index in range(5)]))

    assert [boxes for _, boxes in found] == [[first]] * 3 + [[last]] * 2
    assert finder.near == {index: [first, last] for index in (1, 2, 3)}


def test_of_two_that_move_each_goes_to_its_own_nearest_place(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[Box] = [(400.0 + 30 * i, 300.0, 460.0 + 30 * i, 360.0) for i in range(5)]
    right: list[Box] = [(660.0 + 30 * i, 300.0, 720.0 + 30 * i, 360.0) for i in range(5)]
    finder = Finder({index: [left[index], right[index]] for index in range(5)})

    run(monkeypatch, finder, frames([index / 6 for index in range(5)]))

    assert finder.near[2] == [pytest.approx(left[2]), pytest.approx(right[2])]


def test_where_two_go_and_one_comes_the_nearer_one_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    far: Box = (300.0, 300.0, 360.0, 360.0)
    near: list[Box] = [(400.0 + 15 * i, 300.0, 460.0 + 15 * i, 360.0) for i in range(5)]
    finder = Finder({0: [far, near[0]], 1: [far, near[1]], 2: [near[2]], 3: [near[3]], 4: [near[4]]})

    run(monkeypatch, finder, frames([index / 6 for index in range(5)]))

    assert finder.near[2] == [far, pytest.approx(near[2])]


@pytest.mark.parametrize("jumps_at", [1, 4], ids=["early", "late"])
def test_a_face_that_jumps_is_not_forgotten_for_another_that_stays_longer(
    jumps_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On its way it is not where it would be had it moved evenly; and the number of faces alone does not tell."""
    before: Box = (400.0, 400.0, 460.0, 460.0)
    after: Box = (574.0, 400.0, 634.0, 460.0)
    present = {index: [HERE, before if index < jumps_at else after] for index in range(4)} | {4: [after]}
    finder = Finder(present)

    found = run(monkeypatch, finder, frames([index / 6 for index in range(5)]))

    assert dict(found) == present


def test_a_face_that_both_neighbours_show_is_looked_for_everywhere_before_it_counts_as_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finder = Finder({index: [HERE] for index in range(5)}, overlooked={2: [HERE]})

    found = run(monkeypatch, finder, frames([index / 6 for index in range(5)]))

    assert found[2] == (2, [HERE])
    assert finder.in_full == [0, 4, 2]


def test_a_face_that_hurries_past_is_looked_for_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside one that stays; between the two frames searched in full it is near neither of its places."""
    places: list[Box] = [(250.0 + 200 * index, 300.0, 310.0 + 200 * index, 360.0) for index in range(5)]
    present = {index: [HERE, place] for index, place in enumerate(places)}
    finder = Finder(present)

    found = run(monkeypatch, finder, frames([index / 6 for index in range(5)]))

    assert dict(found) == present


def test_a_face_that_enters_beside_one_that_stays_is_seen_before_it_is_where_it_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is far from its place in the last frame; the whole picture shows it."""
    entering: list[Box] = [(900.0 - 180 * index, 300.0, 1060.0 - 180 * index, 460.0) for index in range(5)]
    present = {0: [HERE]} | {index: [HERE, entering[index]] for index in range(1, 5)}
    finder = Finder(present)

    found = run(monkeypatch, finder, frames([index / 6 for index in range(5)]))

    assert dict(found) == present
    assert finder.in_full == [0, 4]


def test_where_nobody_is_near_nobody_is_looked_for_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    finder = Finder({})

    run(monkeypatch, finder, frames([index / 6 for index in range(5)]))

    assert finder.in_full == [0, 4]


def test_where_one_shows_somebody_and_nobody_is_found_it_is_looked_for_everywhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finder = Finder({0: [HERE], 1: [HERE], 2: [HERE]}, overlooked={1: [HERE]})

    found = run(monkeypatch, finder, frames([index / 6 for index in range(5)]))

    assert [boxes for _, boxes in found] == [[HERE]] * 3 + [[]] * 2
    assert {0, 1, 4} <= set(finder.in_full)
    assert 2 not in finder.in_full


def test_who_has_gone_already_is_not_looked_for_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    finder = Finder({0: [HERE, THERE], **{index: [HERE] for index in range(1, 5)}})

    found = run(monkeypatch, finder, frames([index / 6 for index in range(5)]))

    assert [len(boxes) for _, boxes in found] == [2, 1, 1, 1, 1]
    assert finder.in_full == [0, 4]


def test_as_many_faces_as_are_wanted_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five; of a sixth, in whose stead another is found, nobody would be told."""
    row: list[Box] = [(200.0 * index, 100.0, 200.0 * index + 60, 160.0) for index in range(5)]
    other: Box = (870.0, 100.0, 930.0, 160.0)
    finder = Finder({0: row, 4: row, **{index: [*row[:4], other] for index in (1, 2, 3)}})

    run(monkeypatch, finder, frames([index / 6 for index in range(5)]))

    assert finder.in_full == [0, 4]


@pytest.mark.parametrize(("large_pixels", "between"), [(64, search.MAX_BETWEEN), (63, search.MAX_BETWEEN_LARGE)])
def test_for_every_frame_that_is_asked_for_one_is_searched(
    large_pixels: int, between: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So what decodes the next frame works while this one is searched, and few frames are held, of large ones fewer."""
    monkeypatch.setattr(search, "LARGE_PIXELS", large_pixels)
    finder = Finder({index: [HERE] for index in range(20)})
    monkeypatch.setattr(faces, "find", finder.find)
    monkeypatch.setattr(faces, "find_near", finder.find_near)
    seen: list[weakref.ref[Shown]] = []
    held, asked, ahead = [], 0, []

    def counted() -> Iterator[Shown]:
        nonlocal asked
        for index in range(20):
            frame = Shown(index, index / 6, np.full((8, 8, 3), index, np.uint8), index == 10)
            seen.append(weakref.ref(frame))
            held.append(sum(one() is not None for one in seen))
            asked += 1
            yield frame
            del frame

    for done, _ in enumerate(search.search(counted(), max_faces=5), 1):
        ahead.append(asked - done)

    assert max(held) == between + 2  # with the one that was handed on
    assert ahead[-8:] == [*[between] * (8 - between), *reversed(range(between))]  # one for one, to the frames' end


def test_no_frame_gives_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, Finder({}), frames([])) == []


def test_a_small_face_is_followed_without_searching_everywhere() -> None:
    """The whole picture alone is too coarse to show this face; near its place it is found just as in full."""
    canvas = videos.background((1920, 1080))
    videos.paste(canvas, videos.resized(videos.portrait(), 220), 1300, 600)
    (in_full,) = faces.find(canvas, 5)

    (near,) = faces.find_near(canvas, Places([in_full.box]), 5)
    elsewhere = faces.find_near(canvas, Places([(100.0, 100.0, 150.0, 150.0)]), 5)

    width = np.ptp(in_full.landmarks, axis=0).max()
    assert np.abs(near.landmarks - in_full.landmarks).mean() < 0.02 * width  # about as much as between two frames
    assert elsewhere == []


def test_a_face_on_its_way_must_be_proven_and_one_that_was_seen_there_need_not(monkeypatch: pytest.MonkeyPatch) -> None:
    canvas = videos.background((1920, 1080))
    videos.paste(canvas, videos.resized(videos.portrait(), 220), 1300, 600)
    (face,) = faces.find(canvas, 5)
    on_the_way = faces.find_near(canvas, Places(on_the_way=[face.box]), 5)
    monkeypatch.setattr(faces, "_is_face", lambda picture, box, score: False)

    assert len(on_the_way) == 1
    assert len(faces.find_near(canvas, Places(lasting=[face.box]), 5)) == 1
    assert len(faces.find_near(canvas, Places(coming_or_going=[face.box]), 5)) == 1
    assert faces.find_near(canvas, Places(on_the_way=[face.box]), 5) == []


def test_a_speck_within_a_face_that_was_seen_must_be_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: Box = (100.0, 100.0, 400.0, 400.0)
    hits: list[tuple[Box, float]] = [((110.0, 105.0, 405.0, 400.0), 0.5), ((200.0, 200.0, 230.0, 230.0), 0.5)]
    monkeypatch.setattr(faces, "_hits", lambda picture, regions, hands: hits)
    monkeypatch.setattr(faces, "_is_face", lambda picture, box, score: False)

    (found,) = faces.find_near(videos.background((640, 640)), Places([seen]), 5)

    assert found.box == hits[0][0]


@pytest.mark.parametrize("size", [(1, 1), (3, 4000), (5000, 1), (191, 193), (383, 7), (1001, 903)])
def test_any_size_of_picture_can_be_searched(size: tuple[int, int]) -> None:
    width, height = size
    picture = np.random.default_rng(5).integers(0, 255, (height, width, 3)).astype(np.uint8)
    place: Box = (0.0, 0.0, float(width), float(height))

    assert len(faces.find(picture, 5)) <= 5
    assert len(faces.find_near(picture, Places([place]), 5)) <= 5
    assert len(blazeface.detect(picture, 0.5).scores) <= blazeface.CELLS**2


def test_a_pixel_is_scaled_as_the_finder_takes_it() -> None:
    assert [blazeface.SCALED[value] for value in (0, 51, 255)] == pytest.approx([-1.0, -0.6, 1.0])


def searched_regions(monkeypatch: pytest.MonkeyPatch) -> list[faces.Region]:
    """Where BlazeFace will have been sent; it finds nobody."""
    regions: list[faces.Region] = []

    def hits(picture: np.ndarray, those: list[faces.Region], hands: object) -> list[tuple[Box, float]]:
        regions.extend(those)
        return []

    monkeypatch.setattr(faces, "_hits", hits)
    return regions


PLACE: Box = (10.0, 10.0, 40.0, 40.0)
AROUND = (0, 0, 192, 192)


@pytest.mark.parametrize(
    ("size", "places", "searched"),
    [
        ((1920, 1080), Places(), [(0, 0, 1920, 1080)]),
        ((1920, 1080), Places([PLACE]), [AROUND]),
        ((1920, 1080), Places(on_the_way=[PLACE]), [AROUND]),
        ((1920, 1080), Places([PLACE], [PLACE]), [(0, 0, 1920, 1080), AROUND, AROUND]),
        ((1920, 1080), Places([PLACE] * 10), [AROUND] * 10),
        ((640, 640), Places([PLACE]), [AROUND]),
        ((640, 640), Places([PLACE] * 2), [(0, 0, 640, 640)]),
        ((640, 640), Places(coming_or_going=[PLACE]), [(0, 0, 640, 640)]),
    ],
)
def test_near_faces_no_more_is_searched_than_in_full(
    size: tuple[int, int], places: Places, searched: list[faces.Region], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole picture too where a face comes or goes, and alone where there are no places."""
    regions = searched_regions(monkeypatch)

    faces.find_near(np.zeros((size[1], size[0], 3), np.uint8), places, 5)

    assert regions == searched


def test_more_places_than_regions_are_searched_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    regions = searched_regions(monkeypatch)

    faces.find_near(np.zeros((1080, 1920, 3), np.uint8), Places([PLACE] * 11), 20)

    assert len(regions) == 10
    assert (0, 0, 1920, 1080) in regions


def test_a_hit_too_small_to_report_does_not_keep_hog_from_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    """A face that fills the picture is HOG's to find where BlazeFace sees nothing but a speck."""
    points = np.array(
        [[300.0, 8.0], [303.0, 8.0], [301.5, 10.0], [301.5, 12.0], [298.0, 9.0], [305.0, 9.0]], np.float32
    )
    speck = blazeface.Detections(points[None], np.array([0.95], np.float32))
    monkeypatch.setattr(blazeface, "detect", lambda picture, min_score: speck)

    (found,) = faces.find(videos.resized(videos.portrait(), 320), 5)

    assert found.box[2] - found.box[0] > 60
