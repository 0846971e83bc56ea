"""One entry of the catalog of backbones, and what a family of them must be able to do."""

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

Progress = Callable[[int, int | None], None]  # (bytes done, bytes in all or None)


@dataclass(frozen=True)
class Backbone:
    """A pretrained network or a bare architecture, as data: what it costs, what it reached, where its weights are.

    `image_size` (pixels a side), `mean` and `std` are those of its weights; `smallest` is the least side it can run
    at. `params` and `macs` (multiply-accumulates for one image at `image_size`) are for `classes` classes, as published
    by torchvision or counted its way; `accuracy` is top-1 in percent as published for these weights, None without.
    `maps`: whether it works on feature maps (or tokens), so that another network's may be held against them.
    `multiple`: what the side of its images must be a multiple of. `norms`: whether it has batch normalisation with
    scales. `linear_head`: whether it ends in a linear layer on an embedding. `width`: the channels or units of its own
    by which a person may widen it, 0 where there is no such number; its parameters grow with the power `width_power`
    of it. `class_names` are those its weights know, where they are few; `crop` is the share of a picture's side that
    its weights were trained to see. A person's own network has the `architecture` it was built from, and its
    `own_width` where that is a small network. `family` is the name of the family's file, filled in by the catalog.
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
        """Whether width and channels are given by its weights, not by the person."""
        return self.weights != "none"

    def preprocessing(self, size: int, channels: int | None = None) -> Preprocessing:
        """What images of `size` pixels a side need before this network; raises UserError on a wrong channel count."""
        channels = self.checked_channels(channels)
        if channels == self.channels:
            return Preprocessing(size, channels, self.mean, self.std, self.crop)
        grey = (sum(self.mean) / len(self.mean),), (sum(self.std) / len(self.std),)
        return Preprocessing(size, channels, grey[0] * channels, grey[1] * channels, self.crop)

    def side(self, image_size: int = 0) -> int:
        """Pixels a side at which pictures are loaded for it, where it sees `image_size` of them (0: its own)."""
        return min(side_before_crop(image_size or self.image_size, self.crop), LARGEST_IMAGE)

    def checked_channels(self, channels: int | None) -> int:
        """`channels` or this backbone's own; only a small network without weights of its own can choose."""
        if channels is None or channels == self.channels:
            return self.channels
        if self.fixed or channels not in (1, 3):
            allowed = str(self.channels) if self.fixed else "1 (grey) or 3 (colour)"
            fix = "Grey images are repeated to 3 channels by themselves: leave channels out."
            raise UserError("wrong_channels", "channels", channels, f"{allowed} for {self.name}", fix)
        return channels

    def to_json(self) -> dict[str, Any]:
        """Its facts; what holds for nearly all of them is left out."""
        usual = {
            "maps": True, "multiple": 1, "norms": True, "linear_head": True, "width": 0, "width_power": 2,
            "class_names": (), "crop": 1.0, "architecture": "", "own_width": 0, "accuracy_at": 0,
        }  # fmt: skip
        return {name: value for name, value in asdict(self).items() if usual.get(name, object()) != value}


class Family(ABC):
    """Backbones built and loaded in one way: one file of this folder with one concrete subclass. They then are in the
    catalog, on the pages and in recipes with no other edit. One that also knows networks by names of its own that it
    does not list gives them a `prefix`."""

    prefix = ""

    @abstractmethod
    def catalog(self) -> list[Backbone]:
        """Its backbones, without touching any weights."""

    @abstractmethod
    def architecture(self, backbone: Backbone, classes: int, image_size: int, width: int, channels: int) -> nn.Module:
        """The network with fresh weights and a head of `classes`; its forward gives one plain tensor, always."""

    @abstractmethod
    def state(self, backbone: Backbone, folder: Path | None, progress: Progress | None) -> Mapping[str, Tensor]:
        """The pretrained weights as their authors stored them; raises UserError if they can't be had."""

    @abstractmethod
    def at_hand(self, backbone: Backbone, folder: Path | None) -> bool:
        """Whether `state` needs no network."""

    @abstractmethod
    def labels(self, backbone: Backbone) -> tuple[str, ...]:
        """The names of the classes its weights know; empty without weights."""

    def unlisted(self, name: str) -> Backbone:
        """The backbone of a name with the family's `prefix` that `catalog` does not list; raises UserError."""
        raise NotImplementedError

    def published(self, backbone: Backbone, classes: int, image_size: int, width: int) -> nn.Module:
        """The network as its authors count it."""
        return self.architecture(backbone, classes, image_size, width, backbone.channels)

    def fit(self, state: Mapping[str, Tensor], net: nn.Module) -> Mapping[str, Tensor]:
        """`state` with the keys and shapes of `net`, where the two are known to differ."""
        return state
