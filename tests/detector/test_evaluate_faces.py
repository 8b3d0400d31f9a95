"""What is found in clips is noted, and a later note compared with it."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector import cli, evaluate_faces
from tests import videos

MARGIN = 1.45


def face(x: float, width: float = 100.0, *, light: float = 120.0, turned: bool = False) -> dict[str, Any]:
    """Landmarks spread over a square, with chin, nose and eyes where they belong."""
    points = np.random.default_rng(0).uniform(0.3, 0.7, (68, 2))
    points[0], points[16], points[8] = (0.0, 0.4), (1.0, 0.4), (0.5, 1.0)
    points[30] = (0.85 if turned else 0.5, 0.55)
    points[36:42], points[42:48] = (0.3, 0.3), (0.7, 0.3)
    points[19] = (0.3, 0.0)
    return {"box": [x, 0.0, x + width, width], "landmarks": (points * width + [x, 0.0]).tolist(), "light": light}


def noted(*frames: list[dict[str, Any]], people: int = 1) -> evaluate_faces.Found:
    return {"a.mp4": {"people": people, "frames": list(frames)}}


def test_the_same_faces_are_found_again_at_no_distance() -> None:
    found = noted([face(0), face(300)], [face(5)])

    compared = evaluate_faces.compare(found, copy.deepcopy(found), MARGIN)

    assert compared["found_again"]["all"] == [3, 3]
    assert all(figure == {"mean": 0.0, "p95": 0.0} for figure in compared["distances"].values())
    assert (compared["lost"], compared["new"], compared["people_changed"]) == ([], [], [])


def test_faces_that_are_small_turned_or_dark_are_counted_apart() -> None:
    before = noted([face(0, 40)], [face(0, light=20)], [face(0, turned=True)], [face(0)])
    after = noted([], [face(0, light=20)], [], [face(0)])

    compared = evaluate_faces.compare(before, after, MARGIN)

    assert compared["found_again"] == {"all": [2, 4], "small": [0, 1], "turned": [0, 1], "dark": [1, 1]}
    assert [(file, frame) for file, frame, *_ in compared["lost"]] == [("a.mp4", 0), ("a.mp4", 2)]


def test_distances_are_shares_of_the_face() -> None:
    compared = evaluate_faces.compare(noted([face(0, 200)]), noted([face(10, 200)], people=2), MARGIN)

    assert compared["distances"]["crop_centre"]["mean"] == pytest.approx(0.05)
    assert compared["distances"]["landmarks"]["mean"] == pytest.approx(0.05)
    assert compared["distances"]["crop_side"]["mean"] == 0
    assert compared["people_changed"] == ["a.mp4"]


def test_a_face_elsewhere_is_one_lost_and_one_new() -> None:
    compared = evaluate_faces.compare(noted([face(0)]), noted([face(400)]), MARGIN)

    assert [row[2] for row in compared["lost"]] == [0.0]
    assert [row[2] for row in compared["new"]] == [400.0]


def test_the_command_keeps_what_it_found_and_compares(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    videos.two_faces_clip(tmp_path / "clip.mp4", duration_s=1.0)
    (tmp_path / "videos.csv").write_text("file,label\nclip.mp4,real\n")
    order = ["faces", str(tmp_path / "videos.csv"), "--frames", "10"]

    assert cli.main([*order, "--out", str(tmp_path / "found.json")]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert cli.main([*order, "--since", str(tmp_path / "found.json")]) == 0
    compared = json.loads(capsys.readouterr().out)

    assert summary == {"clips": 1, "people": 2, "frames": 10, "faces": 20}
    assert compared["found_again"]["all"] == [20, 20]
    assert compared["distances"]["landmarks"] == {"mean": 0.0, "p95": 0.0}


def test_a_note_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "videos.csv").write_text("file,label\nclip.mp4,real\n")
    (tmp_path / "other.json").write_text("[1]")

    code = cli.main(["faces", str(tmp_path / "videos.csv"), "--since", str(tmp_path / "other.json")])

    assert code == 2
    assert "holds no faces" in capsys.readouterr().err
