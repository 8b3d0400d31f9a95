"""The card says what was measured of this very model, and nothing else."""

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
track_scale = 1.0
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


def write_figures(path: Path, sha256: str) -> Path:
    scores = [(0, 0.2), (0, 0.3), (0, 0.8), (1, 0.9), (1, 0.75), (1, 0.4)]
    figures: dict[str, Any] = evaluate_figures.measure([result(i, *score) for i, score in enumerate(scores)])
    baseline = {"matched_auc": 0.5123, "auc": 0.6234}
    head = {"model": {"sha256": sha256}, "frames": 30, "metadata_baseline": baseline}
    path.write_text(json.dumps({**head, **figures}))
    return path


def run(folder: Path, figures: Path, *more: str) -> int:
    options = [
        "--description",
        str(folder.parent / "description.md"),
        "--validation",
        str(figures),
        "--test",
        str(figures),
    ]
    return main(["card", str(folder), *options, *more])


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


def test_figures_of_another_model_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(folder, write_figures(folder.parent / "figures.json", sha256="other"))

    assert code == 2
    assert "another model" in capsys.readouterr().err
    assert not (folder / "card.md").exists()


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


def _write_more(folder: Path, sha256: str) -> list[str]:
    shares = dict.fromkeys(("REAL", "FAKE", "INCONCLUSIVE", "NO_FACE", "FAILED"), 0.25)
    noise = {"words": "noise, σ 6", "n": 7, "judged": 5, "verdicts": {"real": shares, "fake": shares}, **_ranking(0.8)}
    head = {
        "split": "val",
        "clips": 7,
        "compared": 5,
        "genuine": 3,
        "sources": 4,
        "frames": 12,
        "model": {"sha256": sha256},
    }
    pack = {"clips": 7, "sources": 4, "peers": {"MesoNet, Meso4_DF": _ranking(0.6)}}
    contents = {
        "robustness": {**head, "degradations": [noise]},
        "peers": {"model": {"sha256": sha256}, "packs": {"validation": pack}},
        "heads": [{"head": "LSTM", "frames": 12, "matched_auc": 0.71, "interval": [0.6, 0.8], "auc": 0.5}],
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
    assert "| LSTM | 12 | 0.710 [0.600, 0.800] | 0.500 |" in card
    assert release.metrics()["peers"]["packs"]["validation"]["clips"] == 7


def test_a_sweep_of_another_model_is_refused_before_anything_is_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = write_figures(folder.parent / "figures.json", sha256="abc")

    code = run(folder, figures, *_write_more(folder, "other"))

    assert code == 2
    assert "The robustness figures are of another model" in capsys.readouterr().err
    assert not (folder / "metrics.json").exists()
