"""What must hold of an installation once it has come to rest, whatever was done to it: read from rows and files."""

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tests.faults.stand_in import FINISHED

FINAL = frozenset({"done", "failed", "cancelled"})
LEFT_BEHIND = ("uploads", "tmp")  # where uploads arrive and where jobs work: empty when nothing runs

_PICTURES = """
    SELECT f.analysis_id AS analysis_id, f.picture AS name FROM analysis_annotatedframe f
    UNION ALL
    SELECT t.analysis_id, s.crop FROM analysis_facesample s JOIN analysis_facetrack t ON t.id = s.track_id
    UNION ALL
    SELECT t.analysis_id, s.heatmap FROM analysis_facesample s JOIN analysis_facetrack t ON t.id = s.track_id
"""


class Kept(Protocol):
    """What an installation keeps, and where one looks at it."""

    def rows(self, question: str, *values: Any) -> list[dict[str, Any]]:
        """Ask the database, without writing; keys are 32 hexadecimal digits."""

    def stored(self) -> dict[str, int]:
        """Every stored file with its size in bytes."""

    def sha256(self, name: str) -> str: ...

    def folders(self) -> list[Path]:
        """The DATA_DIR of each machine."""


@dataclass(frozen=True)
class OneMachine:
    """An installation that keeps everything in one folder."""

    folder: Path

    def rows(self, question: str, *values: Any) -> list[dict[str, Any]]:
        with closing(
            sqlite3.connect(f"file:{self.folder / 'unmask.sqlite3'}?mode=ro", uri=True, timeout=20)
        ) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(question, values)]

    def stored(self) -> dict[str, int]:
        media = self.folder / "media"
        return {str(path.relative_to(media)): path.stat().st_size for path in media.rglob("*") if path.is_file()}

    def sha256(self, name: str) -> str:
        return sha256_of(self.folder / "media" / name)

    def folders(self) -> list[Path]:
        return [self.folder]


def of(where: "Path | Kept") -> Kept:
    return OneMachine(where) if isinstance(where, Path) else where


def rows(where: "Path | Kept", question: str, *values: Any) -> list[dict[str, Any]]:
    """Ask the installation's database, without writing; raises its driver's errors."""
    return of(where).rows(question, *values)


def analyses(where: "Path | Kept") -> dict[str, dict[str, Any]]:
    """Every analysis by its key."""
    return {row["id"]: row for row in rows(where, "SELECT * FROM analysis_analysis")}


def unfinished(where: Path | Kept) -> list[str]:
    """The keys of what neither has an outcome nor was cancelled."""
    return [pk for pk, row in analyses(where).items() if row["state"] not in FINAL]


def breaches(where: Path | Kept, acknowledged: set[str]) -> list[str]:
    """Each broken promise as a sentence; none when all of them are kept."""
    kept, found = of(where), analyses(where)
    return [
        *_outcomes(found, acknowledged),
        *_files(kept, found),
        *_finished_once(kept),
        *(
            f"{path.relative_to(folder)} was left behind."
            for folder in kept.folders()
            for kind in LEFT_BEHIND
            if (folder / kind).exists()
            for path in (folder / kind).iterdir()
        ),
    ]


def lost(where: Path | Kept, acknowledged: set[str]) -> set[str]:
    """What was acknowledged and has no outcome that a person could read."""
    found = analyses(where)
    return {pk for pk in acknowledged if pk not in found or any(_outcome(pk, found[pk]))}


def _outcomes(found: dict[str, dict[str, Any]], acknowledged: set[str]) -> Iterator[str]:
    for pk in sorted(acknowledged - set(found)):
        yield f"The analysis {pk} was acknowledged and has no row."
    for pk, row in found.items():
        yield from _outcome(pk, row)


def _outcome(pk: str, row: dict[str, Any]) -> Iterator[str]:
    from analysis.messages import known_codes  # Django must be set up first

    codes = known_codes()
    if row["state"] not in FINAL:
        yield f"The analysis {pk} hangs in {row['state']} ({row['stage'] or 'no stage'}, attempt {row['attempt']})."
    if row["state"] == "failed" and row["error_code"] not in codes:
        yield f"The analysis {pk} failed with {row['error_code']!r}, for which there is no sentence."
    if row["state"] == "done" and not (row["verdict"] and row["report"]):
        yield f"The analysis {pk} is done and has no verdict or no report."


def _files(kept: Kept, found: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Rows without their files, and files without their rows."""
    stored = kept.stored()
    named: set[str] = set()
    for video in kept.rows("SELECT id, file, poster, sha256 FROM analysis_video"):
        named |= {video["file"], video["poster"]}
        yield from _missing(stored, video["file"], f"The video {video['id']}")
        if video["file"] in stored and kept.sha256(video["file"]) != video["sha256"]:
            yield f"The video {video['id']} is not the one that was uploaded."
    pictures = kept.rows(_PICTURES)
    for picture in pictures:
        named.add(picture["name"])
        yield from _missing(stored, picture["name"], f"The analysis {picture['analysis_id']}")
    with_pictures = {picture["analysis_id"] for picture in pictures}
    for pk, row in found.items():
        if (row["state"] == "done") != (pk in with_pictures):
            yield f"The analysis {pk} is {row['state']} and {'has' if pk in with_pictures else 'lacks'} pictures."
    for name in sorted(set(stored) - named):
        yield f"The file {name} belongs to no row."


def _missing(stored: dict[str, int], name: str, whose: str) -> Iterator[str]:
    if not stored.get(name):
        yield f"{whose} lacks its file {name}."


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _finished_once(kept: Kept) -> Iterator[str]:
    """No analysis was finished twice, whoever the workers were and whatever the attempts."""
    logs = [folder / FINISHED for folder in kept.folders()]
    lines = [line for log in logs if log.exists() for line in log.read_text(encoding="ascii").splitlines() if line]
    for pk, count in Counter(line.split()[0] for line in lines).items():
        if count > 1:
            yield f"The analysis {pk} was finished {count} times."
