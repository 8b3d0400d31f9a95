"""Serves a network in int8: products of eight-bit numbers, summed exactly, of which a processor does four at a time.

A model that can be served so says how in INT8, a file in its folder, which `python -m detector.training quantise`
writes. A transformer whose matrices are int8 already needs the size of the groups in which its activations are rounded
as they come (`group`). A convolutional network needs, for every convolution, the value up to which what enters it is
told apart (`bounds`); its kernels get one scale for each channel that they make. Both are quantisation after training,
as in Jacob et al. (CVPR 2018).
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

    group: int = 0  # neighbouring activations that share a scale, in matrix products; 0: none are rounded
    bounds: Mapping[str, float] = field(default_factory=dict)  # by a convolution's name, above 0


def read_plan(folder: Path) -> Plan:
    """What the INT8 file in ``folder`` says. Raises OSError where there is none, and ValueError for another shape."""
    values = json.loads((folder / INT8).read_text(encoding="utf-8"))
    try:
        plan = Plan(int(values.get("group", 0)), {str(name): float(top) for name, top in values["bounds"].items()})
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{folder / INT8} does not say how the model is served in int8") from error
    if plan.group < 0 or not all(0 < top < float("inf") for top in plan.bounds.values()):
        raise ValueError(f"{folder / INT8} holds a group below 0, or a bound that is not above 0")
    return plan


def write_plan(folder: Path, plan: Plan) -> None:
    """Write INT8; the folder's checksums are the caller's."""
    values = {"group": plan.group, "bounds": dict(plan.bounds)}
    (folder / INT8).write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def entering(graph: openvino.Model) -> dict[str, openvino.Output]:
    """What enters the named convolutions of ``graph``, by their names."""
    return {node.get_friendly_name(): node.input_value(0) for node in _convolutions(graph)}


def quantise(graph: openvino.Model, bounds: Mapping[str, float]) -> None:
    """Mark in ``graph``, in place, what is rounded to eight bits; compiling it makes int8 of that.

    Raises ValueError where ``bounds`` are not those of its convolutions.
    """
    nodes = list(_convolutions(graph))
    if {node.get_friendly_name() for node in nodes} != set(bounds):
        raise ValueError("The bounds for int8 are of another network.")
    for node in nodes:
        top = np.float32(bounds[node.get_friendly_name()])
        node.input(0).replace_source_output(rounded(node.input_value(0), np.float32(0), top, LEVELS))
        kernel = node.input_value(1)
        values = np.abs(kernel.get_node().data)
        grouped = node.get_type_name() == "GroupConvolution"  # (G, C / G, …) instead of (C, …)
        most = np.maximum(values.max(axis=tuple(range(1 + grouped, values.ndim)), keepdims=True), np.float32(1e-8))
        node.input(1).replace_source_output(rounded(kernel, -most, most))


def _convolutions(graph: openvino.Model) -> Iterator[openvino.Node]:
    """Those that the graph's builder has given a name with a dot, as weights have."""
    for node in graph.get_ordered_ops():
        if node.get_type_name() in {"Convolution", "GroupConvolution"} and "." in node.get_friendly_name():
            yield node


def rounded(
    x: openvino.Output,
    least: NDArray[np.float32] | np.float32,
    most: NDArray[np.float32] | np.float32,
    levels: int = LEVELS - 1,
) -> openvino.Output:
    """``x`` at ``levels`` steps from ``least`` to ``most``, both arrays that fit to its shape; beyond is cut off."""
    low, high = ops.constant(least), ops.constant(most)
    return ops.fake_quantize(x, low, high, low, high, levels).output(0)
