"""The geometry of the drawings, and numbers in words."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.templatetags import analysis_words as words
from analysis.views.timeline import HEIGHT_PX, Scale, Score, band_of, chart_of, ruler_of

SCALE = Scale(duration_s=10.0, threshold_real=0.2, threshold_fake=0.8)


def score(frame_index: int, time_s: float, probability: float, *, usable: bool = True) -> Score:
    return Score(frame_index, time_s, probability, usable)


@pytest.mark.parametrize(
    ("probability", "band"), [(0.0, "real"), (0.2, "real"), (0.21, "between"), (0.79, "between"), (0.8, "fake")]
)
def test_thresholds_belong_to_their_verdict(probability: float, band: str) -> None:
    assert band_of(probability, SCALE) == band
    assert band_of(probability, SCALE, usable=False) == "unusable"


def test_points_stand_where_time_and_probability_say() -> None:
    chart = chart_of([score(0, 0.0, 1.0), score(1, 2.5, 0.5), score(2, 10.0, 0.0)], SCALE)

    assert [(point.x, point.y) for point in chart.points] == [
        ("0", "0"),
        ("25", str(HEIGHT_PX // 2)),
        ("100", str(HEIGHT_PX)),
    ]


def test_lines_join_only_usable_scores_of_neighbouring_frames() -> None:
    chart = chart_of(
        [score(0, 0, 0.5), score(1, 1, 0.5), score(3, 3, 0.5), score(4, 4, 0.5, usable=False), score(5, 5, 0.5)], SCALE
    )

    assert [(line.x1, line.x2) for line in chart.segments] == [("0", "10")]


def test_bands_fill_the_height() -> None:
    chart = chart_of([], SCALE)

    assert float(chart.y_fake) + float(chart.between_height) == pytest.approx(float(chart.y_real))
    assert float(chart.y_real) + float(chart.real_height) == pytest.approx(HEIGHT_PX)


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=120),
    st.floats(0.001, 4000),
)
def test_click_targets_lie_inside_in_order_and_hold_their_points(probabilities: list[float], duration_s: float) -> None:
    step = duration_s / len(probabilities)
    chart = chart_of(
        [score(at, at * step, value) for at, value in enumerate(probabilities)], Scale(duration_s, 0.2, 0.8)
    )

    end = 0.0
    for point in chart.points:
        left, width, x = float(point.left), float(point.width), float(point.x)
        assert left >= end - 0.02
        assert left - 0.02 <= x <= left + width + 0.02
        assert left + width <= 100.12
        end = left + width - 0.1
        assert 0 <= float(point.y) <= HEIGHT_PX


@given(st.floats(0.01, 4000))
def test_the_time_axis_has_few_marks_within_the_video(duration_s: float) -> None:
    ticks = chart_of([], Scale(duration_s, 0.2, 0.8)).ticks

    assert 1 <= len(ticks) <= 6
    assert ticks[0].time_s == 0
    assert all(tick.time_s <= duration_s * 1.001 for tick in ticks)


def test_a_video_without_length_is_drawn_all_the_same() -> None:
    chart = chart_of([score(0, 0.0, 0.4)], Scale(0.0, 0.2, 0.8))

    assert [point.x for point in chart.points] == ["0"]
    assert [tick.x for tick in chart.ticks] == ["0"]


@given(st.floats(0, 0.5), st.floats(0.5, 1))
def test_labels_of_the_scale_never_touch(real: float, fake: float) -> None:
    places = sorted(float(label.y) for label in chart_of([], Scale(10, real, fake)).labels)

    assert all(below - above >= 14.98 for above, below in itertools.pairwise(places))


def test_the_ruler_marks_the_probability_between_the_thresholds() -> None:
    ruler = ruler_of(0.97, SCALE)

    assert (ruler.marker, ruler.anchor) == ("97", "end")
    assert (ruler.real, ruler.between, ruler.fake, ruler.fake_width) == ("20", "60", "80", "20")
    assert (ruler_of(0.5, SCALE).anchor, ruler_of(0.0, SCALE).marker, ruler_of(1.0, SCALE).marker) == (
        "middle",
        "0.8",
        "99.2",
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "not judged"),
        (0.0, "under 1 %"),
        (0.004, "under 1 %"),
        (0.006, "1 %"),
        (0.5, "50 %"),
        (0.994, "99 %"),
        (0.9951, "over 99 %"),
        (1.0, "over 99 %"),
    ],
)
def test_no_probability_is_said_to_be_certain(value: float | None, text: str) -> None:
    assert words.percent(value) == text


def test_short_percent_is_short_at_the_ends() -> None:
    assert [words.short_percent(value) for value in (0.001, 0.42, 0.999)] == ["<1 %", "42 %", ">99 %"]


@pytest.mark.parametrize(("value", "text"), [(0.9, "90 %"), (0.105, "10.5 %"), (0.3, "30 %")])
def test_a_threshold_is_as_exact_as_it_was_set(value: float, text: str) -> None:
    assert words.threshold(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (0, "0:00.0"), (3.24, "0:03.2"), (59.96, "1:00.0"), (3723.4, "1:02:03.4")]
)
def test_clock(value: float | None, text: str) -> None:
    assert words.clock(value) == text


def test_axis_clock_drops_empty_tenths() -> None:
    assert [words.axis_clock(value) for value in (5, 0.5)] == ["0:05", "0:00.5"]


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (0.2, "1 second"), (75, "75 seconds"), (200, "3 minutes"), (9000, "2 hours")]
)
def test_span(value: float | None, text: str) -> None:
    assert words.span(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (2, "a few seconds left"),
        (12, "about 15 seconds left"),
        (60, "about 1 minute left"),
        (61, "about 2 minutes left"),
    ],
)
def test_time_left_does_not_pretend(value: float | None, text: str) -> None:
    assert words.time_left(value) == text
