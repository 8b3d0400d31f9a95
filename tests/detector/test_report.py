"""The report's way to JSON and back, and what happens to one that has another shape."""

import json
import math
from typing import Any

import pytest

from detector import report as r


def a_report() -> r.Report:
    sample = r.FaceSample(0, 0.5, (1, 2, 30, 40), 0.75, 29, 120.5, True, "crop.jpg", None)
    track = r.Track(0, r.Verdict.INCONCLUSIVE, 0.75, None, (r.Reason.SCORE_BETWEEN_THRESHOLDS,), (sample,))
    return r.Report(
        verdict=r.Verdict.INCONCLUSIVE,
        probability_fake=0.75,
        confidence=None,
        reasons=(r.Reason.SCORE_BETWEEN_THRESHOLDS,),
        frames_requested=10,
        frames_analyzed=1,
        tracks=(track,),
        frames=(r.SampledFrame(0, 0.5, "frame.jpg"),),
        video=r.VideoInfo("ab" * 32, 10, "gif", "gif", 64, 48, 90, 1.0, 0.0),
        model=r.ModelInfo("test", "1", "cd" * 32, 0.9, 0.1),
        timings_s={"total": 1.5},
        libraries={"av": "18.1.0"},
    )


def test_a_report_comes_back_from_json_as_it_was() -> None:
    report = a_report()

    assert r.Report.from_json(json.loads(json.dumps(report.to_json()))) == report


@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": 2},
        {"schema_version": None},
        {"verdict": "PERHAPS"},
        {"tracks": None},
        {"video": 3},
        {"frames_analyzed": None},
        {"reasons": ["no such reason"]},
        {"frames_analyzed": math.inf},  # as Python reads 1e999
        {"timings_s": 3},
        {"tracks": [[]]},
    ],
    ids=str,
)
def test_another_version_or_shape_is_a_value_error(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        r.Report.from_json(a_report().to_json() | change)


@pytest.mark.parametrize("value", [[], None, "x", 1, True, [{"schema_version": 1}]], ids=str)
def test_what_is_no_object_is_a_value_error(value: object) -> None:
    with pytest.raises(ValueError, match="A report is a JSON object, not "):
        r.Report.from_json(value)


def test_a_report_from_before_a_field_was_added_has_its_default() -> None:
    value = a_report().to_json()
    del value["model"]["maps_add_up"], value["people_left_out"]

    assert r.Report.from_json(value).model.maps_add_up
    assert r.Report.from_json(value).people_left_out == 0


def test_a_missing_field_is_named() -> None:
    value = a_report().to_json()
    del value["video"]["codec"]

    with pytest.raises(ValueError, match="VideoInfo lacks codec"):
        r.Report.from_json(value)
