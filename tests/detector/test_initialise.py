"""A ResNeXt50 that learns the features of a ResNet50, block by block."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from detector.model import build_backbone
from detector.training import initialise, keras_resnet50
from detector.training.initialise import Plan

PICTURES = np.random.default_rng(5).integers(0, 256, (12, 56, 60, 3), dtype=np.uint8)
STEM = ("conv1", "bn1", "relu", "maxpool")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Several would wait for each other longer than such small networks compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def teacher() -> keras_resnet50.KerasResNet50:
    torch.manual_seed(3)
    return keras_resnet50.KerasResNet50().eval()


@pytest.fixture
def seconds_of_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that moves by a second whenever it is read, twice a step: the machine has no part in what is learnt."""
    calls = itertools.count()
    monkeypatch.setattr(time, "monotonic", lambda: float(next(calls)))


def resolutions_seen(teacher: keras_resnet50.KerasResNet50) -> list[int]:
    """Fills with the side of every batch of training that the teacher is shown."""
    seen: list[int] = []

    def note(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if len(inputs[0]) == 2:
            seen.append(inputs[0].shape[-1])

    teacher.stem.register_forward_pre_hook(note)
    return seen


class Small(nn.Module):
    """A stem and one block of ResNet50, under the names of the teacher and of the student."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 256, 7, 4, padding=3), nn.ReLU()).requires_grad_(False)
        self.layer1 = self.blocks = nn.ModuleList([block])
        self.layer2, self.layer3, self.layer4 = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()


@pytest.mark.usefixtures("seconds_of_calls")
def test_a_block_learns_what_the_one_in_its_place_does(tmp_path: Path) -> None:
    torch.manual_seed(3)
    teacher = Small(keras_resnet50.Bottleneck(256, 64, 1, shortcut=False)).eval()
    student = Small(initialise.blocks_of(build_backbone("resnext50_32x4d"))[1])
    plan = Plan(48, (), batch=4, block_seconds=200)
    x = teacher.stem(initialise._Batches(PICTURES, plan).next(48))
    wanted = teacher.blocks[0](x).detach()

    def error() -> float:
        with torch.no_grad():
            return initialise._relative_error(student.layer1[0].train()(x), wanted).item()

    before = error()
    batches = initialise._Batches(PICTURES, plan)
    initialise._train_blocks(teacher, student, batches, plan, tmp_path / "x.pt")  # type: ignore[arg-type]
    assert error() < 0.7 * before


@pytest.mark.usefixtures("seconds_of_calls")
def test_blocks_see_lower_resolutions_first_and_the_whole_only_the_last(
    teacher: keras_resnet50.KerasResNet50, tmp_path: Path
) -> None:
    seen = resolutions_seen(teacher)
    plan = Plan(48, (32,), batch=2, block_seconds=8, joint_seconds=2)
    assert initialise.initialise(teacher, PICTURES, plan, tmp_path / "initial.pt") > 0
    assert seen == [32, 32, 48, 48, 48]  # two steps of the blocks at each, and one of the whole


def test_pictures_kept_aside_are_never_learnt_from(
    teacher: keras_resnet50.KerasResNet50, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, NDArray[np.uint8]] = {}
    batches, error_on = initialise._Batches, initialise._error_on
    monkeypatch.setattr(initialise, "_Batches", lambda learnt, plan: batches(given.setdefault("learnt", learnt), plan))
    monkeypatch.setattr(initialise, "_error_on", lambda aside, *rest: error_on(given.setdefault("aside", aside), *rest))
    initialise.initialise(teacher, PICTURES, Plan(48, (), batch=2, block_seconds=0, joint_seconds=0), tmp_path / "x.pt")

    assert np.array_equal(given["learnt"], PICTURES[:-1])
    assert np.array_equal(given["aside"], PICTURES[-1:])


def test_a_student_that_answers_as_its_teacher_has_no_error() -> None:
    torch.manual_seed(3)
    student = build_backbone("resnext50_32x4d").eval()

    class Teacher(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            x = initialise._stem(student, x)
            for block in initialise.blocks_of(student):
                x = block(x)
            return x

    assert initialise._error_on(PICTURES[:2], Teacher(), student, 48) == pytest.approx(0, abs=1e-6)  # type: ignore[arg-type]
    other = build_backbone("resnext50_32x4d")
    assert initialise._error_on(PICTURES[:2], Teacher(), other, 48) > 0.1  # type: ignore[arg-type]


@pytest.mark.parametrize("resolutions", [(0,), (-3,), (112, 161)])
def test_a_resolution_that_no_square_can_have_is_refused(resolutions: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="resolutions must lie between 32 and 160 pixels"):
        Plan(resolutions=resolutions)


def test_too_few_pictures_are_refused(teacher: keras_resnet50.KerasResNet50, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="12 pictures are too few for batches of 16 and one kept aside"):
        initialise.initialise(teacher, PICTURES, Plan(48, ()), tmp_path / "initial.pt")


def test_the_stem_is_the_teachers(teacher: keras_resnet50.KerasResNet50, tmp_path: Path) -> None:
    with torch.no_grad():
        teacher.stem[1].get_buffer("running_mean").uniform_(-1, 1)
        teacher.stem[1].get_buffer("running_var").uniform_(0.5, 2)
    target = tmp_path / "initial.pt"
    initialise.initialise(teacher, PICTURES, Plan(48, (), batch=2, block_seconds=0, joint_seconds=0), target)
    backbone = build_backbone("resnext50_32x4d")
    backbone.load_state_dict(torch.load(target, weights_only=True))
    x = torch.randn(2, 3, 48, 48)
    with torch.no_grad():
        wanted = teacher.stem(x)
        y = x
        for name in STEM:
            y = backbone.eval().get_submodule(name)(y)
    torch.testing.assert_close(y, wanted, rtol=1e-4, atol=1e-4)
