"""What an analysis must cost at least here: frames that must be decoded, and multiplications that must be made.

Both are held against this machine's own rates, measured with the same libraries, threads and precision and nothing
else in between. A floor says nothing of faces to be found or pictures to be drawn.
"""

import bisect
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any

import av
import numpy as np
import openvino
from av.video.stream import VideoStream
from openvino import opset13 as ops

from detector import inference, int8, release, sampling, video, weights
from detector.bench.measure import rounded
from detector.hands import cores
from detector.precision import HINTS, Precision, available
from detector.runtime import core
from detector.stream import MAX_THREADS

DECODED_FRAMES = 300  # from which the decoder's rate is taken, at most
MATRIX_SIDE = 2048
SPREAD = np.float32(4)  # standard deviations of a factor, beyond which int8 cuts off
MULTIPLYING_S = 1.0  # on the clock, at least
SLICE_TYPES = (1, 5)  # of a NAL unit in H.264


@dataclass(frozen=True)
class Packet:
    """One coded frame."""

    time_s: float
    is_key: bool
    is_reference: bool  # whether others may need it


def measure(path: Path, frames: int, model: Path | None, precision: str = Precision.FLOAT32) -> dict[str, Any]:
    """What ``crops_floor`` and the reader need: counts for this video and model, and the machine's rates."""
    chosen = release.load_release(model) if model else release.default_release()
    info = video.probe(path)
    tolerance_s = 0.5 / info.frame_rate if info.frame_rate > 0 else 0.0
    packets = _packets(path)
    return {
        "frames_in_video": len(packets),
        "frames_to_decode": frames_to_decode(packets, info.duration_s, frames, tolerance_s),
        "decoded_frame": _decoding(path),
        "multiply_adds_per_crop": multiply_adds(chosen),
        "billion_multiply_adds": _multiplying(available(Precision(precision), chosen)),
    }


def of_run(measured: dict[str, Any], crops: int, warm: dict[str, float]) -> dict[str, Any]:
    """The floor of an analysis that judged ``crops`` crops, and how many times that the ``warm`` one took."""
    decode = {unit: value * measured["frames_to_decode"] for unit, value in measured["decoded_frame"].items()}
    billions = crops * measured["multiply_adds_per_crop"] / 1e9
    network = {unit: value * billions for unit, value in measured["billion_multiply_adds"].items()}
    whole = {unit: decode[unit] + network[unit] for unit in decode}
    return {
        **measured,
        "decode": rounded(**decode),
        "network": rounded(**network),
        **rounded(**whole),
        "times_floor": {unit: round(warm[unit] / whole[unit], 2) if whole[unit] else None for unit in whole},
    }


def frames_to_decode(packets: Sequence[Packet], duration_s: float, count: int, tolerance_s: float) -> int:
    """Of ``packets`` in the order of decoding: the frames wanted, and those from the last key frame on that they need.

    Wanted is what ``sampling.sample`` takes: for each of ``count`` equal parts of the video the first frame at or after
    its middle, or a key frame nearby. Frames that no other needs are counted only where they are wanted.
    """
    gap_s = duration_s / count
    keys = [place for place, packet in enumerate(packets) if packet.is_key]
    shown = sorted((packet.time_s, place) for place, packet in enumerate(packets))
    needed: set[int] = set()
    for target_s in ((index + 0.5) * gap_s for index in range(count)):
        near = [(abs(packets[key].time_s - target_s), key) for key in keys] if gap_s > sampling.SEEK_BEYOND_S else []
        distance_s, nearest = min(near, default=(math.inf, -1))
        if distance_s <= sampling.EASE * gap_s:
            needed.add(nearest)
            continue
        found = bisect.bisect_left(shown, (target_s - min(tolerance_s, gap_s), -1))
        if found == len(shown):
            continue
        wanted_s, wanted = shown[found]
        place = wanted
        while place > 0 and not (packets[place].is_key and packets[place].time_s <= wanted_s):
            place -= 1
        needed |= {other for other in range(place, wanted + 1) if packets[other].is_reference or other == wanted}
    return len(needed)


def multiply_adds(chosen: release.Release) -> int:
    """Of one crop through the backbone of that model."""
    graph = inference.build_graph(chosen, weights.stored(chosen))
    side = chosen.crop.size
    graph.reshape([1, side, side, 3])
    return sum(_of_operation(operation) for operation in graph.get_ops())


def _of_operation(operation: Any) -> int:
    if operation.get_type_name() not in ("Convolution", "GroupConvolution", "MatMul", "ScaledDotProductAttention"):
        return 0
    made: int = prod(operation.output(0).shape)
    shapes: list[list[int]] = [list(value.shape) for value in operation.input_values()]
    first, second = shapes[:2]
    match operation.get_type_name():
        case "Convolution":  # kernel: (out, in, height, width)
            return made * prod(second[1:])
        case "GroupConvolution":  # kernel: (groups, out, in, height, width)
            return made * prod(second[2:])
        case "MatMul":
            return made * first[-2 if operation.get_attributes()["transpose_a"] else -1]
        case _:  # attention: query by key, then by values, all (..., places, width)
            return prod(first[:-1]) * second[-2] * (first[-1] + shapes[2][-1])


def _multiplying(precision: Precision) -> dict[str, float]:
    """Seconds for a billion multiply-adds: a large product of matrices, on all cores."""
    left = np.random.default_rng(2).standard_normal((MATRIX_SIDE, MATRIX_SIDE), np.float32)
    compiled = _product(precision)
    compiled([left])
    begun, cpu_s, rounds = time.perf_counter(), time.process_time(), 0
    while rounds < 2 or time.perf_counter() - begun < MULTIPLYING_S:
        compiled([left])
        rounds += 1
    billions = rounds * MATRIX_SIDE**3 / 1e9
    return {
        "wall_s": (time.perf_counter() - begun) / billions,
        "cpu_s": (time.process_time() - cpu_s) / billions,
    }


def _product(precision: Precision) -> openvino.CompiledModel:
    """What multiplies a (MATRIX_SIDE, MATRIX_SIDE) matrix by another one, in ``precision``."""
    right = np.random.default_rng(1).standard_normal((MATRIX_SIDE, MATRIX_SIDE), np.float32)
    x = ops.parameter([MATRIX_SIDE, MATRIX_SIDE], np.float32)
    factors = x, ops.constant(right)
    if precision is Precision.INT8:
        factors = (
            int8.fake_quantized(x.output(0), -SPREAD, SPREAD),
            int8.fake_quantized(factors[1].output(0), -SPREAD, SPREAD),
        )
    graph = openvino.Model([ops.matmul(*factors, False, True)], [x])
    options = {"INFERENCE_NUM_THREADS": cores(), "INFERENCE_PRECISION_HINT": HINTS[precision]}
    return core().compile_model(graph, "CPU", options)


def _decoding(path: Path) -> dict[str, float]:
    """Seconds for one frame, decoded in threads one after another from the beginning."""
    begun, cpu_s = time.perf_counter(), time.process_time()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = min(MAX_THREADS, cores())
        frames = sum(1 for _ in islice(container.decode(stream), DECODED_FRAMES))
    return {
        "wall_s": (time.perf_counter() - begun) / max(1, frames),
        "cpu_s": (time.process_time() - cpu_s) / max(1, frames),
    }


def _packets(path: Path) -> list[Packet]:
    """The coded frames of the first video stream, in the order of decoding; frames without a time are left out."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        base, start = float(stream.time_base or 0), stream.start_time or 0
        length = _length_bytes(stream)
        return [
            Packet((packet.pts - start) * base, packet.is_keyframe, _is_reference(bytes(packet), length))
            for packet in container.demux(stream)
            if packet.pts is not None and packet.size
        ]


def _length_bytes(stream: VideoStream) -> int:
    """Of the lengths before the NAL units of H.264 as MP4 and Matroska hold it; 0 for anything else."""
    configuration = bytes(stream.codec_context.extradata or b"")
    is_measured = stream.codec_context.name == "h264" and len(configuration) > 4 and configuration[0] == 1
    return (configuration[4] & 3) + 1 if is_measured else 0


def _is_reference(coded: bytes, length_bytes: int) -> bool:
    """Whether another frame may refer to this one; True wherever that cannot be told.

    H.264 says so in the first slice's header: nal_ref_idc is not 0.
    """
    place = 0
    while length_bytes and place + length_bytes < len(coded):
        header = coded[place + length_bytes]
        if header & 31 in SLICE_TYPES:
            return bool(header >> 5 & 3)
        place += length_bytes + int.from_bytes(coded[place : place + length_bytes])
    return True
