"""The network that a run starts with, and what runs and releases have made of it."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from detector.model import Detector
from detector.release import CropShape, NetworkShape, load_release
from detector.training.teacher import load_detector


def start_of(folder: Path) -> dict[str, Tensor]:
    """The weights that a new run can start from: of a run's folder what it averaged, of a model folder all it holds.

    The temporal head is left out: it is trained after the frames. Raises OSError where there is neither, and
    DetectorError where a model's files are amiss.
    """
    if (folder / "checkpoint.pt").is_file():
        checkpoint = torch.load(folder / "checkpoint.pt", map_location="cpu", weights_only=True)
        state: dict[str, Tensor] = checkpoint["averaged"]
    else:
        state = load_detector(load_release(folder)).state_dict()
    return {name: value for name, value in state.items() if not name.startswith("temporal_head.")}


def load_averaged(
    folder: Path, backbone: Mapping[str, Tensor] | None, device: torch.device
) -> tuple[Detector, NetworkShape, CropShape]:
    """The averaged weights of the run in ``folder``, in evaluation mode, with the recipe's shapes.

    ``backbone`` is what the run started from, where it left parts of that as they were. Raises OSError when there is
    no checkpoint and ValueError when it is of another network.
    """
    state = torch.load(folder / "checkpoint.pt", map_location=device, weights_only=True)
    network, crop = NetworkShape(**state["network"]), CropShape(**state["crop"])
    model = new_model(network, backbone, device)
    load_tuned(model, state["averaged"], backbone is not None)
    model.eval()
    return model, network, crop


def new_model(network: NetworkShape, backbone: Mapping[str, Tensor] | None, device: torch.device) -> Detector:
    """A detector that starts from ``backbone`` and from a frame head that knows nothing."""
    model: Detector = Detector(network)
    if backbone is not None:
        model.backbone.load_state_dict(backbone)
    nn.init.zeros_(model.frame_head.weight)
    nn.init.zeros_(model.frame_head.bias)
    return model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def load_tuned(model: Detector, state: Mapping[str, Tensor], has_backbone: bool) -> None:
    """Put what a run has tuned into ``model``, whose backbone is given where ``has_backbone``.

    Raises ValueError where a weight is unknown, or is in neither.
    """
    odd = model.load_state_dict(state, strict=False)
    missing = [
        name
        for name in odd.missing_keys
        if not name.startswith("temporal_head.") and not (has_backbone and name.startswith("backbone."))
    ]
    if odd.unexpected_keys or missing:
        name = (odd.unexpected_keys or missing)[0]
        raise ValueError(f"the checkpoint is of another network, or --initial is missing: see the weight {name}")
