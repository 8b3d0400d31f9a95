"""EfficientNet-Lite2 (efficientnet_shape.py) in torch, without pooling and classifier."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from detector.efficientnet_shape import CENTRE, EPSILON, HEAD, SPAN, STAGES, STEM, Stage, padding

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class EfficientNetLite2(nn.Module):
    """(N, 3, S, S), normalised as ImageNet is -> (N, 1280, S / 32, S / 32)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Convolution(3, STEM, 3, stride=2)
        self.blocks = nn.ModuleList()
        width = STEM
        for stage in STAGES:
            for index in range(stage.blocks):
                self.blocks.append(Block(width, stage, stage.stride if index == 0 else 1))
                width = stage.channels
        self.head = Convolution(width, HEAD, 1)

    def forward(self, x: Tensor) -> Tensor:
        mean, std = (x.new_tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
        x = ((x * std + mean) * 255 - CENTRE) / SPAN
        x = functional.relu6(self.stem(x))
        for block in self.blocks:
            x = block(x)
        return functional.relu6(self.head(x))


class Block(nn.Module):
    """Widen, look around in every channel by itself, narrow; added to the input where the shapes are the same."""

    def __init__(self, taken: int, stage: Stage, stride: int) -> None:
        super().__init__()
        width = taken * stage.expansion
        self.expand = Convolution(taken, width, 1) if stage.expansion > 1 else None
        self.depthwise = Convolution(width, width, stage.kernel, stride, groups=width)
        self.project = Convolution(width, stage.channels, 1)
        self.added = stride == 1 and taken == stage.channels

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else functional.relu6(self.expand(x))
        y = self.project(functional.relu6(self.depthwise(y)))
        return x + y if self.added else y  # type: ignore[no-any-return]


class Convolution(nn.Module):
    """A convolution without bias, padded as TensorFlow pads, and its batch normalisation."""

    def __init__(self, taken: int, given: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.convolution = nn.Conv2d(taken, given, kernel, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(given, EPSILON, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = (padding(side, self.kernel, self.stride) for side in x.shape[2:])
        if self.kernel > 1:
            x = functional.pad(x, (*columns, *rows))
        # A processor without bfloat16 for depthwise convolutions takes many times as long in it as in single precision.
        alone = self.convolution.groups > 1 and x.device.type == "cpu"
        with torch.autocast(x.device.type, enabled=not alone and torch.is_autocast_enabled(x.device.type)):
            x = self.convolution(x.float() if alone else x)
        return self.norm(x)  # type: ignore[no-any-return]
