"""The map over a crop means what it says."""

import numpy as np
import pytest

from detector.heatmap import contributions
from detector.release import Calibration


def test_the_mean_of_the_contributions_is_the_calibrated_logit() -> None:
    cam = np.random.default_rng(0).normal(size=(5, 5)).astype(np.float32)
    calibration = Calibration(frame_scale=0.7, frame_offset=-0.4, track_scale=1, track_offset=0)
    logit = float(cam.mean()) + 0.25

    assert contributions(cam, 0.25, calibration).mean() == pytest.approx(0.7 * logit - 0.4, abs=1e-5)
