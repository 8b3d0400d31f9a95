"""Builds EfficientNet-Lite2 as an OpenVINO graph from the weights that efficientnet.py holds in torch.

Batch normalisation is folded into the convolutions. None has a name for int8.py: what enters those that widen a block
is positive and negative, and a plan's ranges begin at 0.
"""

from collections.abc import Mapping

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset13 as ops

from detector.efficientnet_shape import EPSILON, MEAN, STAGES, STD, STEM, Stage, padding
from detector.graph_ends import normalised_crops, pooled_and_maps

Weights = Mapping[str, NDArray[np.float32]]


def build(weights: Weights, size: int) -> openvino.Model:
    """uint8 (N, size, size, 3) RGB -> pooled features (N, C) and class activation maps (N, s, s): see graph_ends.py.

    weights: names of model.Detector's state dict to float32 arrays.
    """
    picture, x = normalised_crops(size, np.float32(MEAN), np.float32(STD))
    builder = _Builder(weights, size)
    x = _relu6(builder.convolution(x, "backbone.stem", 3, stride=2))
    index, channels = 0, STEM
    for stage in STAGES:
        for stride in (stage.stride, *[1] * (stage.blocks - 1)):
            y = builder.inside_block(x, f"backbone.blocks.{index}", stage, stride)
            x = ops.add(x, y) if stride == 1 and channels == stage.channels else y
            index, channels = index + 1, stage.channels
    x = _relu6(builder.convolution(x, "backbone.head", 1))
    return openvino.Model(pooled_and_maps(x, weights["frame_head.weight"]), [picture], "efficientnet_lite2")


class _Builder:
    """Lays one convolution after another and knows how large the maps are by then."""

    def __init__(self, weights: Weights, size: int) -> None:
        self.weights, self.size = weights, size

    def inside_block(self, x: openvino.Node, name: str, stage: Stage, stride: int) -> openvino.Node:
        """What an inverted residual block adds to its input, or makes of it."""
        if stage.expansion > 1:
            x = _relu6(self.convolution(x, f"{name}.expand", 1))
        x = _relu6(self.convolution(x, f"{name}.depthwise", stage.kernel, stride, depthwise=True))
        return self.convolution(x, f"{name}.project", 1)

    def convolution(
        self, x: openvino.Node, name: str, kernel: int, stride: int = 1, depthwise: bool = False
    ) -> openvino.Node:
        scale = self.weights[f"{name}.norm.weight"] / np.sqrt(self.weights[f"{name}.norm.running_var"] + EPSILON)
        values = self.weights[f"{name}.convolution.weight"] * scale.reshape(-1, 1, 1, 1)
        bias = self.weights[f"{name}.norm.bias"] - self.weights[f"{name}.norm.running_mean"] * scale
        before, after = padding(self.size, kernel, stride)
        places = [stride, stride], [before, before], [after, after], [1, 1]
        if depthwise:
            values = values[:, None]  # (C, 1, 1, k, k)
        convolve = ops.group_convolution if depthwise else ops.convolution
        self.size = -(-self.size // stride)
        return ops.add(convolve(x, ops.constant(values), *places), bias.reshape(1, -1, 1, 1))


def _relu6(x: openvino.Node) -> openvino.Node:
    return ops.clamp(x, 0.0, 6.0)
