"""What a class activation map shows: where in a crop the network saw signs of a fake, and where of a genuine face.

The frame head is linear over averaged features, so the map (Zhou et al., CVPR 2016) is exact: the mean of
``contributions`` is the calibrated frame logit. It shows where the model looked; it is no proof.
"""

import numpy as np
from numpy.typing import NDArray

from detector.release import Calibration


def contributions(cam: NDArray[np.float32], bias: float, calibration: Calibration) -> NDArray[np.float32]:
    """(s, s) map of raw activations -> (s, s) contributions whose mean is the frame's calibrated logit.

    Positive speaks for fake, negative for genuine; ``bias`` is the frame head's.
    """
    return np.asarray(calibration.frame_scale * (cam + bias) + calibration.frame_offset, np.float32)
