"""Which videos there are and what is known of each: rows, the manifest that holds them as CSV, and their splits."""

import csv
import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

SPLITS = ("train", "val", "test")
COLUMNS = ("file", "split", "label", "dataset", "source", "method")
LABELS = {"real": 0, "fake": 1}
LABEL_WORDS = {number: word for word, number in LABELS.items()}


class ListingError(ValueError):
    """What was found is not what was promised; the message is one whole sentence or two."""


@dataclass(frozen=True)
class Row:
    """One video or photograph."""

    file: str  # relative to the listing's root
    split: str  # one of SPLITS; a manifest may use other words, or none
    label: int  # 1 means fake
    dataset: str
    source: str  # the person or original video behind it
    method: str  # how it was faked; "none" when it was not


@dataclass(frozen=True)
class Listing:
    """What a manifest or a folder holds."""

    root: Path
    rows: list[Row]
    remarks: list[str] = field(default_factory=list)  # whole sentences: what was left out, what looks wrong


def read_manifest(path: Path) -> Listing:
    """The rows of a CSV with the columns COLUMNS, of which only file and label are needed; or with file, set and
    person, of photographs, all genuine.

    Raises ListingError, or OSError when the file cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            cells = list(csv.DictReader(lines))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ListingError(f"{path} is no CSV file in UTF-8.") from error
    columns = cells[0].keys() if cells else set()
    if not ({"file", "label"} <= columns or {"file", "set", "person"} <= columns):
        raise ListingError(
            f"{path} needs a row of column names with file and label, or with file, set and person, "
            f"and a row for each video or photograph."
        )
    rows = [_manifest_row(path, line, values) for line, values in enumerate(cells, 2)]
    torn = sorted(torn_sources(rows))
    named = ", ".join(torn[:5]) + (" and others" if len(torn) > 5 else "")
    remark = f"A source should stand in one split only, or validation flatters; these stand in several: {named}."
    return Listing(path.parent, rows, [remark] if torn else [])


def write_manifest(listing: Listing, path: Path) -> None:
    """Write ``listing`` as a manifest, whose files are named relative to its own folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.part")
    with draft.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(COLUMNS)
        for row in listing.rows:
            file = os.path.relpath(listing.root / row.file, path.parent)
            writer.writerow((file, row.split, LABEL_WORDS[row.label], row.dataset, row.source, row.method))
    draft.replace(path)


def of_split(listing: Listing, split: str | None) -> list[Row]:
    """The rows of ``split``, all when it is None. Raises ListingError when there are none."""
    chosen = [row for row in listing.rows if split is None or row.split == split]
    if not chosen:
        splits = ", ".join(sorted({row.split for row in listing.rows if row.split})) or "none"
        raise ListingError(f"{listing.root} has nothing in the split {split}; its splits are: {splits}.")
    return chosen


def torn_sources(rows: Iterable[Row]) -> set[str]:
    """The sources that stand in more than one split."""
    splits = defaultdict(set)
    for row in rows:
        splits[row.source].add(row.split)
    return {source for source, found in splits.items() if len(found) > 1}


def without_torn(rows: list[Row]) -> list[Row]:
    """``rows`` without those whose source stands in a later one of SPLITS too: test keeps what it has."""
    rank = {split: place for place, split in enumerate(SPLITS)}
    last: dict[str, int] = {}
    for row in rows:
        last[row.source] = max(last.get(row.source, -1), rank[row.split])
    return [row for row in rows if rank[row.split] == last[row.source]]


def divided(rows: Iterable[Row], group: Callable[[Row], str], with_test: bool = True) -> list[Row]:
    """``rows`` in splits: of all groups about eight in ten in train, one in val and one in test.

    A group's split depends on its name alone, so it stays where it is when others come or go.
    """
    splits = ("test", "val") if with_test else ("val",)
    return [replace(row, split=dict(enumerate(splits)).get(_tenth(group(row)), "train")) for row in rows]


def joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Of everything that pairs hold together, directly or through others, the same name: the least of its members."""
    groups: dict[str, set[str]] = {}
    for first, second in pairs:
        whole = groups.get(first, {first}) | groups.get(second, {second})
        groups.update(dict.fromkeys(whole, whole))
    return {member: min(whole) for member, whole in groups.items()}


def _tenth(name: str) -> int:
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % 10


def _manifest_row(path: Path, line: int, cells: dict[str, str | None]) -> Row:
    values = {name: value.strip() for name, value in cells.items() if name and isinstance(value, str) and value.strip()}
    file = values.get("file")
    if "label" not in cells:
        if not (file and "set" in values and "person" in values):
            raise ListingError(f"Row {line} of {path} needs a file, a set and a person.")
        return Row(file, "", 0, values["set"], values["person"], "none")
    label = LABELS.get(values.get("label", "").lower())
    if not file or label is None:
        raise ListingError(f"Row {line} of {path} needs a file and the label real or fake.")
    method = values.get("method", "unnamed" if label else "none")
    return Row(
        file, values.get("split", ""), label, values.get("dataset", "unnamed"), values.get("source", file), method
    )
