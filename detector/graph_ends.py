"""How the OpenVINO graph of every backbone begins, and how that of a convolutional one ends."""

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset13 as ops

from detector import imagenet

MEAN = np.array(imagenet.MEAN, np.float32).reshape(1, 3, 1, 1) * 255
STD = np.array(imagenet.STD, np.float32).reshape(1, 3, 1, 1) * 255

Factor = NDArray[np.float32] | np.float32


def normalised_crops(size: int, mean: Factor = MEAN, std: Factor = STD) -> tuple[openvino.Node, openvino.Node]:
    """The parameter, uint8 (N, size, size, 3) RGB, and what becomes of it: float32 (N, 3, size, size), normalised.

    ``mean`` and ``std`` are of pixels from 0 to 255, ImageNet's by default.
    """
    picture = ops.parameter([-1, size, size, 3], np.uint8, name="crops")
    x = ops.transpose(ops.convert(picture, "f32"), np.array([0, 3, 1, 2]))
    return picture, ops.divide(ops.subtract(x, mean), std)


def pooled_and_maps(features: openvino.Node, head: NDArray[np.float32]) -> list[openvino.Node]:
    """The means (N, C) of ``features`` (N, C, s, s), and the frame head, (1, C), applied at every place: (N, s, s).

    So the mean of a map plus the head's bias is the frame's logit.
    """
    pooled = ops.reduce_mean(features, np.array([2, 3]), keep_dims=False)
    maps = ops.convolution(features, head.reshape(1, -1, 1, 1), [1, 1], [0, 0], [0, 0], [1, 1])
    return [pooled, ops.squeeze(maps, np.array([1]))]
