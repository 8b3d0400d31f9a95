"""The numbers of EfficientNet-Lite2 (Tan and Le, ICML 2019; its Lite form), for torch and for OpenVINO.

Lite2 is EfficientNet-B0 with 1.1 times the channels and 1.2 times the blocks, without squeeze-and-excitation and with
ReLU6, so that it runs well on small processors. Stem, head and the two stages at the ends keep B0's size.
"""

from typing import NamedTuple


class Stage(NamedTuple):
    """Inverted residual blocks (Sandler et al., CVPR 2018) of one output width."""

    blocks: int
    kernel: int  # of the depthwise convolution, in pixels
    stride: int  # of the first block; the others have 1
    expansion: int  # of the channels inside a block
    channels: int  # that a block gives


STEM, HEAD = 32, 1280  # channels
STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(3, 3, 2, 6, 24),
    Stage(3, 5, 2, 6, 48),
    Stage(4, 3, 2, 6, 88),
    Stage(4, 5, 1, 6, 120),
    Stage(5, 5, 2, 6, 208),
    Stage(1, 3, 1, 6, 352),
)
EPSILON = 1e-3  # of the batch normalisations
MEAN, STD = 127.0, 128.0  # by which the network was trained to have pixels normalised, instead of by ImageNet's


def padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after a side of ``size`` places, as TensorFlow's SAME pads: the odd one comes after."""
    total = max(0, (-(-size // stride) - 1) * stride + kernel - size)
    return total // 2, total - total // 2
