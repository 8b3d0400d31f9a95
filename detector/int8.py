"""Serves a network in int8: products of eight-bit numbers, summed exactly, of which a processor does four at a time.

A model that can be served so says how in INT8, a file in its folder, which `python -m detector.training quantise`
writes. A transformer whose matrices are int8 already needs the size of the groups in which its activations are rounded
as they come (`group_size`). A convolutional network needs, for every convolution, the value up to which what enters it
is told apart (`activation_ranges`); its kernels get one scale for each channel that they make. Both are quantisation
after training, as in Jacob et al. (CVPR 2018). The first convolution, attention, norms and the heads stay single.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset13 as ops

from detector.release import INT8

LEVELS = 256  # of what enters a convolution, from 0 on; a kernel has one fewer, so that it is symmetrical


@dataclass(frozen=True)
class Plan:
    """How one model is served in int8."""

    group_size: int = 0  # neighbouring activations that share a scale, in matrix products
    activation_ranges: Mapping[str, float] = field(default_factory=dict)  # from 0 to this, by a convolution's name


def read_plan(folder: Path) -> Plan:
    """What the INT8 file in ``folder`` says. Raises OSError where there is none, and ValueError for another shape."""
    values = json.loads((folder / INT8).read_text(encoding="utf-8"))
    match values:
        case {"group_size": int(size)} if len(values) == 1 and size > 0:
            return Plan(group_size=size)
        case {"activation_ranges": dict(ranges)} if (
            len(values) == 1 and ranges and all(map(_is_range, ranges.values()))
        ):
            return Plan(activation_ranges=ranges)
    raise ValueError(f"{folder / INT8} does not say how the model is served in int8")


def write_plan(folder: Path, plan: Plan) -> None:
    """Write INT8; the folder's checksums are the caller's."""
    values = {"group_size": plan.group_size} if plan.group_size else {"activation_ranges": {**plan.activation_ranges}}
    (folder / INT8).write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def _is_range(top: object) -> bool:
    return isinstance(top, float) and 0 < top < float("inf")


def convolution_inputs(graph: openvino.Model) -> dict[str, openvino.Output]:
    """What enters the named convolutions of ``graph``, by their names."""
    return {node.get_friendly_name(): node.input_value(0) for node in _convolutions(graph)}


def insert_fake_quantization(graph: openvino.Model, activation_ranges: Mapping[str, float]) -> None:
    """Mark in ``graph``, in place, what is rounded to eight bits; compiling it makes int8 of that.

    Raises ValueError where ``activation_ranges`` are not those of its convolutions.
    """
    nodes = list(_convolutions(graph))
    if {node.get_friendly_name() for node in nodes} != set(activation_ranges):
        raise ValueError("The activation ranges for int8 are of another network.")
    for node in nodes:
        top = np.float32(activation_ranges[node.get_friendly_name()])
        node.input(0).replace_source_output(fake_quantized(node.input_value(0), np.float32(0), top, LEVELS))
        kernel = node.input_value(1)
        values = np.abs(kernel.get_node().data)
        grouped = node.get_type_name() == "GroupConvolution"  # (G, C / G, …) instead of (C, …)
        most = np.maximum(values.max(axis=tuple(range(1 + grouped, values.ndim)), keepdims=True), np.float32(1e-8))
        node.input(1).replace_source_output(fake_quantized(kernel, -most, most))


def _convolutions(graph: openvino.Model) -> Iterator[openvino.Node]:
    """Those that the graph's builder has given a name with a dot, as weights have."""
    for node in graph.get_ordered_ops():
        if node.get_type_name() in {"Convolution", "GroupConvolution"} and "." in node.get_friendly_name():
            yield node


def fake_quantized(
    x: openvino.Output,
    least: NDArray[np.float32] | np.float32,
    most: NDArray[np.float32] | np.float32,
    levels: int = LEVELS - 1,
) -> openvino.Output:
    """``x`` at ``levels`` steps from ``least`` to ``most``, both arrays that fit to its shape; beyond is cut off."""
    low, high = ops.constant(least), ops.constant(most)
    return ops.fake_quantize(x, low, high, low, high, levels).output(0)
