"""A classifier with everything needed to run it elsewhere: its network, its preprocessing and its labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True)
class Preprocessing:
    """How uint8 pixels become the network's input: resize to `size` (bilinear, antialiased), `channels` (1 grey,
    3 colour; grey is repeated), divide by 255, subtract `mean`, divide by `std` (one value a channel)."""

    size: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Preprocessing:
        return cls(data["size"], data["channels"], tuple(data["mean"]), tuple(data["std"]))


@dataclass(frozen=True)
class Model:
    """`net` maps [N, channels, size, size] float32 to logits [N, len(classes)]; `backbone` and `width` name its
    architecture, which pruning may have thinned (see `model_file`). `ranges` are (layer, low, high): between which
    values training for 8 bits let the inputs of a layer lie. `decided` names what its step left to a rule or a
    measurement and what that came to: precision and layout of its training, the ratio of a cut. `remarks` (code,
    message) say what the step that made it came to, for its receipt. `fresh`: the backbone's weights are random,
    nothing has trained them yet; its head may have learned.
    """

    net: nn.Module
    backbone: str
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    width: int = 0
    ranges: tuple[tuple[str, float, float], ...] = ()
    decided: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[tuple[str, str], ...] = ()
    fresh: bool = False

    def with_net(self, net: nn.Module) -> Model:
        return replace(self, net=net)

    def having_decided(self, found: Mapping[str, str]) -> Model:
        """The model with `found` among its decisions."""
        return replace(self, decided={**self.decided, **found})

    def __call__(self, images: Tensor) -> Tensor:
        logits: Tensor = self.net(images)
        return logits
