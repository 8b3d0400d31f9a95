"""The card says what was measured of this very model, and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from detector import evaluate_figures
from detector.evaluate_rows import Clip, Result
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
    clip = Clip(f"{index}.mp4", Path(f"{index}.mp4"), label, "test", "set1", method, f"person{index}")
    return Result(clip, verdict, probability, (), 30, 1, 1.0, "")


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
    path.write_text(json.dumps({"model": {"sha256": sha256}, "frames": 30, **figures}))
    return path


def run(folder: Path, figures: Path) -> int:
    options = [
        "--description",
        str(folder.parent / "description.md"),
        "--validation",
        str(figures),
        "--test",
        str(figures),
    ]
    return main(["card", str(folder), *options])


def test_a_card_has_every_table_and_its_files_are_whole(folder: Path) -> None:
    code = run(folder, write_figures(folder.parent / "figures.json", sha256="abc"))

    release = load_release(folder)
    release.verify()
    card = release.card()
    assert code == 0
    assert card.startswith("# m 1\n\nWhat it is.\n")
    assert "| test | FAKE | 3 | 1 |" in card
    assert "| test | fake | 3 | 0 % | 67 % | 33 % | 0 % |" in card
    assert "REAL could keep this nowhere" in card
    assert "FAKE could keep" not in card
    assert release.metrics()["error_rates"] == {"FAKE": {"n": 3, "wrong": 1}, "REAL": {"n": 0, "wrong": 0}}


def test_figures_of_another_model_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(folder, write_figures(folder.parent / "figures.json", sha256="other"))

    assert code == 2
    assert "another model" in capsys.readouterr().err
    assert not (folder / "card.md").exists()
