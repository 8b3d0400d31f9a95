"""Evaluation: the manifest read, every figure counted by hand, interrupted runs resumed, crashes held to one clip."""

import csv
import dataclasses
import json
import os
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest

from detector import cli, evaluate, evaluate_figures, evaluate_runs, evaluate_text, metrics
from detector.errors import DetectorError, ErrorCode
from detector.evaluate_rows import COLUMNS, LABELS, Clip, ManifestError, Result, read_manifest
from detector.evaluate_runs import Plan
from detector.pipeline import Settings
from detector.precision import Precision
from detector.quality import Quality
from detector.release import Release, default_release
from detector.report import Verdict
from tests import videos

PNG = b"\x89PNG\r\n\x1a\n"

# file, label, dataset, method, source; verdict, probability of fake, failure
CLIPS = [
    ("a1.mp4", "real", "a", "none", "ann", Verdict.REAL, 0.05, ""),
    ("a2.mp4", "real", "a", "none", "bob", Verdict.FAKE, 0.95, ""),
    ("a3.mp4", "fake", "a", "swap", "ann", Verdict.FAKE, 0.97, ""),
    ("a4.mp4", "fake", "a", "swap", "bob", Verdict.INCONCLUSIVE, 0.55, ""),
    ("b1.mp4", "real", "b", "none", "cid", Verdict.INCONCLUSIVE, 0.45, ""),
    ("b2.mp4", "real", "b", "none", "dan", Verdict.NO_FACE, None, ""),
    ("b3.mp4", "fake", "b", "lip-sync", "cid", Verdict.REAL, 0.08, ""),
    ("b4.mp4", "fake", "b", "lip-sync", "dan", None, None, "unreadable"),
    ("c1.mp4", "fake", "c", "swap", "eve", Verdict.INCONCLUSIVE, None, ""),
    ("c2.mp4", "fake", "c", "swap", "eve", Verdict.FAKE, 0.92, ""),
]


class Runner:
    """Gives the results above, and remembers which clips it was asked for."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.asked: list[str] = []
        self._stop_after = stop_after

    def __call__(self, clips: Sequence[Clip], plan: Plan) -> Generator[Result]:
        self.asked = [clip.file for clip in clips]
        told = {row[0]: row for row in CLIPS}
        for number, clip in enumerate(reversed(clips)):  # results come in any order
            if number == self._stop_after:
                raise KeyboardInterrupt
            *_, verdict, probability, failure = told[clip.file]
            shown = None if probability is None else Quality(100.0 + 50 * clip.label, 1 / 3 + 100 * probability)
            yield Result(clip, verdict, probability, ("score_between_thresholds",), 12, 1, 1.5, failure, shown)


def _write(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    head = ["file", "split", "label", "dataset", "method", "source", "licence"]
    rows = [[file, "val", label, dataset, method, source, "?"] for file, label, dataset, method, source, *_ in CLIPS]
    path = tmp_path_factory.mktemp("manifest") / "videos.csv"
    return _write(path, [head, *rows, ["t.mp4", "test", "real", "a", "none", "zoe", "?"]])


@pytest.fixture(scope="module")
def release() -> Release:
    return default_release()


def _order(manifest: Path, release: Release, frames: int = 12, split: str | None = "val") -> evaluate.Order:
    return evaluate.Order(manifest, split, release, Settings(frames=frames), jobs=1)


def _rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("evaluation") / "made" / "on the way"


@pytest.fixture(scope="module")
def evaluation(manifest: Path, release: Release, out: Path) -> dict[str, Any]:
    return evaluate.evaluate(_order(manifest, release), out, run=Runner())


def test_every_clip_is_counted_and_none_without_probability_is_scored(evaluation: dict[str, Any]) -> None:
    overall = evaluation["overall"]

    assert (overall["n"], overall["real"], overall["fake"], overall["sources"]) == (10, 4, 6, 5)
    assert overall["judged"] == 7
    assert overall["left_out"] == {"no_face": 1, "too_little_to_judge": 1, "failed": 1}
    assert overall["failures"] == {"unreadable": 1}
    # Genuine .05, .95, .45 against fake .97, .55, .08, .92: 8 of 12 pairs in the right order.
    assert overall["auc"] == round(8 / 12, 4)
    low, high = overall["auc_interval"]
    assert 0 <= low <= overall["auc"] <= high <= 1
    labels, scores = [0, 0, 0, 1, 1, 1, 1], [0.05, 0.95, 0.45, 0.97, 0.55, 0.08, 0.92]
    assert overall["equal_error_rate"] == round(metrics.equal_error_rate(labels, scores), 4)
    # Bins: [.0,.1) .05 and .08, one fake; [.4,.5) .45, none; [.5,.6) .55, one; [.9,1] .95, .97 and .92, two.
    gaps = 2 * abs(0.065 - 0.5) + abs(0.45 - 0) + abs(0.55 - 1) + 3 * abs(2.84 / 3 - 2 / 3)
    assert overall["calibration_error_unweighted"] == pytest.approx(gaps / 7, abs=1e-4)
    # With three genuine and four fake clips, a genuine one weighs 1/6 and a fake one 1/8.
    balanced = abs((0.05 / 6 + 0.08 / 8) - 1 / 8) + 0.45 / 6 + 0.45 / 8 + abs((0.95 / 6 + 1.89 / 8) - 2 / 8)
    assert overall["calibration_error"] == pytest.approx(balanced, abs=1e-4)
    assert "both labels weighing the same" in evaluation["definitions"]["calibration_error"].replace("  ", " ")


def test_answers_are_shares_of_all_clips_of_their_truth(evaluation: dict[str, Any]) -> None:
    assert evaluation["overall"]["verdicts"] == {
        "real": {"REAL": 0.25, "FAKE": 0.25, "INCONCLUSIVE": 0.25, "NO_FACE": 0.25, "FAILED": 0.0},
        "fake": {"REAL": 0.1667, "FAKE": 0.3333, "INCONCLUSIVE": 0.3333, "NO_FACE": 0.0, "FAILED": 0.1667},
    }
    assert evaluation["error_rates"] == {"FAKE": {"n": 3, "wrong": 1}, "REAL": {"n": 2, "wrong": 1}}


def test_data_sets_and_methods_have_their_own_figures(evaluation: dict[str, Any]) -> None:
    sets = evaluation["datasets"]

    assert {name: (one["n"], one["judged"], one["auc"]) for name, one in sets.items()} == {
        "a": (4, 4, 0.75),
        "b": (4, 2, 0.0),
        "c": (2, 1, None),
    }
    assert sets["c"]["verdicts"]["real"] == dict.fromkeys(("REAL", "FAKE", "INCONCLUSIVE", "NO_FACE", "FAILED"))
    assert (sets["c"]["auc_interval"], sets["c"]["equal_error_rate"], sets["c"]["calibration_error"]) == (None,) * 3
    methods = evaluation["methods"]
    assert {name: (one["n"], one["judged"], one["auc"]) for name, one in methods.items()} == {
        "lip-sync": (2, 1, round(1 / 3, 4)),
        "swap": (4, 3, round(7 / 9, 4)),
    }
    assert methods["swap"]["verdicts"] == {"REAL": 0, "FAKE": 0.5, "INCONCLUSIVE": 0.5, "NO_FACE": 0, "FAILED": 0}


def test_matched_sets_are_those_of_the_manifest_whatever_was_judged(evaluation: dict[str, Any]) -> None:
    # b has two clips of each label, of which one each was judged; c has no genuine one.
    assert evaluation["matched_datasets"] == {"a": 0.75, "b": 0.0}
    assert (evaluation["matched_sets"], evaluation["matched_dropped"]) == (2, [])
    assert evaluation["matched_auc"] == 0.375
    assert evaluation["matched_auc_interval"] is None  # one source in b


def test_the_text_tells_what_dropped_out(evaluation: dict[str, Any]) -> None:
    text = evaluate_text.of({**evaluation, "matched_sets": 3, "matched_dropped": ["d"]})

    assert "2 of 3 matched data sets count; no clip of one label was judged in d" in text
    assert "matched data sets count" not in evaluate_text.of(evaluation)


def test_a_matched_set_without_a_judged_clip_of_one_label_is_told() -> None:
    def result(index: int, dataset: str, probability: float | None) -> Result:
        clip = Clip(f"{index}", Path(f"{index}"), index % 2, "val", dataset, "", f"{index}")
        return Result(clip, None, probability, (), 1, 1, 1, "")

    whole = [result(index, "a", (index + 1) / 10) for index in range(4)]
    blind = [result(index, "b", 0.5 if index % 2 else None) for index in range(4, 8)]

    found = evaluate_figures.matched([*whole, *blind])

    assert (found["matched_sets"], found["matched_datasets"], found["matched_dropped"]) == (2, {"a": 0.75}, ["b"])
    assert found["matched_auc"] == 0.75


def test_recall_is_told_at_one_and_five_percent_false_alarms(evaluation: dict[str, Any]) -> None:
    # Genuine .05, .95, .45 against fake .97, .55, .08, .92: beyond the highest genuine clip lies one fake of four.
    one, five = evaluation["recall"]

    assert (one["false_alarms"], one["allowed"], one["genuine"], one["recall"]) == (0.01, 0, 3, 0.25)
    assert (five["false_alarms"], five["allowed"], five["recall"]) == (0.05, 0, 0.25)
    low, high = one["interval"]
    assert 0 <= low <= 0.25 <= high <= 1
    assert (five["matched_genuine"], five["matched_recall"], five["matched_interval"]) == (3, None, None)


def test_matched_recall_needs_genuine_clips_enough_for_a_false_alarm() -> None:
    clips = [Clip(f"{i}", Path(f"{i}"), int(i >= 20), "val", "a", "", f"{i}") for i in range(24)]
    scores = [i / 100 for i in range(20)] + [0.05, 0.185, 0.5, 0.6]
    alone = Clip("x", Path("x"), 0, "val", "only genuine", "", "x")
    results = [Result(clip, None, score, (), 1, 1, 1, "") for clip, score in zip(clips, scores, strict=True)]

    one, five = evaluate_figures.measure([*results, Result(alone, None, 0.99, (), 1, 1, 1, "")])["recall"]

    assert (one["recall"], one["matched_recall"]) == (0.0, None)
    assert (five["allowed"], five["genuine"], five["recall"]) == (1, 21, 0.5)  # the one allowed is the highest
    assert (five["matched_genuine"], five["matched_recall"]) == (20, 0.75)


def test_clips_are_told_apart_by_the_quality_of_their_pictures(evaluation: dict[str, Any]) -> None:
    bands = evaluation["bands"]

    # Genuine faces are 100 px wide here, fake ones 150; sharpness is a third and a hundred times the probability.
    assert {name: (one["real"], one["fake"]) for name, one in bands.items()} == {
        "small": (3, 0),
        "blurred": (0, 2),
        "clear": (0, 2),
    }
    assert evaluation["quality_bands"]["rates"]["FAKE"] == [
        {"bands": ["small", "blurred", "clear"], "n": 3, "wrong": 1}
    ]


def test_the_text_says_what_counts_first(evaluation: dict[str, Any]) -> None:
    text = evaluate_text.of({**evaluation, "metadata_baseline": {**evaluation["overall"], **evaluation}})

    lines = text.splitlines()
    assert "10 videos (4 genuine, 6 fake) of 5 sources" in lines[0]
    assert "3 were not judged" in lines[0]
    assert lines[2].split() == ["matched", "AUC", "overall", "AUC"]
    assert lines[3].split()[:3] == ["this", "model", "0.375"]
    assert lines[4].startswith("metadata alone, no face seen  0.375")
    assert "with both labels weighing the same (" in text
    assert "recall at 1% false alarms (0 of 3 genuine clips): 0.250 [" in text
    assert "FAKE was said 3 times, wrongly 1 times" in text


def test_the_metadata_baseline_stands_beside_the_model_and_learns_elsewhere(release: Release, tmp_path: Path) -> None:
    rows = [["file", "split", "label", "face_px", "source"]]
    for number in range(8):
        label, side = (("real", 160), ("fake", 320))[number % 2]
        name = videos.no_face_clip(tmp_path / f"{number}.mp4", 0.2, (side, side)).name
        rows.append([name, ("train", "val")[number // 4], label, "90", str(number)])
    manifest = _write(tmp_path / "videos.csv", rows)
    order = _order(manifest, release)

    def run(clips: Sequence[Clip], plan: Plan) -> Generator[Result]:
        for clip in clips:  # the last has no face
            chance = None if clip.file == "7.mp4" else 0.5
            yield Result(clip, Verdict.NO_FACE if chance is None else Verdict.REAL, chance, (), 12, 0, 0.1, "")

    found = evaluate.evaluate(dataclasses.replace(order, baseline_from="train"), run=run)

    baseline = found["metadata_baseline"]
    assert (baseline["train"], baseline["judged"], baseline["auc"], baseline["matched_auc"]) == (4, 3, 1.0, 1.0)
    assert (found["overall"]["judged"], found["overall"]["auc"]) == (3, 0.5)
    assert "metadata_baseline" not in evaluate.evaluate(order, run=run)
    with pytest.raises(ManifestError, match="learns from the split val"):
        evaluate.evaluate(dataclasses.replace(order, baseline_from="val"), run=run)
    with pytest.raises(ManifestError, match="no video in the split test"):
        evaluate.evaluate(dataclasses.replace(order, baseline_from="test"), run=run)


def test_the_evaluation_says_of_what_it_is(evaluation: dict[str, Any], release: Release, out: Path) -> None:
    assert evaluation["model"]["sha256"] == release.sha256
    assert (evaluation["model"]["name"], evaluation["model"]["version"]) == (release.name, release.version)
    assert (evaluation["manifest"], evaluation["split"], evaluation["frames"]) == ("videos.csv", "val", 12)
    assert evaluation["when"].endswith("+00:00")
    assert evaluation["seconds"] == 15.0
    assert json.loads((out / "evaluation.json").read_text(encoding="utf-8")) == evaluation
    for name in ("roc.png", "reliability.png"):
        assert (out / name).read_bytes().startswith(PNG)


@pytest.mark.usefixtures("evaluation")
def test_the_csv_holds_every_video_in_the_manifests_order(out: Path) -> None:
    rows = _rows(out)

    assert tuple(rows[0]) == COLUMNS
    assert [row["file"] for row in rows] == [clip[0] for clip in CLIPS]
    assert [row["probability_fake"] for row in rows if row["dataset"] == "b"] == ["0.45", "", "0.08", ""]
    assert [row["failure"] for row in rows if row["failure"]] == ["unreadable"]


def test_nothing_is_written_without_a_folder(
    manifest: Path, release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    evaluate.evaluate(_order(manifest, release), run=Runner())

    assert [path.name for path in manifest.parent.iterdir()] == ["videos.csv"]
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_run_goes_on_where_it_stopped(
    manifest: Path, release: Release, tmp_path: Path, evaluation: dict[str, Any], out: Path
) -> None:
    again, heard = Runner(), list[tuple[int, int]]()
    with pytest.raises(KeyboardInterrupt):
        evaluate.evaluate(_order(manifest, release), tmp_path, run=Runner(stop_after=4))
    kept = [row["file"] for row in _rows(tmp_path)]
    with (tmp_path / "results.csv").open("a", encoding="utf-8") as file:
        file.write("a1.mp4,val,real,a,none,ann,REAL,0.0")  # torn in the middle

    resumed = evaluate.evaluate(_order(manifest, release), tmp_path, lambda *done: heard.append(done), again)

    assert kept == ["c2.mp4", "c1.mp4", "b4.mp4", "b3.mp4"]
    assert again.asked == ["a1.mp4", "a2.mp4", "a3.mp4", "a4.mp4", "b1.mp4", "b2.mp4", "b4.mp4"]  # failures once more
    assert (heard[0], heard[-1]) == ((3, 10), (10, 10))
    assert {**resumed, "when": ""} == {**evaluation, "when": ""}
    assert _rows(tmp_path) == _rows(out)


def test_results_under_other_conditions_are_not_reused(manifest: Path, release: Release, tmp_path: Path) -> None:
    first, again = Runner(), Runner()

    evaluate.evaluate(_order(manifest, release), tmp_path, run=first)
    evaluate.evaluate(_order(manifest, release, frames=13), tmp_path, run=again)

    assert first.asked == again.asked == [clip[0] for clip in CLIPS]
    assert {row["frames"] for row in _rows(tmp_path)} == {"13"}


def test_results_in_another_precision_are_not_reused_and_say_so(
    manifest: Path, release: Release, tmp_path: Path
) -> None:
    again, order = Runner(), _order(manifest, release)
    evaluate.evaluate(order, tmp_path, run=Runner())

    evaluation = evaluate.evaluate(dataclasses.replace(order, precision=Precision.BFLOAT16), tmp_path, run=again)

    assert again.asked == [clip[0] for clip in CLIPS]
    assert {row["precision"] for row in _rows(tmp_path)} == {evaluation["precision"]} == {"bfloat16"}


def test_results_from_before_precision_was_kept_are_those_of_float32(
    manifest: Path, release: Release, tmp_path: Path
) -> None:
    again = Runner()
    evaluate.evaluate(_order(manifest, release), tmp_path, run=Runner())
    rows = _rows(tmp_path)
    with (tmp_path / "results.csv").open("w", encoding="utf-8", newline="") as file:
        older = csv.DictWriter(file, [name for name in COLUMNS if name != "precision"], extrasaction="ignore")
        older.writeheader()
        older.writerows(rows)

    evaluate.evaluate(_order(manifest, release), tmp_path, run=again)

    assert again.asked == [row["file"] for row in rows if row["failure"]]
    assert _rows(tmp_path) == rows


def test_a_split_of_one_label_has_plots_but_no_ranking(manifest: Path, release: Release, tmp_path: Path) -> None:
    def run(clips: Sequence[Clip], plan: Plan) -> Generator[Result]:
        yield from (Result(clip, Verdict.NO_FACE, None, (), 12, 0, 0.1, "") for clip in clips)

    alone = evaluate.evaluate(_order(manifest, release, split="test"), tmp_path / "out", run=run)

    assert (alone["overall"]["auc"], alone["matched_auc"], alone["matched_datasets"]) == (None, None, {})
    assert alone["overall"]["left_out"]["no_face"] == 1
    assert (tmp_path / "out" / "roc.png").read_bytes().startswith(PNG)
    assert (tmp_path / "out" / "reliability.png").read_bytes().startswith(PNG)


def test_a_manifest_may_do_with_file_and_label(tmp_path: Path) -> None:
    path = _write(tmp_path / "videos.csv", [["label", "file"], ["FAKE", "sub/x.mp4"], ["real", "/abs/y.mp4"]])

    fake, real = read_manifest(path)

    assert (fake.label, fake.path, fake.source) == (1, tmp_path / "sub" / "x.mp4", "sub/x.mp4")
    assert (fake.dataset, fake.method, fake.split) == ("unnamed", "unnamed", "")
    assert (real.label, real.path, real.method) == (0, Path("/abs/y.mp4"), "none")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "needs a row of column names"),
        ("file,label\n", "needs a row of column names"),
        ("path,label\nx.mp4,real\n", "needs a row of column names"),
        ("file,label\nx.mp4,maybe\n", "Row 2 "),
        ("file,label\nx.mp4,real\n,fake\n", "Row 3 "),
        ("file,label\nx.mp4\n", "Row 2 "),
        ("file,label\nx.mp4,real\nx.mp4,fake\n", "names a video twice"),
    ],
)
def test_a_manifest_without_sense_is_refused_in_a_sentence(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "videos.csv"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(ManifestError, match=words):
        read_manifest(path)


def test_an_unknown_split_is_refused_with_the_known_ones(manifest: Path) -> None:
    with pytest.raises(ManifestError, match="no video in the split valid; its splits are: test, val"):
        read_manifest(manifest, "valid")


def _clip(path: Path, label: str = "real") -> Clip:
    return Clip(path.name, path, LABELS[label], "val", "made", "none", path.name)


def _work(clip: Clip, plan: Plan) -> Result | tuple[str, str]:
    """Runs in a child process, which clips called bad end at once."""
    if clip.file.startswith("bad"):
        os._exit(1)
    if clip.file == "model.mp4":
        return str(ErrorCode.MODEL_DAMAGED), "The weights cannot be read."
    return Result(clip, Verdict.REAL, 0.1, (), 12, 1, 0.0, "")


@pytest.fixture
def plan(release: Release) -> Plan:
    return Plan(release.folder, Settings(frames=10), jobs=1)


def test_the_command_prints_words_when_asked_to(
    manifest: Path,
    release: Release,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(evaluate_runs, "examine_here", _work)
    kinds = _write(tmp_path / "kinds.csv", [["dataset", "source", "kind"], ["a", "", "webcam"]])
    options = ["--text", "--kinds", str(kinds), "--frames", "10", "--model", str(release.folder)]

    code = cli.main(["evaluate", str(manifest), "--split", "test", *options])

    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    assert out.startswith(f"{release.name} {release.version} on 1 videos")
    assert "webcam" in out


def test_a_clip_that_kills_its_process_is_the_only_one_to_fail(plan: Plan) -> None:
    names = ["1.mp4", "bad.mp4", "2.mp4", "3.mp4"]

    results = list(evaluate_runs.results([_clip(Path(name)) for name in names], plan, _work))

    assert sorted(result.clip.file for result in results) == sorted(names)
    assert {result.clip.file: result.failure for result in results if result.failure} == {"bad.mp4": "crashed"}


def test_a_model_that_cannot_be_used_ends_the_evaluation(plan: Plan) -> None:
    with pytest.raises(DetectorError, match="cannot be read") as refusal:
        list(evaluate_runs.results([_clip(Path("model.mp4"))], plan, _work))

    assert refusal.value.code is ErrorCode.MODEL_DAMAGED


def test_cores_are_shared_between_processes(release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))

    assert [Plan(release.folder, Settings(), jobs).threads for jobs in (1, 2, 3, 20)] == [8, 4, 2, 1]


def test_clips_are_really_analysed_in_a_child_process(plan: Plan, tmp_path: Path) -> None:
    face = videos.face_clip(tmp_path / "face.mp4")
    empty = videos.no_face_clip(tmp_path / "empty.mp4")
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video")

    found = evaluate_runs.results([_clip(face), _clip(empty), _clip(broken)], plan)

    results = {result.clip.path: result for result in found}

    assert results[face].verdict in (Verdict.REAL, Verdict.FAKE, Verdict.INCONCLUSIVE)
    assert results[face].probability_fake is not None
    assert (results[face].people, results[face].frames_analyzed) == (1, 10)
    shown = results[face].quality
    assert shown is not None
    assert 60 < shown.face_px < 180
    assert shown.sharpness > 0
    assert results[empty].quality is results[broken].quality is None
    assert (results[empty].verdict, results[empty].probability_fake) == (Verdict.NO_FACE, None)
    assert (results[broken].verdict, results[broken].failure) == (None, "unsupported")


def test_the_command_prints_one_json_object(
    manifest: Path, release: Release, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(evaluate_runs, "examine_here", _work)
    model = ["--model", str(release.folder)]

    code = cli.main(["evaluate", str(manifest), "--split", "test", "--jobs", "3", "--frames", "10", *model])

    out, err = capsys.readouterr()
    printed = json.loads(out)
    assert (code, err) == (0, "")
    assert (printed["split"], printed["frames"], printed["overall"]["n"]) == ("test", 10, 1)
    assert printed["error_rates"] == {"FAKE": {"n": 0, "wrong": 0}, "REAL": {"n": 1, "wrong": 0}}


@pytest.mark.parametrize(
    ("arguments", "words"), [(["--jobs", "0"], "at least 1, not 0."), (["--split", "x"], "no video in the split x")]
)
def test_the_command_refuses_what_it_cannot_evaluate(
    manifest: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    code = cli.main(["evaluate", str(manifest), *arguments])

    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words in err
