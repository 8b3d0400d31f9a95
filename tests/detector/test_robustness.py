"""The robustness sweep: the same clips under every damage, resumed where it stopped, spread over sources."""

import csv
import json
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest

from detector import cli, degradation, robustness
from detector.degradation import NONE, SWEEP, Degradation
from detector.evaluate_rows import Clip, ManifestError, Result
from detector.evaluate_runs import Plan
from detector.pipeline import Settings
from detector.release import Release, default_release
from detector.report import Verdict
from detector.stream import Limits
from tests import videos

CRF_32, NOISE = SWEEP[2], SWEEP[9]


@pytest.fixture(scope="module")
def release() -> Release:
    return default_release()


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "videos.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "split", "label", "dataset", "source"])
        rows.writerows([f"{n}.mp4", "val", ("real", "fake")[n % 2], "a", f"person {n // 2}"] for n in range(8))
    return path


class Runner:
    """Right on clips as given, wrong with noise; remembers what it was asked."""

    def __init__(self, stop_at: str = "") -> None:
        self.asked: list[tuple[str, int]] = []
        self._stop_at = stop_at

    def __call__(self, clips: Sequence[Clip], plan: Plan, degradation: Degradation) -> Generator[Result]:
        self.asked.append((degradation.name, len(clips)))
        for number, clip in enumerate(clips):
            if degradation.name == self._stop_at and number == 3:
                raise KeyboardInterrupt
            truth = 0.1 + 0.8 * clip.label + 0.01 * number
            probability = 1 - truth if degradation.family == "noise" else truth
            yield Result(clip, Verdict.INCONCLUSIVE, probability, (), 10, 1, 1.0, "")


def _order(manifest: Path, release: Release, limit: int | None = None) -> robustness.Order:
    return robustness.Order(manifest, "val", release, Settings(frames=10), 1, limit, (NONE, CRF_32, NOISE))


def test_each_damage_has_figures_and_one_plot_shows_them(manifest: Path, release: Release, tmp_path: Path) -> None:
    lines: list[str] = []
    heard: list[tuple[int, int]] = []

    found = robustness.sweep(
        _order(manifest, release), tmp_path / "out", lambda *done: heard.append(done), lines.append, Runner()
    )

    assert {one["name"]: (one["matched_auc"], one["auc"]) for one in found["degradations"]} == {
        "none": (1.0, 1.0),
        "compression-32": (1.0, 1.0),
        "noise-15": (0.0, 0.0),
    }
    assert found["degradations"][0]["matched_auc_interval"] == [1.0, 1.0]
    assert (found["clips"], found["genuine"], found["sources"], found["frames"]) == (8, 4, 4, 10)
    assert found["model"]["sha256"] == release.sha256
    assert json.loads((tmp_path / "out" / "robustness.json").read_text()) == found
    assert (tmp_path / "out" / "robustness.png").read_bytes().startswith(b"\x89PNG")
    assert lines[-1] == "noise-15: 8 of 8 judged, matched AUC 0.000, overall 0.000; 0 min left"
    assert heard[-1] == (24, 24)
    assert heard == sorted(heard)


def test_an_interrupted_sweep_goes_on_where_it_stopped(manifest: Path, release: Release, tmp_path: Path) -> None:
    again = Runner()
    with pytest.raises(KeyboardInterrupt):
        robustness.sweep(_order(manifest, release), tmp_path / "out", run=Runner(stop_at="compression-32"))

    robustness.sweep(_order(manifest, release), tmp_path / "out", run=again)

    assert again.asked == [("none", 0), ("compression-32", 5), ("noise-15", 8)]


def test_damage_that_leaves_few_clips_judged_has_no_ranking_and_spoils_no_other(
    manifest: Path, release: Release, tmp_path: Path
) -> None:
    def run(clips: Sequence[Clip], plan: Plan, degradation: Degradation) -> Generator[Result]:
        for place, clip in enumerate(clips):
            is_judged = degradation != NOISE or place < 3
            yield Result(clip, Verdict.INCONCLUSIVE, 0.1 + 0.8 * clip.label if is_judged else None, (), 10, 1, 1.0, "")

    found = robustness.sweep(_order(manifest, release), tmp_path / "out", run=run)

    assert found["compared"] == 8
    assert [one["auc"] for one in found["degradations"]] == [1.0, 1.0, None]
    assert [one["matched_auc"] for one in found["degradations"]] == [1.0, 1.0, None]
    assert [one["judged"] for one in found["degradations"]] == [8, 8, 3]


def test_only_clips_judged_under_every_damage_are_ranked(manifest: Path, release: Release, tmp_path: Path) -> None:
    """Noise hides the one fake clip that is taken for genuine: over what it leaves alone, it would seem to help."""

    def run(clips: Sequence[Clip], plan: Plan, degradation: Degradation) -> Generator[Result]:
        for clip in clips:
            hard = clip.file == "1.mp4"
            probability = 0.05 if hard else 0.1 + 0.8 * clip.label
            judged = not (hard and degradation == NOISE)
            yield Result(clip, Verdict.INCONCLUSIVE, probability if judged else None, (), 10, 1, 1.0, "")

    found = robustness.sweep(_order(manifest, release), tmp_path / "out", run=run)

    assert found["compared"] == 7
    assert [one["auc"] for one in found["degradations"]] == [1.0, 1.0, 1.0]
    assert [one["matched_auc"] for one in found["degradations"]] == [1.0, 1.0, 1.0]
    assert [(one["n"], one["judged"]) for one in found["degradations"]] == [(8, 8), (8, 8), (8, 7)]
    assert found["degradations"][0]["matched_sets"] == 1


def test_results_of_another_degradation_of_the_same_name_are_not_taken(
    manifest: Path, release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    robustness.sweep(_order(manifest, release), tmp_path / "out", run=Runner())
    same, changed = Runner(), Runner()

    robustness.sweep(_order(manifest, release), tmp_path / "out", run=same)
    monkeypatch.setattr(degradation, "FAITHFUL_CRF", 20)  # of all but what is compressed on purpose
    robustness.sweep(_order(manifest, release), tmp_path / "out", run=changed)

    assert same.asked == [("none", 0), ("compression-32", 0), ("noise-15", 0)]
    assert changed.asked == [("none", 0), ("compression-32", 0), ("noise-15", 8)]


def test_limits_hold_for_the_clip_that_is_copied(release: Release, tmp_path: Path) -> None:
    clip = videos.no_face_clip(tmp_path / "large.mp4", 0.4)
    size = clip.stat().st_size

    def failure(limits: Limits) -> str:
        plan = Plan(release.folder, Settings(frames=10, limits=limits), jobs=1)
        one = Clip(clip.name, clip, 0, "", "", "", "")
        (found,) = robustness.degraded_results([one], plan, Degradation("noise", 40, ""))  # a copy many times as large
        return found.failure

    assert failure(Limits(max_bytes=size - 1)) == "too_large"
    assert failure(Limits(max_pixels=100)) == "too_many_pixels"
    assert failure(Limits(max_bytes=size)) == ""


def _clips(*shapes: tuple[str, int, str]) -> list[Clip]:
    return [
        Clip(str(place), Path(str(place)), label, "val", dataset, "", source)
        for place, (dataset, label, source) in enumerate(shapes)
    ]


def test_few_clips_are_spread_over_data_sets_labels_and_sources() -> None:
    many = [("a", 0, "one")] * 20 + [("a", 0, "two")] * 20 + [("a", 1, "three")] * 20 + [("b", 1, "four")] * 20
    clips = _clips(*many)

    found = robustness.chosen(clips, 7)

    shapes = [(clip.dataset, clip.label, clip.source) for clip in found]
    assert len(found) == 7
    assert shapes == sorted(shapes, key=many.index)  # in the manifest's order
    assert sorted({shapes.count(shape) for shape in set(shapes[-4:])}) == [2]
    assert {clip.source for clip in found} == {"one", "two", "three", "four"}
    assert robustness.chosen(clips, 7) == found
    assert robustness.chosen(clips, 900) == robustness.chosen(clips, None) == clips


def test_families_are_chosen_by_name_and_the_clips_as_given_always_belong() -> None:
    assert [one.name for one in robustness.parse_sweep(["size"])] == ["none", "size-0.5", "size-0.25"]
    assert robustness.parse_sweep(None) == SWEEP
    with pytest.raises(ManifestError, match="called rain; choose among blur, brightness, compression, noise, size"):
        robustness.parse_sweep(["rain"])


def test_copies_are_really_analysed_and_leave_no_file(release: Release, tmp_path: Path) -> None:
    face = videos.face_clip(tmp_path / "face.mp4", 1.0)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video")
    clips = [Clip(path.name, path, 0, "", "", "", path.name) for path in (face, broken)]
    plan = Plan(release.folder, Settings(frames=10), jobs=1)

    found = {one.clip.file: one for one in robustness.degraded_results(clips, plan, Degradation("size", 0.25, ""))}

    quality = found["face.mp4"].quality
    assert quality is not None
    assert 15 < quality.face_px < 45  # a quarter of about 110
    assert found["face.mp4"].clip.path == face
    assert found["broken.mp4"].failure == "unsupported"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.mp4", "face.mp4"]


def _printed(capsys: pytest.CaptureFixture[str]) -> tuple[Any, str]:
    out, err = capsys.readouterr()
    return json.loads(out), err


def test_the_command_prints_json_and_says_how_far_it_is(
    manifest: Path,
    release: Release,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(robustness, "degraded_results", Runner())
    options = ["--split", "val", "--only", "blur", "--limit", "4", "--frames", "10", "--model", str(release.folder)]

    code = cli.main(["robustness", str(manifest), "--out", str(tmp_path / "out"), *options])

    found, err = _printed(capsys)
    assert code == 0
    assert [one["name"] for one in found["degradations"]] == ["none", "blur-0.4", "blur-0.8"]
    assert found["clips"] == 4
    assert err.count("\n") == 3


@pytest.mark.parametrize(
    ("arguments", "words"), [(["--limit", "0"], "at least 1"), (["--only", "rain"], "No degradation is called rain")]
)
def test_the_command_refuses_what_makes_no_sense(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    code = cli.main(["robustness", str(manifest), "--out", str(tmp_path / "out"), *arguments])

    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words in err
    assert not (tmp_path / "out").exists()
