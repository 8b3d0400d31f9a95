"""The card says what was measured of this very model, and nothing else."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from detector import evaluate_figures
from detector.evaluate_rows import Clip, Result
from detector.quality import Quality
from detector.release import load_release
from detector.report import Verdict
from detector.training.__main__ import main

CONFIG = """name = "m"
version = "1"
[network]
backbone = "resnext50_32x4d"
feature_channels = 2048
projected = 256
hidden = 256
dropout = 0.4
[crop]
size = 160
margin = 1.45
[calibration]
frame_scale = 1.0
frame_offset = 0.0
track_scale = 1.5
track_offset = 0.0
[decision]
threshold_fake = 0.7
threshold_real = 0.01
min_face_px = 48
min_sharpness = 6.0
min_frames = 5
window = 12
"""


def result(index: int, label: int, probability: float) -> Result:
    verdict = Verdict.FAKE if probability >= 0.7 else Verdict.INCONCLUSIVE
    method = "swap" if label else "none"
    kind = "" if label else "webcam"
    clip = Clip(f"{index}.mp4", Path(f"{index}.mp4"), label, "test", "set1", method, f"person{index}", kind)
    return Result(clip, verdict, probability, (), 30, 1, 1.0, "", Quality(100.0 + 50 * label, 90.0))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    target = tmp_path / "m-1"
    target.mkdir()
    (target / "model.toml").write_text(CONFIG)
    (target / "weights.safetensors").write_bytes(b"weights")
    (target / "SHA256SUMS").write_text("abc  weights.safetensors\n")
    (tmp_path / "description.md").write_text("What it is.\n")
    return target


def write_figures(path: Path, sha256: str, config: str = CONFIG, split: str | None = "val") -> Path:
    scores = [(0, 0.2), (0, 0.3), (0, 0.8), (1, 0.9), (1, 0.75), (1, 0.4)]
    figures: dict[str, Any] = evaluate_figures.measure([result(i, *score) for i, score in enumerate(scores)])
    baseline = {"matched_auc": 0.5123, "auc": 0.6234}
    model = {"name": "m", "version": "1", "sha256": sha256, "config_sha256": digest(config)}
    head = {"model": model, "frames": 30, "split": split, "manifest_sha256": "m", "metadata_baseline": baseline}
    path.write_text(json.dumps({**head, **figures}))
    return path


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def run(folder: Path, figures: Path, *more: str) -> int:
    """With the same figures for validation and for test."""
    test = folder.parent / "test-figures.json"
    test.write_text(json.dumps({**json.loads(figures.read_text()), "split": "test"}))
    return run_on(folder, figures, test, *more)


def run_on(folder: Path, validation: Path, test: Path, *more: str) -> int:
    options = ["--description", str(folder.parent / "description.md"), "--validation", str(validation)]
    return main(["card", str(folder), *options, "--test", str(test), *more])


def test_a_card_has_every_table_and_its_files_are_whole(folder: Path) -> None:
    code = run(folder, write_figures(folder.parent / "figures.json", sha256="abc"))

    release = load_release(folder)
    release.verify()
    card = release.card()
    assert code == 0
    assert card.startswith("# m 1\n\nWhat it is.\n")
    assert "| test | FAKE | all | 3 | 1 |" in card
    assert "| test | fake | 3 | 0 % | 67 % | 33 % | 0 % |" in card
    assert "REAL could keep this nowhere" in card
    assert "FAKE could keep" not in card
    assert "Robustness" not in card
    assert "Beside others" not in card
    assert release.metrics()["error_rates"] == {"FAKE": {"n": 3, "wrong": 1}, "REAL": {"n": 0, "wrong": 0}}


def test_figures_in_another_precision_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = write_figures(folder.parent / "figures.json", sha256="abc")
    figures.write_text(json.dumps({**json.loads(figures.read_text()), "precision": "bfloat16"}))

    assert run(folder, figures) == 2
    assert "were measured in bfloat16; a card shows those of float32." in capsys.readouterr().err
    assert not (folder / "card.md").exists()


def test_figures_of_another_model_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(folder, write_figures(folder.parent / "figures.json", sha256="other"))

    assert code == 2
    assert "another model" in capsys.readouterr().err
    assert not (folder / "card.md").exists()


def test_figures_with_other_thresholds_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    earlier = CONFIG.replace("threshold_fake = 0.7", "threshold_fake = 0.6")

    code = run(folder, write_figures(folder.parent / "figures.json", "abc", earlier))

    assert code == 2
    assert "The validation figures were measured with another model.toml" in capsys.readouterr().err
    assert not (folder / "card.md").exists()


@pytest.mark.parametrize(
    ("validation", "test", "words"),
    [
        ("val", "val", "both of the split val"),
        (None, None, "both of the split all"),
        ("val", None, "of all clips of one manifest"),
        ("test", "val", "split test, the test figures of val; give each its own"),
    ],
)
def test_validation_and_test_must_be_two_splits(
    folder: Path, capsys: pytest.CaptureFixture[str], validation: str | None, test: str | None, words: str
) -> None:
    first = write_figures(folder.parent / "one.json", "abc", split=validation)
    second = write_figures(folder.parent / "two.json", "abc", split=test)

    assert run_on(folder, first, second) == 2
    assert words in capsys.readouterr().err
    assert not (folder / "card.md").exists()


def test_two_manifests_without_splits_will_do(folder: Path) -> None:
    first, second = (write_figures(folder.parent / f"{name}.json", "abc", split=None) for name in ("one", "two"))
    second.write_text(second.read_text().replace('"manifest_sha256": "m"', '"manifest_sha256": "n"'))

    assert run_on(folder, first, second) == 0


def test_figures_of_an_earlier_version_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_figures(folder.parent / "figures.json", "abc")
    old = json.loads(path.read_text())
    del old["matched_dropped"]
    path.write_text(json.dumps(old))

    assert run(folder, path) == 2
    assert "an earlier version, and mean something else; run `evaluate` again" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["robustness", "peers", "heads"])
def test_figures_of_another_command_are_refused(folder: Path, capsys: pytest.CaptureFixture[str], option: str) -> None:
    figures = write_figures(folder.parent / "figures.json", "abc")

    assert run(folder, figures, f"--{option}", str(figures)) == 2
    assert f"run `{option}` again" in capsys.readouterr().err
    (folder.parent / "text.json").write_text("no JSON")
    assert run(folder, figures, f"--{option}", str(folder.parent / "text.json")) == 2
    assert "text.json is no JSON file" in capsys.readouterr().err
    assert not (folder / "card.md").exists()


def test_a_description_with_a_placeholder_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder.parent / "description.md").write_text("What it is.\n\n@@TRAINING@@\n")

    code = run(folder, write_figures(folder.parent / "figures.json", "abc"))

    assert code == 2
    assert "still holds the placeholder @@TRAINING@@; write first" in capsys.readouterr().err
    assert not (folder / "card.md").exists()


def test_the_card_says_what_was_fitted_and_what_was_set_by_hand(folder: Path) -> None:
    run(folder, write_figures(folder.parent / "figures.json", "abc"))

    card = load_release(folder).card()
    assert "Calibration, that share and both thresholds were fitted on the validation clips" in card
    assert "A person's score is 50 % the LSTM's logit and 50 % the mean of the frames' logits." in card
    assert "in-sample in the rows of validation" in card
    by_hand = next(line for line in card.splitlines() if line.startswith("Set by hand, and fitted on nothing"))
    assert "5 usable frames" in by_hand
    assert "48 px wide" in by_hand
    (folder / "model.toml").write_text(with_tail := CONFIG + "genuine_tail = 0.5\n")
    assert run(folder, write_figures(folder.parent / "figures.json", digest("weights"), with_tail)) == 0
    assert "Calibration, that power, that share and both thresholds were fitted" in load_release(folder).card()


def test_a_model_that_was_never_calibrated_is_not_said_to_be(folder: Path) -> None:
    config = CONFIG.replace("track_scale = 1.5", "track_scale = 1.0")
    (folder / "model.toml").write_text(config)

    code = run(folder, write_figures(folder.parent / "figures.json", "abc", config))

    card = load_release(folder).card()
    assert code == 0
    assert "FAKE is said from an uncalibrated score of 0.700" in card
    assert "Nothing was fitted" in card
    assert "were fitted on the validation clips" not in card
    assert "could keep this nowhere" not in card


def test_what_dropped_out_of_the_matched_sets_is_told(folder: Path) -> None:
    path = write_figures(folder.parent / "figures.json", "abc")
    figures = {**json.loads(path.read_text()), "matched_sets": 2, "matched_dropped": ["set2"]}
    path.write_text(json.dumps(figures))

    run(folder, path)

    card = load_release(folder).card()
    assert "On test, set2 dropped out: no clip of one label was judged there." in card
    assert "| 1 of 2 |" in card


def test_matched_auc_stands_first_and_metadata_beside_overall(folder: Path) -> None:
    run(folder, write_figures(folder.parent / "figures.json", sha256="abc"))

    lines = load_release(folder).card().splitlines()
    head = next(line for line in lines if "matched AUC [95 %]" in line).split(" | ")
    row = next(line for line in lines if line.startswith("| validation | 6 |")).split(" | ")
    assert head[2:7] == [
        "matched AUC [95 %]",
        "matched data sets",
        "overall AUC [95 %]",
        "metadata alone: matched",
        "metadata alone: overall",
    ]
    # Of nine pairs, .8 above .75 and .4 are wrong.
    assert [row[2].split()[0], row[3], row[4].split()[0], *row[5:7]] == ["0.778", "1 of 1", "0.778", "0.512", "0.623"]


def test_recall_bands_and_kinds_have_their_tables(folder: Path) -> None:
    run(folder, write_figures(folder.parent / "figures.json", sha256="abc"))

    card = load_release(folder).card()
    assert "| test | 5 % | 0 of 3 | 0.333 [" in card
    assert "less than 120 px wide" in card
    assert "| test | small | 3 | 0 | – | 33 % | – | 67 % | – |" in card
    assert "| test | clear | 0 | 3 | – | – | 67 % | – | 33 % |" in card
    assert "| test | webcam | 3 | 3 | 0 % | 33 % | 67 % | 0 % |" in card
    bands = load_release(folder).metrics()["quality_bands"]
    assert bands["rates"]["FAKE"] == [{"bands": ["small", "blurred", "clear"], "n": 3, "wrong": 1}]


def _ranking(value: float) -> dict[str, Any]:
    return {"matched_auc": value, "matched_auc_interval": [0.1, 0.9], "auc": value / 2, "auc_interval": None}


def _write_more(folder: Path, sha256: str, /, **heads_model: str) -> list[str]:
    model = {"name": "m", "version": "1", "sha256": sha256, "config_sha256": digest(CONFIG)}
    shares = dict.fromkeys(("REAL", "FAKE", "INCONCLUSIVE", "NO_FACE", "FAILED"), 0.25)
    noise = {"words": "noise, σ 6", "n": 7, "judged": 5, "verdicts": {"real": shares, "fake": shares}, **_ranking(0.8)}
    head = {
        "split": "val",
        "clips": 7,
        "compared": 5,
        "genuine": 3,
        "sources": 4,
        "frames": 12,
        "model": model,
    }
    pack = {"clips": 7, "sources": 4, "peers": {"MesoNet, Meso4_DF": _ranking(0.6)}}
    contents = {
        "robustness": {**head, "degradations": [noise]},
        "peers": {"model": model, "crops_per_clip": 12, "packs": {"validation": pack}},
        "heads": {
            "model": {**model, **heads_model},
            "clips": 7,
            "temporal_share": 0.2,
            "judged": 6,
            "sources": 4,
            "crops": {"least": 5, "median": 12.0, "most": 24},
            "heads": [
                {"head": "mean of frames", "frames": 12, "matched_auc": 0.7, "interval": [0.6, 0.8], "auc": 0.5},
                {"head": "LSTM", "frames": 12, "matched_auc": 0.71, "interval": [0.6, 0.8], "auc": 0.5},
            ],
            "differences": [
                {
                    "head": "LSTM",
                    "against": "mean of frames",
                    "frames": 12,
                    "difference": 0.01,
                    "interval": [-0.02, 0.04],
                }
            ],
        },
    }
    options = []
    for name, content in contents.items():
        (folder.parent / f"{name}.json").write_text(json.dumps(content))
        options += [f"--{name}", str(folder.parent / f"{name}.json")]
    return options


def test_robustness_peers_and_heads_are_told_where_they_were_measured(folder: Path) -> None:
    figures = write_figures(folder.parent / "figures.json", sha256="abc")

    assert run(folder, figures, *_write_more(folder, "abc")) == 0

    release = load_release(folder)
    card = release.card()
    assert "| noise, σ 6 | 0.800 [0.100, 0.900] | 0.400 | 25 % | 25 % | 25 % / 25 % | 2 |" in card
    assert "| validation | MesoNet, Meso4_DF | 0.600 [0.100, 0.900] | 0.300 |" in card
    assert "| mean of frames | 12 | 0.700 [0.600, 0.800] | – | 0.500 |" in card
    assert "| LSTM | 12 | 0.710 [0.600, 0.800] | +0.010 [-0.020, +0.040] | 0.500 |" in card
    assert release.metrics()["peers"]["packs"]["validation"]["clips"] == 7


@pytest.mark.parametrize(
    ("other", "words"), [({"sha256": "x"}, "another model"), ({"version": "2"}, "another version")]
)
def test_heads_of_another_model_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], other: dict[str, str], words: str
) -> None:
    figures = write_figures(folder.parent / "figures.json", sha256="abc")

    assert run(folder, figures, *_write_more(folder, "abc", **other)) == 2
    assert f"The heads figures are of {words}" in capsys.readouterr().err
    assert not (folder / "card.md").exists()


def test_heads_that_do_not_say_their_model_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder.parent / "heads.json").write_text('[{"head": "LSTM"}]')
    figures = write_figures(folder.parent / "figures.json", sha256="abc")

    assert run(folder, figures, "--heads", str(folder.parent / "heads.json")) == 2
    assert "does not say which model it is of" in capsys.readouterr().err


def test_a_sweep_of_another_model_is_refused_before_anything_is_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = write_figures(folder.parent / "figures.json", sha256="abc")

    code = run(folder, figures, *_write_more(folder, "other"))

    assert code == 2
    assert "The robustness figures are of another model" in capsys.readouterr().err
    assert not (folder / "metrics.json").exists()
