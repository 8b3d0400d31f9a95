"""What can go wrong with a video or a model, each with a stable code that other programs may rely on.

A fault of the installation has no code.
"""

from enum import StrEnum


class ErrorCode(StrEnum):
    """Stable codes of everything the detector refuses; the words for people are in each error's message."""

    UNREADABLE = "unreadable"  # a video so damaged that nothing can be decoded; also a path that cannot be opened
    EMPTY = "empty"  # zero bytes
    UNSUPPORTED = "unsupported"  # not a video, or a container or codec that is not read
    NO_VIDEO_STREAM = "no_video_stream"
    TOO_LONG = "too_long"
    TOO_LARGE = "too_large"  # bytes
    TOO_MANY_PIXELS = "too_many_pixels"  # of one frame, or of one of its sides
    MODEL_MISSING = "model_missing"
    MODEL_DAMAGED = "model_damaged"  # checksum or layout of the weights is wrong
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"  # the confined decoder ran past its time
    TOO_DEMANDING = "too_demanding"  # decoding needs more memory than the confined decoder has
    DECODER_CRASHED = "decoder_crashed"  # the confined decoder died over the video, or gave answers without sense


class DetectorError(Exception):
    """A refusal that has a reason.

    ``code`` is stable; ``str(error)`` is one whole English sentence that says what happened and what to do.
    """

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[type["DetectorError"], tuple[ErrorCode, str]]:
        """What crosses from one process to another is made again from both arguments."""
        return type(self), (self.code, str(self))


class ReaderError(RuntimeError):
    """The process that decodes could not be started or confined: a fault of the installation, not of the video."""
