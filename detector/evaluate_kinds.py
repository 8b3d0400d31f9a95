"""What kind of footage the clips of a manifest are, for manifests that do not say it in a column of their own."""

import csv
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from detector.evaluate_rows import Clip, ManifestError

Kinds = dict[tuple[str, str], str]  # by data set and source; an empty source stands for all of the data set


def read_kinds(path: Path) -> Kinds:
    """A CSV with the columns dataset, source and kind; a row without a source speaks for its whole data set.

    Raises ManifestError, or OSError when the file cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ManifestError(f"{path} is no CSV file in UTF-8.") from error
    if not rows or not {"dataset", "source", "kind"} <= rows[0].keys():
        raise ManifestError(f"{path} needs a row of column names with dataset, source and kind, and at least one more.")
    kinds: Kinds = {}
    for line, row in enumerate(rows, start=2):
        dataset, source, kind = ((row[name] or "").strip() for name in ("dataset", "source", "kind"))
        if not dataset or not kind:
            raise ManifestError(f"Row {line} of {path} needs a dataset and a kind.")
        if (dataset, source) in kinds:
            raise ManifestError(f"Row {line} of {path} says once more what {dataset} {source} is.".replace("  ", " "))
        kinds[dataset, source] = kind
    return kinds


def with_kinds(clips: Iterable[Clip], kinds: Kinds) -> list[Clip]:
    """The clips, each with its kind: what the manifest says itself, else that of its source, else of its data set."""
    return [
        replace(clip, kind=clip.kind or kinds.get((clip.dataset, clip.source)) or kinds.get((clip.dataset, "")) or "")
        for clip in clips
    ]
