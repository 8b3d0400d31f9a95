"""A network served in int8 answers nearly as in single precision, where processor and model have what it takes."""

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import openvino
import pytest
from openvino import opset13 as ops

from detector import int8, precision, sample_clip
from detector.bench import floors
from detector.bench.children import in_child
from detector.cli import main
from detector.errors import DetectorError
from detector.inference import load_network
from detector.model import Detector
from detector.precision import Precision, available
from detector.release import INT8, MODELS_DIR, Calibration, CropShape, Decision, load_release, releases
from detector.runtime import core
from detector.training import packs, quantise
from detector.training.__main__ import main as training_main
from detector.training.export import write_checksums, write_release
from detector.training.packs import Clip, CropRow, Pack
from detector.weights import stored

SHIPPED = [folder.name for folder in sorted(MODELS_DIR.iterdir()) if (folder / "model.toml").is_file()]
DECISION = Decision(threshold_fake=0.9, threshold_real=0.1, min_face_px=0, min_sharpness=0, min_frames=1, window=8)


def pretend(monkeypatch: pytest.MonkeyPatch, folder: Path, flags: str) -> None:
    """A processor with these flags."""
    (folder / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: fpu {flags}\nbugs\t\t:\n")
    monkeypatch.setattr(precision, "CPU_INFO", folder / "cpuinfo")


def pack_of(path: Path, size: int, margin: float) -> Pack:
    """Two clips of each label in one data set, four crops of noise each."""
    random = np.random.default_rng(5)

    def row() -> CropRow:
        pixels = cv2.GaussianBlur(random.integers(0, 256, (size, size, 3), dtype=np.uint8), (0, 0), 2)
        return CropRow(np.asarray(pixels, np.uint8), np.zeros((68, 2), np.float32), 0.0, 100, 100.0)

    clips = [(Clip(f"{n}.mp4", n % 2, "set", f"person{n}", ""), [row() for _ in range(4)]) for n in range(4)]
    packs.write(path, clips, size=size, margin=margin, quality=98)
    return packs.read(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small ResNeXt50 that knows nothing."""
    target = tmp_path / "test-1"
    model = Detector().eval()
    write_release(target, "test", "1", model, CropShape(size=64, margin=1.45), Calibration(1, 0, 1, 0), DECISION)
    return target


def judged(name: str, wanted: Precision) -> tuple[Precision, np.ndarray]:
    """What a shipped network says it computes in, and its logits of a portrait, seen from nearer and nearer."""
    network = load_network(load_release(MODELS_DIR / name), 2, wanted)
    picture, side = sample_clip.read_photograph(), network.release.crop.size
    height, width = picture.shape[:2]
    crops = []
    for share in (1.0, 0.8, 0.6):
        part = round(min(height, width) * share / 2)
        middle = picture[height // 2 - part : height // 2 + part, width // 2 - part : width // 2 + part]
        crops.append(cv2.resize(middle, (side, side), interpolation=cv2.INTER_AREA))
    return network.precision, network.frames(np.stack(crops)).logits


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_gives_nearly_the_numbers_of_float32(name: str) -> None:
    _, exact = in_child(judged, name, Precision.FLOAT32)
    given, rounded = in_child(judged, name, Precision.INT8)

    assert given is available(Precision.INT8, load_release(MODELS_DIR / name))
    np.testing.assert_allclose(rounded, exact, rtol=0, atol=0.2)
    assert np.array_equal(rounded, exact) is (given is Precision.FLOAT32)


def test_every_shipped_model_says_how_it_is_served_in_int8() -> None:
    for release in releases():
        plan = int8.read_plan(release.folder)
        assert (plan.group_size > 0) is (release.base is not None)
        assert bool(plan.activation_ranges) is (release.base is None)


@pytest.mark.parametrize(
    ("flags", "plan", "becomes"),
    [
        ("avx2 avx512_vnni", True, Precision.INT8),
        ("avx2 avx_vnni", True, Precision.INT8),
        ("avx2 avx512f", True, Precision.FLOAT32),
        ("avx2 avx512_vnni", False, Precision.FLOAT32),
    ],
)
def test_int8_takes_a_processor_and_a_model_that_have_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, plan: bool, becomes: Precision
) -> None:
    pretend(monkeypatch, tmp_path, flags)
    if plan:
        int8.write_plan(folder, int8.Plan(group_size=32))
        write_checksums(folder)

    assert available(Precision.INT8, load_release(folder)) is becomes


def test_where_the_system_does_not_tell_there_is_no_int8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "CPU_INFO", tmp_path / "nowhere")

    assert not precision.processor_has(Precision.INT8)


def test_what_enters_a_convolution_is_told_apart_in_steps_up_to_its_bound() -> None:
    x = ops.parameter([1, 1, 1, 3], np.float32)
    node = ops.convolution(x, ops.constant(np.full((1, 1, 1, 1), 0.5, np.float32)), [1, 1], [0, 0], [0, 0], [1, 1])
    node.set_friendly_name("a.convolution")
    graph = openvino.Model([node], [x])
    assert [*int8.convolution_inputs(graph)] == ["a.convolution"]

    int8.insert_fake_quantization(graph, {"a.convolution": 2.55})
    [made] = (
        core()
        .compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(
            [np.array([0.006, 1.234, 9.0], np.float32).reshape(1, 1, 1, 3)]
        )
        .values()
    )

    np.testing.assert_allclose(made.ravel(), [0.005, 0.615, 1.275], atol=1e-5)


def test_quantising_writes_a_bound_for_every_convolution_of_the_blocks(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, tmp_path, "avx512_vnni")
    pack = pack_of(tmp_path / "train.npz", 96, 2.0)

    plan = quantise.quantise(load_release(folder), pack)

    assert int8.read_plan(folder) == plan
    assert len(plan.activation_ranges) == 16 * 3 + 4
    assert f"  {INT8}\n" in (folder / "SHA256SUMS").read_text()
    release = load_release(folder)
    found = quantise.compare(
        load_network(release), load_network(release, precision=Precision.INT8), pack_of(tmp_path / "val.npz", 64, 1.45)
    )
    assert found.clips == 4
    assert found.verdicts == 0
    assert 0 < found.mean <= found.most < 0.05


def test_a_plan_that_could_not_be_measured_is_taken_back(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend(monkeypatch, tmp_path, "avx512_vnni")
    sums = (folder / "SHA256SUMS").read_text()
    train, val = tmp_path / "train.npz", tmp_path / "val.npz"
    pack_of(train, 96, 2.0)
    pack_of(val, 64, 1.45)

    def fail(*_given: object) -> quantise.Difference:
        raise ValueError("the pack does not hold both genuine and fake clips that can be judged")

    monkeypatch.setattr(quantise, "compare", fail)
    given = ["quantise", str(folder), "--videos", str(train), "--validation", str(val)]

    assert training_main(given) == 2
    assert "does not hold both genuine and fake clips" in capsys.readouterr().err
    assert (folder / "SHA256SUMS").read_text() == sums
    assert not load_release(folder).is_quantised


def test_a_plan_is_not_replaced(folder: Path, tmp_path: Path) -> None:
    int8.write_plan(folder, int8.Plan(group_size=32))
    write_checksums(folder)

    with pytest.raises(ValueError, match="can be served in int8 already; give another version another plan"):
        quantise.quantise(load_release(folder), pack_of(tmp_path / "train.npz", 96, 2.0))


def test_a_plan_that_the_checksums_do_not_cover_does_not_count(folder: Path) -> None:
    int8.write_plan(folder, int8.Plan(group_size=32))

    assert not load_release(folder).is_quantised


def test_ranges_are_of_pictures_in_the_order_that_the_weights_know(folder: Path, tmp_path: Path) -> None:
    release = load_release(folder)
    turned = dataclasses.replace(release, network=dataclasses.replace(release.network, colours="bgr"))
    crops = np.stack([pack_of(tmp_path / "train.npz", 64, 1.45).crop(0)])
    crops[..., 0] //= 4

    as_given = quantise.activation_ranges(turned, stored(release), crops[..., ::-1])

    assert as_given == quantise.activation_ranges(release, stored(release), crops)
    assert as_given != quantise.activation_ranges(turned, stored(release), crops)


def test_ranges_are_of_the_crop_that_has_most(folder: Path, tmp_path: Path) -> None:
    release = load_release(folder)
    pack = pack_of(tmp_path / "train.npz", 64, 1.45)
    crops = np.stack([pack.crop(index) for index in range(4)])

    alone = [quantise.activation_ranges(release, stored(release), crops[n : n + 1]) for n in range(4)]

    for name, bound in quantise.activation_ranges(release, stored(release), crops).items():
        assert bound == pytest.approx(max(one[name] for one in alone), rel=1e-3)


def test_the_bounds_of_another_network_are_damage(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, tmp_path, "avx512_vnni")
    int8.write_plan(folder, int8.Plan(activation_ranges={"backbone.layer9.conv1": 1.0}))
    write_checksums(folder)

    with pytest.raises(DetectorError, match="cannot be read; install Unmask again"):
        load_network(load_release(folder), precision=Precision.INT8)


@pytest.mark.parametrize(
    "values",
    [
        [],
        {},
        {"activation_ranges": {}},
        {"activation_ranges": {"a": 0.0}},
        {"activation_ranges": {"a": 1e999}},
        {"activation_ranges": {"a": None}},
        {"group_size": 0},
        {"group_size": 1.9},
        {"group_size": 32, "activation_ranges": {"a": 1.0}},
    ],
)
def test_a_plan_of_another_shape_says_so(tmp_path: Path, values: object) -> None:
    (tmp_path / INT8).write_text(json.dumps(values))

    with pytest.raises(ValueError, match=r"int8\.json does not say how the model is served"):
        int8.read_plan(tmp_path)


def test_int8_is_compared_with_float32_alone(folder: Path, tmp_path: Path) -> None:
    network = load_network(load_release(folder))

    with pytest.raises(ValueError, match="test 1 cannot compute in int8 on this processor"):
        quantise.compare(network, network, pack_of(tmp_path / "val.npz", 64, 1.45))


def test_a_command_refuses_a_model_that_is_not_prepared(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend(monkeypatch, tmp_path, "avx512_vnni")

    assert main(["bench", "--precision", "int8", "--model", str(folder)]) == 2
    assert capsys.readouterr().err.startswith("test 1 cannot be served in int8; leave --precision out, or see ")


def test_the_floor_of_int8_is_that_of_int8(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floors, "MATRIX_SIDE", 64)
    monkeypatch.setattr(floors, "MULTIPLYING_S", 0.0)

    assert floors._multiplying(Precision.INT8)["wall_s"] > 0
    computed = {
        node.get_rt_info()["runtimePrecision"].astype(str)
        for node in floors._product(Precision.INT8).get_runtime_model().get_ordered_ops()
        if "layerType" in node.get_rt_info()
        and node.get_rt_info()["layerType"].astype(str) in ("FullyConnected", "MatMul")
    }
    assert computed <= {"i8", "u8"}
    assert computed
