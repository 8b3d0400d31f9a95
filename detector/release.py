"""Released models: folders under detector/models with weights, configuration, calibration, card, metrics and checksums.

Everything that belongs to a judgement (crop shape, calibration, thresholds, quality bounds) is read from the folder's
model.toml, never retyped in code.
"""

import hashlib
import json
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from detector.errors import DetectorError, ErrorCode

MODELS_DIR = Path(__file__).parent / "models"
BASES = "bases"  # beside the model folders
WEIGHTS, CONFIG, CARD, METRICS, CHECKSUMS = "weights.safetensors", "model.toml", "card.md", "metrics.json", "SHA256SUMS"
INT8 = "int8.json"  # how it is served in int8, where it can be; see int8.py
SETTLED_S = 2.0  # what was written less long ago may be written once more without a new time of change

Found = TypeVar("Found")


@dataclass(frozen=True)
class CropShape:
    """How faces are cut; a property of the model that judges them."""

    size: int  # pixels of the square crop's side
    margin: float  # side over the face's longer extent


@dataclass(frozen=True)
class NetworkShape:
    """What fixes the layout of the weights."""

    backbone: str
    feature_channels: int
    projected: int  # width of what the LSTM reads
    hidden: int  # of the LSTM
    dropout: float
    base: str | None = None  # file under models/bases with the weights that every version shares
    recurrence: str = "lstm"  # of imported checkpoints "last_frame" or "frame_mean"; see memoryless.py
    colours: str = "rgb"  # the order of the channels that the weights were trained with, or "bgr"

    @property
    def maps_add_up(self) -> bool:
        """Whether the class activation maps are exact: their mean plus the frame head's bias is the frame's logit."""
        return self.recurrence == "lstm"


@dataclass(frozen=True)
class Calibration:
    """Platt scaling: probability = sigmoid(scale * logit + offset), for single frames and for whole tracks."""

    frame_scale: float
    frame_offset: float
    track_scale: float
    track_offset: float


@dataclass(frozen=True)
class Decision:
    """When the answer is REAL or FAKE, and what is too little to judge."""

    threshold_fake: float
    threshold_real: float
    min_face_px: int
    min_sharpness: float
    min_frames: int  # usable samples a person needs
    window: int  # frames the temporal head judges at a time
    genuine_tail: float = 1.0  # of the log odds of genuine clips; see verdict.crowd_factor
    temporal_share: float = 0.5  # of the temporal head's logit in a person's score; the rest is the frames' mean logit


@dataclass(frozen=True)
class Release:
    """One model folder."""

    name: str
    version: str
    folder: Path
    sha256: str  # of the weights file, as SHA256SUMS states it
    network: NetworkShape
    crop: CropShape
    calibration: Calibration
    decision: Decision
    config_sha256: str = ""  # of model.toml, as SHA256SUMS states it: which calibration and thresholds these are

    @property
    def weights(self) -> Path:
        return self.folder / WEIGHTS

    @property
    def is_quantised(self) -> bool:
        """Whether it says how it is served in int8, in a file that its checksums cover."""
        return INT8 in _checksums(self.folder)

    @property
    def base(self) -> Path | None:
        """The weights that this version shares with others, where it does: beside its folder, else as installed."""
        if self.network.base is None:
            return None
        beside = self.folder.parent / BASES / self.network.base
        return beside if beside.is_file() else MODELS_DIR / BASES / self.network.base

    def card(self) -> str:
        """The model card, in Markdown."""
        return (self.folder / CARD).read_text(encoding="utf-8")

    def metrics(self) -> dict[str, Any]:
        """What was measured: ``error_rates`` of the test clips; evaluate's figures as ``validation`` and ``test``.

        Shared by all who ask, so not to be changed.
        """
        path = self.folder / METRICS
        measured: dict[str, Any] = _once((path,), lambda: json.loads(path.read_text(encoding="utf-8")))
        return measured

    def is_evaluated(self) -> bool:
        """Whether it has a card, and figures measured on test clips with these very weights and this configuration."""
        try:
            measured = self.metrics()["test"]["model"]
            same = (measured["sha256"], measured["config_sha256"]) == (self.sha256, sha256_of(self.folder / CONFIG))
            return same and bool(self.card().strip())
        except (KeyError, OSError, TypeError, ValueError):  # no figures, or figures of another shape
            return False

    def verify(self) -> None:
        """Compare every file with SHA256SUMS; raises DetectorError(MODEL_MISSING or MODEL_DAMAGED)."""
        for name, expected in _checksums(self.folder).items():
            path = self.base if self.base is not None and name == f"../{BASES}/{self.base.name}" else self.folder / name
            if not path.is_file():
                raise DetectorError(ErrorCode.MODEL_MISSING, f"The model file {name} is missing; install Unmask again.")
            if sha256_of(path) != expected:
                raise DetectorError(
                    ErrorCode.MODEL_DAMAGED, f"The model file {name} differs from its checksum; install Unmask again."
                )


def releases(root: Path = MODELS_DIR) -> list[Release]:
    """Every model folder under ``root``, by name and version; unreadable ones raise DetectorError.

    Folders whose name begins with a dot are left out: they are being written.
    """
    folders = sorted(config.parent for config in root.glob(f"*/{CONFIG}"))
    return [load_release(folder) for folder in folders if not folder.name.startswith(".")]


def default_release(root: Path = MODELS_DIR) -> Release:
    """The model that ``root``/default names. Raises DetectorError(MODEL_MISSING) when there is none."""
    try:
        name = (root / "default").read_text(encoding="utf-8").strip()
    except OSError as error:
        raise DetectorError(ErrorCode.MODEL_MISSING, "No model is installed; install Unmask again.") from error
    return load_release(root / name)


def load_release(folder: Path) -> Release:
    """The release in ``folder``, its weights not yet read. Raises DetectorError(MODEL_MISSING or MODEL_DAMAGED).

    A folder that has not changed is parsed once in a process.
    """
    try:
        return _once((folder / CONFIG, folder / CHECKSUMS), lambda: _parsed(folder))
    except OSError as error:
        raise DetectorError(ErrorCode.MODEL_MISSING, f"There is no model in {folder}; check the path.") from error
    except (ValueError, KeyError, TypeError) as error:  # also what is no TOML or no UTF-8
        raise DetectorError(
            ErrorCode.MODEL_DAMAGED, f"The model in {folder} cannot be understood ({error}); install Unmask again."
        ) from error


def _parsed(folder: Path) -> Release:
    values = tomllib.loads((folder / CONFIG).read_text(encoding="utf-8"))
    checksums = _checksums(folder)
    return Release(
        name=values["name"],
        version=values["version"],
        folder=folder,
        sha256=checksums[WEIGHTS],
        network=NetworkShape(**values["network"]),
        crop=CropShape(**values["crop"]),
        calibration=Calibration(**values["calibration"]),
        decision=Decision(**values["decision"]),
        config_sha256=checksums.get(CONFIG) or sha256_of(folder / CONFIG),
    )


_kept: dict[tuple[Path, ...], tuple[object, Any]] = {}


def _once(paths: tuple[Path, ...], read: Callable[[], Found]) -> Found:
    """What ``read`` makes of the files ``paths``, made anew only when one of them has changed.

    Raises OSError when one is missing, and what ``read`` raises. What was written within SETTLED_S is not kept: a
    second change may bear the same time.
    """
    states = [path.stat() for path in paths]
    stamp = [(state.st_mtime_ns, state.st_size, state.st_ino) for state in states]
    kept = _kept.get(paths)
    if kept is not None and kept[0] == stamp:
        return kept[1]  # type: ignore[no-any-return]
    found = read()
    if time.time() - max(state.st_mtime for state in states) > SETTLED_S:
        _kept[paths] = (stamp, found)
    return found


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checksums(folder: Path) -> dict[str, str]:
    """File name to SHA-256, from lines as sha256sum writes them."""
    lines = (folder / CHECKSUMS).read_text(encoding="utf-8").split("\n")
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines if line)}
