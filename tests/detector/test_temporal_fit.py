"""Fitting the temporal head: what it learns, and that sources left out say when to stop."""

import numpy as np
import pytest
import torch

from detector.release import NetworkShape
from detector.training import temporal_fit
from detector.training.temporal_fit import Fitting, Sequence

CHANNELS = 24
SHAPE = NetworkShape("resnext50_32x4d", CHANNELS, projected=8, hidden=8, dropout=0.1)
CPU = torch.device("cpu")
SHORT = Fitting(steps=(60,), batch=16, rate=1e-2)


def sequences(sources: int, told_by: str, seed: int = 0) -> list[Sequence]:
    """Two genuine and two fake sequences a source, told apart by the mean, by the order, or by the source alone."""
    random = np.random.default_rng(seed)
    found = []
    for source in range(sources):
        way = random.normal(0, 1, CHANNELS)
        for label in (0, 0, 1, 1):
            values, sign = random.normal(0, 0.3, (8, CHANNELS)), 2 * label - 1
            if told_by == "mean":
                values[:, 0] += sign
            elif told_by == "order":
                values[:, 0] += sign * np.linspace(-2, 2, 8)
            else:  # each source has a direction of its own: nothing that holds for another
                values += sign * way
            found.append(Sequence(torch.from_numpy(values).float(), label, f"{source}"))
    return found


def says_fake(head: torch.nn.Module, one: Sequence) -> bool:
    with torch.no_grad():
        logits = head(one.features[None], torch.ones(1, len(one.features), dtype=torch.bool))[0]
    return bool(logits[1] > logits[0])


@pytest.mark.parametrize("told_by", ["mean", "order"])
def test_it_learns_what_holds_for_other_sources(told_by: str) -> None:
    head, _ = temporal_fit.fit(SHAPE, sequences(24, told_by), SHORT, CPU)

    right = [says_fake(head, one) == (one.label == 1) for one in sequences(6, told_by, seed=1)]

    assert np.mean(right) > 0.9
    assert not head.training


def test_what_holds_for_single_sources_is_given_up_early() -> None:
    fitting = Fitting(steps=(5, 200), batch=16, rate=1e-2, dropout=0.0)

    _, log = temporal_fit.fit(SHAPE, sequences(8, "source"), fitting, CPU)
    _, of_all = temporal_fit.fit(SHAPE, sequences(24, "mean"), fitting, CPU)

    losses = {one["steps"]: one["left_out_loss"] for one in log[:-1]}
    assert losses[5] < losses[200]
    assert log[-1] == {"temporal_steps": 5}
    assert of_all[-1] == {"temporal_steps": 200}


def test_the_same_seed_gives_the_same_head() -> None:
    made = sequences(6, "mean")

    heads = [temporal_fit.fit(SHAPE, made, SHORT, CPU)[0] for _ in range(2)]

    assert all(torch.equal(a, b) for a, b in zip(*(head.state_dict().values() for head in heads), strict=True))


def test_sources_without_both_labels_do_not_count() -> None:
    made = sequences(4, "mean")
    one_sided = [one for one in made if one.label == 1 or one.source != "0"]

    with pytest.raises(ValueError, match=r"at least 4 sources .* and the pack holds 3"):
        temporal_fit.fit(SHAPE, one_sided, SHORT, CPU)
