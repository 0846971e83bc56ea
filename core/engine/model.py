"""A classifier: its network, preprocessing and labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from torch import Tensor, nn


def side_before_crop(size: int, crop: float) -> int:
    """Pixels a side of an image whose centre of `size` pixels, a share of `crop`, is kept (256 for 224 and 0.875)."""
    return max(size, round(size / crop))


@dataclass(frozen=True)
class Preprocessing:
    """How uint8 pixels become the network's input: resize (bilinear, antialiased) to `side`, crop the centre of `size`
    pixels a side, convert to `channels` (1 grey, 3 colour; grey is repeated), divide by 255, subtract `mean`, divide by
    `std` (one value per channel). `crop` is the share of a side that the centre crop keeps."""

    size: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop: float = 1.0

    @property
    def side(self) -> int:
        """Pixels a side of an image before the centre crop."""
        return side_before_crop(self.size, self.crop)

    def to_json(self) -> dict[str, Any]:
        """As stored in files; `crop` is left out if it is 1."""
        return {name: value for name, value in asdict(self).items() if (name, value) != ("crop", 1.0)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Preprocessing:
        """The preprocessing that `to_json` wrote."""
        mean, std = tuple(data["mean"]), tuple(data["std"])
        return cls(data["size"], data["channels"], mean, std, data.get("crop", 1.0))


@dataclass(frozen=True)
class Model:
    """`net` maps float32 [N, channels, size, size] to logits [N, len(classes)]; `backbone` and `width` name its
    architecture, which pruning may have narrowed (see `model_file`). `ranges` are (layer, low, high): the input range
    of a layer from quantization-aware training. `decided` records what its step decided by a rule or a measurement:
    precision and memory layout of training, a pruning ratio. `remarks` (code, message) are the step's remarks for the
    receipt. `fresh`: the backbone's weights are random and untrained; its head may be trained. `alias` is the name of
    the imported network it began with, empty for the catalog's; `knows` are the classes of the loaded weights' head, in
    order, before any step.
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
        """The name of its backbone for people."""
        return self.alias or self.backbone

    def with_net(self, net: nn.Module) -> Model:
        """The model with another network of the same inputs and outputs."""
        return replace(self, net=net)

    def having_decided(self, found: Mapping[str, str]) -> Model:
        """The model with `found` among its decisions."""
        return replace(self, decided={**self.decided, **found})

    def __call__(self, images: Tensor) -> Tensor:
        logits: Tensor = self.net(images)
        return logits
