"""The network's promises: exact maps, a recurrence over time, and the same numbers when served."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from detector.errors import DetectorError, ErrorCode
from detector.inference import Network, load_network
from detector.model import DEFAULT_SHAPE, Detector, TemporalHead
from detector.release import Calibration, CropShape, Decision, default_release, load_release, releases
from detector.training.export import write_release
from detector.training.pairs import normalised

CROP = CropShape(size=64, margin=1.45)
DECISION = Decision(threshold_fake=0.9, threshold_real=0.1, min_face_px=40, min_sharpness=5.0, min_frames=5, window=8)


@pytest.fixture(scope="module")
def model() -> Detector:
    torch.manual_seed(0)
    network = Detector()
    with torch.no_grad():  # away from the symmetric start, so that every part matters
        network.frame_head.bias.fill_(0.3)
        for layer in network.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
                layer.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
    return network.eval()


@pytest.fixture(scope="module")
def folder(model: Detector, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("models") / "test-1"
    write_release(target, "test", "1", model, CROP, Calibration(1, 0, 1, 0), DECISION)
    return target


@pytest.fixture(scope="module")
def served(folder: Path) -> Network:
    return load_network(load_release(folder), threads=2)


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (11, 64, 64, 3), dtype=np.uint8)


def test_judging_may_use_any_core(folder: Path, crops: np.ndarray) -> None:
    """A runtime that pins its threads while they work puts those of two processes on the same core."""
    network, judging, over = load_network(load_release(folder), threads=1), threading.get_native_id(), threading.Event()
    seen: list[set[int]] = []

    def look_on() -> None:
        while not over.wait(0.005):
            seen.append(os.sched_getaffinity(judging))

    before = os.sched_getaffinity(0)
    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(look_on)
        network.frames(np.concatenate([crops] * 4))
        over.set()
        looking.result()

    assert len(seen) > 5
    assert all(allowed == before for allowed in seen)


def test_the_map_is_exact(model: Detector) -> None:
    with torch.no_grad():
        features = model.features(torch.randn(3, 3, 64, 64))
        logits, maps = model.frame_maps(features)
        pooled = features.mean(dim=(2, 3))

    assert torch.allclose(maps.mean(dim=(1, 2)) + model.frame_head.bias, logits, atol=1e-5)
    assert torch.allclose(model.frame_head(pooled)[:, 0], logits, atol=1e-4)


def test_the_map_equals_the_gradient_it_stands_for(model: Detector) -> None:
    """Autograd as the oracle: d logit / d feature is the head's weight over the number of places."""
    features = torch.randn(1, 2048, 2, 2, requires_grad=True)
    logits, maps = model.frame_maps(features)
    (gradient,) = torch.autograd.grad(logits.sum(), features)

    assert torch.allclose((gradient * features).sum(dim=1) * 4, maps, atol=1e-4)


def test_the_temporal_head_depends_on_early_frames_and_on_order() -> None:
    torch.manual_seed(1)
    head = TemporalHead(DEFAULT_SHAPE).eval()
    pooled, mask = torch.randn(1, 6, 2048), torch.ones(1, 6, dtype=torch.bool)
    changed = pooled.clone()
    changed[0, 0] += 1.0
    with torch.no_grad():
        plain, early, reversed_ = (head(x, mask) for x in (pooled, changed, pooled.flip(1)))

    assert (plain - early).abs().max() > 1e-5
    assert (plain - reversed_).abs().max() > 1e-5


def test_rows_of_a_batch_do_not_reach_each_other() -> None:
    """With the sequence axis taken for the batch axis, this is what would fail."""
    torch.manual_seed(1)
    head = TemporalHead(DEFAULT_SHAPE).eval()
    pooled, mask = torch.randn(2, 5, 2048), torch.ones(2, 5, dtype=torch.bool)
    with torch.no_grad():
        both = head(pooled, mask)
        alone = torch.cat([head(pooled[row : row + 1], mask[row : row + 1]) for row in range(2)])

    assert torch.allclose(both, alone, atol=1e-6)


def test_padding_changes_nothing() -> None:
    torch.manual_seed(1)
    head = TemporalHead(DEFAULT_SHAPE).eval()
    pooled = torch.randn(1, 4, 2048)
    padded = torch.cat([pooled, torch.full((1, 3, 2048), 99.0)], dim=1)
    with torch.no_grad():
        short = head(pooled, torch.tensor([[True] * 4]))
        long = head(padded, torch.tensor([[True] * 4 + [False] * 3]))

    assert torch.allclose(short, long, atol=1e-6)


def test_serving_gives_the_numbers_of_torch(served: Network, folder: Path, crops: np.ndarray) -> None:
    reference = Detector().eval()
    weights = {name: value.float() for name, value in load_file(folder / "weights.safetensors").items()}
    missing, unexpected = reference.load_state_dict(weights, strict=False)
    with torch.no_grad():
        x = normalised(torch.from_numpy(crops).permute(0, 3, 1, 2))
        features = reference.features(x)
        logits, maps = reference.frame_maps(features)
        window = features.mean(dim=(2, 3))[None, :8]
        track = reference.temporal_head(window, torch.ones(1, 8, dtype=torch.bool))[0]

    output = served.frames(crops)

    assert not unexpected
    assert all(name.endswith("num_batches_tracked") for name in missing)
    assert output.logits == pytest.approx(logits.numpy(), abs=2e-3)
    assert output.maps == pytest.approx(maps.numpy(), abs=5e-3)
    assert served.track_logit(output.pooled[:8]) == pytest.approx(float(track[1] - track[0]), abs=2e-3)


def test_served_maps_are_exact(served: Network, crops: np.ndarray) -> None:
    output = served.frames(crops)

    assert output.maps.mean(axis=(1, 2)) + served.frame_bias == pytest.approx(output.logits, abs=1e-5)


def test_a_served_track_depends_on_early_frames_and_on_order(served: Network) -> None:
    pooled = np.random.default_rng(2).normal(size=(6, 2048)).astype(np.float32)
    changed = pooled.copy()
    changed[0] += 1

    assert served.track_logit(pooled) != pytest.approx(served.track_logit(changed), abs=1e-5)
    assert served.track_logit(pooled) != pytest.approx(served.track_logit(pooled[::-1]), abs=1e-5)


def test_a_long_track_is_the_mean_of_its_windows(served: Network) -> None:
    pooled = np.random.default_rng(2).normal(size=(16, 2048)).astype(np.float32)

    halves = [served.track_logit(pooled[:8]), served.track_logit(pooled[8:])]

    assert served.track_logit(pooled) == pytest.approx(np.mean(halves), abs=1e-5)


def test_no_crops_give_no_logits(served: Network) -> None:
    output = served.frames(np.zeros((0, 64, 64, 3), np.uint8))

    assert (output.logits.shape, output.maps.shape, output.pooled.shape) == ((0,), (0, 2, 2), (0, 2048))


def test_the_same_crops_give_the_same_numbers(served: Network, crops: np.ndarray) -> None:
    assert np.array_equal(served.frames(crops).logits, served.frames(crops).logits)


def test_damaged_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "damaged"
    shutil.copytree(folder, copy)
    with (copy / "weights.safetensors").open("r+b") as weights:
        weights.seek(100_000)
        weights.write(b"\x00" * 64)

    with pytest.raises(DetectorError) as caught:
        load_network(load_release(copy))

    assert caught.value.code == ErrorCode.MODEL_DAMAGED


def test_a_missing_model_is_refused(tmp_path: Path) -> None:
    for load in (load_release, default_release):
        with pytest.raises(DetectorError) as caught:
            load(tmp_path)
        assert caught.value.code == ErrorCode.MODEL_MISSING


def test_the_shipped_models_are_whole_and_small_enough() -> None:
    shipped = releases()
    files = {path for model in shipped for path in (model.weights, model.base) if path is not None}

    assert default_release() in shipped
    assert "resnext50_32x4d" in {model.network.backbone for model in shipped}
    assert sum(path.stat().st_size for path in files) < 150_000_000
    for model in shipped:
        model.verify()
        assert model.is_evaluated()
        assert model.decision.threshold_real < 0.5 < model.decision.threshold_fake
        assert model.name in model.card()
