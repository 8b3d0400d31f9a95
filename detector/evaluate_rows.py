"""The rows of an evaluation: clips of a manifest going in, one result a clip coming out, both as CSV."""

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from detector.precision import Precision
from detector.quality import Quality
from detector.report import Verdict

LABELS = {"real": 0, "fake": 1}
LABEL_WORDS = {number: word for word, number in LABELS.items()}


class ManifestError(Exception):
    """The manifest cannot be used; the message is one whole sentence."""


@dataclass(frozen=True)
class Clip:
    """One video whose truth is known."""

    file: str  # as the manifest has it, relative to the manifest's folder
    path: Path
    label: int  # 1 means fake
    split: str
    dataset: str
    method: str  # how it was faked; "none" when it was not
    source: str  # the person or original behind it; clips of one source are no independent evidence
    kind: str = ""  # of footage, such as webcam or studio; empty when not stated
    face_px: float | None = None  # width of the face, where the manifest says it


@dataclass(frozen=True)
class Result:
    """What an analysis said of a clip, or why there was none."""

    clip: Clip
    verdict: Verdict | None  # None when the analysis failed
    probability_fake: float | None
    reasons: tuple[str, ...]
    frames_analyzed: int
    people: int
    seconds: float
    failure: str  # the error's code; empty when there was none
    quality: Quality | None = None  # of the face behind the answer; None without a face


@dataclass(frozen=True)
class Conditions:
    """What results must have in common to be put together."""

    model_sha256: str  # of the weights
    config_sha256: str  # of model.toml: calibration and thresholds
    frames: int
    precision: str = Precision.FLOAT32  # asked for


COLUMNS = (
    *("file", "split", "label", "dataset", "method", "source"),
    *("verdict", "probability_fake", "reasons", "frames_analyzed", "people", "face_px", "sharpness"),
    *("seconds", "failure"),
    *("model_sha256", "config_sha256", "frames", "precision"),
)


def read_manifest(path: Path, split: str | None = None) -> list[Clip]:
    """The clips of a CSV with the columns file and label (real or fake).

    The columns split, dataset, method, source, kind and face_px are read where there are any. Only rows of ``split``
    when one is given. Without a source a clip stands for itself. Raises ManifestError, or OSError when the file cannot
    be read.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ManifestError(f"{path} is no CSV file in UTF-8.") from error
    if not rows or not {"file", "label"} <= rows[0].keys():
        raise ManifestError(f"{path} needs a row of column names with file and label, and a row for each video.")
    clips = [_clip(path, line, row) for line, row in enumerate(rows, start=2)]
    chosen = [clip for clip in clips if split is None or clip.split == split]
    if not chosen:
        splits = ", ".join(sorted({clip.split for clip in clips if clip.split})) or "none"
        raise ManifestError(f"{path} has no video in the split {split}; its splits are: {splits}.")
    if len({clip.file for clip in chosen}) < len(chosen):
        raise ManifestError(f"{path} names a video twice.")
    return chosen


def _clip(manifest: Path, line: int, row: dict[str, str | None]) -> Clip:
    values = {name: value.strip() for name, value in row.items() if name and value}
    file, label = values.get("file", ""), values.get("label", "").lower()
    if not file or label not in LABELS:
        raise ManifestError(f"Row {line} of {manifest} needs a file and the label real or fake.")
    return Clip(
        file=file,
        path=manifest.parent / file,
        label=LABELS[label],
        split=values.get("split", ""),
        dataset=values.get("dataset", "unnamed"),
        method=values.get("method", "unnamed" if LABELS[label] else "none"),
        source=values.get("source", file),
        kind=values.get("kind", ""),
        face_px=_number(values.get("face_px", "")),
    )


def _number(text: str) -> float | None:
    """A size that is stated; None for anything else, since it is only a help."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


class ResultsFile:
    """``results.csv``: one row a clip, appended as each finishes."""

    def __init__(self, path: Path, conditions: Conditions) -> None:
        self.path, self.conditions = path, conditions

    def finished(self, clips: Iterable[Clip]) -> list[Result]:
        """The results already there of these clips under the same conditions; failures are left to be tried again."""
        if not self.path.exists():
            return []
        with self.path.open(encoding="utf-8", newline="") as file:
            rows = {row["file"]: row for row in csv.DictReader(file) if self._is_whole(row)}
        found = [_result(clip, rows[clip.file]) for clip in clips if clip.file in rows]
        return [result for result in found if result is not None and not result.failure]

    def write(self, results: Iterable[Result]) -> None:
        """Put these results, and no others, into the file, at once or not at all."""
        draft = self.path.with_suffix(".part")
        with draft.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows(self._cells(result) for result in results)
        draft.replace(self.path)

    def append(self, result: Result) -> None:
        """Add one result so that it survives whatever comes next."""
        with self.path.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file).writerow(self._cells(result))

    def _is_whole(self, row: dict[str, str]) -> bool:
        """Not the torn last line of an interrupted run, and of the same conditions."""
        same = self.conditions
        return (
            None not in row.values()
            and None not in row
            and row.get("model_sha256") == same.model_sha256
            and row.get("config_sha256") == same.config_sha256
            and row.get("frames") == str(same.frames)
            and row.get("precision", Precision.FLOAT32) == same.precision
        )

    def _cells(self, result: Result) -> tuple[str | int, ...]:
        clip, probability, quality = result.clip, result.probability_fake, result.quality
        return (
            *(clip.file, clip.split, LABEL_WORDS[clip.label], clip.dataset, clip.method, clip.source),
            result.verdict or "",
            "" if probability is None else repr(probability),
            " ".join(result.reasons),
            *(result.frames_analyzed, result.people),
            *(("", "") if quality is None else (repr(quality.face_px), repr(quality.sharpness))),
            *(f"{result.seconds:.3f}", result.failure),
            *(self.conditions.model_sha256, self.conditions.config_sha256),
            *(self.conditions.frames, self.conditions.precision),
        )


def _result(clip: Clip, row: dict[str, str]) -> Result | None:
    """The result a row holds; None when its cells make no sense."""
    try:
        probability = float(row["probability_fake"]) if row["probability_fake"] else None
        if probability is not None and not (math.isfinite(probability) and 0 <= probability <= 1):
            return None
        return Result(
            clip=clip,
            verdict=Verdict(row["verdict"]) if row["verdict"] else None,
            probability_fake=probability,
            reasons=tuple(row["reasons"].split()),
            frames_analyzed=int(row["frames_analyzed"]),
            people=int(row["people"]),
            seconds=float(row["seconds"]),
            failure=row["failure"],
            quality=Quality(float(row["face_px"]), float(row["sharpness"])) if row["face_px"] else None,
        )
    except (KeyError, ValueError):
        return None
