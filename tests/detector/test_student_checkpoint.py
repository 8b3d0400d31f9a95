"""Student checkpoints: converted without running anything, served as they were made, measured before they count."""

import json
import pickle
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from detector import verdict
from detector.errors import DetectorError
from detector.inference import Network, load_network
from detector.model import build_backbone
from detector.release import CONFIG, default_release, load_release, sha256_of
from detector.training import __main__ as command_line
from detector.training.card import write_card
from detector.training.student_checkpoint import Layout, convert, import_checkpoint

SIZE, CHANNELS = 64, 2048
Crops = NDArray[np.uint8]
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


class Student(nn.Module):
    """The layout of such checkpoints: the backbone in a Sequential, an LSTM without batch_first, a linear layer."""

    def __init__(self, bias: bool = False, mean: bool = False) -> None:
        super().__init__()
        self.model = nn.Sequential(*build_backbone("resnext50_32x4d").children())
        self.lstm = nn.LSTM(CHANNELS, CHANNELS, 1, bias)
        self.linear1 = nn.Linear(CHANNELS, 2)
        self.mean = mean

    def forward(self, x: Tensor) -> Tensor:
        """(1, T, 3, S, S) -> (1, 2)"""
        pooled = self.model(x[0]).mean(dim=(2, 3))[None]
        states, _ = self.lstm(pooled)
        result: Tensor = self.linear1(states.mean(dim=1) if self.mean else states[:, -1])
        return result


def student(**options: bool) -> Student:
    """Random weights whose answers differ from face to face."""
    torch.manual_seed(5)
    made = Student(**options).eval()
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
    with torch.no_grad():
        made.linear1.weight.mul_(40)
        for gates in made.lstm.parameters():
            gates.mul_(20)
    return made


@pytest.fixture(scope="module")
def crops() -> Crops:
    return np.random.default_rng(2).integers(0, 256, (5, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("student") / "model_87_acc_20_frames.pt"
    torch.save(student().state_dict(), path)
    return path


@pytest.fixture(scope="module")
def folder(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return import_checkpoint(checkpoint, "student", "1", Layout(size=SIZE), tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def network(folder: Path) -> Network:
    return load_network(load_release(folder))


def expected(made: Student, crops: Crops, colours: str, fake: int) -> float:
    """The checkpoint's own answer in torch: logit of fake against genuine."""
    pictures = torch.from_numpy((crops[..., ::-1] if colours == "bgr" else crops).copy())
    x = ((pictures / 255 - MEAN) / STD).permute(0, 3, 1, 2)[None]
    with torch.no_grad():
        logits = made(x)[0]
    return float(logits[fake] - logits[1 - fake])


@pytest.mark.parametrize(
    ("layout", "options"),
    [
        (Layout(size=SIZE), {}),
        (Layout(size=SIZE, recurrence="frame_mean", colours="rgb", fake_class=1), {"bias": True, "mean": True}),
    ],
    ids=["as most are", "otherwise"],
)
def test_it_is_served_as_it_was_made(
    layout: Layout,
    options: dict[str, bool],
    crops: Crops,
    tmp_path: Path,
) -> None:
    made = student(**options)
    torch.save({"state_dict": {f"module.{key}": value for key, value in made.state_dict().items()}}, tmp_path / "x.pt")
    served = load_network(load_release(import_checkpoint(tmp_path / "x.pt", "student", "1", layout, tmp_path)))

    output = served.frames(crops)
    joint = verdict.track_score(served.track_logit(output.pooled), list(output.logits), served.release)

    own = expected(made, crops, layout.colours, layout.fake_class)
    assert abs(own) > 0.05
    assert joint == pytest.approx(own, abs=0.01 + 0.02 * abs(own))  # half-precision weights


def test_only_the_last_frame_decides(network: Network, crops: Crops) -> None:
    pooled = network.frames(crops).pooled

    assert np.ptp(network.frames(crops).logits) > 0.01
    assert network.track_logit(pooled) == network.track_logit(pooled[-1:])
    assert network.track_logit(pooled[[3, 1, 0, 2, 4]]) == network.track_logit(pooled)
    assert network.track_logit(pooled[:4]) != network.track_logit(pooled)
    assert network.frames(crops[:0]).logits.shape == (0,)


def test_maps_are_those_of_the_class_weights(network: Network, folder: Path, crops: Crops, checkpoint: Path) -> None:
    output = network.frames(crops)
    weight = torch.load(checkpoint, weights_only=True)["linear1.weight"].numpy()

    assert output.maps.mean(axis=(1, 2)) == pytest.approx(output.pooled @ (weight[0] - weight[1]), rel=0.02, abs=0.02)
    assert not load_release(folder).network.maps_add_up


def test_the_release_says_what_it_is_and_is_not_evaluated(folder: Path, checkpoint: Path) -> None:
    release = load_release(folder)

    card = release.card()
    assert card.startswith("# student 1\n")
    assert checkpoint.name in card
    assert "carries nothing from frame to frame" in card
    assert "The last frame of a person alone decides" in card
    assert "they do not add up to the score" in card
    assert "Not evaluated" in card
    assert not release.is_evaluated()
    assert release.weights.stat().st_size < 90_000_000
    assert [one.name for one in folder.parent.iterdir()] == ["student-1"]
    assert release.weights.stat().st_mode == (folder / CONFIG).stat().st_mode  # readable for whoever serves it


def test_measured_it_counts_as_evaluated_and_keeps_its_description(folder: Path, tmp_path: Path) -> None:
    release = load_release(folder)
    figures = default_release().metrics()["test"]
    figures["overall"].setdefault("calibration_error_unweighted", 0.1)
    figures.setdefault("matched_sets", 4)
    figures.setdefault("matched_dropped", [])
    model = {"sha256": release.sha256, "config_sha256": sha256_of(folder / CONFIG)}
    for split in ("val", "test"):
        (tmp_path / f"{split}.json").write_text(
            json.dumps({**figures, "split": split, "model": {**figures["model"], **model}})
        )

    write_card(folder, folder / "description.md", tmp_path / "val.json", tmp_path / "test.json")

    release = load_release(folder)
    release.verify()
    assert release.is_evaluated()
    assert "carries nothing from frame to frame" in release.card()
    assert "Not evaluated" not in release.card()
    assert "FAKE is said from an uncalibrated score of 0.990" in release.card()
    assert "fitted on the validation clips" not in release.card()


class Dangerous:
    """Runs something when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return (Path.touch, (Path("was-run"),))


def _whole(path: Path) -> None:
    torch.save({"model": Dangerous()}, path)


def _pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps(Dangerous()))


def _text(path: Path) -> None:
    path.write_text("no checkpoint")


def _changed(**changes: Tensor | None) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        state = {**_state(), **{key.replace("__", "."): value for key, value in changes.items()}}
        torch.save({key: value for key, value in state.items() if value is not None}, path)

    return write


@cache
def _state() -> dict[str, Tensor]:
    return student().state_dict()


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (_whole, "holds more than tensors"),
        (_pickled, "holds more than tensors|is no file of torch.save"),
        (_text, "is no file of torch.save|holds more than tensors"),
        (lambda path: None, "There is no file"),
        (lambda path: torch.save([1], path), "holds no state dict"),
        (_changed(linear1__weight=None), "lacks linear1.weight"),
        (_changed(linear1__weight=torch.zeros(3, CHANNELS)), r"linear1.weight has the shape \(3, 2048\)"),
        (_changed(linear1__bias=torch.full((2,), torch.nan)), "not finite"),
        (_changed(lstm__weight_ih_l0=None), "lacks lstm.weight_ih_l0"),
        (_changed(lstm__weight_ih_l1=torch.zeros(4, 4)), "several layers or directions"),
        (_changed(lstm__weight_ih_l0_reverse=torch.zeros(4, 4)), "several layers or directions"),
        (_changed(model__0__weight=None), "no ResNeXt50_32x4d: conv1.weight"),
        (_changed(other__weight=torch.zeros(1)), "weights called other.weight"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_nothing(
    write: Callable[[Path], None], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "x.pt")
    out = tmp_path / "models"

    with pytest.raises(ValueError, match=sentence):
        import_checkpoint(tmp_path / "x.pt", "student", "1", Layout(), out)

    assert not out.exists() or list(out.iterdir()) == []
    assert not (tmp_path / "was-run").exists()


def test_names_and_places_are_checked(checkpoint: Path, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot name a model"):
        import_checkpoint(checkpoint, "../student", "1", Layout(), tmp_path)
    with pytest.raises(FileExistsError, match="choose another version"):
        import_checkpoint(checkpoint, "student", "1", Layout(), folder.parent)
    for layout in (Layout(size=0), Layout(size=-112), Layout(size=50_000)):
        with pytest.raises(ValueError, match="Crops are 32 to 1024 pixels wide, not"):
            import_checkpoint(checkpoint, "student", "1", layout, tmp_path)
    for margin in (0.0, -1.0, float("nan"), float("inf"), 40.0):
        with pytest.raises(ValueError, match=r"side over the face's extent, 0\.5 to 4, not"):
            import_checkpoint(checkpoint, "student", "1", Layout(margin=margin), tmp_path)
    with pytest.raises(ValueError, match="output 0 or 1"):
        convert(_state(), Layout(fake_class=2))
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_plainly_what_the_recurrence_does(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "import-checkpoint",
        str(checkpoint),
        "--name",
        "student",
        "--out",
        str(tmp_path),
        "--decides",
        "frame-mean",
    ]

    assert command_line.main(arguments) == 0
    said = capsys.readouterr().out
    assert "Its recurrence carries nothing from frame to frame." in said
    assert "The mean over a person's frames decides" in said
    assert "cannot be made the active model before it has been measured" in said

    assert command_line.main(arguments) == 2
    assert "is there already; choose another version." in capsys.readouterr().err


def test_an_unknown_recurrence_is_a_damaged_model(folder: Path, tmp_path: Path) -> None:
    text = (folder / CONFIG).read_text().replace('"last_frame"', '"first_frame"')
    copy = tmp_path / "student-1"
    copy.mkdir()
    (copy / CONFIG).write_text(text)
    (copy / "weights.safetensors").symlink_to(folder / "weights.safetensors")
    (copy / "SHA256SUMS").write_text(f"{load_release(folder).sha256}  weights.safetensors\n")

    with pytest.raises(DetectorError, match="cannot be read"):
        load_network(load_release(copy))
