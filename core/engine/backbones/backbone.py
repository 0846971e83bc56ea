"""An entry of the catalog of backbones, and the base class of families of backbones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from core.engine.model import Preprocessing, side_before_crop
from core.errors import UserError
from core.rules.networks import LARGEST_IMAGE

Progress = Callable[[int, int | None], None]  # (bytes done, total bytes or None)


@dataclass(frozen=True)
class Backbone:
    """A pretrained network or an architecture without weights, as data: its cost, its accuracy, the source of its
    weights.

    `image_size` (pixels a side), `mean` and `std` are those of its weights; `smallest` is the smallest side it
    supports. `params` and `macs` (multiply-accumulates for one image at `image_size`) are for `classes` classes, as
    published by torchvision or counted in the same way; `accuracy` is the published top-1 accuracy in percent, None
    without weights. `maps`: whether it has feature maps (or tokens) that can be compared with those of another network.
    `multiple`: the side of its images must be a multiple of this. `norms`: whether it has batch normalisation with
    scales. `linear_head`: whether it ends in a linear layer on an embedding. `width`: its default width (channels or
    units), if that can be changed, otherwise 0; parameters grow with the power `width_power` of it. `class_names` are
    those of its weights, if they are few; `crop` is the share of a side that the centre crop keeps. An imported network
    has the `architecture` it was built from, and an `own_width` if that is a small network. `family` is the name of the
    family's file, filled in by the catalog.
    """

    name: str
    title: str
    image_size: int
    smallest: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    small_images: bool
    params: int
    macs: int
    accuracy: float | None
    classes: int
    licence: str
    source: str
    weights: Literal["packaged", "bundled", "download", "own", "none"]
    download_bytes: int = 0
    maps: bool = True
    multiple: int = 1
    norms: bool = True
    linear_head: bool = True
    class_names: tuple[str, ...] = ()
    crop: float = 1.0
    architecture: str = ""
    own_width: int = 0
    accuracy_at: int = 0
    width: int = 0
    width_power: int = 2
    family: str = ""

    @property
    def fixed(self) -> bool:
        """Whether its weights fix width and channels."""
        return self.weights != "none"

    def preprocessing(self, size: int, channels: int | None = None) -> Preprocessing:
        """The preprocessing of images to `size` pixels a side; raises UserError on an invalid number of channels."""
        channels = self.checked_channels(channels)
        if channels == self.channels:
            return Preprocessing(size, channels, self.mean, self.std, self.crop)
        grey = (sum(self.mean) / len(self.mean),), (sum(self.std) / len(self.std),)
        return Preprocessing(size, channels, grey[0] * channels, grey[1] * channels, self.crop)

    def side(self, image_size: int = 0) -> int:
        """Pixels a side at which images are loaded for it, for an input of `image_size` (0: its own)."""
        return min(side_before_crop(image_size or self.image_size, self.crop), LARGEST_IMAGE)

    def checked_channels(self, channels: int | None) -> int:
        """`channels`, by default this backbone's own; only small networks without pretrained weights allow others."""
        if channels is None or channels == self.channels:
            return self.channels
        if self.fixed or channels not in (1, 3):
            allowed = str(self.channels) if self.fixed else "1 (grey) or 3 (colour)"
            fix = "Leave channels out: grey images are converted to 3 channels automatically."
            raise UserError("wrong_channels", "channels", channels, f"{allowed} for {self.name}", fix)
        return channels

    def to_json(self) -> dict[str, Any]:
        """Its facts, without those at their usual values."""
        usual = {
            "maps": True,
            "multiple": 1,
            "norms": True,
            "linear_head": True,
            "width": 0,
            "width_power": 2,
            "class_names": (),
            "crop": 1.0,
            "architecture": "",
            "own_width": 0,
            "accuracy_at": 0,
        }
        return {name: value for name, value in asdict(self).items() if usual.get(name, object()) != value}


class Family(ABC):
    """Backbones that are built and loaded in the same way: one file of this folder with one concrete subclass. The
    catalog, the pages and recipes then include them without any other edit. A family that also
    knows networks it does not list gives their names a `prefix`."""

    prefix = ""

    @abstractmethod
    def catalog(self) -> list[Backbone]:
        """Its backbones, without loading any weights."""

    @abstractmethod
    def architecture(self, backbone: Backbone, classes: int, image_size: int, width: int, channels: int) -> nn.Module:
        """The network with random weights and a head of `classes`; its forward always returns a single tensor."""

    @abstractmethod
    def state(self, backbone: Backbone, folder: Path | None, progress: Progress | None) -> Mapping[str, Tensor]:
        """The pretrained weights as their authors stored them; raises UserError if they are not available."""

    @abstractmethod
    def at_hand(self, backbone: Backbone, folder: Path | None) -> bool:
        """Whether `state` works offline."""

    @abstractmethod
    def labels(self, backbone: Backbone) -> tuple[str, ...]:
        """The class names of its pretrained weights; empty without weights."""

    def unlisted(self, name: str) -> Backbone:
        """The backbone of a name with the family's `prefix` that `catalog` does not list; raises UserError."""
        raise NotImplementedError

    def published(self, backbone: Backbone, classes: int, image_size: int, width: int) -> nn.Module:
        """The network in the form its authors count."""
        return self.architecture(backbone, classes, image_size, width, backbone.channels)

    def fit(self, state: Mapping[str, Tensor], net: nn.Module) -> Mapping[str, Tensor]:
        """`state` converted to the keys and shapes of `net`, if the two are known to differ."""
        return state
