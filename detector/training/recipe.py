"""What a training run does, read from one TOML file: network, crop, what batches are made of, how it learns."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from detector.release import CropShape, NetworkShape

RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Mixture:
    """What batches are made of; the shares are weights and need not add up to one."""

    pairs: int = 16  # in a batch
    paired: float = 0.35  # a fake clip beside a genuine one of its source
    unpaired: float = 0.0  # a fake clip whose source has no genuine one, beside one of its data set; may teach sources
    self_blended: float = 0.3
    swapped: float = 0.1  # another person's face, made here
    restored: float = 0.0  # the look that reenactment, talking heads and restoration leave on the inner face
    regenerated: float = 0.0  # drawn again by a network (regenerate.py); needs packs of such
    mouth: float = 0.15  # the mouth of another moment, as lip-sync leaves it
    mildest: float = 0.0  # of the degradations, whose strength is drawn from here to 1 for every pair
    photographs: float = 0.5  # share of photographs among the genuine pictures that fakes are made from

    def __post_init__(self) -> None:
        shares = [value for name, value in vars(self).items() if name not in {"pairs", "mildest", "photographs"}]
        if self.pairs < 1 or min(shares) < 0 or not sum(shares):
            raise ValueError("a batch needs at least one pair and one way of making it, and no share below nothing")
        if not (0 <= self.mildest <= 1 and 0 <= self.photographs <= 1):
            raise ValueError("mildest and photographs lie between 0 and 1")


@dataclass(frozen=True)
class Learning:
    """How the weights are moved; the run ends when its seconds or its steps are spent, counted across resumptions."""

    seconds: float = 3600
    steps: int | None = None
    tuned: Literal["all", "norms"] = "all"  # norms: layer norms and head alone
    kept_patches: int | None = None  # of a transformer's input in a training step; all when not given
    whole_share: float = 0.0  # of the run, at its end, in which no patches are left out, as in serving
    head_batches: int = 0  # that fit the frame head before a run's first step, unless it has a --start (head_first.py)
    ranked: float = 0.0  # weight of the loss of a pair's order (see train.pair_order_loss) beside the cross-entropy
    rate: float = 3e-4
    head_rate: float = 1e-3
    weight_decay: float = 0.02
    taught: float = 0.6  # share of the teacher's answer in what is learnt, where there is a teacher
    average: float = 0.99  # decay of the averaged weights, which are what counts
    clip_crops: int = 6  # of each validation clip
    validate_every_s: float = 600
    save_every_s: float = 180
    seed: int = 0

    def __post_init__(self) -> None:
        if self.tuned not in ("all", "norms"):
            raise ValueError(f"tuned is all or norms, not {self.tuned!r}")
        if self.head_batches < 0 or self.head_batches == 1:
            raise ValueError("head_batches is 0, for none, or 2 and more, since some are kept aside")
        if self.steps is not None and self.steps < 1:
            raise ValueError("a run has at least one step")
        if min(self.seconds, self.rate, self.head_rate, self.clip_crops, self.save_every_s + 1) <= 0:
            raise ValueError("seconds, rates and clip_crops are above nothing")
        if not (0 <= self.taught <= 1 and 0 <= self.whole_share <= 1 and 0 <= self.average < 1 and self.ranked >= 0):
            raise ValueError("taught and whole_share lie between 0 and 1, average below 1, ranked not below 0")


@dataclass(frozen=True)
class Recipe:
    """One kind of model."""

    name: str
    network: NetworkShape
    crop: CropShape
    mixture: Mixture
    learning: Learning


def read_recipe(path: Path) -> Recipe:
    """Raises OSError when there is no such file and ValueError when it does not say what a recipe must."""
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        return Recipe(
            name=values["name"],
            network=NetworkShape(**values["network"]),
            crop=CropShape(**values["crop"]),
            mixture=Mixture(**values.get("mixture", {})),
            learning=Learning(**values.get("learning", {})),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no recipe ({error}); compare it with those in {RECIPES}.") from error
