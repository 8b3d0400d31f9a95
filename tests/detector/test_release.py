"""Model folders: which are found, what identifies one, and how often they are read."""

import json
import os
import shutil
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from detector import release
from detector.errors import DetectorError, ErrorCode


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The model that ships, without its weights, as if written an hour ago."""
    made = tmp_path / "net-1"
    made.mkdir()
    for name in (release.CONFIG, release.CARD, release.METRICS, release.CHECKSUMS):
        (made / name).write_bytes((release.default_release().folder / name).read_bytes())
        _age(made / name)
    return made


def _age(path: Path) -> None:
    long_ago = time.time() - 3600
    os.utime(path, (long_ago, long_ago))


def _lower_the_threshold(folder: Path) -> None:
    """As a second calibration would: model.toml in place, then the checksums."""
    text = (folder / release.CONFIG).read_text()
    (folder / release.CONFIG).write_text(text.replace("window = 12", "window = 11"))
    sums = (folder / release.CHECKSUMS).read_text()
    old = tomllib.loads(text)["decision"]["window"], release.load_release(folder).config_sha256
    assert old[0] == 12
    (folder / release.CHECKSUMS).write_text(sums.replace(old[1], release.sha256_of(folder / release.CONFIG)))


def test_a_folder_that_is_being_written_is_no_model_yet(folder: Path) -> None:
    shutil.copytree(folder, folder.parent / ".net-2-abcd")

    assert [one.folder for one in release.releases(folder.parent)] == [folder]


def test_thresholds_fitted_again_are_another_configuration(folder: Path) -> None:
    before = release.load_release(folder)
    assert before.config_sha256 == release.sha256_of(folder / release.CONFIG)

    _lower_the_threshold(folder)

    after = release.load_release(folder)
    assert (after.sha256, after.decision.window) == (before.sha256, 11)
    assert after.config_sha256 == release.sha256_of(folder / release.CONFIG) != before.config_sha256


def test_a_configuration_without_a_checksum_has_the_hash_of_its_file(folder: Path) -> None:
    lines = (folder / release.CHECKSUMS).read_text().splitlines(keepends=True)
    (folder / release.CHECKSUMS).write_text("".join(line for line in lines if release.CONFIG not in line))

    assert release.load_release(folder).config_sha256 == release.sha256_of(folder / release.CONFIG)


def test_a_folder_is_parsed_once_until_it_changes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []

    def counted(name: str, parse: Callable[[str], Any]) -> Callable[[str], Any]:
        def count(text: str) -> Any:
            parsed.append(name)
            return parse(text)

        return count

    monkeypatch.setattr(tomllib, "loads", counted("toml", tomllib.loads))
    monkeypatch.setattr(json, "loads", counted("metrics", json.loads))

    for _ in range(3):
        (found,) = release.releases(folder.parent)
        found.metrics()
    assert parsed == ["toml", "metrics"]

    (folder / release.METRICS).write_text("{}")
    _age(folder / release.METRICS)
    assert found.metrics() == {}
    assert parsed == ["toml", "metrics", "metrics"]


def test_what_was_written_a_moment_ago_is_read_again(folder: Path) -> None:
    """Two changes within one tick of the file system's clock bear the same time."""
    changed, tick = folder / release.METRICS, time.time() - 0.5
    for text in ("[1]", "[2]"):
        changed.write_text(text)
        os.utime(changed, (tick, tick))
        assert release.load_release(folder).metrics() == json.loads(text)


def test_a_folder_that_went_away_is_missing_although_it_was_read(folder: Path) -> None:
    release.load_release(folder)
    (folder / release.CONFIG).unlink()

    with pytest.raises(DetectorError) as error:
        release.load_release(folder)
    assert error.value.code == ErrorCode.MODEL_MISSING
