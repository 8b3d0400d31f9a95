"""The way that ours is compared with: it really finds faces, judges them with torch, and writes pictures."""

import json
from pathlib import Path

import pytest

from detector import jpeg, sample_clip
from detector.training import __main__ as training
from detector.training import usual_way


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    sample_clip.make_clip(path, seconds=0.4, width=320, height=240)
    return path


def test_it_finds_the_face_in_each_frame_and_judges_it(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert training.main(["usual-way", str(clip), "--frames", "3", "--out", str(tmp_path)]) == 0

    found = json.loads(capsys.readouterr().out)
    assert (found["frames_read"], found["faces"]) == (10, 3)
    assert 0 < found["probability_fake"] < 1
    assert set(found["stages"]) == {"decode", "detect", "crop", "network", "heatmap", "draw", "write"}
    assert found["wall_s"] >= sum(stage["wall_s"] for stage in found["stages"].values()) - 0.01
    assert found["cpu_s"] > 0
    names = [f"{kind}-{index:03}.jpg" for kind in ("crop", "frame", "heatmap") for index in range(3)]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    shapes = [jpeg.decode((tmp_path / name).read_bytes()).shape for name in names[::3]]
    assert shapes == [(160, 160, 3), (240, 320, 3), (160, 160, 3)]


def test_each_frame_is_searched_twice_at_full_size(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[tuple[int, ...]] = []

    def nothing(picture: usual_way.Picture) -> list[usual_way.Location]:
        searched.append(picture.shape)
        return []

    monkeypatch.setattr("face_recognition.face_locations", nothing)

    found = usual_way.examine(clip, 2, usual_way.load(), tmp_path)

    assert searched == [(240, 320, 3)] * 4
    assert (found.faces, found.probability_fake) == (0, None)


def test_a_list_that_has_no_room_is_refused(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(usual_way, "_memory_left", lambda: 3e6)

    assert training.main(["usual-way", str(clip), "--out", str(tmp_path)]) == 2

    assert "A list of all 10 frames would take" in capsys.readouterr().err


def test_what_is_no_video_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "words.mp4").write_text("no video")

    assert training.main(["usual-way", str(tmp_path / "words.mp4"), "--out", str(tmp_path / "out")]) == 2

    assert "holds no frame" in capsys.readouterr().err
