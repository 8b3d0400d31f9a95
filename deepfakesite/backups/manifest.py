"""What a backup says of itself: which version made it, when, of what, and the size and SHA-256 of every file in it."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

NAME = "manifest.json"
FORMAT = 1
MEDIA = "media"  # the folder of stored files within a backup
SECRET_KEY = "secret_key"  # noqa: S105 -- the name of its file


class Unusable(Exception):
    """A backup cannot be made or restored; the message is a whole sentence that says why and what to do."""


@dataclass(frozen=True, slots=True)
class Sum:
    """One file of a backup."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything but the files themselves; ``files`` is by path within the backup, with forward slashes."""

    unmask: str
    made_at: str
    vendor: str
    database: str
    migrations: list[list[str]]
    files: dict[str, Sum]
    missing: list[str] = field(default_factory=list)  # stored files that rows name and that were not there
    format: int = FORMAT

    @property
    def size_bytes(self) -> int:
        return sum(each.size_bytes for each in self.files.values())

    def write(self, folder: Path) -> None:
        with open(folder / NAME, "x", encoding="utf-8", opener=private) as file:
            json.dump(asdict(self), file, indent=1, sort_keys=True)


def read(folder: Path) -> Manifest:
    """The manifest of the backup in ``folder``; raises Unusable when there is none or it cannot be understood."""
    try:
        values: dict[str, Any] = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except OSError as error:
        raise Unusable(f"{folder} holds no backup that can be read: {NAME}: {error.strerror}.") from error
    except ValueError as error:
        raise Unusable(f"{folder / NAME} is damaged: {error}. Take another backup.") from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise Unusable(f"{folder} was not written by this version's `backup`; restore it with the version that did.")
    try:
        files = {str(name): Sum(**each) for name, each in values.pop("files").items()}
        return Manifest(files=files, **values)
    except (KeyError, TypeError, AttributeError) as error:
        raise Unusable(f"{folder / NAME} is damaged: {error}. Take another backup.") from error


def verify(folder: Path, manifest: Manifest) -> None:
    """Raises Unusable unless every file is there, has its size and its SHA-256, and lies within ``folder``."""
    for name, expected in manifest.files.items():
        path = folder / inside(name)
        if path.is_symlink() or not path.is_file():
            raise Unusable(f"The backup is incomplete: {name} is missing. Nothing was restored; take another backup.")
        if sum_of(path) != expected:
            raise Unusable(f"The backup is damaged: {name} has changed. Nothing was restored; take another backup.")


def inside(name: str) -> PurePosixPath:
    """The path, unless it leads out of the folder that it belongs to."""
    path = PurePosixPath(name)
    if path.is_absolute() or not path.parts or ".." in path.parts or "\\" in name:
        raise Unusable(f"The backup names a file outside itself ({name!r}); nothing was restored.")
    return path


def sum_of(path: Path) -> Sum:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return Sum(file.tell(), digest.hexdigest())


def private(path: str, flags: int) -> int:
    """For ``open``: a new file that nobody but its owner can read."""
    return os.open(path, flags, 0o600)
