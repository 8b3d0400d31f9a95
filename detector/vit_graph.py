"""Builds CLIP's ViT-B/16 (see vit.py) as an OpenVINO graph from its weights; no torch needed.

Matrices that are stored as int8 enter the graph so and are multiplied out by the runtime.
"""

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset13 as ops

from detector.graph_ends import normalised_crops
from detector.vit_shape import EPSILON, GELU_SLOPE, HEADS, LAYERS, PATCH, SIZE, WIDTH
from detector.weights import SCALE, Arrays


def build(weights: Arrays, size: int) -> openvino.Model:
    """uint8 (N, size, size, 3) RGB -> pooled features (N, 1536) and class activation maps (N, s, s).

    weights: names of model.Detector's state dict to arrays. Pooled are the mean patch token and the class token; the
    map is the frame head on each patch token beside the class token, so its mean plus the head's bias is the frame's
    logit.
    """
    if size != SIZE:
        raise ValueError(f"clip_vit_b16 takes crops of {SIZE} px, not of {size}")
    cells = size // PATCH
    picture, x = normalised_crops(size)
    kernel = _float(weights, "backbone.patches.weight")
    x = ops.convolution(x, kernel, [PATCH, PATCH], [0, 0], [0, 0], [1, 1])
    x = ops.transpose(ops.reshape(x, np.array([0, WIDTH, cells**2]), special_zero=True), np.array([0, 2, 1]))
    positions = _float(weights, "backbone.positions")
    x = ops.add(x, positions[None, 1:] + _float(weights, "backbone.patches.bias"))
    first = (_float(weights, "backbone.class_token") + positions[0]).reshape(1, 1, WIDTH)
    batch = ops.gather(ops.shape_of(x), np.array([0]), np.array(0))
    first = ops.broadcast(first, ops.concat([batch, np.array([1, WIDTH], np.int64)], 0))
    x = _norm(ops.concat([first, x], 1), weights, "backbone.norm_in")
    for layer in range(LAYERS):
        x = _block(x, weights, f"backbone.blocks.{layer}")
    x = _norm(x, weights, "backbone.norm_out")
    class_token = ops.gather(x, np.array(0), np.array(1))
    patches = ops.slice(x, np.array([1]), np.array([1 + cells**2]), np.array([1]), np.array([1]))
    pooled = ops.concat([ops.reduce_mean(patches, np.array([1]), keep_dims=False), class_token], 1)
    head = _float(weights, "frame_head.weight").reshape(-1)
    seen = ops.matmul(patches, head[:WIDTH, None], False, False)
    everywhere = ops.unsqueeze(ops.matmul(class_token, head[WIDTH:, None], False, False), np.array([1]))
    maps = ops.reshape(ops.add(seen, everywhere), np.array([0, cells, cells]), special_zero=True)
    return openvino.Model([pooled, maps], [picture], "clip_vit_b16")


def _block(x: openvino.Node, weights: Arrays, name: str) -> openvino.Node:
    qkv = _linear(_norm(x, weights, f"{name}.norm_1"), weights, f"{name}.qkv")
    parts = ops.reshape(qkv, np.array([0, 0, 3, HEADS, WIDTH // HEADS]), special_zero=True)
    parts = ops.split(ops.transpose(parts, np.array([2, 0, 3, 1, 4])), np.array(0), 3)
    query, key, value = (ops.squeeze(part, np.array([0])) for part in parts.outputs())
    seen = ops.scaled_dot_product_attention(query, key, value)
    seen = ops.reshape(ops.transpose(seen, np.array([0, 2, 1, 3])), np.array([0, 0, WIDTH]), special_zero=True)
    x = ops.add(x, _linear(seen, weights, f"{name}.project"))
    wide = _linear(_norm(x, weights, f"{name}.norm_2"), weights, f"{name}.expand")
    wide = ops.multiply(wide, ops.sigmoid(ops.multiply(wide, np.float32(GELU_SLOPE))))
    return ops.add(x, _linear(wide, weights, f"{name}.contract"))


def _norm(x: openvino.Node, weights: Arrays, name: str) -> openvino.Node:
    centred = ops.mvn(x, np.array([2]), True, EPSILON, "inside_sqrt")
    return ops.add(ops.multiply(centred, _float(weights, f"{name}.weight")), _float(weights, f"{name}.bias"))


def _linear(x: openvino.Node, weights: Arrays, name: str) -> openvino.Node:
    matrix = ops.convert(ops.constant(weights[f"{name}.weight"]), "f32")
    if f"{name}.weight{SCALE}" in weights:
        matrix = ops.multiply(matrix, _float(weights, f"{name}.weight{SCALE}")[:, None])
    return ops.add(ops.matmul(x, matrix, False, True), _float(weights, f"{name}.bias"))


def _float(weights: Arrays, name: str) -> NDArray[np.float32]:
    return np.asarray(weights[name], np.float32)
