"""What an analysis says, as frozen dataclasses that go to JSON and back; the detector's stable, versioned contract.

Label 1 means fake everywhere: ``probability_fake`` is the calibrated probability of it, between 0 and 1.
Boxes are (x0, y0, x1, y1) in pixels of the upright frame; times are seconds from the start of the video, taken from
pts. Pictures are named by their path relative to the folder that ``pipeline.analyze`` was given, or None where none
was.
"""

import dataclasses
import types
import typing
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

SCHEMA_VERSION = 1


class Verdict(StrEnum):
    """The four answers; REAL and FAKE are given only beyond the model's calibrated thresholds."""

    REAL = "REAL"
    FAKE = "FAKE"
    INCONCLUSIVE = "INCONCLUSIVE"
    NO_FACE = "NO_FACE"


class Reason(StrEnum):
    """Why an answer is INCONCLUSIVE."""

    FACE_TOO_SMALL = "face_too_small"
    FACE_TOO_BLURRED = "face_too_blurred"
    TOO_FEW_FRAMES = "too_few_frames"
    SCORE_BETWEEN_THRESHOLDS = "score_between_thresholds"
    ONE_OF_SEVERAL = "one_of_several"  # enough for FAKE alone, but not among so many people


@dataclass(frozen=True, slots=True)
class FaceSample:
    """One person's face in one sampled frame."""

    frame_index: int  # index into Report.frames
    time_s: float
    box: tuple[int, int, int, int]
    probability_fake: float  # of this frame alone (the frame head)
    face_px: int  # width of the face in pixels of the upright frame
    sharpness: float  # variance of the Laplacian of the grey crop (0-255 scale)
    usable: bool  # large and sharp enough to be judged
    crop: str | None = None  # JPEG of the aligned crop the network saw
    heatmap: str | None = None  # JPEG of the same crop with the class activation map over it


@dataclass(frozen=True, slots=True)
class Track:
    """One person, followed through the sampled frames."""

    index: int  # 0 is the person seen most
    verdict: Verdict  # never NO_FACE
    probability_fake: float | None  # None when there was too little to judge
    confidence: float | None  # probability that the verdict is right; None when INCONCLUSIVE
    reasons: tuple[Reason, ...]
    samples: tuple[FaceSample, ...]  # ordered by time


@dataclass(frozen=True, slots=True)
class SampledFrame:
    """One frame that was looked at."""

    index: int
    time_s: float
    picture: str | None = None  # JPEG, at most 1280 px wide
    width: int | None = None  # of the frame, in pixels, where boxes are still to be drawn; None where they are on it


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What was analysed."""

    sha256: str
    size_bytes: int
    container: str  # FFmpeg's format name, such as "mov,mp4,m4a,3gp,3g2,mj2"
    codec: str  # FFmpeg's codec name, such as "h264"
    width: int  # upright, after rotation metadata
    height: int
    rotation_deg: int
    duration_s: float
    frame_rate: float  # average, frames a second


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Which model judged."""

    name: str
    version: str
    sha256: str  # of its weights file
    threshold_fake: float  # FAKE at or above this probability
    threshold_real: float  # REAL at or below this probability
    maps_add_up: bool = True  # whether the heatmaps of a frame add up to its score
    config_sha256: str = (
        ""  # of its configuration: calibration and thresholds; empty in reports from before it was kept
    )
    precision: str = "float32"  # that its network computed in; see precision.py


@dataclass(frozen=True, slots=True)
class Report:
    """Everything an analysis found; same video, model, precision and settings, same numbers (timings apart)."""

    verdict: Verdict
    probability_fake: float | None
    confidence: float | None
    reasons: tuple[Reason, ...]
    frames_requested: int
    frames_analyzed: int  # frames that could be decoded and looked at
    tracks: tuple[Track, ...]
    frames: tuple[SampledFrame, ...]
    video: VideoInfo
    model: ModelInfo
    timings_s: dict[str, float]  # by stage (pipeline.TIMED) and "total"; earlier reports: read, faces, pictures
    libraries: dict[str, str]  # name -> version of what was used to compute
    people_left_out: int = 0  # seen in the fewest frames of a crowd, and not examined
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> dict[str, Any]:
        """The report as plain dicts, lists, numbers and strings."""
        return typing.cast("dict[str, Any]", _plain(self))

    @classmethod
    def from_json(cls, value: Any) -> "Report":
        """The report that ``to_json`` made; raises ValueError when it has another schema version or shape."""
        if not isinstance(value, dict):
            raise ValueError(f"A report is a JSON object, not {type(value).__name__}.")
        if value.get("schema_version") != SCHEMA_VERSION:
            found = value.get("schema_version")
            raise ValueError(f"The report has schema version {found!r}; this is {SCHEMA_VERSION}.")
        try:
            return typing.cast("Report", _build(cls, value))
        except (AttributeError, TypeError, OverflowError) as error:
            raise ValueError(f"The report has another shape ({error}).") from error


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _build(kind: Any, value: Any) -> Any:
    """``value`` (plain JSON) as ``kind``; the few type forms the dataclasses above use."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        return None if value is None else _build(arguments[0], value)
    if origin is tuple:
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else arguments
        return tuple(_build(item_kind, item) for item_kind, item in zip(kinds, value, strict=True))
    if origin is dict:
        return dict(value)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        fields = dataclasses.fields(kind)
        missing = {field.name for field in fields if field.default is dataclasses.MISSING} - value.keys()
        if missing:
            raise ValueError(f"{getattr(kind, '__name__', kind)} lacks {', '.join(sorted(missing))}.")
        given = [
            field.name for field in fields if field.name in value
        ]  # an older report lacks what has been added since
        return kind(**{name: _build(hints[name], value[name]) for name in given})  # type: ignore[operator]
    return kind(value)
