"""A few hundred mutated videos in every run of the tests; ``make fuzz`` throws thousands."""

import dataclasses
import random
from pathlib import Path

import pytest
from pytest_django import Settings

from analysis import inspection
from detector import sandbox
from detector.inference import load_network
from detector.release import default_release
from tests import videos
from tests.fuzz import campaign, corpus, mutations
from tests.fuzz.warm import Warm

COUNT = 250


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return corpus.make(tmp_path_factory.mktemp("sound"))


def test_mutated_videos_break_no_promise(sound: dict[str, bytes], tmp_path: Path, settings: Settings) -> None:
    settings.UNMASK = dataclasses.replace(settings.UNMASK, decode_timeout_s=60.0)

    outcome = campaign.run(sound, load_network(default_release()), range(COUNT), seed=2, folder=tmp_path)

    assert outcome.broken == []
    assert outcome.inputs == COUNT
    assert outcome.uploads["accepted"] > COUNT // 5  # the mutations do not destroy everything
    assert outcome.uploads["unreadable"] > COUNT // 10  # nor nothing
    assert sum(outcome.analyses.values()) == outcome.uploads["accepted"]
    assert "| accepted |" in outcome.as_text()


def test_a_broken_promise_is_seen(sound: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep, folder = tmp_path / "keep", tmp_path / "work"
    keep.mkdir()
    folder.mkdir()

    def careless(path: Path, poster: Path) -> None:
        (folder / "forgotten").touch()
        raise ZeroDivisionError

    monkeypatch.setattr(inspection, "inspect", careless)

    outcome = campaign.run(sound, load_network(default_release()), [3], seed=1, folder=folder, keep=keep)

    assert len(outcome.broken) == 2
    assert "ZeroDivisionError" in outcome.broken[0]
    assert "left ['forgotten']" in outcome.broken[1]
    name, content = mutations.mutated(sound, 1, 3)
    assert (keep / f"1-3-{name}").read_bytes() == content


def test_mutations_are_the_same_every_time_and_differ(sound: dict[str, bytes]) -> None:
    once = [mutations.mutated(sound, 1, number) for number in range(50)]

    assert once == [mutations.mutated(sound, 1, number) for number in range(50)]
    assert sum(content != sound[name] for name, content in once) > 45
    assert [mutations.mutated(sound, 2, number) for number in range(50)] != once


@pytest.mark.parametrize("mutation", mutations.MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_every_mutation_copes_with_any_content(mutation: mutations.Mutation, sound: dict[str, bytes]) -> None:
    for content in (b"x", b"moov", bytes(5), *sound.values()):
        for seed in range(20):
            changed = bytearray(content)
            mutation(changed, random.Random(seed), list(sound.values()))
            assert len(changed) < 2 * len(content) + 40_000


def test_decoders_forked_from_the_warm_process_are_as_confined_as_fresh_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = videos.no_face_clip(tmp_path / "clip.mp4", duration_s=0.2)
    with Warm() as warm:
        monkeypatch.setattr("detector.reader_process.start", warm.start)
        with inspection.reader(path, inspection.probe_allowance()) as reader:
            assert reader.confinement() == sandbox.offered()
            assert reader.info().codec == "h264"
            assert len(warm.children()) == 1
