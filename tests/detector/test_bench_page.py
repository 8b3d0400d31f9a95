"""The page of what was measured: its budget, its tables, its figures, and what stays as it was."""

import json
from pathlib import Path

import pytest

from detector import cli
from detector.bench import budget, figures, page, run
from detector.bench.cases import Clip
from tests.detector.measurements import floor, measured_run, result

USUAL = {
    "wall_s": 60.0,
    "cpu_s": 90.0,
    "stages": {"detect": {"wall_s": 40.0, "cpu_s": 70.0}},
    "peak_memory_bytes": 3e9,
    "times_ours": {"detect": {"wall_s": 80.0, "cpu_s": 70.0}, "total": {"wall_s": 30.0, "cpu_s": 30.0}},
}
APART = {"cores": 1, "wall_s": 5.0, "one_wall_s": 4.0, "times_one": 1.6}
SWEPT = result(
    measured_run(baseline=USUAL, workers={"count": 2, "wall_s": 2.5, "cpu_s": 4.9, "times_one": 1.2, "apart": APART}),
    measured_run(Clip(height=360)),
    measured_run(Clip(height=2160), peak_memory_bytes=900_000_000),
    measured_run(Clip(seconds=600.0), warm={**measured_run()["warm"], "wall_s": 11.0}),
    measured_run(Clip(faces=2)),
    measured_run(frames_requested=20, frames_analyzed=20),
    measured_run(model="clip-vit-b16-lstm 0.1.0", warm={**measured_run()["warm"], "wall_s": 5.5}),
)


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "performance.md"
    path.write_text(f"Before.\n\n{page.BEGIN}\nold\n{page.END}\n\nAfter.\n", encoding="utf-8")
    return path


def test_what_was_measured_stands_between_the_marks_and_beside_the_page(document: Path) -> None:
    page.write(document, SWEPT)

    written = document.read_text(encoding="utf-8")
    assert written.startswith(f"Before.\n\n{page.BEGIN}\nMeasured on 28 November 2026 on a machine with 2 cores")
    assert written.endswith(f"{page.END}\n\nAfter.\n")
    assert "\nold\n" not in written
    assert "**The machine was busy**: other programs took 40% of its processor time" in written
    assert "| detect | 0.60 (1.20) | 0.50 (1.00) | – | 40.00 (70.00) | 80.0 (70.0) |" in written
    assert "| network | 1.20 (1.80) | 1.20 (1.80) | 0.50 (0.60) | – | – |" in written
    assert "| total | 4.00 (6.00) | 2.00 (3.00) | 1.00 (1.50) | 60.00 (90.00) | 30.0 (30.0) |" in written
    folder = document.with_suffix("")
    assert json.loads((folder / "measured.json").read_text()) == SWEPT
    for name in ("stages.svg", "growth.svg"):
        assert f"(performance/{name})" in written
        assert "<svg" in (folder / name).read_text()


def test_the_same_measurements_give_the_same_figures(document: Path) -> None:
    drawn = []
    for _ in range(2):
        page.write(document, SWEPT)
        drawn.append([(document.with_suffix("") / name).read_bytes() for name in ("stages.svg", "growth.svg")])

    assert drawn[0] == drawn[1]


def test_a_quiet_machine_is_not_called_busy(document: Path) -> None:
    page.write(document, result(measured_run(), others_share=0.01))

    assert "busy" not in document.read_text()


def test_a_single_clip_has_no_figures_and_no_growth(document: Path) -> None:
    page.write(document, result(measured_run()))

    assert ".svg" not in document.read_text()
    assert [path.name for path in document.with_suffix("").iterdir()] == ["measured.json"]


def test_a_page_without_the_clips_of_the_budget_says_so(document: Path) -> None:
    page.write(document, result(measured_run(Clip(height=360))))

    assert "None of the clips that the budget speaks of was measured" in document.read_text()
    assert "allowed" not in document.read_text()


def test_why_the_usual_way_is_missing_is_told(document: Path) -> None:
    page.write(document, result(measured_run(baseline={"left_out": "There is no room."})))

    assert "The usual way is left out on sample-1080p-10s-1.mp4: There is no room.\n" in document.read_text()


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("Nothing here.")

    with pytest.raises(ValueError, match="lacks the marks"):
        page.write(tmp_path / "other.md", SWEPT)

    assert [path.name for path in tmp_path.iterdir()] == ["other.md"]
    assert (tmp_path / "other.md").read_text() == "Nothing here."


def test_each_promise_of_the_budget_is_held_against_what_was_measured() -> None:
    kept = {row.what: (row.allowed, row.measured, row.is_kept) for row in budget.rows(SWEPT)}

    fast, good = "10 s at 1080p, resnext50-lstm 0.2.0", "10 s at 1080p, clip-vit-b16-lstm 0.1.0"
    assert kept[fast] == ("3 s", "2.0 s", True)
    assert kept[f"{fast}: peak memory"] == ("700 MB", "650 MB", True)
    assert kept[f"{fast}: times the floor"] == ("≤ 2", "2.0", True)
    shared = f"{fast}: 2 workers at once, times the throughput of one with as many cores as each (1)"
    assert kept[shared] == ("≥ 1.7", "1.60", False)
    assert kept[f"{fast}: times as fast as the usual way"] == ("≥ 25", "30.0", True)
    assert kept["10 s at 2160p, resnext50-lstm 0.2.0: peak memory"] == ("700 MB", "900 MB", False)
    assert kept["600 s at 1080p, resnext50-lstm 0.2.0"] == ("10 s", "11.0 s", False)
    assert kept[good] == ("6 s", "5.5 s", True)
    assert not any("360p" in what or "faces" in what for what in kept)


def test_what_took_more_than_twice_the_floor_is_told() -> None:
    slow = measured_run(floor=floor(times_floor={"wall_s": 2.5, "cpu_s": 1.9}))

    [row] = [row for row in budget.rows(result(slow)) if "floor" in row.what]

    assert (row.measured, row.at_best, row.is_kept) == ("2.5", "1.9 times", False)


def test_growth_is_drawn_along_one_thing_at_a_time() -> None:
    runs = figures._of_first_model(SWEPT)

    along = {name: [one["video"] for one in figures._along(runs, name)] for name in figures.PANELS}

    assert along == {
        "height": [Clip(height=360).name, Clip().name, Clip(height=2160).name],
        "seconds": [Clip().name, Clip(seconds=600.0).name],
        "faces": [Clip().name, Clip(faces=2).name],
        "frames": [Clip().name, Clip().name],
    }


def test_the_page_is_drawn_again_from_what_was_measured_before(
    document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = document.with_name("measured.json")
    measured.write_text(json.dumps(SWEPT))

    assert cli.main(["bench", "--from", str(measured), "--write", str(document)]) == 0

    assert "10 s at 1080p, resnext50-lstm 0.2.0" in document.read_text()
    assert "sample-1080p-10s-1.mp4" in capsys.readouterr().out


def test_what_was_measured_in_parts_stands_on_one_page(document: Path) -> None:
    parts = [result(measured_run()), result(measured_run(Clip(height=360)), others_share=0.2)]

    page.write(document, run.joined(parts))

    written = document.read_text()
    assert "other programs took 30% of" in written
    assert Clip().name in written
    assert Clip(height=360).name in written
    assert (document.with_suffix("") / "stages.svg").exists()


def test_parts_from_different_machines_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ours, theirs = result(measured_run()), result(measured_run())
    theirs["machine"]["cores"] = 64
    for name, measured in (("ours.json", ours), ("theirs.json", theirs)):
        (tmp_path / name).write_text(json.dumps(measured))

    assert cli.main(["bench", "--from", str(tmp_path / "ours.json"), str(tmp_path / "theirs.json")]) == 2

    assert capsys.readouterr().err == "These measurements are of different machines; a page shows one.\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [("{", "is no JSON"), ("[]", "does not hold what this version"), ('{"format": 1}', "does not hold what this")],
)
def test_other_files_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, words: str) -> None:
    (tmp_path / "other.json").write_text(content)

    assert cli.main(["bench", "--from", str(tmp_path / "other.json")]) == 2

    assert words in capsys.readouterr().err
