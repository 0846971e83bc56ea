"""Several backbones fused into one network: each gets the same pixels, one head gets all embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.engine.backbones import load_backbone
from core.engine.backbones.heads import head_layer, without_head
from core.engine.model import Model, Preprocessing

LUMINANCE = (0.299, 0.587, 0.114)  # as core.engine.data.augment


@dataclass(frozen=True)
class Part:
    """One backbone of a fused network: its name and width as in Model, and its preprocessing."""

    backbone: str
    width: int
    preprocessing: Preprocessing

    @property
    def title(self) -> str:
        """The backbone and its image size in pixels."""
        return f"{self.backbone}@{self.preprocessing.size}"


class Branch(nn.Module):
    """Maps pixels from 0 to 1, [N, 1 or 3, S, S], to one backbone's embedding [N, D]; it includes preprocessing."""

    mean: Tensor
    std: Tensor

    def __init__(self, net: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.net = net
        self.side, self.size, self.channels = preprocessing.side, preprocessing.size, preprocessing.channels
        self.register_buffer("mean", torch.tensor(preprocessing.mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(preprocessing.std).view(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] != self.side:
            x = F.interpolate(x, size=(self.side, self.side), mode="bilinear", antialias=True)
        if self.side != self.size:
            first = round((self.side - self.size) / 2)
            x = x[..., first : first + self.size, first : first + self.size]
        if self.channels > x.shape[1]:
            x = x.expand(-1, self.channels, -1, -1)
        elif self.channels < x.shape[1]:
            weights = torch.tensor(LUMINANCE, device=x.device, dtype=x.dtype).view(1, 3, 1, 1)
            x = (x * weights).sum(1, keepdim=True)
        embedding: Tensor = self.net((x - self.mean) / self.std)
        return embedding


class Fused(nn.Module):
    """`nets` without heads, one for each of `parts`, with embeddings of `widths`; maps [N, 1 or 3, S, S] to
    [N, classes]."""

    def __init__(self, parts: Sequence[Part], nets: Sequence[nn.Module], widths: Sequence[int], classes: int) -> None:
        super().__init__()
        self.parts = tuple(parts)
        self.branches = nn.ModuleList(Branch(net, part.preprocessing) for net, part in zip(nets, parts, strict=True))
        self.head = nn.Linear(sum(widths), classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(torch.cat([branch(x) for branch in self.branches], 1))
        return logits


def fuse(models: Sequence[Model], size: int, channels: int) -> Model:
    """Fuses the models' backbones, with a new head of zeros, for images of `size` pixels a side and `channels`.

    The models must have the same classes, and each must end in a linear layer.
    """
    parts = [Part(model.backbone, model.width, model.preprocessing) for model in models]
    nets = [without_head(model.net) for model in models]
    net = Fused(parts, nets, [_width(model.net) for model in models], len(models[0].classes))
    nn.init.zeros_(net.head.weight)
    nn.init.zeros_(net.head.bias)
    plain = Preprocessing(size, channels, (0.0,) * channels, (1.0,) * channels)
    return Model(net.eval(), "+".join(part.title for part in parts), models[0].classes, plain)


def bare(parts: Sequence[Part], classes: int) -> Fused:
    """The architecture of a fused network, with random weights."""
    nets = [
        load_backbone(
            part.backbone,
            classes,
            "none",
            part.preprocessing.size,
            width=part.width,
            channels=part.preprocessing.channels,
        )
        for part in parts
    ]
    fused = Fused(parts, [without_head(net) for net in nets], [_width(net) for net in nets], classes)
    fused.eval()
    return fused


def _width(net: nn.Module) -> int:
    layer = head_layer(net)
    assert isinstance(layer, nn.Linear)
    return layer.in_features
