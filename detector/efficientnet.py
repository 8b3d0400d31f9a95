"""EfficientNet-Lite2 (efficientnet_shape.py) in torch, without pooling and classifier."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from detector import imagenet
from detector.efficientnet_shape import EPSILON, HEAD, MEAN, STAGES, STD, STEM, Stage, padding


class EfficientNetLite2(nn.Module):
    """(N, 3, S, S), normalised as ImageNet is -> (N, 1280, S / 32, S / 32)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Convolution(3, STEM, 3, stride=2)
        self.blocks = nn.ModuleList()
        channels = STEM
        for stage in STAGES:
            for index in range(stage.blocks):
                self.blocks.append(InvertedResidual(channels, stage, stage.stride if index == 0 else 1))
                channels = stage.channels
        self.head = Convolution(channels, HEAD, 1)

    def forward(self, x: Tensor) -> Tensor:
        mean, std = (x.new_tensor(values).view(1, 3, 1, 1) for values in (imagenet.MEAN, imagenet.STD))
        x = ((x * std + mean) * 255 - MEAN) / STD
        x = functional.relu6(self.stem(x))
        for block in self.blocks:
            x = block(x)
        return functional.relu6(self.head(x))


class InvertedResidual(nn.Module):
    """Widen, convolve every channel by itself, narrow; added to the input where the shapes are the same."""

    def __init__(self, in_channels: int, stage: Stage, stride: int) -> None:
        super().__init__()
        channels = in_channels * stage.expansion
        self.expand = Convolution(in_channels, channels, 1) if stage.expansion > 1 else None
        self.depthwise = Convolution(channels, channels, stage.kernel, stride, groups=channels)
        self.project = Convolution(channels, stage.channels, 1)
        self.is_residual = stride == 1 and in_channels == stage.channels

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else functional.relu6(self.expand(x))
        y = self.project(functional.relu6(self.depthwise(y)))
        return x + y if self.is_residual else y  # type: ignore[no-any-return]


class Convolution(nn.Module):
    """A convolution without bias, padded as TensorFlow pads, and its batch normalisation."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.convolution = nn.Conv2d(in_channels, out_channels, kernel, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(out_channels, EPSILON, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = (padding(side, self.kernel, self.stride) for side in x.shape[2:])
        if self.kernel > 1:
            x = functional.pad(x, (*columns, *rows))
        # On a CPU a depthwise convolution's gradient takes two to six times as long in bfloat16 (torch 2.13).
        is_single = self.convolution.groups > 1 and x.device.type == "cpu"
        with torch.autocast(x.device.type, enabled=not is_single and torch.is_autocast_enabled(x.device.type)):
            x = self.convolution(x.float() if is_single else x)
        return self.norm(x)  # type: ignore[no-any-return]
