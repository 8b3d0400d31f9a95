"""What training stands on: packs, made fakes, pairs that share everything but the class, resuming, calibration."""

import json
from collections import Counter
from dataclasses import asdict, fields, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from detector import crops
from detector.errors import DetectorError
from detector.inference import load_network
from detector.model import Detector
from detector.release import Calibration, CropShape, Decision, load_release
from detector.training import calibrate, export, fakes, h264, head_first, networks, packs, temporal, train
from detector.training.__main__ import main
from detector.training.degrade import Chain
from detector.training.export import write_release
from detector.training.packs import Clip, CropRow, Pack
from detector.training.pairs import PairBatches, loader, normalised
from detector.training.recipe import RECIPES, Learning, Mixture, Recipe, read_recipe
from detector.training.teacher import Teacher, load_detector
from detector.training.temporal_fit import Fitting, Sequence
from tests import videos

SHAPE = CropShape(size=64, margin=1.45)
WAYS = [field.name for field in fields(Mixture) if field.name not in {"pairs", "photographs", "mildest"}]
DECISION = Decision(threshold_fake=0.9, threshold_real=0.1, min_face_px=10, min_sharpness=0.0, min_frames=2, window=8)


def only(way: str, pairs: int) -> Mixture:
    """Pairs made in one way."""
    shares = {**dict.fromkeys(WAYS, 0.0), way: 1.0}
    return Mixture(pairs=pairs, **shares)


def landmarks(size: int) -> np.ndarray:
    """An oval of points with brows, eyes, nose and mouth about where a face has them."""
    angles = np.linspace(0, np.pi, 17)
    points = np.zeros((68, 2), np.float32)
    points[:17] = np.stack([0.5 - 0.24 * np.cos(angles), 0.5 + 0.25 * np.sin(angles)], axis=1)
    points[17:27] = np.stack([np.linspace(0.3, 0.7, 10), np.full(10, 0.38)], axis=1)
    points[27:48] = np.stack([np.linspace(0.35, 0.65, 21), np.linspace(0.42, 0.6, 21)], axis=1)
    points[48:] = np.stack([np.linspace(0.42, 0.58, 20), 0.65 + 0.02 * np.sin(np.arange(20))], axis=1)
    return points * size


def row(seed: int, size: int = 96, shade: int = 0) -> CropRow:
    picture = videos.resized(videos.portrait(), size)
    tinted = np.clip(picture.astype(int) - shade + np.random.default_rng(seed).integers(-40, 41, 3), 0, 255).astype(
        np.uint8
    )
    return CropRow(tinted, landmarks(size), seed * 0.1, 80, 30.0)


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    clips = [
        (Clip("a.mp4", 0, "set1", "ann", ""), [row(0), row(1)]),
        (Clip("b.mp4", 1, "set1", "ann", "swap"), [row(2), row(3)]),
        (Clip("none.mp4", 1, "set1", "bob", "swap"), []),
        (Clip("c.mp4", 0, "set2", "cid", ""), [row(4)]),
        (Clip("d.mp4", 1, "set2", "dan", "swap"), [row(5), row(6)]),
    ]
    path = tmp_path_factory.mktemp("packs") / "train.npz"
    assert packs.write(path, clips, size=96, margin=2.0, quality=98) == 7
    return packs.read(path)


@pytest.fixture(scope="module")
def validation(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    """Other people, cut as SHAPE says."""
    clips = [(Clip(f"{label}.mp4", label, "set", f"eve{label}", ""), [row(label, size=64)]) for label in (0, 1)]
    path = tmp_path_factory.mktemp("packs") / "val.npz"
    packs.write(path, clips, size=64, margin=1.45, quality=98)
    return packs.read(path)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    """What stands for the genuine crops of ``pack`` drawn again."""
    clips = [
        (Clip("a.mp4", 1, "set1", "ann", "regenerated"), [row(0, shade=60), row(1, shade=60)]),
        (Clip("c.mp4", 1, "set2", "cid", "regenerated"), [row(4, shade=60)]),
    ]
    path = tmp_path_factory.mktemp("packs") / "drawn.npz"
    packs.write(path, clips, size=96, margin=2.0, quality=98)
    return packs.read(path)


def test_a_pack_gives_back_what_went_in(pack: Pack) -> None:
    assert [(clip.file, clip.first, clip.count) for clip in pack.clips] == [
        ("a.mp4", 0, 2),
        ("b.mp4", 2, 2),
        ("c.mp4", 4, 1),
        ("d.mp4", 5, 2),
    ]
    assert np.abs(pack.crop(4).astype(int) - row(4).pixels).mean() < 2
    assert np.array_equal(pack.landmarks[4], row(4).landmarks)


@pytest.mark.parametrize("seed", range(8))
def test_a_self_blended_fake_differs_from_its_genuine_half_around_the_face_alone(seed: int) -> None:
    one = row(0, size=160)
    real, fake = fakes.self_blend(one.pixels, one.landmarks, np.random.default_rng(seed))

    changed = np.abs(real.astype(int) - fake.astype(int)).max(axis=2)
    inside = cv2.fillConvexPoly(np.zeros((160, 160), np.uint8), cv2.convexHull(one.landmarks.astype(np.int32)), 1)
    far = cv2.dilate(inside, np.ones((61, 61), np.uint8)) == 0
    assert changed.max() > 3
    assert changed[far].max() <= 1
    again = fakes.self_blend(one.pixels, one.landmarks, np.random.default_rng(seed))
    assert np.array_equal(fake, again[1])


def test_a_self_blended_fake_is_no_darker_by_rounding() -> None:
    grey = np.random.default_rng(0).integers(90, 160, (160, 160, 3)).astype(np.uint8)
    changes = []
    for seed in range(40):
        real, fake = fakes.self_blend(grey, landmarks(160), np.random.default_rng(seed))
        again = fakes.mixed(real, real, np.full((160, 160), 0.37, np.float32))
        assert np.array_equal(again, real)
        changes.append(float((fake.astype(int) - real)[fake != real].mean()))

    assert abs(np.mean(changes)) < 3


def test_a_mask_lies_between_nothing_and_everything() -> None:
    for seed in range(20):
        mask = fakes.blending_mask(landmarks(160), 160, np.random.default_rng(seed))
        assert mask.shape == (160, 160)
        assert 0 <= mask.min() < 0.01
        assert 0.2 < mask.max() < 1.001


def test_a_chain_does_the_same_to_both_of_a_pair() -> None:
    picture = videos.resized(videos.portrait(), 96)
    for seed in range(20):
        chain = Chain.draw(np.random.default_rng(seed))
        first, second = (chain.apply(picture, 2.0, 64, 1.45) for _ in range(2))
        assert first.shape == (64, 64, 3)
        assert np.array_equal(first, second)


def test_a_chain_of_no_strength_cuts_as_serving_does() -> None:
    picture = videos.resized(videos.portrait(), 320)
    chain = Chain.draw(np.random.default_rng(3), strength=0.0)

    served = crops.cut(picture, crops.Placement((160.0, 160.0), 320 * 1.45 / 2.0, 0.0), 160)

    assert np.array_equal(chain.apply(picture, 2.0, 160, 1.45), served)


def test_a_chain_of_no_strength_is_the_plain_cut() -> None:
    picture = videos.resized(videos.portrait(), 200)
    chain = Chain.draw(np.random.default_rng(3), strength=0.0)
    inner = picture[27:173, 27:173]

    cut = chain.apply(picture, 2.0, 146, 1.46)

    assert np.abs(cut[2:-2, 2:-2].astype(int) - inner[2:-2, 2:-2]).mean() < 3


def test_batches_are_pairs_and_depend_on_seed_and_step_alone(pack: Pack) -> None:
    mixture = Mixture(pairs=3)
    first = iter(PairBatches(pack, pack, SHAPE, mixture, seed=7, first_step=0))
    next(first)
    crops, labels = next(first)
    resumed, _ = next(iter(PairBatches(pack, pack, SHAPE, mixture, seed=7, first_step=1)))

    assert crops.shape == (6, 3, 64, 64)
    assert labels.tolist() == [0, 1] * 3
    assert torch.equal(crops, resumed)


def test_any_number_of_workers_gives_the_same_batches(pack: Pack) -> None:
    batches = PairBatches(pack, pack, SHAPE, Mixture(pairs=1), seed=3, first_step=4)

    alone, shared = ([x for (x, _), _ in zip(loader(batches, workers), range(4), strict=False)] for workers in (0, 2))

    assert all(torch.equal(one, other) for one, other in zip(alone, shared, strict=True))


def test_a_fake_is_paired_with_a_genuine_clip_of_its_source_or_its_set(pack: Pack) -> None:
    batches = PairBatches(pack, pack, SHAPE, Mixture(), seed=0, first_step=0)

    assert [clip.file for clip in batches.real["ann"]] == ["a.mp4"]
    assert list(batches.paired) == ["ann"]
    assert list(batches.unpaired) == ["dan"]
    assert [clip.file for clip in batches.real_sets["set2"]] == ["c.mp4"]


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_making_a_pair_gives_two_different_pictures(pack: Pack, drawn: Pack, way: str) -> None:
    batches = PairBatches(pack, pack, SHAPE, only(way, pairs=4), seed=1, first_step=0, regenerated=[drawn])

    crops, _ = batches.batch(np.random.default_rng(5))

    real, fake = crops[::2].int(), crops[1::2].int()
    assert ((real - fake).abs().amax(dim=(1, 2, 3)) > 3).all()


@pytest.mark.parametrize("way", [way for way in WAYS if way != "self_blended"])
def test_the_genuine_one_comes_first_and_is_left_as_it_is(
    pack: Pack, drawn: Pack, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Chain.draw(np.random.default_rng(0), strength=0.0)
    monkeypatch.setattr(Chain, "draw", lambda *_: plain)
    genuine = [
        plain.apply(pack.crop(clip.first + offset), 2.0, 64, 1.45)
        for clip in pack.clips
        if clip.label == 0
        for offset in range(clip.count)
    ]
    batches = PairBatches(pack, pack, SHAPE, only(way, pairs=4), seed=1, first_step=0, regenerated=[drawn])

    crops, labels = batches.batch(np.random.default_rng(5))

    given = crops.permute(0, 2, 3, 1).numpy()
    found = [any(np.array_equal(one, known) for known in genuine) for one in given]
    assert found == [label == 0 for label in labels.tolist()]


def test_both_of_a_pair_go_through_the_same_chain(tmp_path: Path) -> None:
    """A clip beside itself, called a fake: whatever happens on the way happens to both."""
    clips = [(Clip(f"{label}.mp4", label, "set", "ann", ""), [row(3)]) for label in (0, 1)]
    packs.write(tmp_path / "same.npz", clips, size=96, margin=2.0, quality=98)
    same = packs.read(tmp_path / "same.npz")
    mixture = replace(only("paired", pairs=12), mildest=1.0)

    crops, _ = PairBatches(same, same, SHAPE, mixture, seed=1, first_step=0).batch(np.random.default_rng(5))

    assert torch.equal(crops[::2], crops[1::2])
    assert len({one.numpy().tobytes() for one in crops[::2]}) > 6


def tiny(**learning: object) -> Recipe:
    shape = read_recipe(RECIPES / "resnext50-lstm.toml").network
    given = {"seconds": 1e12, "validate_every_s": 1e9, "save_every_s": 0.0, **learning}
    return Recipe("tiny", shape, SHAPE, Mixture(pairs=2), Learning(**given))  # type: ignore[arg-type]


def bright_and_dark(folder: Path, size: int, margin: float, suffix: str) -> Pack:
    """Genuine faces bright, fakes dark, of two people."""
    clips = []
    for person in ("fay", "gus"):
        for label, level in ((0, 210), (1, 40)):
            picture = np.clip(row(label, size).pixels.astype(int) // 4 + level - 30, 0, 255).astype(np.uint8)
            one = CropRow(picture, landmarks(size), 0.0, 80, 30.0)
            clips.append((Clip(f"{person}{label}.mp4", label, "set", person + suffix, "swap"), [one]))
    packs.write(folder / f"{suffix}.npz", clips, size=size, margin=margin, quality=98)
    return packs.read(folder / f"{suffix}.npz")


def test_training_learns_which_is_which(tmp_path: Path) -> None:
    videos_, validation = bright_and_dark(tmp_path, 96, 2.0, "a"), bright_and_dark(tmp_path, 64, 1.45, "b")
    recipe = replace(tiny(steps=25, average=0.5), mixture=only("paired", pairs=4))
    torch.manual_seed(0)

    train.train(videos_, videos_, validation, None, recipe, tmp_path / "run", workers=0)

    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert log[-1]["matched_auc"] == 1.0


def test_a_head_fitted_first_knows_which_is_which_before_the_first_step(tmp_path: Path) -> None:
    videos_, validation = bright_and_dark(tmp_path, 96, 2.0, "a"), bright_and_dark(tmp_path, 64, 1.45, "b")
    recipe = replace(tiny(seconds=1e-9, head_batches=6), mixture=only("paired", pairs=4))
    torch.manual_seed(0)
    backbone = Detector().backbone.state_dict()

    train.train(videos_, videos_, validation, backbone, recipe, tmp_path / "run", workers=0)

    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert log[0]["head_crops"] == 6 * 2 * 4
    assert log[0]["head_loss"] < 0.5
    assert "loss" not in log[-1]  # no step was made
    assert log[-1]["matched_auc"] == 1.0
    assert torch.equal(state["averaged"]["backbone.conv1.weight"], backbone["conv1.weight"])
    assert torch.equal(state["averaged"]["frame_head.weight"], state["model"]["frame_head.weight"])


def test_a_head_is_fitted_first_once(pack: Pack, validation: Pack, tmp_path: Path) -> None:
    """A run that goes on has a head that has learnt more since."""
    backbone = Detector().backbone.state_dict()
    train.train(pack, pack, validation, backbone, tiny(steps=1, head_batches=2), tmp_path / "run", workers=0)
    train.train(pack, pack, validation, backbone, tiny(steps=2, head_batches=2), tmp_path / "run", workers=0)

    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert ["head_crops" in line for line in log] == [True, False, False]


def test_a_run_that_starts_from_a_head_keeps_it(pack: Pack, validation: Pack, tmp_path: Path) -> None:
    backbone = Detector().backbone.state_dict()
    train.train(pack, pack, validation, backbone, tiny(steps=1), tmp_path / "first", workers=0)
    start = networks.start_of(tmp_path / "first")

    recipe = tiny(seconds=1e-9, head_batches=2)
    train.train(pack, pack, validation, backbone, recipe, tmp_path / "second", workers=0, start=start)

    state = torch.load(tmp_path / "second" / "checkpoint.pt", weights_only=True)
    assert "head_crops" not in (tmp_path / "second" / "log.jsonl").read_text()
    assert torch.equal(state["averaged"]["frame_head.weight"], start["frame_head.weight"])


def test_the_penalty_of_a_head_fitted_first_is_the_one_that_does_best_on_what_is_kept_aside() -> None:
    """Many features of chance want a heavy one; one that tells everything wants the lightest."""

    class Given(torch.nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.frame_head = torch.nn.Linear(channels, 1)

        def features(self, x: torch.Tensor) -> torch.Tensor:
            channels = self.frame_head.in_features
            return x[:, :1] if channels == 1 else torch.randn(len(x), channels, 1, 1)

    torch.manual_seed(0)
    labels = torch.tensor([0.0, 1.0]).repeat(16)
    crops = (labels.view(-1, 1, 1, 1) * 200).expand(-1, 3, 16, 16).to(torch.uint8)
    chance, telling = Given(300), Given(1)

    guessed = head_first.fit(chance, [(crops, labels)] * 10, 8)  # type: ignore[arg-type]
    known = head_first.fit(telling, [(crops, labels)] * 10, 8)  # type: ignore[arg-type]

    assert guessed.crops == known.crops == 320
    assert guessed.loss == pytest.approx(np.log(2), abs=0.01)
    assert guessed.penalty > known.penalty
    assert known.loss < 0.4
    assert known.penalty == min(head_first.PENALTIES)
    genuine, fake = (normalised(torch.full((1, 3, 8, 8), level))[:, :1, 0, 0] for level in (0, 200))
    assert telling.frame_head(genuine) < 0 < telling.frame_head(fake)


@pytest.mark.parametrize("wrong", [{"head_batches": -1}, {"head_batches": 1}, {"steps": 0}])
def test_numbers_that_make_no_run_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"head_batches is 0|at least one step"):
        Learning(**wrong)  # type: ignore[arg-type]


def test_training_and_validation_share_nobody(pack: Pack, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ann is a source in training and validation"):
        train.train(pack, pack, replace(pack, size=64, margin=1.45), None, tiny(steps=1), tmp_path / "run")


def test_a_pack_that_is_cut_otherwise_is_refused(pack: Pack, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cut at 96 px with a margin of 2"):
        train.train(pack, pack, pack, None, tiny(steps=1), tmp_path / "run")


def test_a_recipe_over_a_base_is_not_trained_without_it(pack: Pack, tmp_path: Path) -> None:
    recipe = replace(read_recipe(RECIPES / "clip-vit-b16.toml"), crop=SHAPE)

    with pytest.raises(ValueError, match="give it with --initial"):
        train.train(pack, pack, replace(pack, clips=[], size=64, margin=1.45), None, recipe, tmp_path / "run")


def test_an_interrupted_run_ends_where_an_uninterrupted_one_does(
    pack: Pack, validation: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = Detector().backbone.state_dict()
    train.train(pack, pack, validation, backbone, tiny(steps=3), tmp_path / "whole", workers=0)
    learn = train._Run.learn

    def interrupted(run: train._Run, x: torch.Tensor, labels: torch.Tensor) -> float:
        if run.step == 2:
            raise KeyboardInterrupt
        return learn(run, x, labels)

    monkeypatch.setattr(train._Run, "learn", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train.train(pack, pack, validation, backbone, tiny(steps=3), tmp_path / "parts", workers=0)
    monkeypatch.undo()
    train.train(pack, pack, validation, backbone, tiny(steps=3), tmp_path / "parts", workers=0)

    whole, parts = (
        torch.load(tmp_path / name / "checkpoint.pt", weights_only=True)["averaged"] for name in ("whole", "parts")
    )
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_runs_of_one_recipe_can_be_averaged(tmp_path: Path) -> None:
    recipe = tiny(steps=1)
    shapes = {"network": asdict(recipe.network), "crop": asdict(recipe.crop), "mixture": {}, "learning": {}}
    for name, value in (("a", 1.0), ("b", 4.0)):
        (tmp_path / name).mkdir()
        state = {**shapes, "averaged": {"w": torch.full((2,), value)}, "step": 7}
        torch.save(state, tmp_path / name / "checkpoint.pt")

    assert main(["average", str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(tmp_path / "mean")]) == 0

    mean = torch.load(tmp_path / "mean" / "checkpoint.pt", weights_only=True)
    assert mean["averaged"]["w"].tolist() == [2.5, 2.5]
    assert mean["steps"] == [7, 7]


def test_runs_of_different_networks_are_not_averaged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        shape = asdict(replace(tiny(steps=1).network, backbone=name))
        state = {"network": shape, "crop": asdict(SHAPE), "averaged": {}, "step": 1}
        torch.save(state, tmp_path / name / "checkpoint.pt")

    assert main(["average", str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(tmp_path / "mean")]) == 2
    assert "another network" in capsys.readouterr().err
    assert not (tmp_path / "mean").exists()


def test_tuning_the_norms_leaves_everything_else_alone(pack: Pack, tmp_path: Path) -> None:
    """CLIP's tower: what is saved is what was tuned, and the rest comes from the base."""
    recipe = read_recipe(RECIPES / "clip-vit-b16.toml")
    learning = replace(recipe.learning, seconds=1e12, steps=1, clip_crops=1, validate_every_s=1e9)
    recipe = replace(recipe, learning=learning, mixture=Mixture(pairs=1))
    torch.manual_seed(0)
    backbone = Detector(recipe.network).backbone.state_dict()
    clips = [(Clip(f"{label}.mp4", label, "set", "eve", ""), [row(label, size=224)]) for label in (0, 1)]
    packs.write(tmp_path / "val.npz", clips, size=224, margin=1.45, quality=98)

    train.train(pack, pack, packs.read(tmp_path / "val.npz"), backbone, recipe, tmp_path, workers=0)
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["model"]
    model, network, crop = networks.load_averaged(tmp_path, backbone, torch.device("cpu"))

    assert sum(value.numel() for value in saved.values()) == 39_936 + 1_537
    assert (network, crop) == (recipe.network, recipe.crop)
    assert torch.equal(model.state_dict()["backbone.blocks.3.qkv.weight"], backbone["blocks.3.qkv.weight"])


def released(folder: Path, bias: float) -> Path:
    """A model that holds everything for fake, or for genuine."""
    torch.manual_seed(0)
    model = Detector()
    with torch.no_grad():
        model.frame_head.weight.zero_()
        model.frame_head.bias.fill_(bias)
    write_release(folder, "teacher", "1", model, CropShape(size=96, margin=1.45), Calibration(1, 0, 1, 0), DECISION)
    return folder


@pytest.mark.parametrize("kind", ["run", "model"])
def test_a_run_starts_from_what_an_earlier_run_or_a_model_has_learnt(
    kind: str, pack: Pack, validation: Pack, tmp_path: Path
) -> None:
    if kind == "run":
        train.train(pack, pack, validation, Detector().backbone.state_dict(), tiny(steps=1), tmp_path / "a", workers=0)
        wanted = torch.load(tmp_path / "a" / "checkpoint.pt", weights_only=True)["averaged"]
    else:
        wanted = load_detector(load_release(released(tmp_path / "a", 3.0))).state_dict()

    recipe = tiny(steps=1, rate=1e-12, head_rate=1e-12)
    start = networks.start_of(tmp_path / "a")
    train.train(pack, pack, validation, None, recipe, tmp_path / "b", workers=0, start=start)

    begun = torch.load(tmp_path / "b" / "checkpoint.pt", weights_only=True)["model"]
    for name in ("backbone.layer4.2.conv3.weight", "frame_head.bias"):
        assert torch.allclose(begun[name], wanted[name], atol=1e-6)
    assert not any(name.startswith("temporal_head.") for name in start)


def test_there_is_nothing_to_start_from_in_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DetectorError, match="no model in"):
        networks.start_of(tmp_path)


def test_the_loss_of_a_pair_s_order_sees_what_its_two_do_not_share() -> None:
    pairs = torch.tensor([3.0, 5.0, -1.0, 0.5])

    loss = train.pair_order_loss(pairs)

    assert loss == pytest.approx((np.log1p(np.exp(-2)) + np.log1p(np.exp(-1.5))) / 2)
    assert train.pair_order_loss(pairs + 7) == pytest.approx(loss)


def test_a_pair_s_order_counts_as_much_as_the_recipe_says(
    pack: Pack, validation: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone, seen = Detector().backbone.state_dict(), {}
    monkeypatch.setattr(train, "pair_order_loss", lambda logits: logits.sum() * 0 + 10.0)
    for ranked in (0.0, 0.5):
        run = train._Run(tiny(ranked=ranked), backbone, tmp_path, torch.device("cpu"))
        seen[ranked] = run.learn(torch.zeros(4, 3, 64, 64, dtype=torch.uint8), torch.tensor([0.0, 1.0, 0.0, 1.0]))

    assert seen[0.5] == pytest.approx(seen[0.0] + 5.0, abs=1e-4)


def test_no_patches_are_left_out_at_the_end_of_a_run(tmp_path: Path) -> None:
    recipe = tiny(steps=10, kept_patches=50, whole_share=0.3)
    run = train._Run(recipe, None, tmp_path, torch.device("cpu"))
    kept = []
    for run.step in range(10):
        patches = run._kept()
        kept.append(None if patches is None else len(patches))

    assert kept == [50] * 8 + [None] * 2


def test_a_teacher_is_heard_beside_the_labels(pack: Pack, validation: Pack, tmp_path: Path) -> None:
    backbone = Detector().backbone.state_dict()
    biases = {}
    for bias in (-9.0, 9.0):
        teacher = Teacher(load_release(released(tmp_path / f"teacher{bias}", bias)), torch.device("cpu"))
        out = tmp_path / f"run{bias}"
        train.train(pack, pack, validation, backbone, tiny(steps=2, taught=1.0), out, workers=0, teacher=teacher)
        biases[bias] = float(torch.load(out / "checkpoint.pt", weights_only=True)["model"]["frame_head.bias"])

    assert biases[-9.0] < 0 < biases[9.0]


def test_a_teacher_with_another_margin_is_refused(pack: Pack, validation: Pack, tmp_path: Path) -> None:
    teacher = Teacher(load_release(released(tmp_path / "teacher", 0.0)), torch.device("cpu"))
    recipe = replace(tiny(steps=1), crop=CropShape(size=64, margin=1.2))

    with pytest.raises(ValueError, match="another margin"):
        train.train(pack, pack, validation, None, recipe, tmp_path / "run", teacher=teacher)


def test_a_release_read_into_torch_answers_as_it_does_when_served(pack: Pack, tmp_path: Path) -> None:
    torch.manual_seed(0)
    write_release(
        tmp_path / "m-1", "m", "1", Detector(), CropShape(size=96, margin=2.0), Calibration(1, 0, 1, 0), DECISION
    )

    model = load_detector(load_release(tmp_path / "m-1"))

    assert export.parity(model, tmp_path / "m-1", pack, count=3) < 0.01


def test_the_recipes_at_hand_can_be_read_and_an_odd_one_says_so(tmp_path: Path) -> None:
    assert {read_recipe(path).name for path in RECIPES.glob("*.toml")} == {
        "clip-vit-b16",
        "efficientnet-lite2-lstm",
        "resnext50-lstm",
    }
    (tmp_path / "odd.toml").write_text('name = "odd"\n[learning]\nspeed = 3\n')

    with pytest.raises(ValueError, match=r"odd\.toml is no recipe"):
        read_recipe(tmp_path / "odd.toml")


def test_h264_costs_detail_and_keeps_the_picture() -> None:
    picture = videos.resized(videos.portrait(), 96)
    fine, coarse = (np.abs(h264.recompress(picture, crf).astype(int) - picture).mean() for crf in (18, 40))

    assert 0 < fine < coarse < 20


def test_an_export_that_differs_from_what_was_trained_is_refused(pack: Pack, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, crop = Detector().eval(), CropShape(size=96, margin=2.0)
    export.write_release(tmp_path / "m-1", "m", "1", model, crop, Calibration(1, 0, 1, 0), DECISION)

    assert export.parity(model, tmp_path / "m-1", pack, count=3) < 0.05
    with torch.no_grad():
        model.frame_head.bias.add_(1)
    with pytest.raises(ValueError, match="differs from the trained one"):
        export.parity(model, tmp_path / "m-1", pack, count=3)


def test_the_temporal_head_is_fitted_and_kept_with_its_shape(
    pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [
        Sequence(torch.randn(6, 2048) + 2 * label - 1, label, source)
        for source in ("ann", "bo", "cid", "dan")
        for label in (0, 1)
    ]
    monkeypatch.setattr(temporal, "sequences", lambda *_: made)
    model, other = Detector(), Detector()
    plan = temporal.Plan(width=8, fitting=Fitting(steps=(3,), batch=4))

    log = temporal.train_temporal(model, pack, SHAPE, plan, torch.device("cpu"))
    temporal.save_head(model, tmp_path / "temporal.pt", log)
    temporal.load_head(other, tmp_path / "temporal.pt")

    pooled, mask = torch.randn(2, 5, 2048), torch.ones(2, 5, dtype=torch.bool)
    assert torch.load(tmp_path / "temporal.pt", weights_only=True)["log"] == log == [{"temporal_steps": 3}]
    assert (other.config.projected, other.config.hidden) == (8, 8)
    assert not other.temporal_head.training
    assert torch.equal(other.temporal_head(pooled, mask), model.temporal_head(pooled, mask))


def test_the_temporal_head_learns_from_sources_that_are_there_as_both(pack: Pack) -> None:
    """A fake of a source without a genuine clip is left out; beside every genuine version stands a fake of it."""
    plan = temporal.Plan(versions=1, crops=1)

    found = temporal.sequences(Detector(), pack, SHAPE, plan, np.random.default_rng(0), torch.device("cpu"))

    kinds = Counter((one.source, one.label) for one in found)
    assert kinds == {("ann", 0): 2, ("ann", 1): 4, ("cid", 0): 2, ("cid", 1): 2}
    assert all(one.features.shape == (1, 2048) for one in found)


def test_thresholds_keep_their_promises_and_stay_on_their_side() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], 200)
    good = np.concatenate([random.beta(2, 4, 200), random.beta(4, 2, 200)])
    targets = calibrate.Targets()
    fake, real = calibrate.thresholds(good, labels, targets)

    called_fake, called_real = good >= fake, good <= real
    assert 0.5 < fake < 0.95
    assert 0.05 < real < 0.5
    assert called_fake[labels == 0].mean() <= targets.real_called_fake
    assert called_real[labels == 1].mean() <= targets.fake_called_real
    assert (labels[called_fake] == 0).mean() <= targets.wrong
    assert (labels[called_real] == 1).mean() <= targets.wrong


def test_a_perfect_score_is_trusted_from_one_half_on() -> None:
    labels = np.repeat([0, 1], 20)

    assert calibrate.thresholds(np.where(labels == 1, 0.6, 0.4), labels, calibrate.Targets()) == (0.6, 0.4)


def test_a_verdict_that_is_a_guess_is_never_given() -> None:
    """Scores that say nothing: neither verdict can keep its promise."""
    labels = np.tile([0, 1], 100)

    fake, real = calibrate.thresholds(np.linspace(0.2, 0.8, 200), labels, calibrate.Targets())

    assert (fake, real) == (0.99, 0.01)


def test_too_few_clips_prove_nothing() -> None:
    labels = np.repeat([0, 1], 5)

    assert calibrate.thresholds(np.where(labels == 1, 0.9, 0.1), labels, calibrate.Targets()) == (0.99, 0.01)


@pytest.mark.parametrize(("temporal_says", "frames_say", "share"), [(0.0, 1.0, 0.1), (1.0, 0.0, 1.0)])
def test_a_head_that_tells_nothing_gets_the_least_share(temporal_says: float, frames_say: float, share: float) -> None:
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], 400)
    noise = random.normal(0, 1, (2, 800))
    temporal, frames = temporal_says * labels + noise[0], frames_say * labels + noise[1]

    assert calibrate.temporal_share(temporal, frames, labels) == share


def test_heads_that_know_different_things_share_the_score() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], 400)
    temporal, frames = labels + random.normal(0, 1, (2, 800))

    assert calibrate.temporal_share(temporal, frames, labels) == 0.5
    assert calibrate.temporal_share(10 * temporal, frames, labels) == 0.1  # it speaks ten times as loud


def test_the_temporal_head_has_the_least_say_where_the_frames_know_as_much() -> None:
    labels = np.repeat([0, 1], 50)
    scores = labels + np.random.default_rng(0).normal(0, 1, 100)

    assert calibrate.temporal_share(scores, scores, labels) == calibrate.SHARES[0]


def test_calibration_is_fitted_through_the_served_network(pack: Pack, tmp_path: Path) -> None:
    torch.manual_seed(0)
    crop = CropShape(size=96, margin=2.0)
    write_release(tmp_path / "m-1", "m", "1", Detector(), crop, Calibration(1, 0, 1, 0), DECISION)
    network = load_network(load_release(tmp_path / "m-1"), threads=2)

    calibration, decision = calibrate.calibrate(network, pack, DECISION, calibrate.Targets())

    assert all(np.isfinite([calibration.track_scale, calibration.track_offset, calibration.frame_scale]))
    assert decision.threshold_real <= 0.5 <= decision.threshold_fake
    assert decision.min_face_px == DECISION.min_face_px
    assert decision.temporal_share in calibrate.SHARES


def test_prepare_packs_the_person_of_every_video(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    videos.face_clip(tmp_path / "real.mp4", duration_s=1.0)
    videos.renamed_text(tmp_path / "text.mp4")
    (tmp_path / "list.csv").write_text(
        "file,split,label,dataset,source,method\n"
        "real.mp4,train,real,made,collins,\n"
        "text.mp4,train,fake,made,collins,swap\n"
        "real.mp4,test,real,made,collins,\n"
    )

    code = main(
        [
            "prepare",
            str(tmp_path / "list.csv"),
            "--split",
            "train",
            "--frames",
            "5",
            "--jobs",
            "1",
            "--out",
            str(tmp_path / "pack.npz"),
        ]
    )
    made = packs.read(tmp_path / "pack.npz")

    assert code == 0
    assert "5 crops of 2 files" in capsys.readouterr().out
    assert [(clip.file, clip.label, clip.count) for clip in made.clips] == [("real.mp4", 0, 5)]
    assert (made.size, made.margin) == (224, 2.0)


def test_a_step_that_cannot_go_on_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["prepare", str(tmp_path / "missing.csv"), "--out", str(tmp_path / "pack.npz")])

    assert code == 2
    assert "prepare cannot go on" in capsys.readouterr().err
