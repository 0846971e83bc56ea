"""Residual networks for small images, in the CIFAR form of He et al. 2015 (https://arxiv.org/abs/1512.03385, 4.2).

A 3x3 stem, three stages of n blocks with widths w, 2w, 4w, global average pooling, one linear layer: 6n + 2 layers.
Where the shape changes, the shortcut is a 1x1 convolution with batch norm (option B), which is easy to export and
prune. Some come with weights for 28-pixel grey images, trained for this project, in assets/backbones. There is also a
perceptron with one hidden layer, for images so small that each pixel is a feature.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import load
from torch import Tensor, nn

from core.assets import ASSETS
from core.engine.backbones.backbone import Backbone, Family, Progress
from core.engine.measure.complexity import Counted
from core.errors import UserError

WEIGHTS = ASSETS / "backbones"
DEPTHS = (8, 14, 20, 32, 44, 56)
WIDTH = 16  # of the first stage, as published
NARROWEST = 4
BUNDLED = {"resnet8_fashion": (8, 32), "resnet20_fashion": (20, 16)}  # name: depth, width
PERCEPTRON = "mlp"
HIDDEN = 256  # units of its hidden layer
PAPER = "https://arxiv.org/abs/1512.03385"


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut, added before the last ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu2 = nn.ReLU()
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu1(self.bn1(self.conv1(x)))
        return cast(Tensor, self.relu2(self.bn2(self.conv2(y)) + self.shortcut(x)))


class SmallResNet(nn.Module):
    """`depth` = 6n + 2 layers of base width `width`; maps [N, channels, any, any] to [N, classes]."""

    def __init__(self, depth: int, width: int, channels: int, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(channels, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        n = (depth - 2) // 6
        self.stage1 = _stage(n, width, width, 1)
        self.stage2 = _stage(n, width, 2 * width, 2)
        self.stage3 = _stage(n, 2 * width, 4 * width, 2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(4 * width, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.stage3(self.stage2(self.stage1(self.stem(x))))
        return cast(Tensor, self.head(torch.flatten(self.pool(x), 1)))


class Perceptron(nn.Module):
    """One hidden layer of `hidden` units; maps [N, channels, size, size], only this size, to [N, classes]."""

    def __init__(self, hidden: int, channels: int, size: int, classes: int) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.hidden = nn.Linear(channels * size * size, hidden)
        self.relu = nn.ReLU()
        self.head = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.head(self.relu(self.hidden(self.flatten(x)))))


def _stage(blocks: int, inputs: int, outputs: int, stride: int) -> nn.Sequential:
    later = [Block(outputs, outputs, 1) for _ in range(blocks - 1)]
    return nn.Sequential(Block(inputs, outputs, stride), *later)


class Small(Family):
    """Small residual networks, and a perceptron."""

    def catalog(self) -> list[Backbone]:
        return [*map(_bare, DEPTHS), _perceptron(), *map(_bundled, BUNDLED)]

    def architecture(self, backbone: Backbone, classes: int, image_size: int, width: int, channels: int) -> nn.Module:
        if backbone.name == PERCEPTRON:
            return Perceptron(_wide(width, HIDDEN), channels, image_size, classes)
        depth, own = BUNDLED.get(backbone.name) or (int(backbone.name.removeprefix("resnet")), WIDTH)
        if width and width != own and backbone.fixed:
            fix = f"Leave width out, or choose resnet{depth}, which takes any width."
            raise UserError("fixed_width", "width", width, f"{own}, the width of {backbone.name}'s weights", fix)
        return SmallResNet(depth, _wide(width, own), channels, classes)

    def state(self, backbone: Backbone, folder: Path | None, progress: Progress | None) -> Mapping[str, Tensor]:
        path = _weights(backbone)
        if not path.is_file():
            fix = "Restore it from the repository, or train it with assets/train_backbones.py."
            raise UserError("weights_missing", "weights", path.name, f"the file assets/backbones/{path.name}", fix)
        return load(path.read_bytes())

    def at_hand(self, backbone: Backbone, folder: Path | None) -> bool:
        return backbone.fixed and _weights(backbone).is_file()

    def labels(self, backbone: Backbone) -> tuple[str, ...]:
        return tuple(str(name) for name in _facts(backbone.name).get("classes", ())) if backbone.fixed else ()


def _wide(width: int, own: int) -> int:
    if width and width < NARROWEST:
        fix = f"Set width to {NARROWEST} or more."
        raise UserError("out_of_range", "width", width, f"0 (= {own}) or at least {NARROWEST}", fix)
    return width or own


def _perceptron() -> Backbone:
    """Costs are counted, as for the others, for 32-pixel colour images and ten classes."""
    return replace(
        _bare(8),
        name=PERCEPTRON,
        title="Perceptron with one hidden layer (tiny images)",
        source="https://doi.org/10.1038/323533a0",
        maps=False,
        norms=False,
        width=HIDDEN,
        width_power=1,
        **Layers().linear(3 * 32 * 32, HIDDEN).linear(HIDDEN, 10).counted(),
    )


def _bare(depth: int) -> Backbone:
    return Backbone(
        name=f"resnet{depth}",
        title=f"ResNet-{depth} (small images)",
        image_size=32,
        smallest=8,
        channels=3,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        small_images=True,
        accuracy=None,
        classes=10,
        licence="Apache-2.0 (part of this project)",
        source=PAPER,
        weights="none",
        width=WIDTH,
        **_costs(depth, WIDTH, 3, 32, 10),
    )


def _bundled(name: str) -> Backbone:
    """Facts come from the JSON next to the weights; before they exist, mean and std of Fashion-MNIST are used."""
    depth, width = BUNDLED[name]
    facts = _facts(name)
    classes = len(facts.get("classes", range(10)))
    return Backbone(
        name=name,
        title=f"ResNet-{depth}, width {width}, trained on Fashion-MNIST",
        image_size=28,
        smallest=8,
        channels=1,
        mean=tuple(facts.get("mean", (0.286,))),
        std=tuple(facts.get("std", (0.353,))),
        small_images=True,
        accuracy=facts.get("accuracy"),
        classes=classes,
        licence=str(facts.get("licence", "Apache-2.0 (part of this project)")),
        source="assets/train_backbones.py",
        weights="bundled",
        class_names=tuple(str(name) for name in facts.get("classes", ())),
        width=width,
        **_costs(depth, width, 1, 28, classes),
    )


@dataclass
class Layers:
    """Parameters and multiply-accumulates, summed layer by layer: torch's counter would take half a second in every
    process."""

    params: int = 0
    macs: int = 0

    def linear(self, inputs: int, outputs: int) -> Layers:
        self.params, self.macs = self.params + (inputs + 1) * outputs, self.macs + inputs * outputs
        return self

    def convolution(self, inputs: int, outputs: int, kernel: int, side: int) -> Layers:
        """With a batch norm; `side` is that of its output."""
        weights = inputs * outputs * kernel**2
        self.params, self.macs = self.params + weights + 2 * outputs, self.macs + weights * side**2
        return self

    def counted(self) -> Counted:
        return {"params": self.params, "macs": self.macs}


def _costs(depth: int, width: int, channels: int, side: int, classes: int) -> Counted:
    """Of a SmallResNet for images of `side` pixels."""
    found, inputs = Layers().convolution(channels, width, 3, side), width
    for outputs in (width, 2 * width, 4 * width):
        side = side if outputs == inputs else (side + 1) // 2
        for _ in range((depth - 2) // 6):
            found.convolution(inputs, outputs, 3, side).convolution(outputs, outputs, 3, side)
            if inputs != outputs:
                found.convolution(inputs, outputs, 1, side)
            inputs = outputs
    return found.linear(inputs, classes).counted()


def _weights(backbone: Backbone) -> Path:
    return WEIGHTS / f"{backbone.name}.safetensors"


def _facts(name: str) -> dict[str, Any]:
    path = WEIGHTS / f"{name}.json"
    return cast(dict[str, Any], json.loads(path.read_text("utf-8"))) if path.is_file() else {}
