"""A released model as a teacher: its soft answers are what another network learns (Hinton et al., 2015)."""

import torch
from torch import Tensor
from torch.nn import functional

from detector import weights
from detector.model import Detector
from detector.release import Release
from detector.training.pairs import normalised


def load_detector(release: Release) -> Detector:
    """The network of ``release`` in torch, in evaluation mode. Raises DetectorError where files are amiss."""
    release.verify()
    model = Detector(release.network)
    arrays = dict(weights.SinglePrecision(weights.stored(release)))
    state = {name: torch.from_numpy(array) for name, array in arrays.items()}
    odd = model.load_state_dict(state, strict=False)
    missing = [name for name in odd.missing_keys if not name.endswith("num_batches_tracked")]
    if missing or odd.unexpected_keys:
        raise ValueError(f"{release.folder} does not hold the network that its model.toml names.")
    return model.eval()


class Teacher:
    """What a release says of crops that another network is trained on."""

    def __init__(self, release: Release, device: torch.device) -> None:
        self.crop = release.crop
        self.device = device
        self.model = load_detector(release).to(device).requires_grad_(False)

    @torch.no_grad()
    def fake(self, x: Tensor) -> Tensor:
        """(N, 3, S, S) uint8 crops of the teacher's shape -> (N,) probability of fake, not calibrated."""
        with torch.autocast(self.device.type, torch.bfloat16):
            features = self.model.features(normalised(x))
        return torch.sigmoid(self.model.frame_maps(features.float())[0])


def resized(x: Tensor, size: int) -> Tensor:
    """(N, 3, S, S) uint8 -> (N, 3, size, size) uint8, averaged over what a pixel covers."""
    if x.shape[-1] == size:
        return x
    small = functional.interpolate(x.float(), (size, size), mode="bilinear", antialias=True, align_corners=False)
    return small.round().clamp(0, 255).to(torch.uint8)
