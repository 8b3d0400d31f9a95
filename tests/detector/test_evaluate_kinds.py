"""What footage clips are: from the manifest, from a table of data sets and sources, and in the figures."""

from pathlib import Path

import pytest

from detector import evaluate_figures
from detector.evaluate_kinds import read_kinds, with_kinds
from detector.evaluate_rows import Clip, ManifestError, Result, read_manifest
from detector.report import Verdict

TABLE = "dataset,source,kind\ncam,,webcam\ntv,,broadcast\ntv,ann,old or degraded\n"


def _clip(dataset: str, source: str, label: int = 0, kind: str = "") -> Clip:
    file = f"{dataset}-{source}-{label}-{kind}.mp4"
    return Clip(file, Path(file), label, "val", dataset, "none", source, kind)


def test_a_source_goes_before_its_data_set_and_the_manifest_before_both(tmp_path: Path) -> None:
    (tmp_path / "kinds.csv").write_text(TABLE)
    clips = [_clip("tv", "ann"), _clip("tv", "bob"), _clip("cam", "cid"), _clip("x", "x"), _clip("tv", "ann", 0, "own")]

    found = with_kinds(clips, read_kinds(tmp_path / "kinds.csv"))

    assert [clip.kind for clip in found] == ["old or degraded", "broadcast", "webcam", "", "own"]


def test_a_manifest_may_say_kind_and_width_of_the_face(tmp_path: Path) -> None:
    path = tmp_path / "videos.csv"
    path.write_text("file,label,kind,face_px\na.mp4,real,phone,120\nb.mp4,real,,wide\n")

    first, second = read_manifest(path)

    assert (first.kind, first.face_px) == ("phone", 120)
    assert (second.kind, second.face_px) == ("", None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("dataset,kind\nx,y\n", "needs a row of column names"),
        ("dataset,source,kind\n,,webcam\n", "Row 2 "),
        ("dataset,source,kind\ncam,,webcam\ncam,,studio\n", "Row 3 .* says once more what cam is"),
        ("dataset,source,kind\ncam\n", "Row 2 "),
    ],
)
def test_a_table_without_sense_is_refused_in_a_sentence(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "kinds.csv").write_text(text)

    with pytest.raises(ManifestError, match=words):
        read_kinds(tmp_path / "kinds.csv")


def test_the_table_of_our_own_data_can_be_read() -> None:
    kinds = read_kinds(Path(__file__).parents[2] / "docs" / "models" / "kinds.csv")

    assert set(kinds.values()) == {"webcam", "phone or home camera", "studio", "broadcast", "old or degraded"}


def test_answers_on_genuine_clips_are_told_by_kind_and_fakes_have_no_part() -> None:
    given = [
        (_clip("cam", "a", kind="webcam"), Verdict.FAKE, 0.9),
        (_clip("cam", "b", kind="webcam"), Verdict.INCONCLUSIVE, 0.5),
        (_clip("cam", "b", 1, kind="webcam"), Verdict.FAKE, 0.9),
        (_clip("x", "c"), None, None),
    ]

    kinds = evaluate_figures.measure([Result(*one, (), 10, 1, 1.0, "") for one in given])["kinds"]

    assert list(kinds) == ["webcam", "not stated"]
    webcam = kinds["webcam"]
    assert (webcam["n"], webcam["sources"], webcam["judged"]) == (2, 2, 2)
    assert webcam["verdicts"] == {"REAL": 0, "FAKE": 0.5, "INCONCLUSIVE": 0.5, "NO_FACE": 0, "FAILED": 0}
    assert (kinds["not stated"]["judged"], kinds["not stated"]["verdicts"]["FAILED"]) == (0, 1)
