"""Fakes along a clip: what is steady, what flickers, trembles and slides, and what temporal training makes of them."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from detector.training import clip_fakes, packs, temporal
from detector.training.clip_fakes import KINDS, Course, Frames, Kind, clip_fake, manipulated
from detector.training.packs import Clip, CropRow, Pack
from tests.portraits import MARGIN, changed, crop

Picture = NDArray[np.uint8]

PICTURE, POINTS = crop()
EXTENT = float(np.ptp(POINTS, axis=0).max())
COUNT = 8
STILL = Frames([PICTURE] * COUNT, [POINTS] * COUNT)
DONOR_PICTURE, DONOR_POINTS = crop(mirrored=True)
DONOR = Frames([DONOR_PICTURE] * 3, [DONOR_POINTS] * 3)
STEADY = Course.steady(COUNT)


def made(kind: Kind, course: Course, seed: int = 0) -> list[Picture]:
    return manipulated(STILL, kind, course, np.random.default_rng(seed), DONOR)


def centre_of_change(fake: Picture) -> NDArray[np.float64]:
    """(x, y) in shares of the face's extent."""
    difference = np.where(changed(PICTURE, fake) > 6, 1.0, 0.0)
    return np.array([(difference.sum(axis=axis) @ np.arange(160)) / difference.sum() for axis in (0, 1)]) / EXTENT


@pytest.mark.parametrize("kind", KINDS)
def test_a_steady_manipulation_of_a_still_face_stands_still(kind: Kind) -> None:
    frames = made(kind, STEADY)

    assert len(frames) == COUNT
    assert all(np.array_equal(frame, frames[0]) for frame in frames)
    assert changed(PICTURE, frames[0]).max() > 3


@pytest.mark.parametrize("kind", KINDS)
def test_strength_lies_between_genuine_and_fake(kind: Kind) -> None:
    strength = np.linspace(0, 1, COUNT).astype(np.float32)
    frames = made(kind, replace(STEADY, strength=strength))

    shares = [changed(PICTURE, frame).mean() for frame in frames]
    assert np.array_equal(frames[0], PICTURE)
    assert np.array_equal(frames[-1], made(kind, STEADY)[-1])
    assert np.all(np.diff(shares) >= 0)
    assert shares[COUNT // 2] == pytest.approx(shares[-1] * strength[COUNT // 2], rel=0.2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_surroundings_stay_as_they_are(kind: Kind, seed: int) -> None:
    for frame in made(kind, replace(STEADY, anew=np.arange(COUNT) % 2 == 1), seed)[:3]:
        assert changed(PICTURE, frame)[:8].max() <= 1
        assert changed(PICTURE, frame)[:, :6].max() <= 1
        assert changed(PICTURE, frame)[:, -6:].max() <= 1


@pytest.mark.parametrize("kind", ["swapped", "restored"])
def test_an_offset_moves_the_manipulation(kind: Kind) -> None:
    offset = np.zeros((COUNT, 2), np.float32)
    offset[5] = [0.06, 0.0]
    frames = made(kind, replace(STEADY, offset=offset))

    apart = centre_of_change(frames[5]) - centre_of_change(frames[4])
    assert 0.02 < apart[0] < 0.1
    assert abs(apart[1]) < 0.03


@pytest.mark.parametrize("kind", KINDS)
def test_frames_made_anew_differ_from_each_other_and_from_the_rest(kind: Kind) -> None:
    frames = made(kind, replace(STEADY, anew=np.arange(COUNT) % 2 == 1))

    assert np.array_equal(frames[0], frames[2])
    assert not np.array_equal(frames[1], frames[0])
    assert not np.array_equal(frames[1], frames[3])


def test_courses_are_steady_or_flicker_or_tremble_or_drift() -> None:
    courses = [Course.draw(COUNT, np.random.default_rng(seed)) for seed in range(300)]
    still = [course for course in courses if np.ptp(course.strength) == 0 and np.ptp(course.offset) == 0]

    assert all(course.strength.min() >= 0 and course.strength.max() <= 1 for course in courses)
    assert all(np.abs(course.offset).max() < 0.15 and np.abs(course.scale - 1).max() < 0.06 for course in courses)
    assert 0.3 < len(still) / len(courses) < 0.75
    assert any(np.ptp(course.strength) > 0.5 for course in courses)
    assert any(course.anew.any() for course in courses)
    assert all(np.mean(course.strength) > 0.4 for course in courses)


def test_drift_is_slow_and_jitter_is_not() -> None:
    for seed in range(10):
        slow = clip_fakes.drift(30, 0.05, np.random.default_rng(seed))
        quick = clip_fakes.jitter(30, 0.02, np.random.default_rng(seed))

        assert np.abs(slow).max() <= 0.05
        assert np.abs(np.diff(slow, axis=0)).max() < 0.25 * np.ptp(slow, axis=0).max()
        assert np.abs(np.diff(quick, axis=0)).max() > 0.4 * np.ptp(quick, axis=0).max()


def test_a_flicker_never_leaves_every_frame_genuine() -> None:
    assert all(clip_fakes.flicker(1, np.random.default_rng(seed)).max() > 0 for seed in range(200))


def test_a_mouth_comes_from_the_same_distance_in_every_frame() -> None:
    """Each frame shows its number by where a bright bar stands in its mouth."""
    x, y = np.round(POINTS[60:].mean(axis=0)).astype(int)
    bars = [x - 10 + 5 * index for index in range(5)]
    pictures = []
    for bar in bars:
        picture = PICTURE.copy()
        picture[y - 6 : y + 7, x - 14 : x + 15] = 40
        picture[y - 6 : y + 7, bar - 1 : bar + 2] = 230
        pictures.append(picture)
    frames = Frames(pictures, [POINTS] * 5)
    found = set()
    for seed in range(12):
        fakes = manipulated(frames, "mouth", Course.steady(5), np.random.default_rng(seed))
        profiles = [fake[y - 2 : y + 3, x - 12 : x + 13].mean(axis=(0, 2)) for fake in fakes]
        seen = [round((int(profile.argmax()) - 2) / 5) for profile in profiles]
        shifts = {(number - index) % 5 for index, number in enumerate(seen)}
        found |= shifts
        assert len(shifts) == 1, seen
    assert 0 not in found
    assert len(found) > 2


def test_a_swap_takes_the_donors_frame_with_the_nearest_expression() -> None:
    opened = DONOR_POINTS.copy()
    opened[48:] += np.array([0, 0.15 * EXTENT], np.float32)
    pictures = [np.full((160, 160, 3), number, np.uint8) for number in range(3)]
    larger = (opened * 1.7 + 12).astype(np.float32)

    assert clip_fakes._lent(Frames(pictures, [DONOR_POINTS, opened, POINTS]), larger)[0].max() == 1
    assert clip_fakes._lent(Frames(pictures, [opened, opened, DONOR_POINTS]), DONOR_POINTS)[0].max() == 2


@pytest.mark.parametrize("seed", range(6))
def test_a_clips_fake_depends_on_the_random_generator_and_changes_nothing_given(seed: int) -> None:
    before = PICTURE.copy(), POINTS.copy()
    first, again = (clip_fake(STILL, np.random.default_rng(seed), DONOR) for _ in range(2))

    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    assert [frame.shape for frame in first] == [PICTURE.shape] * COUNT
    assert np.array_equal(before[0], PICTURE)
    assert np.array_equal(before[1], POINTS)


def test_a_clip_of_one_frame_and_no_donor_is_manipulated_too() -> None:
    one = Frames([PICTURE], [POINTS])
    for seed in range(20):
        (fake,) = clip_fake(one, np.random.default_rng(seed))
        assert fake.shape == PICTURE.shape


def test_a_swap_without_a_donor_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a donor"):
        manipulated(STILL, "swapped", STEADY, np.random.default_rng(0))


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    clips = []
    for name, label, source, mirrored in (("a", 0, "ann", False), ("b", 0, "bob", True), ("c", 1, "ann", False)):
        picture, points = crop(mirrored=mirrored)
        rows = [CropRow(picture, points, 0.1 * index, 80, 30.0) for index in range(4)]
        clips.append((Clip(name, label, "set", source, ""), rows))
    path = tmp_path_factory.mktemp("packs") / "train.npz"
    packs.write(path, clips, size=160, margin=MARGIN, quality=100)
    return packs.read(path)


def test_temporal_training_takes_another_genuine_person_as_donor(pack: Pack) -> None:
    donors = [temporal._donor(pack, pack.clips[0], 2, np.random.default_rng(seed)) for seed in range(6)]
    alone = Pack(**{**vars(pack), "clips": [pack.clips[0], pack.clips[2]]})

    assert all(donor is not None and np.array_equal(donor.pictures[0], pack.crop(4)) for donor in donors)
    assert temporal._donor(alone, pack.clips[0], None, np.random.default_rng(0)) is None


def test_temporal_training_takes_frames_at_even_distances(pack: Pack) -> None:
    frames = temporal._frames(pack, pack.clips[1], 2)
    fakes = {clip_fake(frames, np.random.default_rng(seed))[0].tobytes() for seed in range(8)}

    assert [picture.tobytes() for picture in frames.pictures] == [pack.crop(index).tobytes() for index in (4, 7)]
    assert len(temporal._frames(pack, pack.clips[1], None).pictures) == 4
    assert len(fakes) == 8
