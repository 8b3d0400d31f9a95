"""Peers on the same crops: our own scores as served, probes that learn from training alone, features kept for later."""

import dataclasses
import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from detector.inference import Network, load_network
from detector.release import default_release
from detector.training import linear_probe, packs, peers
from detector.training.__main__ import main
from detector.training.packs import Clip, CropRow, Pack
from detector.vit_shape import WIDTH

SIDE = 64


def _pixels(label: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """Fake crops are redder; all are grainy enough to count as sharp."""
    return np.clip(random.normal(110 + 50 * label * np.array([1, 0, 0]), 25, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)


def _pack(path: Path, seed: int, clips: int = 8, crops: int = 6) -> Pack:
    random = np.random.default_rng(seed)
    rows = []
    for number in range(clips):
        label = number % 2
        made = [
            CropRow(_pixels(label, random), np.zeros((68, 2), np.float32), place / 5, 100, 90.0)
            for place in range(crops)
        ]
        rows.append((Clip(f"{seed}-{number}.mp4", label, "set", f"{seed} person {number}", ""), made))
    packs.write(path, rows, SIDE, 1.45, 95)
    return packs.read(path)


@pytest.fixture(scope="module")
def network() -> Network:
    return load_network(default_release(), 1)


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    return _pack(tmp_path_factory.mktemp("packs") / "val.npz", 1)


class Tower(nn.Module):
    """Stands for CLIP: the class token holds the mean colour."""

    passes = 0

    def load_state_dict(self, state: dict[str, Tensor]) -> None:  # type: ignore[override]
        assert list(state) == ["class_token"]

    def forward(self, x: Tensor) -> Tensor:
        Tower.passes += len(x)
        colour = x.mean(dim=(2, 3)).repeat(1, WIDTH // 3)
        return torch.cat([torch.zeros_like(colour), colour], dim=1)[:, :, None, None]


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(linear_probe, "VisionTransformer", Tower)
    monkeypatch.setattr(linear_probe, "load_base", lambda path: {"class_token": np.zeros(3, np.float32)})
    Tower.passes = 0
    (tmp_path / "base.safetensors").write_bytes(b"base")
    return tmp_path / "base.safetensors"


def test_a_crop_is_cut_down_to_the_margin_and_scaled(pack: Pack) -> None:
    wide = dataclasses.replace(pack, margin=2.9)

    inner = linear_probe.fitted(wide, [0, 1], 32, 1.45)

    assert np.array_equal(inner, np.stack([pack.crop(row)[16:48, 16:48] for row in (0, 1)]))
    assert linear_probe.fitted(pack, [0], 128, 9.9).shape == (1, 128, 128, 3)  # no wider than the pack has it


def test_rows_are_spread_over_the_clip() -> None:
    clip = Clip("a", 0, "", "", "", first=100, count=8)

    assert linear_probe.spread(clip, 4) == [101, 103, 105, 107]
    assert linear_probe.spread(dataclasses.replace(clip, count=3), 12) == [100, 101, 102]


def test_the_probe_learns_from_training_and_ranks_what_it_never_saw(pack: Pack, base: Path, tmp_path: Path) -> None:
    train = _pack(tmp_path / "train.npz", 2)

    found = peers.compare(peers.Peers(clip=base, train=train), {"validation": pack})

    ways = found["packs"]["validation"]["peers"]
    assert list(ways) == list(peers.PROBES)
    assert (ways[peers.PROBE]["matched_auc"], ways[peers.PROBE]["auc"]) == (1.0, 1.0)
    # the mean colour, which alone tells the truth here, is in no residual
    assert ways[f"{peers.PROBE}, up-sampling residual"]["auc"] < 1.0
    assert ways[f"{peers.PROBE}, picture and up-sampling residual"]["auc"] == 1.0
    assert found["model"] is None


def test_views_without_detail_are_grey_and_keep_what_is_fine() -> None:
    plain = np.full((1, 8, 8, 3), 77, np.uint8)
    dotted = plain.copy()
    dotted[0, 3, 5] = 80

    for view in (linear_probe.noise_residual, linear_probe.upsampling_residual):
        assert np.array_equal(view(plain), np.full_like(plain, 128))
        changed = np.argwhere((view(dotted) != 128).any(axis=-1))
        assert changed.tolist() == [[0, 3, 5]]
        assert (view(dotted)[0, 3, 5] == 128 + 3 * linear_probe.GAIN).all()


def test_features_are_kept_for_the_same_pack_and_no_other(pack: Pack, base: Path, tmp_path: Path) -> None:
    train = _pack(tmp_path / "train.npz", 2)
    asked = peers.Peers(clip=base, train=train, cache=tmp_path / "cache")

    first = peers.compare(asked, {"validation": pack})
    passes = Tower.passes
    again = peers.compare(asked, {"validation": pack})

    assert again == first
    assert Tower.passes == passes
    peers.compare(asked, {"validation": _pack(tmp_path / "other.npz", 3)})
    assert Tower.passes == passes + 8 * linear_probe.PROBE_CROPS * len(linear_probe.VIEWS)
    assert len(list((tmp_path / "cache").iterdir())) == 3 * len(linear_probe.VIEWS)


def test_our_model_and_its_frames_are_scored_as_served(network: Network, tmp_path: Path) -> None:
    pack = _pack(tmp_path / "few.npz", 5, clips=4, crops=2)
    heard: list[tuple[str, int, int]] = []

    found = peers.compare(peers.Peers(network), {"validation": pack}, lambda *told: heard.append(told))

    release, scores = network.release, []
    share = release.decision.temporal_share
    for clip in pack.clips:
        rows = range(clip.first, clip.first + clip.count)
        output = network.frames(linear_probe.fitted(pack, rows, release.crop.size, release.crop.margin))
        scores.append(share * network.track_logit(output.pooled) + (1 - share) * output.logits.mean())
    ways = found["packs"]["validation"]["peers"]
    assert list(ways) == ["our model", f"mean of frame scores, {release.network.backbone}, no temporal head"]
    assert ways["our model"] == peers.measure(pack.clips, np.array(scores))
    assert found["model"]["sha256"] == network.release.sha256
    assert heard[-1] == ("our model", 4, 4)


def test_the_command_compares_mesonets_and_says_what_it_found(
    network: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _pack(tmp_path / "val.npz", 4, clips=4, crops=2)
    (tmp_path / "mesonet").mkdir()
    for name in peers.MESONETS:
        _constant_meso4(tmp_path / "mesonet" / f"{name}.h5")
    options = ["--validation", str(tmp_path / "val.npz"), "--mesonet", str(tmp_path / "mesonet")]

    code = main(["peers", str(network.release.folder), *options, "--out", str(tmp_path / "peers.json")])

    out, err = capsys.readouterr()
    found = json.loads((tmp_path / "peers.json").read_text())["packs"]["validation"]
    assert code == 0
    assert found["peers"]["MesoNet, Meso4_DF"]["auc"] == 0.5  # the same answer for everything
    assert (found["clips"], found["crops"], found["sources"]) == (4, 8, 4)
    assert "validation: MesoNet, Meso4_DF: matched AUC 0.5, overall 0.5" in out
    assert "peers: our model: 4 of 4 clips" in err


def test_the_command_needs_both_halves_of_the_probe(
    network: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--validation", "val.npz", "--clip", "base.safetensors", "--out", str(tmp_path / "peers.json")]

    code = main(["peers", str(network.release.folder), *options])

    assert code == 2
    assert "needs both --clip and --videos" in capsys.readouterr().err


def _constant_meso4(path: Path) -> None:
    """Zero weights: every picture gets one half."""
    shapes = [(3, 3, 3, 8), (5, 5, 8, 8), (5, 5, 8, 16), (5, 5, 16, 16)]
    with h5py.File(path, "w") as file:
        for place, shape in enumerate(shapes, 1):
            file[f"conv2d_{place}/conv2d_{place}/kernel:0"] = np.zeros(shape, np.float32)
            file[f"conv2d_{place}/conv2d_{place}/bias:0"] = np.zeros(shape[3], np.float32)
            for name in ("gamma", "beta", "moving_mean", "moving_variance"):
                norm = f"batch_normalization_{place}"
                file[f"{norm}/{norm}/{name}:0"] = np.ones(shape[3], np.float32)
        for place, (entering, leaving) in enumerate([(1024, 16), (16, 1)], 1):
            file[f"dense_{place}/dense_{place}/kernel:0"] = np.zeros((entering, leaving), np.float32)
            file[f"dense_{place}/dense_{place}/bias:0"] = np.zeros(leaving, np.float32)
