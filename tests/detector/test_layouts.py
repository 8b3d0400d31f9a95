"""The folders of FaceForensics++, Celeb-DF v2 and DFDC, in miniature: what is read of them, and whose split it gets."""

import csv
import json
import multiprocessing
import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from detector import sample_clip
from detector.evaluate_rows import read_manifest as read_for_evaluation
from detector.training import layouts, packs
from detector.training.__main__ import main
from detector.training.listing import Listing, ListingError, Row, of_split, read_manifest, torn_sources, write_manifest


def touch(root: Path, *files: str) -> None:
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def faceforensics(root: Path, compression: str = "c23") -> Path:
    touch(
        root, *(f"original_sequences/youtube/{compression}/videos/{name}.mp4" for name in ("000", "003", "071", "054"))
    )
    for method in ("Deepfakes", "NeuralTextures"):
        folder = f"manipulated_sequences/{method}/{compression}/videos"
        touch(root, *(f"{folder}/{name}.mp4" for name in ("000_003", "003_000", "071_054", "054_071")))
    return root


def official_splits(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for split, pairs in {"train": [["000", "003"]], "val": [["071", "054"]], "test": [["953", "974"]]}.items():
        (folder / f"{split}.json").write_text(json.dumps(pairs))
    return folder


def celebdf(root: Path, people: Iterable[int] = range(4)) -> Path:
    for one in people:
        touch(root, f"Celeb-real/id{one}_0000.mp4", f"Celeb-real/id{one}_0001.mp4", f"YouTube-real/0000{one}.mp4")
        touch(root, *(f"Celeb-synthesis/id{one}_id{other}_0000.mp4" for other in people if other != one))
    return root


def dfdc(root: Path, parts: int = 2, splits: str = "train") -> Path:
    for part in range(parts):
        folder = f"dfdc_train_part_{part}"
        real, fake = f"real{part}.mp4", f"fake{part}.mp4"
        touch(root, f"{folder}/{real}", f"{folder}/{fake}")
        facts = {
            real: {"label": "REAL", "split": splits, "original": None},
            fake: {"label": "FAKE", "split": splits, "original": real},
        }
        (root / folder / "metadata.json").write_text(json.dumps(facts))
    return root


def by_file(listing: Listing) -> dict[str, Row]:
    return {row.file: row for row in listing.rows}


def test_faceforensics_with_its_official_splits(tmp_path: Path) -> None:
    listing = layouts.faceforensics(faceforensics(tmp_path), "c23", official_splits(tmp_path / "given"))
    rows = by_file(listing)

    assert len(rows) == 12
    original = "original_sequences/youtube/c23/videos/000.mp4"
    fake = "manipulated_sequences/Deepfakes/c23/videos/071_054.mp4"
    assert rows[original] == Row(original, "train", 0, "ffpp_c23", "000", "none")
    assert rows[fake] == Row(fake, "val", 1, "ffpp_c23", "071", "Deepfakes")
    assert listing.remarks == []


@pytest.mark.parametrize("place", [".", "splits"])
def test_faceforensics_finds_splits_that_lie_with_the_videos(tmp_path: Path, place: str) -> None:
    official_splits(faceforensics(tmp_path) / place)

    assert {row.source: row.split for row in layouts.faceforensics(tmp_path).rows} == {
        **dict.fromkeys(("000", "003"), "train"),
        **dict.fromkeys(("071", "054"), "val"),
    }


def test_faceforensics_leaves_out_what_no_official_split_names(tmp_path: Path) -> None:
    touch(faceforensics(tmp_path), "original_sequences/youtube/c23/videos/999.mp4")
    listing = layouts.faceforensics(tmp_path, "c23", official_splits(tmp_path / "splits"))

    assert len(listing.rows) == 12
    assert listing.remarks == ["1 of 13 videos are left out, since no official split names their original."]


def test_faceforensics_divided_keeps_swapped_pairs_together(tmp_path: Path) -> None:
    pairs = [(f"{number:03}", f"{number + 1:03}") for number in range(0, 120, 2)]
    for first, second in pairs:
        touch(tmp_path, *(f"original_sequences/youtube/c23/videos/{name}.mp4" for name in (first, second)))
        touch(tmp_path, f"manipulated_sequences/Face2Face/c23/videos/{first}_{second}.mp4")
    rows = layouts.faceforensics(tmp_path).rows
    split_of = {row.source: row.split for row in rows}

    assert torn_sources(rows) == set()
    assert all(split_of[first] == split_of[second] for first, second in pairs)
    assert set(split_of.values()) == {"train", "val", "test"}
    assert 60 < list(split_of.values()).count("train") < 115


def test_faceforensics_takes_the_compression_asked_for(tmp_path: Path) -> None:
    faceforensics(faceforensics(tmp_path, "c40"), "c0")
    touch(tmp_path, "manipulated_sequences/FaceSwap/c40/videos/000_003.mp4")

    raw, strong = layouts.faceforensics(tmp_path, "raw"), layouts.faceforensics(tmp_path, "c40")

    assert {row.dataset for row in raw.rows} == {"ffpp_raw"}
    assert all("/c0/" in row.file for row in raw.rows)
    assert raw.remarks == [f"{tmp_path / 'manipulated_sequences/FaceSwap'} has no videos at raw."]
    assert len(strong.rows) == 13
    with pytest.raises(ListingError, match="original_sequences has no videos at c23: they should lie in"):
        layouts.faceforensics(tmp_path)


def test_actors_are_a_set_of_their_own_and_their_own_source(tmp_path: Path) -> None:
    faceforensics(tmp_path)
    touch(tmp_path, "original_sequences/actors/c23/videos/01__exit_phone_room.mp4")
    touch(tmp_path, "manipulated_sequences/DeepFakeDetection/c23/videos/01_02__exit_phone_room__YVGY8LOK.mp4")

    rows = layouts.faceforensics(tmp_path, "c23", official_splits(tmp_path / "splits")).rows
    actors = [row for row in rows if row.dataset == "dfd_c23"]

    assert [(row.source, row.label, row.method) for row in actors] == [
        ("01", 0, "none"),
        ("01", 1, "DeepFakeDetection"),
    ]
    assert len({row.split for row in actors}) == 1
    assert len(rows) == 14


def test_celebdf_tests_on_the_official_list_and_nobody_of_it_is_trained_on(tmp_path: Path) -> None:
    celebdf(tmp_path)
    (tmp_path / layouts.CELEB_LIST).write_text(
        "1 Celeb-real/id1_0000.mp4\n0 Celeb-synthesis/id1_id2_0000.mp4\n1 YouTube-real/00003.mp4\n\n"
    )
    listing = layouts.celebdf(tmp_path)
    rows = by_file(listing)

    fake = "Celeb-synthesis/id1_id2_0000.mp4"
    assert rows[fake] == Row(fake, "test", 1, "celebdf_v2", "id1", "swap")
    assert {row.file for row in listing.rows if row.split == "test"} == {
        "Celeb-real/id1_0000.mp4",
        "Celeb-synthesis/id1_id2_0000.mp4",
        "YouTube-real/00003.mp4",
    }
    assert {row.source for row in listing.rows if row.split != "test"} == {
        "id0",
        "id2",
        "id3",
        "00000",
        "00001",
        "00002",
    }
    why = "their person is in List_of_testing_videos.txt; --divide shares all people out instead"
    assert listing.remarks == [f"3 of 24 videos are left out, since {why}."]


def test_celebdf_divided_has_every_person_in_one_split(tmp_path: Path) -> None:
    celebdf(tmp_path, range(30))
    (tmp_path / layouts.CELEB_LIST).write_text("1 Celeb-real/id1_0000.mp4\n")
    rows = layouts.celebdf(tmp_path, divide=True).rows

    assert len(rows) == 30 * 3 + 30 * 29
    assert torn_sources(rows) == set()
    assert {row.split for row in rows} == {"train", "val", "test"}


def test_a_source_keeps_its_split_when_others_are_added(tmp_path: Path) -> None:
    before = {row.source: row.split for row in layouts.celebdf(celebdf(tmp_path, range(10))).rows}
    after = {row.source: row.split for row in layouts.celebdf(celebdf(tmp_path, range(30))).rows}

    assert before.items() <= after.items()


def test_dfdc_reads_labels_originals_and_splits(tmp_path: Path) -> None:
    rows = by_file(layouts.dfdc(dfdc(tmp_path)))

    assert rows == {
        f"dfdc_train_part_{part}/{kind}{part}.mp4": Row(
            f"dfdc_train_part_{part}/{kind}{part}.mp4", "train", label, "dfdc", f"real{part}", method
        )
        for part in (0, 1)
        for kind, label, method in (("real", 0, "none"), ("fake", 1, "unnamed"))
    }
    alone = layouts.dfdc(tmp_path / "dfdc_train_part_1")
    assert [row.file for row in alone.rows] == ["real1.mp4", "fake1.mp4"]


def test_dfdc_says_what_is_not_there_and_leaves_out_what_stands_in_two_splits(tmp_path: Path) -> None:
    dfdc(tmp_path, parts=1)
    touch(tmp_path, "dfdc_train_part_0/other.mp4")
    path = tmp_path / "dfdc_train_part_0" / "metadata.json"
    facts = json.loads(path.read_text())
    facts["other.mp4"] = {"label": "FAKE", "split": "test", "original": "real0.mp4"}
    facts["gone.mp4"] = {"label": "REAL", "split": "train"}
    path.write_text(json.dumps(facts))

    listing = layouts.dfdc(tmp_path)

    assert [(row.file, row.split) for row in listing.rows] == [("dfdc_train_part_0/other.mp4", "test")]
    assert listing.remarks == [
        "1 of 4 videos of the metadata are not in the folders.",
        "2 of 3 videos are left out, since their original stands in another split.",
    ]


@pytest.mark.parametrize("parts", [3, 40])
def test_dfdc_is_divided_by_original_or_by_whole_parts(tmp_path: Path, parts: int) -> None:
    dfdc(tmp_path, parts)
    rows = layouts.dfdc(tmp_path, divide=True).rows

    assert len(rows) == 2 * parts
    assert torn_sources(rows) == set()
    assert len({(row.file.split("/")[0], row.split) for row in rows}) == parts


@pytest.mark.parametrize(
    ("layout", "files", "sentence"),
    [
        ("faceforensics", ["videos/000.mp4"], "has no folder original_sequences; give the folder of FaceForensics"),
        ("celebdf", ["Celeb-real/id0_0000.mp4"], "has no folder YouTube-real; give the folder of Celeb-DF v2"),
        ("dfdc", ["videos/a.mp4"], "holds neither a metadata.json nor a folder named like dfdc_train_part_0"),
        ("dfdc", ["dfdc_train_part_0/a.mp4"], "metadata.json is missing"),
    ],
)
def test_a_folder_that_lacks_something_is_refused(tmp_path: Path, layout: str, files: list[str], sentence: str) -> None:
    touch(tmp_path, *files)

    with pytest.raises(ListingError, match=sentence):
        layouts.read(layout, tmp_path)


@pytest.mark.parametrize(
    ("layout", "file"),
    [
        ("faceforensics", "original_sequences/youtube/c23/videos/holiday.mp4"),
        ("faceforensics", "manipulated_sequences/Deepfakes/c23/videos/000.mp4"),
        ("celebdf", "Celeb-real/00001.mp4"),
        ("celebdf", "Celeb-synthesis/id1_0001.mp4"),
    ],
)
def test_a_video_with_an_odd_name_is_refused(tmp_path: Path, layout: str, file: str) -> None:
    touch(faceforensics(tmp_path) if layout == "faceforensics" else celebdf(tmp_path), file)

    with pytest.raises(ListingError, match="is not named as the videos of that folder are"):
        layouts.read(layout, tmp_path)


def test_hidden_and_other_files_are_no_videos(tmp_path: Path) -> None:
    touch(celebdf(tmp_path), "Celeb-real/._id0_0000.mp4", "Celeb-real/notes.txt", "Celeb-real/frames/000.png")

    assert len(layouts.celebdf(tmp_path).rows) == 24


@pytest.mark.parametrize("content", ["{", '{"train": 1}', '["000", "003"]'])
def test_splits_that_cannot_be_read_are_refused(tmp_path: Path, content: str) -> None:
    (official_splits(faceforensics(tmp_path)) / "val.json").write_text(content)

    with pytest.raises(ListingError, match=r"val.json is no (JSON file|list of pairs)"):
        layouts.faceforensics(tmp_path)


def test_an_original_in_two_official_splits_is_refused(tmp_path: Path) -> None:
    (official_splits(faceforensics(tmp_path)) / "val.json").write_text('[["000", "054"]]')

    with pytest.raises(ListingError, match="names the original 000, which stands in train too"):
        layouts.faceforensics(tmp_path)


@pytest.mark.parametrize("line", ["0 Celeb-real/id0_0000.mp4", "Celeb-real/id0_0000.mp4", "1 elsewhere/id0_0000.mp4"])
def test_a_list_of_testing_videos_with_an_odd_line_is_refused(tmp_path: Path, line: str) -> None:
    (celebdf(tmp_path) / layouts.CELEB_LIST).write_text(f"1 Celeb-real/id1_0000.mp4\n{line}\n")

    with pytest.raises(ListingError, match=r"Line 2 of .* is not like"):
        layouts.celebdf(tmp_path)


@pytest.mark.parametrize(
    "facts",
    [
        {"label": "FAKE", "split": "train"},
        {"label": "MAYBE", "split": "train"},
        {"label": "REAL", "split": "spring"},
        "REAL",
    ],
)
def test_metadata_that_says_too_little_is_refused(tmp_path: Path, facts: object) -> None:
    touch(tmp_path, "dfdc_train_part_0/a.mp4")
    (tmp_path / "dfdc_train_part_0" / "metadata.json").write_text(json.dumps({"a.mp4": facts}))

    with pytest.raises(ListingError, match=r"should say of a\.mp4 its label, its split"):
        layouts.dfdc(tmp_path)


@pytest.mark.parametrize(
    ("layout", "options", "sentence"),
    [
        ("dfdc", {"compression": "c23"}, "The layout dfdc has no --compression."),
        ("manifest", {"splits": Path("x"), "divide": True}, "The layout manifest has no --splits and no --divide."),
    ],
)
def test_options_of_another_layout_are_refused(
    tmp_path: Path, layout: str, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ListingError, match=sentence):
        layouts.read(layout, dfdc(tmp_path), **options)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("name,label\na.mp4,real\n", "needs a row of column names"),
        ("", "needs a row of column names"),
        ("file,label\na.mp4,genuine\n", "Row 2 of .* needs a file and the label real or fake"),
        ("file,set,person\na.jpg,party,\n", "Row 2 of .* needs a file, a set and a person"),
    ],
)
def test_a_manifest_that_says_too_little_is_refused(tmp_path: Path, content: str, sentence: str) -> None:
    path = tmp_path / "list.csv"
    path.write_text(content)

    with pytest.raises(ListingError, match=sentence):
        read_manifest(path)


def test_a_manifest_warns_of_a_source_in_two_splits(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("file,split,label,source\na.mp4,train,real,ann\nb.mp4,test,fake,ann\nc.mp4,test,fake,bob\n")

    listing = read_manifest(path)

    assert listing.rows[1] == Row("b.mp4", "test", 1, "unnamed", "ann", "unnamed")
    assert len(listing.remarks) == 1
    assert listing.remarks[0].endswith("these stand in several: ann.")


def test_a_split_without_videos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ListingError, match="has nothing in the split val; its splits are: train"):
        of_split(layouts.dfdc(dfdc(tmp_path)), "val")


def test_a_written_manifest_is_read_back_here_and_by_evaluate(tmp_path: Path) -> None:
    listing = layouts.dfdc(dfdc(tmp_path / "set"))
    path = tmp_path / "lists" / "dfdc.csv"
    write_manifest(listing, path)

    again, clips = read_manifest(path), read_for_evaluation(path)

    assert [row.source for row in again.rows] == [row.source for row in listing.rows]
    assert [clip.path.resolve() for clip in clips] == [(tmp_path / "set" / row.file).resolve() for row in listing.rows]
    assert [(clip.label, clip.split, clip.source) for clip in clips] == [
        (row.label, row.split, row.source) for row in listing.rows
    ]


def test_prepare_packs_a_folder_of_celebdf(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "Celeb-DF-v2"
    for name in ("Celeb-real/id0_0000", "Celeb-synthesis/id0_id1_0000", "YouTube-real/00001"):
        path = root / f"{name}.mp4"
        path.parent.mkdir(parents=True)
        if not name.startswith("YouTube"):
            sample_clip.make_clip(path, seconds=0.5, width=320, height=240)
    (root / layouts.CELEB_LIST).write_text("1 Celeb-real/id0_0000.mp4\n0 Celeb-synthesis/id0_id1_0000.mp4\n")
    pack, manifest = tmp_path / "test.npz", tmp_path / "list.csv"
    arguments = ["--split", "test", "--frames", "3", "--jobs", "1", "--list", str(manifest), "--out", str(pack)]

    code = main(["prepare", str(root), "--layout", "celebdf", *arguments])

    assert code == 0
    assert "6 crops of 2 files" in capsys.readouterr().out
    assert [(clip.file, clip.label, clip.source, clip.count) for clip in packs.read(pack).clips] == [
        ("Celeb-real/id0_0000.mp4", 0, "id0", 3),
        ("Celeb-synthesis/id0_id1_0000.mp4", 1, "id0", 3),
    ]
    with manifest.open(newline="") as lines:
        assert [row["split"] for row in csv.DictReader(lines)] == ["test", "test"]


def test_prepare_writes_nothing_when_no_face_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    celebdf(tmp_path, range(2))
    pack = tmp_path / "packs" / "all.npz"

    code = main(["prepare", str(tmp_path), "--layout", "celebdf", "--jobs", "1", "--out", str(pack)])

    assert code == 2
    assert "prepare cannot go on: No face was found in any of 8 files" in capsys.readouterr().err
    assert not pack.exists()


@pytest.mark.parametrize(
    "option",
    [
        ("--frames", "0"),
        ("--jobs", "0"),
        ("--size", "8"),
        ("--margin", "0.5"),
        ("--quality", "101"),
        ("--out", "a.csv"),
    ],
)
def test_prepare_refuses_a_plan_that_makes_no_sense(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: tuple[str, str]
) -> None:
    out = str(tmp_path / "new" / "pack.npz")

    code = main(["prepare", str(dfdc(tmp_path / "set")), "--layout", "dfdc", "--out", out, *option])

    assert code == 2
    assert capsys.readouterr().err.startswith("prepare cannot go on: ")
    assert not (tmp_path / "new").exists()


def test_prepare_says_so_when_a_process_of_its_dies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A process of the pool is killed as the kernel kills one for lack of memory."""
    root, out = tmp_path / "set", tmp_path / "pack.npz"
    for name in ("real0", "fake0"):
        (dfdc(root, parts=1) / "dfdc_train_part_0" / f"{name}.mp4").unlink()
        os.mkfifo(root / "dfdc_train_part_0" / f"{name}.mp4")  # reading it waits for ever

    def kill_first_child() -> None:
        while not multiprocessing.active_children():
            time.sleep(0.05)
        time.sleep(0.5)
        multiprocessing.active_children()[0].kill()

    killer = threading.Thread(target=kill_first_child)
    killer.start()
    code = main(["prepare", str(root), "--layout", "dfdc", "--jobs", "1", "--out", str(out)])
    killer.join()

    assert code == 2
    assert "give fewer --jobs" in capsys.readouterr().err
    assert not out.exists()
