"""Reads a network in ncnn's format (a .param text and a .bin of weights) into torch, as far as super-resolution needs.

The text lists layers in order: type, name, number of inputs and of outputs, their names, then ``key=value`` where the
key numbers one of the layer's parameters. The weights lie in the same order; a convolution's are half precision behind
a four-byte mark and are padded to four bytes, its bias and everything else are single precision.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

MAGIC = "7767517"
HALF = 0x01306B47  # marks weights in half precision
LEAKY = 2  # of a convolution's fused activations

Apply = Callable[..., Tensor]


@dataclass(frozen=True)
class Layer:
    """One line of the text, ready to be applied to its inputs."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    apply: Apply | None  # None hands its one input to every output


class NcnnGraph:
    """Picture to picture: (N, 3, H, W) RGB between 0 and 1 to (N, 3, k H, k W)."""

    def __init__(self, text: str, weights: bytes) -> None:
        """Raises ValueError for what is no such network, or one with layers that are not known here."""
        lines = text.split("\n")
        if lines[0].strip() != MAGIC:
            raise ValueError("this is no network in ncnn's text format")
        reader = _Weights(weights)
        self._layers = [_layer(line.split(), reader) for line in lines[2:] if line.strip()]
        if reader.left:
            raise ValueError(f"{reader.left} bytes of weights belong to no layer; text and weights are of two networks")
        self._output = self._layers[-1].outputs[0]

    @torch.inference_mode()
    def __call__(self, x: Tensor) -> Tensor:
        values: dict[str, Tensor] = {self._layers[0].outputs[0]: x}
        for layer in self._layers[1:]:
            given = [values[name] for name in layer.inputs]
            for name in layer.outputs:
                values[name] = given[0] if layer.apply is None else layer.apply(*given)
        return values[self._output]


class _Weights:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def marked(self, count: int) -> Tensor:
        """Weights behind a mark that says how they are stored."""
        mark = int(self._take(1, "<u4")[0])
        if mark == HALF:
            values = self._take(count, "<f2").astype(np.float32)
            self._at += -self._at % 4
        elif mark == 0:
            values = self._take(count, "<f4").astype(np.float32)
        else:
            raise ValueError(f"weights stored in a way that is not known here ({mark:#x})")
        return torch.from_numpy(values)

    def plain(self, count: int) -> Tensor:
        return torch.from_numpy(self._take(count, "<f4").copy())

    def _take(self, count: int, kind: str) -> NDArray[Any]:
        size = count * np.dtype(kind).itemsize
        if size > self.left:
            raise ValueError("the weights end before the last layer; text and weights are of two networks")
        values = np.frombuffer(self._data, kind, count, self._at)
        self._at += size
        return values


def _layer(words: list[str], weights: _Weights) -> Layer:
    kind, (taken, given) = words[0], (int(words[2]), int(words[3]))
    names, rest = words[4 : 4 + taken + given], words[4 + taken + given :]
    settings = dict(word.split("=", 1) for word in rest)
    makers: dict[str, Callable[[dict[str, str], _Weights], Apply | None]] = {
        "Input": lambda settings, weights: None,
        "Split": lambda settings, weights: None,
        "Convolution": _convolution,
        "PReLU": _prelu,
        "Concat": lambda settings, weights: lambda *parts: torch.cat(parts, dim=1),
        "Eltwise": _sum,
        "BinaryOp": _sum,
        "Interp": _interpolation,
        "PixelShuffle": lambda settings, weights: lambda x: functional.pixel_shuffle(x, int(settings["0"])),
    }
    if kind not in makers:
        raise ValueError(f"a network with a layer of the kind {kind} is not known here")
    return Layer(tuple(names[:taken]), tuple(names[taken:]), makers[kind](settings, weights))


def _convolution(settings: dict[str, str], weights: _Weights) -> Apply:
    channels, side = int(settings["0"]), int(settings["1"])
    padding, count = int(settings.get("4", "0")), int(settings["6"])
    strange = set(settings) - {"0", "1", "4", "5", "6", "9", "-23310"}
    if strange or settings.get("5") != "1" or settings.get("9", "0") not in ("0", str(LEAKY)):
        raise ValueError("a network with a convolution of this kind is not known here")
    kernel = weights.marked(count).view(channels, -1, side, side).contiguous(memory_format=torch.channels_last)
    bias = weights.plain(channels)
    slope = float(settings["-23310"].split(",")[1]) if settings.get("9") == str(LEAKY) else None

    def apply(x: Tensor) -> Tensor:
        y = functional.conv2d(x, kernel, bias, padding=padding)
        return y if slope is None else functional.leaky_relu(y, slope)

    return apply


def _prelu(settings: dict[str, str], weights: _Weights) -> Apply:
    slopes = weights.plain(int(settings["0"]))
    return lambda x: functional.prelu(x, slopes.to(x.dtype))


def _sum(settings: dict[str, str], weights: _Weights) -> Apply:
    # Eltwise: 0 multiplies, 1 adds, with coefficients in -23301; BinaryOp: 0 (or nothing) adds.
    coefficients = [float(value) for value in settings.get("-23301", "2,1,1").split(",")[1:]]
    if ("-23301" in settings) != (settings.get("0") == "1"):
        raise ValueError("a network that joins layers in this way is not known here")
    return lambda a, b: a * coefficients[0] + b * coefficients[1]


def _interpolation(settings: dict[str, str], weights: _Weights) -> Apply:
    way = {"1": "nearest", "2": "bilinear", "3": "bicubic"}[settings["0"]]
    factor, aligned = float(settings["2"]), None if way == "nearest" else False
    return lambda x: functional.interpolate(x.float(), scale_factor=factor, mode=way, align_corners=aligned)
