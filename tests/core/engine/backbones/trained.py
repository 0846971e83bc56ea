"""A network that somebody trained elsewhere: torchvision's resnet18, by a plain loop that knows nothing of ours."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torchvision
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

SIDE = 32
MEAN, STD = (0.4, 0.45, 0.5), (0.25, 0.3, 0.35)
ORDER = (7, 2, 9, 0, 4, 1, 8, 3, 6, 5)  # the loop's own order of the digits


@dataclass(frozen=True)
class Trained:
    """The network, the names of its outputs, and what its author did to images uint8 [N, 1, H, W]."""

    net: nn.Module
    labels: tuple[str, ...]

    def prepared(self, images: Tensor) -> Tensor:
        pixels = functional.interpolate(images.float() / 255, (SIDE, SIDE), mode="bilinear", antialias=True)
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
        return (pixels.expand(-1, 3, -1, -1) - mean) / std

    def logits(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            found: Tensor = self.net.eval()(self.prepared(images))
        return found

    def right(self, images: Tensor, labels: Tensor, classes: tuple[str, ...]) -> int:
        """How many of the images it names as `classes` do."""
        named = [self.labels[int(best)] for best in self.logits(images).argmax(1)]
        return sum(name == classes[int(label)] for name, label in zip(named, labels, strict=True))


def begun() -> Trained:
    """Random weights, and statistics of a few images: for what no accuracy is asked of."""
    torch.manual_seed(0)
    found = Trained(torchvision.models.resnet18(num_classes=10).train(), tuple(str(digit) for digit in ORDER))
    with torch.no_grad():
        found.net(found.prepared(torch.randint(0, 256, (8, 1, 8, 8), dtype=torch.uint8)))
    return found


def trained() -> Trained:
    """Three passes over 500 digits of scikit-learn, learned in an order of its own."""
    digits = load_digits()
    images = torch.from_numpy(digits.images[:500] * (255 / 16)).round().to(torch.uint8)[:, None]
    target = torch.tensor([ORDER.index(int(label)) for label in digits.target[:500]])
    found = begun()
    net = found.net
    pixels, optimizer = found.prepared(images), torch.optim.Adam(net.parameters(), 1e-3)
    for _ in range(3):
        net.train()
        for part in torch.split(torch.randperm(500), 25):
            optimizer.zero_grad()
            functional.cross_entropy(net(pixels[part]), target[part]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return found


def wrappings(net: nn.Module) -> dict[str, object]:
    """What people's training scripts leave of a network, by the habit that left it."""
    state = net.state_dict()
    average = torch.optim.swa_utils.AveragedModel(net)
    poor = {key: torch.zeros_like(tensor) for key, tensor in state.items()}
    optimizer: dict[str, Any] = torch.optim.Adam(net.parameters()).state_dict()

    def prefixed(prefix: str) -> OrderedDict[str, Tensor]:
        return OrderedDict((prefix + key, tensor) for key, tensor in state.items())

    return {
        "plain": state,
        "imagenet example": {"epoch": 9, "arch": "resnet18", "state_dict": prefixed("module."), "optimizer": optimizer},
        "compiled": {"model": prefixed("_orig_mod."), "epoch": 3, "best": 0.93},
        "lightning": {
            "state_dict": {**prefixed("model."), "criterion.weight": torch.ones(10), "metric.total": torch.tensor(3)},
            "hyper_parameters": {"lr": 0.1},
            "pytorch-lightning_version": "2.4.0",
            "callbacks": {},
        },
        "timm": {"state_dict": poor, "state_dict_ema": state, "args": {"lr": 1}, "metric": 0.9},
        "averaged and spread": {"model_state_dict": poor, "model_ema": average.state_dict(), "step": 10},
        "compiled inside": {
            "net": {f"backbone.{key.replace('layer1', 'layer1._orig_mod')}": tensor for key, tensor in state.items()}
        },
        "legacy": OrderedDict((key, tensor) for key, tensor in state.items()),
    }


def save_wrapped(path: Path, content: object, *, legacy: bool = False) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path
