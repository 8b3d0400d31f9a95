"""The metadata baseline sees what files tell without a face, and nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector import metadata_baseline, metrics
from detector.evaluate_rows import Clip, ManifestError
from tests import videos


def _clip(path: Path, label: int, number: int, face_px: float | None = 100) -> Clip:
    return Clip(path.name, path, label, "train", f"set {number % 2}", "", f"source {number}", "", face_px)


def _small_and_large(folder: Path, count: int) -> list[Clip]:
    """Genuine clips are small pictures, fake ones large; no clip shows a face."""
    made = []
    for number in range(count):
        for label, side in ((0, 160), (1, 320)):
            path = videos.no_face_clip(folder / f"{label}-{number}.mp4", size=(side, side), duration_s=0.4)
            made.append(_clip(path, label, number))
    return made


def _measure(train: list[Clip], clips: list[Clip], tell: Callable[[int, int], None] | None = None) -> dict[str, Any]:
    """Where a model has judged every clip."""
    sets = {clip.dataset for clip in clips}
    return metadata_baseline.score(train, clips, tell).figures({clip.file for clip in clips}, sets)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    return _small_and_large(tmp_path_factory.mktemp("clips"), 4)


def test_what_differs_in_size_is_told_apart_without_a_face(clips: list[Clip]) -> None:
    heard: list[tuple[int, int]] = []

    found = _measure(clips, clips, lambda *done: heard.append(done))

    assert (found["train"], found["judged"], found["unreadable"]) == (8, 8, 0)
    assert (found["auc"], found["matched_auc"]) == (1.0, 1.0)
    assert found["matched_auc_interval"] == [1.0, 1.0]
    assert heard[-1] == (16, 16)


def test_what_differs_in_nothing_is_not(clips: list[Clip]) -> None:
    alike = [clip for clip in clips if clip.label == 0]
    shuffled = [Clip(**{**vars(clip), "label": place % 2}) for place, clip in enumerate(alike)]

    assert _measure(shuffled, shuffled)["auc"] == metrics.auc([0, 1], [0.5, 0.5])


def test_only_what_a_model_judged_is_ranked() -> None:
    clips = [_clip(Path(f"{number}.mp4"), number // 2 % 2, number) for number in range(8)]
    wrong = clips[3]  # a fake clip that the forest takes for genuine
    scored = metadata_baseline.Scored(8, tuple(clips), np.array([float(c.label and c != wrong) for c in clips]), 0)
    files = {clip.file for clip in clips}

    every, without, nothing = (
        scored.figures(judged, {"set 0", "set 1"}) for judged in (files, files - {wrong.file}, set[str]())
    )

    assert (every["judged"], every["auc"], every["matched_datasets"]) == (8, 0.875, {"set 0": 1.0, "set 1": 0.75})
    assert (without["judged"], without["auc"], without["matched_datasets"]) == (7, 1.0, {"set 0": 1.0, "set 1": 1.0})
    assert (nothing["judged"], nothing["auc"], nothing["matched_auc"]) == (0, None, None)


def test_unreadable_files_are_counted_and_never_ranked(clips: list[Clip], tmp_path: Path) -> None:
    broken = _clip(tmp_path / "broken.mp4", 1, 9)
    broken.path.write_bytes(b"no video")

    found = _measure(clips, [*clips, broken])

    assert (found["judged"], found["unreadable"], found["auc"]) == (8, 1, 1.0)
    with pytest.raises(ManifestError, match="both labels"):
        metadata_baseline.score([*clips[::2], broken], clips)


def test_the_face_is_measured_where_the_manifest_does_not_say_its_width(tmp_path: Path) -> None:
    face = videos.face_clip(tmp_path / "face.mp4")
    empty = videos.no_face_clip(tmp_path / "empty.mp4")

    facts = metadata_baseline.facts_of(_clip(face, 0, 0, None))
    without = metadata_baseline.facts_of(_clip(empty, 0, 0, None))
    stated = metadata_baseline.facts_of(_clip(face, 0, 0, 33))

    assert facts is not None
    assert without is not None
    assert stated is not None
    assert 60 < facts["face_px"] < 180
    assert (without["face_px"], stated["face_px"]) == (0, 33)
    assert (facts["codec"], facts["width"], facts["height"]) == ("h264", 640, 360)
    assert facts["bit_rate"] == pytest.approx(8 * face.stat().st_size / facts["duration_s"])
