"""The benchmark: one real run on a short and small clip, and the rest with measurements that are given."""

import json
import os
import sys
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest

from detector.bench import cases, children, machine, measure, run, text, usual
from detector.bench.cases import Case, Clip
from detector.errors import DetectorError, ErrorCode
from detector.pipeline import TIMED
from detector.release import MODELS_DIR
from tests.detector.measurements import floor, measured_run, result


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    model = MODELS_DIR / "resnext50-lstm-0.2.0"
    steps: list[str] = []
    found = run.run([Case(Clip(360, 1.0), 10, model)], steps.append)
    assert steps == [
        "making a sample clip of 1 s at 360p",
        "examining sample-360p-1s-1.mp4, 10 frames",
        "examining sample-360p-1s-1.mp4 with 2 workers at once",
    ]
    return found


class TestRealRun:
    def test_it_is_of_the_clip_asked_for(self, measured: dict[str, Any]) -> None:
        [one] = measured["runs"]

        facts = ("video", "width", "height", "duration_s", "frames_analyzed", "people", "crops", "model", "baseline")
        assert [one[fact] for fact in facts] == [
            *("sample-360p-1s-1.mp4", 640, 360, 1.0, 10, 1, 10, "resnext50-lstm 0.2.0", None)
        ]
        assert one["sample"] == {"height": 360, "seconds": 1.0, "faces": 1}

    def test_each_stage_has_its_times_and_only_cold_loads(self, measured: dict[str, Any]) -> None:
        cold, warm = measured["runs"][0]["cold"], measured["runs"][0]["warm"]

        assert list(warm["stages"]) == list(TIMED)
        assert list(cold["stages"]) == ["import", "load", *TIMED]
        for whole in (cold, warm):
            assert all(spent["wall_s"] > 0 for spent in whole["stages"].values())
            # On the clock stages overlap where threads work side by side.
            assert whole["cpu_s"] >= sum(spent["cpu_s"] for spent in whole["stages"].values()) - 0.1
        assert 0 < warm["cpu_s"] < cold["cpu_s"]

    def test_the_decoder_s_own_process_is_counted(self, measured: dict[str, Any]) -> None:
        probe = measured["runs"][0]["warm"]["stages"]["probe"]

        assert probe["cpu_s"] > 0.02  # it starts an interpreter and loads libraries; here next to nothing is done

    def test_the_floor_is_of_this_clip_and_model(self, measured: dict[str, Any]) -> None:
        found = measured["runs"][0]["floor"]

        assert found["frames_in_video"] == 30
        assert 10 <= found["frames_to_decode"] < 30  # x264 has frames in it that no other needs
        assert found["multiply_adds_per_crop"] == pytest.approx(2.157e9, rel=0.001)
        assert found["decode"]["cpu_s"] > 0
        assert 0 < found["network"]["cpu_s"] < found["cpu_s"]

    def test_peak_memory_is_that_of_a_process_with_a_network(self, measured: dict[str, Any]) -> None:
        assert 100e6 < measured["runs"][0]["peak_memory_bytes"] < 4e9

    def test_two_workers_have_examined_it_at_once(self, measured: dict[str, Any]) -> None:
        at_once = measured["runs"][0]["workers"]

        assert at_once["count"] == 2
        assert at_once["wall_s"] > 0
        assert at_once["times_one"] == pytest.approx(
            2 * measured["runs"][0]["warm"]["wall_s"] / at_once["wall_s"], abs=0.01
        )

    def test_two_workers_with_cores_of_their_own_are_held_against_one_with_as_many(
        self, measured: dict[str, Any]
    ) -> None:
        apart = measured["runs"][0]["workers"]["apart"]
        if len(machine.shares_of_cores(2)) < 2:
            assert apart is None
            return

        assert apart["cores"] == len(machine.shares_of_cores(2)[0])
        assert apart["times_one"] == pytest.approx(2 * apart["one_wall_s"] / apart["wall_s"], abs=0.01)

    def test_it_goes_to_json_and_to_a_table(self, measured: dict[str, Any]) -> None:
        assert json.loads(json.dumps(measured)) == measured
        lines = text.as_table(measured).splitlines()

        assert "sample-360p-1s-1.mp4: 640 x 360, 1.0 s; 10 frames, people: 1; resnext50-lstm 0.2.0" in lines
        for stage, spent in measured["runs"][0]["warm"]["stages"].items():
            row = next(line for line in lines if line.startswith(f"  {stage} "))
            assert row.split()[3:] == [f"{spent['wall_s']:.2f}", f"{spent['cpu_s']:.2f}"]


class TestCases:
    def test_each_clip_meets_each_model_and_the_usual_way_comes_once_for_each_clip(self) -> None:
        one, other, video = Path("one"), Path("other"), Path("my.mp4")

        found = list(cases.product([Clip(360), video], 30, [one, other], 1, True))

        assert found == [
            Case(Clip(360), 30, one, 1, True),
            Case(Clip(360), 30, other, 1, False),
            Case(video, 30, one, 1, True),
            Case(video, 30, other, 1, False),
        ]

    def test_a_sweep_changes_one_thing_at_a_time(self) -> None:
        found = list(cases.sweep(60, [Path("fast"), Path("good")], 2, True))

        reference = Case(Clip(), 60, Path("fast"), 2, True)
        assert found[0] == reference
        for case in found[1:]:
            assert isinstance(case.source, Clip)
            changed = [
                case.source.height != 1080,
                case.source.seconds != 10,
                case.source.faces != 1,
                case.frames != 60,
                case.model != Path("fast"),
            ]
            assert sum(changed) == (1 if case.model == Path("fast") or case.source == Clip() else 2)
            assert not case.baseline
        assert {case.source for case in found if case.model == Path("good")} == {
            *(Clip(), Clip(height=2160), Clip(seconds=600.0))
        }

    def test_a_long_clip_shows_the_short_one_again(self) -> None:
        assert (Clip(seconds=10.0).turns, Clip(seconds=25.0).turns, Clip(seconds=600.0).turns) == (1, 4, 61)


def test_clips_are_made_once_and_given_videos_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[object, ...]] = []

    def answer(work: Callable[..., object], *arguments: Any) -> object:
        if work is run._encode:
            arguments[0].touch()
            made.append((arguments[1],))
        elif work is run._repeat:
            arguments[2].touch()
            made.append((arguments[0].name, arguments[1]))
        return {"crops": 3, "warm": {}} if work is measure.examine else {}

    monkeypatch.setattr(run, "in_child", answer)
    clips: list[Clip | Path] = [Clip(360), Clip(360, 25.0), Clip(360, 600.0), tmp_path / "one.mkv"]

    found = run.run([Case(clip, workers=1) for clip in clips])

    assert made == [(Clip(360),), (Clip(360).name, 4), (Clip(360).name, 61)]
    assert [one["video"] for one in found["runs"]] == [clip.name for clip in clips]
    assert found["runs"][-1]["sample"] is None


class TestChildren:
    def test_bad_video_is_refused_with_its_code(self, tmp_path: Path) -> None:
        (tmp_path / "empty.mp4").touch()

        with pytest.raises(DetectorError) as refusal:
            children.in_child(measure.examine, measure.Job(tmp_path / "empty.mp4", 10, None, tmp_path / "pictures"))

        assert refusal.value.code is ErrorCode.EMPTY
        assert "empty" in str(refusal.value)

    def test_dead_child_is_told(self) -> None:
        with pytest.raises(children.BenchError, match="exit code 7"):
            children.in_child(os._exit, 7)

    def test_several_wait_for_each_other_and_answer_in_order(self) -> None:
        assert children.together(_meet, [(5,), (6,)]) == [5, 6]

    def test_one_that_dies_while_the_other_waits_is_told(self) -> None:
        with pytest.raises(children.BenchError, match="exit code 3"):
            children.together(_meet, [(5,), (0,)])


def _meet(barrier: Barrier, number: int) -> int:
    if number == 0:
        os._exit(3)
    barrier.wait(120)
    return number


class TestUsualWay:
    def test_ratios_are_told_by_stage_and_in_all(self) -> None:
        warm = {"wall_s": 2.0, "cpu_s": 3.0, "stages": {"detect": {"wall_s": 0.5, "cpu_s": 1.0}, "track": {}}}
        theirs = {
            "wall_s": 50.0,
            "cpu_s": 60.0,
            "stages": {"detect": {"wall_s": 40.0, "cpu_s": 40.0}, "other": {"wall_s": 1.0, "cpu_s": 1.0}},
        }

        assert usual.times_ours(theirs, warm) == {
            "total": {"wall_s": 25.0, "cpu_s": 20.0},
            "detect": {"wall_s": 80.0, "cpu_s": 40.0},
        }

    def test_a_stage_that_took_us_no_time_has_no_ratio(self) -> None:
        nothing, some = {"wall_s": 0.0, "cpu_s": 0.0}, {"wall_s": 1.0, "cpu_s": 1.0}

        times = usual.times_ours({**some, "stages": {"crop": some}}, {**some, "stages": {"crop": nothing}})

        assert times["crop"] == {"wall_s": None, "cpu_s": None}

    def test_it_is_asked_about_the_video_and_its_answer_is_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        program = "import json, sys; print(json.dumps({'asked': sys.argv[1:]}))"
        monkeypatch.setattr(usual, "COMMAND", (sys.executable, "-c", program))

        answer = usual.measure(tmp_path / "clip.mp4", 20, tmp_path / "out")

        asked = [str(tmp_path / "clip.mp4"), "--frames", "20", "--out", str(tmp_path / "out")]
        assert answer == {"asked": asked}

    def test_why_it_was_left_out_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "words.mp4").write_text("no video")

        left_out = usual.measure(tmp_path / "words.mp4", 10, tmp_path / "out")

        assert list(left_out) == ["left_out"]
        assert left_out["left_out"].endswith("words.mp4 holds no frame that OpenCV can read.")

    def test_one_that_dies_is_left_out(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(usual, "COMMAND", ("/bin/sh", "-c", "echo broken >&2; exit 9"))

        left_out = usual.measure(tmp_path / "clip.mp4", 10, tmp_path / "out")

        assert left_out == {"left_out": "It ended with exit code 9. broken"}


class TestTable:
    def test_the_usual_way_stands_beside_ours(self) -> None:
        usual_way = {
            "wall_s": 50.0,
            "cpu_s": 90.0,
            "stages": {"detect": {"wall_s": 40.0, "cpu_s": 70.0}},
            "peak_memory_bytes": 3e9,
            "times_ours": {"detect": {"wall_s": 80.0, "cpu_s": 70.0}, "total": {"wall_s": 25.0, "cpu_s": 30.0}},
        }

        lines = text.as_table(result(measured_run(baseline=usual_way))).splitlines()

        rows = {line.split()[0]: line.split()[1:] for line in lines if line.startswith("  ")}
        assert rows["detect"] == ["0.60", "1.20", "0.50", "1.00", "40.00", "70.00", "80.0"]
        assert rows["import"] == ["1.00", "1.00", "–", "–", "–", "–", "–"]
        assert rows["total"] == ["4.00", "6.00", "2.00", "3.00", "50.00", "90.00", "25.0"]
        assert "  peak memory 650 MB; the usual way 3000 MB" in lines

    def test_the_floor_workers_and_what_was_left_out_are_told(self) -> None:
        lines = text.as_table(
            result(measured_run(baseline={"left_out": "There is no room."}, floor=floor(), workers=_at_once(1.75)))
        ).splitlines()

        assert "Other programs took 40% of the processor time meanwhile." in lines
        assert "  floor of decode: 0.50 s (0.90 s processor) for 150 of 300 frames" in lines
        assert "  floor of network: 0.50 s (0.60 s processor) for 60 billion multiply-adds" in lines
        assert "  both: 1.00 s (1.50 s processor); warm is 2.0 times that (2.0 times in processor time)" in lines
        assert "  2 workers at once: 1.75 times the throughput of one" in lines
        assert "  with an equal share of the cores each: 1.80 times one with such a share" in lines
        assert "  the usual way is left out: There is no room." in lines


def _at_once(times_one: float) -> dict[str, Any]:
    apart = {"cores": 3, "wall_s": 1.0, "one_wall_s": 0.9, "times_one": 1.8}
    return {"count": 2, "wall_s": 1.0, "cpu_s": 2.0, "times_one": times_one, "apart": apart}


def test_the_cores_are_shared_out_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5, 1, 3, 8, 7}, raising=False)

    assert machine.shares_of_cores(2) == [[1, 3], [5, 7]]
    assert machine.shares_of_cores(5) == [[1], [3], [5], [7], [8]]
    assert machine.shares_of_cores(6) == []


def test_others_share_of_the_machine_is_what_was_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([(100.0, 50.0), (110.0, 60.0)])
    monkeypatch.setattr(machine, "_busy_s", lambda: next(readings))
    own = iter([5.0, 9.0])
    monkeypatch.setattr(machine, "_own_s", lambda: next(own))

    assert machine.Machine().facts()["others_share"] == pytest.approx(0.3)
