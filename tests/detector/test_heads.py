"""The temporal head beside the mean of frames: on usable crops alone, paired over sources, where there is a head."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from detector.inference import FrameOutput, Network
from detector.release import Calibration, CropShape, Decision, NetworkShape, Release
from detector.training import heads, packs, peers
from detector.training.__main__ import main
from detector.training.packs import Clip, CropRow, Pack

SIDE, CROPS = 16, 8
DECISION = Decision(0.9, 0.1, min_face_px=48, min_sharpness=6.0, min_frames=3, window=12)


class Served:
    """Stands for the network: a crop's first pixel is its logit; the LSTM hears the last frame alone."""

    def __init__(self, recurrence: str = "lstm") -> None:
        shape = NetworkShape("resnext50_32x4d", 1, 1, 1, 0.0, recurrence=recurrence)
        calibration = Calibration(1, 0, 1, 0)
        self.release = Release("m", "1", Path("m-1"), "abc", shape, CropShape(SIDE, 1.45), calibration, DECISION)

    def frames(self, crops: NDArray[np.uint8]) -> FrameOutput:
        logits = crops[:, 0, 0, 0].astype(np.float32)
        return FrameOutput(logits, np.zeros((len(crops), 1, 1), np.float32), logits[:, None])

    def track_logit(self, pooled: NDArray[np.float32]) -> float:
        return float(pooled[-1, 0])


def served(recurrence: str = "lstm") -> Network:
    return cast("Network", Served(recurrence))


def write_pack(path: Path, values: dict[str, list[int]], blurred: dict[str, list[int]] | None = None) -> Pack:
    """Clips called "SET-LABEL-NUMBER", with a crop of even colour for every value; some of them blurred."""
    rows = []
    for name, colours in values.items():
        dataset, label, _ = name.split("-")
        crops = [
            CropRow(
                np.full((SIDE, SIDE, 3), colour, np.uint8),
                np.zeros((68, 2), np.float32),
                float(place),
                100,
                1.0 if place in (blurred or {}).get(name, []) else 90.0,
            )
            for place, colour in enumerate(colours)
        ]
        rows.append((Clip(name, int(label), dataset, name, ""), crops))
    packs.write(path, rows, SIDE, 1.45, 100)
    return packs.read(path)


def clips(count: int = 4) -> dict[str, list[int]]:
    """Fake clips are brighter on the whole, and end as dark as genuine ones."""
    return {f"a-{label}-{n}": [60 + 100 * label + 2 * n] * (CROPS - 1) + [60] for n in range(count) for label in (0, 1)}


def by_head(found: dict[str, Any], name: str = "heads") -> dict[tuple[str, int], dict[str, Any]]:
    return {(row["head"], row["frames"]): row for row in found[name]}


def test_heads_are_compared_on_the_same_frames(tmp_path: Path) -> None:
    pack = write_pack(tmp_path / "val.npz", clips())

    found = heads.measure(served(), pack, [4, 8])

    rows = by_head(found)
    assert {key: row["matched_auc"] for key, row in rows.items()} == {
        ("mean of frames", 4): 1.0,
        ("mean of frames", 8): 1.0,
        ("LSTM", 4): 0.5,
        ("LSTM", 8): 0.5,
        ("both", 4): 1.0,
        ("both", 8): 1.0,
    }
    assert rows["LSTM", 4]["spread_between_counts"] == 0
    assert found["model"] == {"name": "m", "version": "1", "sha256": "abc"}
    assert (found["clips"], found["judged"], found["sources"]) == (8, 8, 8)


def test_a_head_is_set_against_the_mean_of_frames_on_the_same_draws(tmp_path: Path) -> None:
    pack = write_pack(tmp_path / "val.npz", clips())

    differences = by_head(heads.measure(served(), pack, [8]), "differences")

    assert differences["LSTM", 8]["difference"] == -0.5
    assert differences["LSTM", 8]["interval"] == [-0.5, -0.5]
    assert (differences["both", 8]["difference"], differences["both", 8]["interval"]) == (0.0, [0.0, 0.0])


def test_blurred_crops_have_no_say_and_clips_of_them_alone_are_left_out(tmp_path: Path) -> None:
    values, bright = clips(), [255, 255, 255]
    values["a-0-9"] = [60] * 5 + bright  # would be taken for fake by its blurred end
    values["b-1-0"] = [60] * CROPS
    blurred = {"a-0-9": [5, 6, 7], "b-1-0": list(range(1, CROPS))}
    pack = write_pack(tmp_path / "val.npz", values, blurred)

    found = heads.measure(served(), pack, [8])

    assert by_head(found)["mean of frames", 8]["matched_auc"] == 1.0
    assert (found["clips"], found["judged"]) == (10, 9)


def test_matched_sets_are_those_of_all_clips(tmp_path: Path) -> None:
    values = {**clips(), **{f"b-{label}-{n}": [90 - 20 * label] * CROPS for label in (0, 1) for n in range(2)}}
    pack = write_pack(tmp_path / "val.npz", values, {"b-1-0": list(range(CROPS))})

    rows = by_head(heads.measure(served(), pack, [8]))

    assert rows["mean of frames", 8]["matched_auc"] == 0.5  # a 1, and b 0 although one of its fakes is blurred


@pytest.mark.parametrize("recurrence", ["last_frame", "frame_mean"])
def test_a_model_without_an_lstm_is_not_said_to_have_one(tmp_path: Path, recurrence: str) -> None:
    found = heads.measure(served(recurrence), write_pack(tmp_path / "val.npz", clips()), [8])

    assert [row["head"] for row in found["heads"]] == ["mean of frames"]
    assert found["differences"] == []


def test_peers_judge_an_imported_model_as_serving_does(tmp_path: Path) -> None:
    pack = write_pack(tmp_path / "val.npz", clips())

    ways = {
        recurrence: peers.compare(peers.Peers(served(recurrence)), {"validation": pack})["packs"]["validation"]["peers"]
        for recurrence in ("lstm", "last_frame")
    }

    assert ways["lstm"]["our model"]["auc"] == 1.0
    assert ways["last_frame"]["our model"]["auc"] == 0.5  # its last frame alone, which tells nothing


def test_the_pack_decides_how_many_frames_are_compared(tmp_path: Path) -> None:
    pack = write_pack(tmp_path / "val.npz", clips())
    long = replace(pack, clips=[replace(clip, count=120) for clip in pack.clips])

    assert heads.counts_for(pack, 3) == [6, 8]
    assert heads.counts_for(long, 3) == [6, 12, 24, 48, 96, 120]
    assert heads.counts_for(long, 3, [120, 20]) == [20, 120]
    for count in (2, 9):
        with pytest.raises(ValueError, match=f"{count} frames cannot be compared: a clip of this pack has up to 8"):
            heads.counts_for(pack, 3, [count])


def test_crops_of_another_margin_are_refused(tmp_path: Path) -> None:
    pack = replace(write_pack(tmp_path / "val.npz", clips()), margin=2.0)

    with pytest.raises(ValueError, match=r"prepare it with --size 16 --margin 1\.45"):
        heads.measure(served(), pack)


def test_the_command_writes_what_it_measured_and_of_which_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pack(tmp_path / "val.npz", clips())
    monkeypatch.setattr("detector.release.load_release", lambda folder: None)
    monkeypatch.setattr("detector.inference.load_network", lambda release: served())
    options = ["--validation", str(tmp_path / "val.npz"), "--out", str(tmp_path / "heads.json")]

    code = main(["heads", "m-1", *options])

    found = json.loads((tmp_path / "heads.json").read_text())
    out = capsys.readouterr().out
    assert code == 0
    assert found["model"]["sha256"] == "abc"
    assert [row["frames"] for row in found["heads"]][:2] == [6, 8]
    assert "LSTM, 8 frames: matched AUC 0.5 " in out
    assert "LSTM less mean of frames, 8 frames: -0.5 [-0.5, -0.5]" in out
