"""Reads the folders of FaceForensics++, Celeb-DF v2 and DFDC as they are downloaded: which videos, and what they are.

Each function returns a Listing and opens no video. One source, a person or an original video, never stands in two of
its splits; videos that would break this are left out, and a remark says so. A face that was lent to a fake may stand in
another split than the fake, except among the originals of FaceForensics++, which are swapped in pairs.
"""

import json
import re
from pathlib import Path
from typing import Any

from detector.training.listing import (
    LABELS,
    SPLITS,
    Listing,
    ListingError,
    Row,
    divided,
    joined,
    read_manifest,
    without_torn,
)

LAYOUTS = {  # and their options
    "manifest": (),
    "faceforensics": ("--compression", "--splits", "--divide"),
    "celebdf": ("--splits", "--divide"),
    "dfdc": ("--divide",),
}
COMPRESSIONS = {"raw": ("raw", "c0"), "c23": ("c23",), "c40": ("c40",)}  # as FaceForensics++ names its folders
VIDEO_ENDINGS = {".mp4", ".avi", ".mkv", ".mov", ".webm"}
CELEB_LIST = "List_of_testing_videos.txt"
CELEB_NAMES = {
    "Celeb-real": re.compile(r"(id\d+)_\d+"),
    "YouTube-real": re.compile(r"(\d+)"),
    "Celeb-synthesis": re.compile(r"(id\d+)_id\d+_\d+"),
}
ORIGINAL, ORIGINAL_OF_ACTOR = re.compile(r"(\d{3})"), re.compile(r"(\d\d)__\w+")
FAKE, FAKE_OF_ACTOR = re.compile(r"(\d{3})_(\d{3})"), re.compile(r"(\d\d)_\d\d__\w+")
PARTS_TO_DIVIDE = 10  # of DFDC: with fewer, its originals are divided instead


def read(
    layout: str, path: Path, *, compression: str | None = None, splits: Path | None = None, divide: bool = False
) -> Listing:
    """What ``path`` holds, read as one of LAYOUTS.

    Raises ListingError, also for options that the layout does not have, and OSError for a file that cannot be read.
    """
    given = {"--compression": compression, "--splits": splits, "--divide": divide}
    foreign = [option for option, value in given.items() if value and option not in LAYOUTS[layout]]
    if foreign:
        raise ListingError(f"The layout {layout} has no {' and no '.join(foreign)}.")
    if layout == "faceforensics":
        return faceforensics(path, compression or "c23", splits, divide)
    if layout == "celebdf":
        return celebdf(path, splits, divide)
    return dfdc(path, divide) if layout == "dfdc" else read_manifest(path)


def faceforensics(root: Path, compression: str = "c23", splits: Path | None = None, divide: bool = False) -> Listing:
    """FaceForensics++ and, where it lies beside it, DeepFakeDetection, at one of COMPRESSIONS.

    The source of 000_003.mp4, the original 000 with the face of 003, is 000; that of an actor's video is the actor.
    ``splits`` is the folder of the official train.json, val.json and test.json, which list pairs of originals; without
    it they are looked for in ``root`` and ``root``/splits. Where they are not, or with ``divide``, originals are
    divided, swapped pairs together. Actors are always divided, since no official split names them.
    """
    rows, pairs, remarks = [], [], []
    for part, names in (
        ("original_sequences", (ORIGINAL, ORIGINAL_OF_ACTOR)),
        ("manipulated_sequences", (FAKE, FAKE_OF_ACTOR)),
    ):
        found, lacking = _of_compression(root, part, compression)
        remarks += [f"{root / part / name} has no videos at {compression}." for name in lacking]
        for method, videos in found.items():
            for video in videos:
                match = _named(video, *names)
                dataset = f"{'ffpp' if match.re in (ORIGINAL, FAKE) else 'dfd'}_{compression}"
                label, name = int(names[0] is FAKE), video.relative_to(root).as_posix()
                rows.append(Row(name, "", label, dataset, match.group(1), method if label else "none"))
                if match.re is FAKE:
                    pairs.append((match.group(1), match.group(2)))
    official = None if divide else _official_splits(splits, root)
    together = joined(pairs)
    free = [row for row in rows if official is None or row.dataset.startswith("dfd")]
    kept = divided(free, lambda row: together.get(row.source, row.source))
    kept += [_in_split(row, official[row.source]) for row in rows if official and row.source in official]
    return _listing(root, kept, rows, remarks, "no official split names their original")


def celebdf(root: Path, splits: Path | None = None, divide: bool = False) -> Listing:
    """Celeb-DF v2. The source of id0_id1_0000.mp4, the video id0_0000 with the face of id1, is id0.

    The videos of the official list (``splits``; else List_of_testing_videos.txt in ``root``, if it is there) are the
    test split. They show nearly all of the set's people, and what else shows these is left out; the rest is divided
    into train and val. With ``divide``, or without a list, all people are divided into the three splits.
    """
    rows = []
    for folder, name in CELEB_NAMES.items():
        if not (root / folder).is_dir():
            raise ListingError(f"{root} has no folder {folder}; give the folder of Celeb-DF v2 that holds it.")
        label = int(folder == "Celeb-synthesis")
        for video in _videos(root / folder):
            source, method = _named(video, name).group(1), "swap" if label else "none"
            rows.append(Row(f"{folder}/{video.name}", "", label, "celebdf_v2", source, method))
    official = splits or root / CELEB_LIST
    if divide or not (splits or official.exists()):
        return _listing(root, divided(rows, lambda row: row.source), rows, [], "")
    listed = _celeb_list(official)
    tested = [_in_split(row, "test") for row in rows if row.file in listed]
    rest = divided((row for row in rows if row.file not in listed), lambda row: row.source, with_test=False)
    why = f"their person is in {official.name}; --divide shares all people out instead"
    return _listing(root, without_torn(tested + rest), rows, [], why)


def dfdc(root: Path, divide: bool = False) -> Listing:
    """DFDC: the folders dfdc_train_part_N with their metadata.json, or one such folder by itself.

    A fake's source is its original. Splits are those of the metadata, which says train throughout in the public parts.
    With ``divide`` whole parts are divided, since nothing in the set says who is who, or originals where there are
    fewer than PARTS_TO_DIVIDE parts.
    """
    alone = (root / "metadata.json").exists()
    folders = [root] if alone else sorted(folder for folder in root.glob("dfdc_train_part_*") if folder.is_dir())
    if not folders:
        raise ListingError(f"{root} holds neither a metadata.json nor a folder named like dfdc_train_part_0.")
    rows = [row for folder in folders for row in _dfdc_rows(root, folder)]
    there = [row for row in rows if (root / row.file).exists()]
    missing = len(rows) - len(there)
    remarks = [f"{missing} of {len(rows)} videos of the metadata are not in the folders."] if missing else []
    kept = there
    if divide:
        by_part = len(folders) >= PARTS_TO_DIVIDE
        kept = divided(there, lambda row: row.file.split("/")[0] if by_part else row.source)
    return _listing(root, without_torn(kept), there, remarks, "their original stands in another split")


def _listing(root: Path, kept: list[Row], found: list[Row], remarks: list[str], why: str) -> Listing:
    if not kept:
        raise ListingError(f"No video was found in {root}, or none that can be used.")
    less = len(found) - len(kept)
    return Listing(
        root, kept, [*remarks, f"{less} of {len(found)} videos are left out, since {why}."] if less else remarks
    )


def _in_split(row: Row, split: str) -> Row:
    return Row(row.file, split, row.label, row.dataset, row.source, row.method)


def _of_compression(root: Path, part: str, compression: str) -> tuple[dict[str, list[Path]], list[str]]:
    """The videos of every folder in ``part`` that has this compression, and the names of those that have not."""
    if not (root / part).is_dir():
        raise ListingError(f"{root} has no folder {part}; give the folder of FaceForensics++ that holds it.")
    found, lacking = {}, []
    for folder in sorted(path for path in (root / part).iterdir() if path.is_dir()):
        for name in COMPRESSIONS[compression]:
            if videos := _videos(folder / name / "videos"):
                found[folder.name] = videos
        if folder.name not in found:
            lacking.append(folder.name)
    if not found:
        wanted = f"NAME/{COMPRESSIONS[compression][0]}/videos"
        raise ListingError(f"{root / part} has no videos at {compression}: they should lie in {wanted}.")
    return found, lacking


def _videos(folder: Path) -> list[Path]:
    """The videos in ``folder``, hidden files aside; none when there is no such folder."""
    if not folder.is_dir():
        return []
    names = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted(path for path in names if path.suffix.lower() in VIDEO_ENDINGS)


def _named(video: Path, *patterns: re.Pattern[str]) -> re.Match[str]:
    for pattern in patterns:
        if match := pattern.fullmatch(video.stem):
            return match
    raise ListingError(
        f"{video} is not named as the videos of that folder are, so whom it shows cannot be told; move it away, "
        f"or describe your videos in a manifest."
    )


def _official_splits(given: Path | None, root: Path) -> dict[str, str] | None:
    """The split of each original of FaceForensics++; None when its files were not asked for and are not there."""
    places = [given] if given else [root, root / "splits"]
    folder = next((place for place in places if (place / "train.json").exists()), given)
    if folder is None:
        return None
    split_of: dict[str, str] = {}
    for split in SPLITS:
        path = folder / f"{split}.json"
        pairs = _json(path)
        if not isinstance(pairs, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
            raise ListingError(f'{path} is no list of pairs of originals, such as [["071", "054"]].')
        for original in (str(name) for pair in pairs for name in pair):
            if split_of.setdefault(original, split) != split:
                raise ListingError(f"{path} names the original {original}, which stands in {split_of[original]} too.")
    return split_of


def _celeb_list(path: Path) -> set[str]:
    """The files of lines such as "1 YouTube-real/00170.mp4" (1: genuine)."""
    listed = set()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        label, _, file = line.strip().partition(" ")
        folder = file.strip().split("/")[0]
        if line.strip() and (folder not in CELEB_NAMES or label != str(int(folder != "Celeb-synthesis"))):
            raise ListingError(
                f'Line {number} of {path} is not like "1 YouTube-real/00170.mp4", where 1 means genuine.'
            )
        listed.add(file.strip())
    return listed


def _dfdc_rows(root: Path, folder: Path) -> list[Row]:
    path = folder / "metadata.json"
    metadata = _json(path)
    if not isinstance(metadata, dict):
        raise ListingError(f"{path} does not say of each video what it is.")
    rows = []
    for name, facts in metadata.items():
        known = facts if isinstance(facts, dict) and Path(name).name == name else {}
        label, original = LABELS.get(str(known.get("label")).lower()), str(known.get("original") or "")
        split = {"validation": "val"}.get(str(known.get("split")), str(known.get("split")))
        if label is None or split not in SPLITS or (label and not original):
            raise ListingError(f"{path} should say of {name} its label, its split, and if it is FAKE its original.")
        source = Path(original if label else name).stem
        file = (folder / name).relative_to(root).as_posix()
        rows.append(Row(file, split, label, "dfdc", source, "unnamed" if label else "none"))
    return rows


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ListingError(f"{path} is missing.") from error
    except ValueError as error:
        raise ListingError(f"{path} is no JSON file.") from error
