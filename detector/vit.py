"""CLIP's image tower (Radford et al., ICML 2021) in torch: a vision transformer whose tokens serve as a feature map.

The class token is laid beside every patch token, so the heads that sit on a convolutional network's feature maps sit on
this one too: averaging over places gives the mean patch token and the class token, and the class activation map of a
linear head stays exact.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from detector.vit_shape import EPSILON, GELU_SLOPE, HEADS, LAYERS, PATCH, SIZE, WIDTH


class VisionTransformer(nn.Module):
    """(N, 3, 224, 224) -> (N, 1536, 14, 14): patch tokens, then the class token at every place."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = SIZE // PATCH
        self.patches = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.class_token = nn.Parameter(torch.zeros(WIDTH))
        self.positions = nn.Parameter(torch.zeros(1 + self.cells**2, WIDTH))
        self.norm_in = nn.LayerNorm(WIDTH, EPSILON)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm_out = nn.LayerNorm(WIDTH, EPSILON)

    def forward(self, x: Tensor, kept: Tensor | None = None) -> Tensor:
        """``kept``: (K,) indices of the patches to look at; the map is then (N, 1536, 1, K).

        Leaving patches out in training saves their cost (Li et al., CVPR 2023).
        """
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.positions[1:]
        side = (self.cells, self.cells)
        if kept is not None:
            tokens, side = tokens[:, kept], (1, len(kept))
        first = (self.class_token + self.positions[0]).expand(len(x), 1, -1)
        tokens = self.norm_in(torch.cat([first, tokens], dim=1))
        for block in self.blocks:
            tokens = block(tokens)
        tokens = self.norm_out(tokens).transpose(1, 2)
        places = tokens[:, :, 1:].unflatten(2, side)
        return torch.cat([places, tokens[:, :, :1, None].expand_as(places)], dim=1)


class Block(nn.Module):
    """Attention and a two-layer perceptron, each behind a layer norm and added to its input."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_1 = nn.LayerNorm(WIDTH, EPSILON)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.project = nn.Linear(WIDTH, WIDTH)
        self.norm_2 = nn.LayerNorm(WIDTH, EPSILON)
        self.expand = nn.Linear(WIDTH, 4 * WIDTH)
        self.contract = nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, tokens: Tensor) -> Tensor:
        batch, length, _ = tokens.shape
        qkv = self.qkv(self.norm_1(tokens)).view(batch, length, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        attended = _attended(qkv[0], qkv[1], qkv[2])
        tokens = tokens + self.project(attended.transpose(1, 2).reshape(batch, length, WIDTH))
        wide = self.expand(self.norm_2(tokens))
        return tokens + self.contract(wide * torch.sigmoid(GELU_SLOPE * wide))  # type: ignore[no-any-return]


def _attended(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Scaled dot-product attention; written out on a CPU, where torch's own takes three times as long backwards."""
    if query.device.type != "cpu":
        return functional.scaled_dot_product_attention(query, key, value)
    seen: Tensor = (query / query.shape[-1] ** 0.5) @ key.transpose(-1, -2)
    return seen.softmax(dim=-1) @ value
