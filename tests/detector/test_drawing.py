"""What is drawn: told apart without colour, inside the picture, legible; heatmaps that can be compared."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from detector import drawing, jpeg
from detector.drawing import DrawnFace
from detector.report import Verdict
from tests import videos

BOX = (200, 120, 320, 280)


def _plain(width: int = 640, height: int = 360, value: int = 128) -> NDArray[np.uint8]:
    return np.full((height, width, 3), value, np.uint8)


def _drawn(verdict: Verdict, probability: float | None = 0.5) -> NDArray[np.uint8]:
    return drawing.annotate(_plain(), [DrawnFace(BOX, verdict, probability, "1")])


def _is(picture: NDArray[np.uint8], colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    return np.asarray((picture == np.array(colour)).all(axis=-1))


def _luminance(colour: tuple[int, int, int]) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in np.array(colour) / 255]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


@pytest.mark.parametrize("colour", [drawing.GREEN, drawing.RED, drawing.GREY])
def test_white_text_on_each_plate_has_enough_contrast(colour: tuple[int, int, int]) -> None:
    assert 1.05 / (_luminance(colour) + 0.05) >= 4.5


@pytest.mark.parametrize(
    ("verdict", "colour"),
    [(Verdict.REAL, drawing.GREEN), (Verdict.FAKE, drawing.RED), (Verdict.INCONCLUSIVE, drawing.GREY)],
)
def test_box_has_the_colour_of_its_verdict(verdict: Verdict, colour: tuple[int, int, int]) -> None:
    others = {drawing.GREEN, drawing.RED, drawing.GREY} - {colour}
    drawn = _drawn(verdict)

    assert _is(drawn, colour)[BOX[3] - 40 : BOX[3] + 12, BOX[0] - 12 : BOX[2] + 12].any()
    assert not any(_is(drawn, other).any() for other in others)


@pytest.mark.parametrize(
    ("probability", "words"),
    [(0.0, "<1%"), (0.004, "<1%"), (0.01, "1%"), (0.99, "99%"), (0.996, ">99%"), (1.0, ">99%")],
)
def test_no_score_claims_to_be_certain(probability: float, words: str) -> None:
    assert drawing.percent(probability) == words


def test_lines_differ_without_colour() -> None:
    """Along the lower half of the left side REAL is one unbroken line, FAKE two, undecided one broken one."""
    rows = slice(BOX[3] - 70, BOX[3] - 10)

    def lines(verdict: Verdict, colour: tuple[int, int, int]) -> tuple[int, bool]:
        ink = _is(_drawn(verdict), colour)[rows, BOX[0] - 12 : BOX[0] + 12]
        columns = ink.any(axis=0).astype(int)
        return int((np.diff(np.r_[0, columns]) == 1).sum()), bool(ink.any(axis=1).all())

    assert lines(Verdict.REAL, drawing.GREEN) == (1, True)
    assert lines(Verdict.FAKE, drawing.RED) == (2, True)
    assert lines(Verdict.INCONCLUSIVE, drawing.GREY) == (1, False)


@pytest.mark.parametrize("verdict", [Verdict.REAL, Verdict.FAKE, Verdict.INCONCLUSIVE])
@pytest.mark.parametrize("colour", [drawing.GREEN, drawing.RED, drawing.GREY])
def test_box_is_seen_on_a_background_of_its_own_colour(verdict: Verdict, colour: tuple[int, int, int]) -> None:
    background = np.full((360, 640, 3), colour, np.uint8)

    drawn = drawing.annotate(background, [DrawnFace(BOX, verdict, 0.5, "1")])

    assert _is(drawn, drawing.WHITE)[BOX[3] - 5 : BOX[3] + 12].any()


def test_words_differ_with_verdict_score_and_person() -> None:
    faces = [
        DrawnFace(BOX, Verdict.REAL, 0.5, "1"),
        DrawnFace(BOX, Verdict.FAKE, 0.5, "1"),
        DrawnFace(BOX, Verdict.REAL, 0.9, "1"),
        DrawnFace(BOX, Verdict.REAL, None, "1"),
        DrawnFace(BOX, Verdict.REAL, 0.5, "2"),
    ]
    words = {(drawing.annotate(_plain(), [face])[85:117].min(axis=-1) > 160).tobytes() for face in faces}

    assert len(words) == len(faces)


@pytest.mark.parametrize("size", [(160, 120), (640, 360), (1280, 720), (720, 1280)])
def test_plate_grows_with_the_picture_and_stays_legible(size: tuple[int, int]) -> None:
    width, height = size
    box = (width // 3, height // 2, width // 2, height * 3 // 4)
    drawn = drawing.annotate(_plain(width, height), [DrawnFace(box, Verdict.REAL, 0.04, "1")])

    rows = np.flatnonzero(_is(drawn, drawing.GREEN)[: box[1] - 6].any(axis=1))

    assert len(rows) >= max(12, max(size) // 60)


box_values = st.tuples(*[st.integers(-300, 900)] * 4).map(
    lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3]))
)


@settings(deadline=None, max_examples=150)
@given(box_values, st.sampled_from(list(Verdict)), st.integers(40, 700), st.integers(40, 700))
def test_any_box_is_drawn_inside_the_picture(
    box: tuple[int, int, int, int], verdict: Verdict, width: int, height: int
) -> None:
    picture = _plain(width, height)

    drawn = drawing.annotate(picture, [DrawnFace(box, verdict, 0.5, "1")])

    assert drawn.shape == picture.shape
    assert _is(drawn, drawing.COLOURS[verdict]).any()
    assert (picture == 128).all()  # the argument is left as it was


@pytest.mark.parametrize("verdict", [Verdict.REAL, Verdict.FAKE])
def test_box_beyond_the_edges_shows_all_four_sides(verdict: Verdict) -> None:
    drawn = drawing.annotate(_plain(), [DrawnFace((-50, -50, 700, 400), verdict, 0.5, "1")])
    ink = _is(drawn, drawing.COLOURS[verdict])

    assert ink[:12, 400].any()
    assert ink[-12:, 400].any()
    assert ink[200, :12].any()
    assert ink[200, -12:].any()


def test_labels_lie_over_the_boxes_of_others() -> None:
    label_alone = drawing.annotate(_plain(), [DrawnFace(BOX, Verdict.REAL, 0.5, "1")])
    across = DrawnFace((210, 60, 500, 110), Verdict.FAKE, 0.5, "2")

    both = drawing.annotate(_plain(), [DrawnFace(BOX, Verdict.REAL, 0.5, "1"), across])

    plate = _is(label_alone, drawing.GREEN)[100:117, 202:260]
    np.testing.assert_array_equal(_is(both, drawing.GREEN)[100:117, 202:260], plate)


def test_picture_without_faces_stays_as_it_is() -> None:
    np.testing.assert_array_equal(drawing.annotate(_plain(), []), _plain())


def test_overlay_of_nothing_is_the_crop_in_grey() -> None:
    crop = np.random.default_rng(0).integers(0, 256, (160, 160, 3)).astype(np.uint8)

    shown = drawing.overlay(crop, np.zeros((5, 5), np.float32))

    assert (shown == shown[..., :1]).all()
    np.testing.assert_allclose(shown[..., 0], crop @ (0.299, 0.587, 0.114), atol=1)


@pytest.mark.parametrize(("value", "strong", "weak"), [(3.0, 0, 2), (-3.0, 2, 0)])
def test_overlay_is_orange_towards_fake_and_blue_towards_real(value: float, strong: int, weak: int) -> None:
    shown = drawing.overlay(_plain(64, 64), np.full((4, 4), value, np.float32)).mean(axis=(0, 1))

    assert shown[strong] > shown[weak] + 40


def test_overlay_has_the_same_colour_for_the_same_value_whatever_else_the_map_holds() -> None:
    mild, wild = np.full((8, 8), 1.5, np.float32), np.full((8, 8), 1.5, np.float32)
    wild[:, 6:] = 40

    one, other = (drawing.overlay(_plain(128, 128), map_) for map_ in (mild, wild))

    np.testing.assert_array_equal(one[:, :64], other[:, :64])


def test_overlay_grows_stronger_up_to_its_scale_and_no_further() -> None:
    def distance(value: float, scale: float) -> float:
        shown = drawing.overlay(_plain(32, 32), np.full((2, 2), value, np.float32), scale)
        return float(np.abs(shown.astype(int) - 128).sum())

    strengths = [distance(value, 4.0) for value in (0.0, 1.0, 2.0, 4.0)]
    assert strengths == sorted(set(strengths))
    assert distance(9.0, 4.0) == strengths[-1]
    assert distance(2.0, 2.0) == strengths[-1]


def test_overlay_marks_the_place_that_spoke() -> None:
    map_ = np.zeros((5, 5), np.float32)
    map_[1, 3] = drawing.FULL_STRENGTH

    coloured = np.ptp(drawing.overlay(_plain(160, 160), map_).astype(int), axis=-1)

    row, column = np.unravel_index(coloured.argmax(), coloured.shape)
    assert (row // 32, column // 32) == (1, 3)
    assert coloured[96:, :64].max() == 0


def test_boxes_on_a_kept_frame_are_given_in_pixels_of_the_video() -> None:
    kept = jpeg.encode(_plain(640, 360), jpeg.FRAME_QUALITY)
    box = BOX[0] * 3, BOX[1] * 3, BOX[2] * 3, BOX[3] * 3

    drawn = jpeg.decode(drawing.on_frame(kept, 1920, [DrawnFace(box, Verdict.FAKE, 0.9, "1")]))

    assert np.array_equal(drawn, jpeg.decode(jpeg.encode(_drawn(Verdict.FAKE, 0.9), jpeg.FRAME_QUALITY)))


def test_what_is_not_drawn_on_stays_as_it_was_kept() -> None:
    """To encode it again costs much less than it had lost already."""
    photograph = videos.portrait()
    kept = jpeg.encode(photograph, jpeg.FRAME_QUALITY)
    once = jpeg.decode(kept).astype(np.int16)

    twice = jpeg.decode(drawing.on_frame(kept, photograph.shape[1], []))

    assert np.abs(twice - once).mean() < 0.5 * np.abs(once - photograph).mean()


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_a_damaged_frame_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="no JPEG"):
        drawing.on_frame(content, 640, [])
