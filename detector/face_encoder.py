"""face_recognition's encoder of who somebody is, run by OpenVINO: the same weights and the same answer, sooner.

dlib computes without a matrix library, 75 ms a face, and holds Python's lock meanwhile. Its network has 29 convolutions
in residual blocks (after He et al., CVPR 2016; dlib's dnn_face_recognition_ex.cpp); its weights are read from the file
that face_recognition brings along.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import dlib
import face_recognition
import face_recognition_models
import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset13 as ops

from detector.errors import DetectorError, ErrorCode
from detector.hands import ALONE, Hands
from detector.runtime import SmallGraph

SIDE = 150  # pixels of the aligned face
MEAN = np.array([122.782, 117.001, 104.298], np.float32).reshape(1, 3, 1, 1)  # of dlib's input layer, which
SCALE = 256.0  # then divides by this
STEM = 32  # channels
BLOCKS = (  # channels and stride of each residual block
    *((32, 1), (32, 1), (32, 1)),
    *((64, 2), (64, 1), (64, 1), (64, 1)),
    *((128, 2), (128, 1), (128, 1)),
    *((256, 2), (256, 1), (256, 1)),
    (256, 2),
)
ENCODING = 128
FULLY_CONNECTED = b"fc_2"
LAYERS = (*(b"con_4", b"affine_") * (1 + 2 * len(BLOCKS)), FULLY_CONNECTED)  # as the file names what has weights
TENSOR_VERSION = 2

Weights = Iterator[NDArray[np.float32]]

# face_recognition loads two networks of dlib with itself that nothing here uses: 30 MB of each process.
for _unused in ("face_encoder", "cnn_face_detector"):
    vars(face_recognition.api).pop(_unused, None)


def encodings(crops: Sequence[NDArray[np.uint8]], margin: float, hands: Hands = ALONE) -> NDArray[np.float32]:
    """face_recognition's description of who is in each of N aligned crops cut with ``margin``, (N, 128).

    Two encodings of one person lie within about 0.6 of each other (Euclidean). 7 ms each, after 100 for the first.
    Raises as a FaceEncoder does.
    """
    encoder = FaceEncoder()
    return np.stack(hands.map(lambda pixels: encoder.encode(_chip(pixels, margin)), crops))


def _chip(pixels: NDArray[np.uint8], margin: float) -> NDArray[np.uint8]:
    """The face in an aligned crop as the encoder wants it: turned and scaled by dlib's five points."""
    size = len(pixels)
    edge = round(size * (1 - 1 / margin) / 2)
    pixels = np.ascontiguousarray(pixels)
    inner = dlib.rectangle(edge, edge, size - edge, size - edge)
    points = face_recognition.api.pose_predictor_5_point(pixels, inner)
    return np.asarray(dlib.get_face_chip(pixels, points, size=SIDE), np.uint8)


class FaceEncoder:
    """The encoder, loaded: 50 MB and a tenth of a second, so do not keep it for the next video."""

    def __init__(self) -> None:
        """Raises DetectorError(MODEL_MISSING or MODEL_DAMAGED) where dlib's file is not there or not whole.

        A process in which it was so from the start has failed before: face_recognition reads it when it is imported.
        """
        path = Path(face_recognition_models.face_recognition_model_location())
        try:
            graph = build(read_weights(path))
        except FileNotFoundError as error:
            message = "The weights that tell people apart are missing; run `make setup` again."
            raise DetectorError(ErrorCode.MODEL_MISSING, message) from error
        except (OSError, ValueError, IndexError, RuntimeError) as error:
            message = "The weights that tell people apart cannot be read; run `make setup` again."
            raise DetectorError(ErrorCode.MODEL_DAMAGED, message) from error
        self._graph = SmallGraph(graph)

    def encode(self, face: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Who is in a (150, 150, 3) uint8 RGB face, cut by dlib.get_face_chip: (128,), what dlib's own encoder says.

        About 6 ms. Threads may call it at once.
        """
        (encoding,) = self._graph(np.ascontiguousarray(face)[None])
        return np.array(encoding, np.float32)


def build(weights: Weights) -> openvino.Model:
    """uint8 (N, 150, 150, 3) RGB -> (N, 128). ``weights`` come as in dlib's file, from the picture to the encoding."""
    picture = ops.parameter([-1, SIDE, SIDE, 3], np.uint8, name="faces")
    x = ops.transpose(ops.convert(picture, "f32"), np.array([0, 3, 1, 2]))
    x = ops.divide(ops.subtract(x, MEAN), np.float32(SCALE))
    x = ops.relu(_convolution(x.output(0), weights, STEM, 7, stride=2, padding=0))
    x = ops.max_pool(x, [2, 2], [1, 1], [0, 0], [0, 0], [3, 3]).output(0)
    for channels, stride in BLOCKS:
        x = _block(x, weights, channels, stride)
    pooled = ops.reduce_mean(x, np.array([2, 3]), keep_dims=False)
    matrix = next(weights).reshape(-1, ENCODING)
    return openvino.Model([ops.matmul(pooled, ops.constant(matrix), False, False)], [picture], "dlib_face_encoder")


def read_weights(path: Path) -> Weights:
    """The weights of each layer of dlib's network in ``path``, flat, in the order in which a picture meets them.

    Raises OSError, and ValueError or IndexError for a file that holds something else.
    """
    stored, at = path.read_bytes(), 0
    for name in LAYERS:
        at = stored.index(name, at) + len(name)
        if name == FULLY_CONNECTED:
            for _ in range(2):  # how many go out, and in
                _, at = _integer(stored, at)
        version, at = _integer(stored, at)
        count = 1
        for _ in range(4):
            side, at = _integer(stored, at)
            count *= side
        if version != TENSOR_VERSION or 4 * count > len(stored) - at:
            raise ValueError(f"no whole tensor of version {TENSOR_VERSION} follows {name!r} in {path}")
        yield np.frombuffer(stored, "<f4", count, at)
        at += 4 * count


def _integer(stored: bytes, at: int) -> tuple[int, int]:
    """An integer as dlib writes it, its number of bytes first; with the place behind it."""
    end = at + 1 + (stored[at] & 0x0F)
    return int.from_bytes(stored[at + 1 : end], "little"), end


def _block(x: openvino.Output, weights: Weights, channels: int, stride: int) -> openvino.Output:
    """Two convolutions beside what came in, halved where they halve; whatever is smaller is filled up with zeros."""
    y = ops.relu(_convolution(x, weights, channels, 3, stride, padding=1 if stride == 1 else 0)).output(0)
    y = _convolution(y, weights, channels, 3, stride=1, padding=1)
    if stride > 1:
        x = ops.avg_pool(x, [stride, stride], [0, 0], [0, 0], [stride, stride], exclude_pad=True).output(0)
    shape = [max(one, other) for one, other in zip(_shape(x), _shape(y), strict=True)]
    return ops.relu(ops.add(_filled(x, shape), _filled(y, shape))).output(0)


def _convolution(
    x: openvino.Output, weights: Weights, channels: int, side: int, stride: int, padding: int
) -> openvino.Output:
    """With the affine layer behind it multiplied in."""
    own, affine = next(weights), next(weights)
    kernel, bias = own[:-channels].reshape(channels, _shape(x)[0], side, side), own[-channels:]
    scale, offset = affine.reshape(2, channels)
    kernel = kernel * scale[:, None, None, None]
    places = [stride, stride], [padding, padding], [padding, padding], [1, 1]
    moved = (bias * scale + offset).reshape(1, channels, 1, 1)
    return ops.add(ops.convolution(x, ops.constant(kernel), *places), moved).output(0)


def _shape(x: openvino.Output) -> list[int]:
    """Channels, height, width."""
    return [x.get_partial_shape()[axis].get_length() for axis in (1, 2, 3)]


def _filled(x: openvino.Output, shape: list[int]) -> openvino.Output:
    missing = [wanted - side for wanted, side in zip(shape, _shape(x), strict=True)]
    if not any(missing):
        return x
    return ops.pad(x, np.zeros(4, np.int64), np.array([0, *missing]), "constant", np.float32(0)).output(0)
