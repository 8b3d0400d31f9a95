"""The benchmark, on a short and small clip with the installed model."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from detector import bench
from detector.errors import DetectorError, ErrorCode


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    steps: list[str] = []
    result = bench.bench([], 10, sample_height=360, sample_s=1.0, on_step=steps.append)
    assert steps == ["making a sample clip of 1 s at 360p", "examining sample-360p.mp4"]
    return result


def test_sample_clip_is_what_was_asked_for(measured: dict[str, Any]) -> None:
    facts = [
        (each["video"], each["width"], each["height"], each["duration_s"], each["frames_analyzed"], each["people"])
        for each in measured["videos"]
    ]

    assert facts == [("sample-360p.mp4", 640, 360, 1.0, 10, 1)]


def test_given_videos_are_measured_after_the_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(work: Callable[..., object], video: Path, *rest: object) -> bench.Measurement:
        return bench.Measurement(video.name, 2, 2, 1.0, 10, 1, {"total": 2.0}, {"total": 1.0}, 3.0, 2.0, 1)

    monkeypatch.setattr(bench, "_in_child", answer)

    result = bench.bench([tmp_path / "one.mp4", tmp_path / "two.mkv"], 10)

    assert [each["video"] for each in result["videos"]] == ["sample-1080p.mp4", "one.mp4", "two.mkv"]


def test_cold_counts_loading_and_warm_does_not(measured: dict[str, Any]) -> None:
    for video in measured["videos"]:
        cold, warm = video["cold_s"], video["warm_s"]
        stages = set(warm) - {"total"}
        assert {"read", "faces", "network", "pictures"} <= stages
        assert set(cold) == stages | {"import", "load", "total"}
        assert cold["import"] > 0
        assert cold["load"] > 0
        assert cold["total"] >= cold["import"] + cold["load"] + sum(cold[stage] for stage in stages) - 0.05
        assert 0 < warm["total"] < cold["total"]
        assert 0 < video["warm_cpu_s"] < video["cold_cpu_s"]


def test_peak_memory_is_that_of_a_process_with_a_network(measured: dict[str, Any]) -> None:
    for video in measured["videos"]:
        assert 100e6 < video["peak_memory_bytes"] < 4e9


def test_result_goes_to_json_and_to_a_table(measured: dict[str, Any]) -> None:
    assert json.loads(json.dumps(measured)) == measured
    table = bench.as_table(measured)

    assert "sample-360p.mp4: 640 x 360, 1.0 s; 10 frames, people: 1" in table
    for stage, seconds in measured["videos"][0]["warm_s"].items():
        row = next(line for line in table.splitlines() if line.startswith(f"  {stage} "))
        assert row.endswith(f"{seconds:.2f} s")


def test_bad_video_is_refused_with_its_code(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()

    with pytest.raises(DetectorError) as refusal:
        bench._in_child(bench._measure, tmp_path / "empty.mp4", 10, None, tmp_path / "pictures")

    assert refusal.value.code is ErrorCode.EMPTY
    assert "empty" in str(refusal.value)


def test_dead_child_is_told() -> None:
    with pytest.raises(bench.BenchError, match="exit code 7"):
        bench._in_child(os._exit, 7)
