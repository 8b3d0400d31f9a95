"""Builds ResNeXt50_32x4d (Xie et al., CVPR 2017) as an OpenVINO graph from torchvision's weights; no torch needed.

Batch normalisation is folded into the convolutions. Those of the blocks bear their weights' names, for int8.py.
"""

from collections.abc import Mapping

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset13 as ops

from detector.graph_ends import normalised_crops, pooled_and_maps

BLOCKS = {"layer1": 3, "layer2": 4, "layer3": 6, "layer4": 3}
GROUPS = 32
EPSILON = 1e-5

Weights = Mapping[str, NDArray[np.float32]]


def build(weights: Weights, size: int) -> openvino.Model:
    """uint8 (N, size, size, 3) RGB -> pooled features (N, C) and class activation maps (N, s, s): see graph_ends.py.

    weights: names of model.Detector's state dict to float32 arrays.
    """
    picture, x = normalised_crops(size)
    x = ops.relu(_convolution(x, weights, "backbone.conv1", "backbone.bn1", stride=2, padding=3))
    x = ops.max_pool(x, [2, 2], [1, 1], [1, 1], [1, 1], [3, 3]).output(0)
    for layer, count in BLOCKS.items():
        for index in range(count):
            stride = 2 if index == 0 and layer != "layer1" else 1
            x = _block(x, weights, f"backbone.{layer}.{index}", stride)
    return openvino.Model(pooled_and_maps(x, weights["frame_head.weight"]), [picture], "resnext50_32x4d")


def _block(x: openvino.Node, weights: Weights, name: str, stride: int) -> openvino.Node:
    y = ops.relu(_convolution(x, weights, f"{name}.conv1", f"{name}.bn1"))
    y = ops.relu(_convolution(y, weights, f"{name}.conv2", f"{name}.bn2", stride, padding=1, groups=GROUPS))
    y = _convolution(y, weights, f"{name}.conv3", f"{name}.bn3")
    if f"{name}.downsample.0.weight" in weights:
        x = _convolution(x, weights, f"{name}.downsample.0", f"{name}.downsample.1", stride)
    return ops.relu(ops.add(x, y))


def _convolution(
    x: openvino.Node, weights: Weights, name: str, norm: str, stride: int = 1, padding: int = 0, groups: int = 1
) -> openvino.Node:
    scale = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + EPSILON)
    kernel = weights[f"{name}.weight"] * scale.reshape(-1, 1, 1, 1)
    bias = (weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale).reshape(1, -1, 1, 1)
    places = [stride, stride], [padding, padding], [padding, padding], [1, 1]
    if groups > 1:
        kernel = kernel.reshape(groups, kernel.shape[0] // groups, *kernel.shape[1:])
    convolve = ops.group_convolution if groups > 1 else ops.convolution
    node = convolve(x, ops.constant(kernel), *places)  # a bare array would be copied as a list
    if ".layer" in name:  # the first takes the picture, which is not positive throughout
        node.set_friendly_name(name)
    return ops.add(node, bias)
