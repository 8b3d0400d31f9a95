"""The network served: crops to frame logits, class activation maps and track logits, on a CPU without torch.

The backbone runs in OpenVINO in the precision that is asked for (precision.py); at single precision a machine with
other instructions gives the same answer up to rounding. The temporal head is a few matrix products in NumPy. Both read
the same safetensors weights as model.py.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import openvino
from numpy.typing import NDArray
from safetensors import SafetensorError

from detector import efficientnet_graph, int8, memoryless, resnext, vit_graph, weights
from detector.errors import DetectorError, ErrorCode
from detector.hands import cores
from detector.logistic import sigmoid
from detector.precision import HINTS, Precision, available
from detector.release import Release
from detector.runtime import core

BATCH = 2  # as fast as more, in less memory
LEAKY_SLOPE = 0.1  # of model.TemporalHead


@dataclass(frozen=True)
class FrameOutput:
    """What the backbone and the frame head say about N crops."""

    logits: NDArray[np.float32]  # (N,); positive means fake
    maps: NDArray[np.float32]  # (N, s, s); mean(map) + bias == logit, unless the head has an imported checkpoint's form
    pooled: NDArray[np.float32]  # (N, C)


class Network:
    """A release's network, ready to judge. Not to be shared between threads or carried over a fork."""

    def __init__(self, release: Release, threads: int | None = None, precision: Precision = Precision.FLOAT32) -> None:
        """Read and check the weights, compile the graph: about half a second. Raises DetectorError(MODEL_...).

        ``precision`` is what to compute in where the processor and the release can; the attribute says what it is.
        """
        release.verify()
        self.release = release
        self.threads = threads or cores()
        self.precision = available(precision, release)
        group_size = 0
        try:
            arrays = weights.stored(release)
            graph = build_graph(release, arrays)
            if self.precision is Precision.INT8:
                plan = int8.read_plan(release.folder)
                int8.insert_fake_quantization(graph, plan.activation_ranges)
                group_size = plan.group_size
            heads = {name: array for name, array in arrays.items() if not name.startswith(weights.BACKBONE)}
            self._heads = dict(weights.SinglePrecision(heads))
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise DetectorError(
                ErrorCode.MODEL_DAMAGED,
                f"The weights of {release.name} {release.version} cannot be read; install Unmask again.",
            ) from error
        options = {
            "INFERENCE_NUM_THREADS": self.threads,
            "INFERENCE_PRECISION_HINT": HINTS[self.precision],
            "ENABLE_CPU_PINNING": False,  # else two processes with a thread each share the first core
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": group_size,  # 0: activations as they are, beside weights in int8 too
        }
        self._compiled = core().compile_model(graph, "CPU", options)
        self._temporal = {name.removeprefix("temporal_head."): array for name, array in self._heads.items()}

    @property
    def frame_bias(self) -> float:
        """The frame head's bias: what is left of a frame's logit where its map is zero."""
        return float(self._heads["frame_head.bias"][0])

    def frames(self, crops: NDArray[np.uint8], on_batch: Callable[[int], None] | None = None) -> FrameOutput:
        """crops: (N, S, S, 3) uint8 RGB cut with the release's crop shape; N may be 0.

        ``on_batch`` hears how many crops are done, after each batch of BATCH.
        """
        side = self.release.crop.size
        if crops.shape[1:] != (side, side, 3):
            raise ValueError(f"Crops must be (N, {side}, {side}, 3), not {crops.shape}.")
        pooled, maps = [], []
        crops = in_trained_order(crops, self.release)
        for start in range(0, len(crops), BATCH):
            outputs = self._compiled(np.ascontiguousarray(crops[start : start + BATCH]))
            pooled.append(np.array(outputs[0], np.float32))
            maps.append(np.array(outputs[1], np.float32))
            if on_batch is not None:
                on_batch(min(start + BATCH, len(crops)))
        if not pooled:
            cells = self._compiled.output(1).partial_shape[1].get_length()
            channels = self.release.network.feature_channels
            empty = np.zeros((0, cells, cells), np.float32)
            return FrameOutput(np.zeros(0, np.float32), empty, np.zeros((0, channels), np.float32))
        all_maps, features = np.concatenate(maps), np.concatenate(pooled)
        if self.release.network.recurrence in memoryless.RECURRENCES:
            return FrameOutput(memoryless.frame_logits(features, self._temporal), all_maps, features)
        logits = all_maps.mean(axis=(1, 2)) + self.frame_bias
        return FrameOutput(logits.astype(np.float32), all_maps, features)

    def track_logit(self, pooled: NDArray[np.float32]) -> float:
        """The temporal head on one track's (T, C) features in order of time, T >= 1: logit of fake against genuine.

        A track longer than the release's window is judged in consecutive windows of nearly equal length, so that the
        answer does not depend on how far the recurrence carries; their logits are averaged.
        """
        if not len(pooled):
            raise ValueError("A track needs at least one crop.")
        recurrence = self.release.network.recurrence
        if recurrence in memoryless.RECURRENCES:
            return memoryless.track_logit(pooled, self._temporal, recurrence)
        parts = np.array_split(pooled, -(-len(pooled) // self.release.decision.window))
        return float(np.mean([self._window_logit(part) for part in parts]))

    def _window_logit(self, pooled: NDArray[np.float32]) -> float:
        head = self._temporal
        inputs = pooled @ head["project.weight"].T + head["project.bias"]
        inputs = inputs @ head["lstm.weight_ih_l0"].T + head["lstm.bias_ih_l0"] + head["lstm.bias_hh_l0"]
        hidden = cell = np.zeros(self.release.network.hidden, np.float32)
        for step in inputs:
            gates = step + head["lstm.weight_hh_l0"] @ hidden
            enter, forget, candidate, leave = np.split(gates, 4)
            cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(candidate)
            hidden = sigmoid(leave) * np.tanh(cell)
        middle = head["hidden.weight"] @ hidden + head["hidden.bias"]
        middle = np.where(middle > 0, middle, LEAKY_SLOPE * middle)
        genuine, fake = head["classify.weight"] @ middle + head["classify.bias"]
        return float(fake - genuine)


def in_trained_order(crops: NDArray[np.uint8], release: Release) -> NDArray[np.uint8]:
    """RGB crops (N, S, S, 3) with their channels in the order that the weights of ``release`` were trained with."""
    return crops[..., ::-1] if release.network.colours == "bgr" else crops


def load_network(release: Release, threads: int | None = None, precision: Precision = Precision.FLOAT32) -> Network:
    """The network of ``release`` on ``threads`` cores (all by default). Slow: keep it and use it for many videos."""
    return Network(release, threads, precision)


def build_graph(release: Release, arrays: weights.Arrays) -> openvino.Model:
    shape = release.network
    if shape.recurrence not in ("lstm", *memoryless.RECURRENCES) or shape.colours not in ("rgb", "bgr"):
        raise ValueError(f"no network has the recurrence {shape.recurrence} and the colours {shape.colours}")
    match release.network.backbone:
        case "resnext50_32x4d":
            return resnext.build(weights.SinglePrecision(arrays), release.crop.size)
        case "efficientnet_lite2":
            return efficientnet_graph.build(weights.SinglePrecision(arrays), release.crop.size)
        case "clip_vit_b16":
            return vit_graph.build(arrays, release.crop.size)
        case other:
            raise ValueError(f"no backbone is called {other}")
