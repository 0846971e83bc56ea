"""A classifier with everything needed to run it elsewhere: its network, its preprocessing and its labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from torch import Tensor, nn


def side_before_crop(size: int, crop: float) -> int:
    """Pixels a side of an image of which the middle `size` pixels are kept, a share of `crop` (256 for 224, 0.875)."""
    return max(size, round(size / crop))


@dataclass(frozen=True)
class Preprocessing:
    """How uint8 pixels become the network's input: resize (bilinear, antialiased) to `side`, keep the middle of `size`
    pixels a side, `channels` (1 grey, 3 colour; grey is repeated), divide by 255, subtract `mean`, divide by `std` (one
    value a channel). `crop` is the share of a side that the middle has."""

    size: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop: float = 1.0

    @property
    def side(self) -> int:
        """Pixels a side of an image before its middle is cut out."""
        return side_before_crop(self.size, self.crop)

    def to_json(self) -> dict[str, Any]:
        """As a file holds it; `crop` where anything is cut off."""
        return {name: value for name, value in asdict(self).items() if (name, value) != ("crop", 1.0)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Preprocessing:
        mean, std = tuple(data["mean"]), tuple(data["std"])
        return cls(data["size"], data["channels"], mean, std, data.get("crop", 1.0))


@dataclass(frozen=True)
class Model:
    """`net` maps [N, channels, size, size] float32 to logits [N, len(classes)]; `backbone` and `width` name its
    architecture, which pruning may have thinned (see `model_file`). `ranges` are (layer, low, high): between which
    values training for 8 bits let the inputs of a layer lie. `decided` names what its step left to a rule or a
    measurement and what that came to: precision and layout of its training, the ratio of a cut. `remarks` (code,
    message) say what the step that made it came to, for its receipt. `fresh`: the backbone's weights are random,
    nothing has trained them yet; its head may have learned. `alias` is what a person called the weights it began with,
    empty for the catalog's; `knows` the classes of its head as the weights have it, in their order, before any step.
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
    alias: str = ""
    knows: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What a person calls its backbone."""
        return self.alias or self.backbone

    def with_net(self, net: nn.Module) -> Model:
        return replace(self, net=net)

    def having_decided(self, found: Mapping[str, str]) -> Model:
        """The model with `found` among its decisions."""
        return replace(self, decided={**self.decided, **found})

    def __call__(self, images: Tensor) -> Tensor:
        logits: Tensor = self.net(images)
        return logits
