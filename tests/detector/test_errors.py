"""A refusal keeps its code and its sentence wherever it goes."""

import pickle

from detector.errors import DetectorError, ErrorCode


def test_an_error_crosses_processes() -> None:
    error = DetectorError(ErrorCode.TOO_LONG, "The video is too long; shorten it.")

    again = pickle.loads(pickle.dumps(error))  # noqa: S301 -- our own bytes

    assert (type(again), again.code, str(again)) == (DetectorError, error.code, str(error))
