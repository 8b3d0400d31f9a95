"""The network in torch: a backbone over aligned face crops, a linear head on every frame, an LSTM over frames.

Used for training, export and the parity test only; serving reads the same weights in inference.py without torch.

The design follows the widely used ResNeXt50 + LSTM detector, with two departures. A linear frame head sits directly on
the pooled features, so that its class activation map (Zhou et al., CVPR 2016) is exact: the mean of the map plus the
bias is the frame's logit. And the LSTM's sequence axis is time, so that early frames and their order matter.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from detector import torchvision_schemas
from detector.efficientnet import EfficientNetLite2
from detector.release import NetworkShape
from detector.vit import VisionTransformer

torchvision_schemas.declare_missing()

from torchvision.models import resnext50_32x4d  # noqa: E402 -- needs the schemas first

DEFAULT_SHAPE = NetworkShape(backbone="resnext50_32x4d", feature_channels=2048, projected=256, hidden=256, dropout=0.4)


def build_backbone(name: str) -> nn.Module:
    """The backbone without pooling and classifier: (N, 3, S, S) -> (N, C, s, s). Raises ValueError otherwise."""
    if name == "clip_vit_b16":
        return VisionTransformer()
    if name == "efficientnet_lite2":
        return EfficientNetLite2()
    if name != "resnext50_32x4d":
        raise ValueError(f"No backbone is called {name!r}; choose resnext50_32x4d, efficientnet_lite2 or clip_vit_b16.")
    whole = resnext50_32x4d(weights=None)
    parts = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
    backbone = nn.Sequential()
    for part in parts:
        backbone.add_module(part, getattr(whole, part))
    return backbone


@dataclass(frozen=True)
class Output:
    """What the network says about B tracks of T frames; label 1 is fake."""

    frame_logits: Tensor  # (B, T), meaningless where the mask is False
    maps: Tensor  # (B, T, s, s): mean over s*s plus the frame head's bias is the frame logit
    track_logits: Tensor  # (B, 2), for softmax: genuine, fake


class Detector(nn.Module):
    """Crops of face tracks to frame logits, maps and track logits."""

    def __init__(self, config: NetworkShape = DEFAULT_SHAPE) -> None:
        super().__init__()
        self.config = config
        self.backbone = build_backbone(self.config.backbone)
        self.frame_head = nn.Linear(self.config.feature_channels, 1)
        self.temporal_head = TemporalHead(self.config)

    def features(self, x: Tensor, kept: Tensor | None = None) -> Tensor:
        """(N, 3, S, S) normalised crops -> (N, C, s, s) feature maps; ``kept``: see vit.VisionTransformer."""
        return self.backbone(x) if kept is None else self.backbone(x, kept)  # type: ignore[no-any-return]

    def frame_maps(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, s, s) -> frame logits (N,) and class activation maps (N, s, s); mean(map) + bias == logit."""
        weight, bias = self.frame_head.weight[0], self.frame_head.bias
        maps = torch.einsum("nchw,c->nhw", features, weight)
        return maps.mean(dim=(1, 2)) + bias, maps

    def forward(self, x: Tensor, mask: Tensor) -> Output:
        """x: (B, T, 3, S, S), crops of one track per row in order of time; mask: (B, T), True where there is a crop.

        Every row needs at least one crop; rows are left-aligned (True first).
        """
        batch, length = mask.shape
        features = self.features(x.flatten(0, 1))
        logits, maps = self.frame_maps(features)
        pooled = features.mean(dim=(2, 3)).view(batch, length, -1)
        track_logits = self.temporal_head(pooled, mask)
        return Output(logits.view(batch, length), maps.view(batch, length, *maps.shape[1:]), track_logits)


class TemporalHead(nn.Module):
    """LSTM over the pooled features of one track; its last real hidden state decides."""

    def __init__(self, config: NetworkShape) -> None:
        super().__init__()
        self.project = nn.Linear(config.feature_channels, config.projected)
        self.lstm = nn.LSTM(config.projected, config.hidden, batch_first=True)
        self.hidden = nn.Linear(config.hidden, config.hidden)
        self.dropout = nn.Dropout(config.dropout)
        self.activation = nn.LeakyReLU(0.1)
        self.classify = nn.Linear(config.hidden, 2)

    def forward(self, pooled: Tensor, mask: Tensor) -> Tensor:
        """pooled: (B, T, C); mask: (B, T) left-aligned -> (B, 2) logits of genuine and fake."""
        states, _ = self.lstm(self.project(pooled))
        last = mask.sum(dim=1) - 1
        final = states[torch.arange(len(last), device=last.device), last]
        return self.classify(self.activation(self.dropout(self.hidden(final))))  # type: ignore[no-any-return]
