"""The catalog of backbones, and the functions that build and load them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

from torch import Tensor, nn

from core.engine.backbones import own
from core.engine.backbones import state as weight_files
from core.engine.backbones.backbone import Backbone, Family, Progress
from core.engine.backbones.heads import classes_of, head_layer, set_head
from core.engine.backbones.skeleton import on_meta
from core.engine.members import members
from core.errors import UserError, nearest
from core.own.models import PREFIX

__all__ = ["Backbone", "backbones", "families", "find", "labels", "load_backbone", "skeleton", "weights_at_hand"]


@cache
def families() -> dict[str, Family]:
    """All families by the names of their files."""
    kinds = members(__name__, Family)  # type: ignore[type-abstract]
    return {name: kind() for name, kind in kinds.items()}


@cache
def backbones() -> dict[str, Backbone]:
    """All backbones of the catalog by name, sorted; without imported networks."""
    entries = [replace(entry, family=name) for name, family in families().items() for entry in family.catalog()]
    return {entry.name: entry for entry in sorted(entries, key=lambda entry: entry.name)}


def find(name: str) -> Backbone:
    """The backbone called `name`, from the catalog or imported (`own/…`); raises UserError naming the nearest."""
    if name.startswith(PREFIX):
        return own.entry(name)
    if name not in backbones():
        for family, kind in families().items():
            if kind.prefix and name.startswith(kind.prefix):
                return replace(kind.unlisted(name), family=family)
        allowed = "a backbone of the catalog (condenser list backbones)"
        raise UserError("unknown_backbone", "backbone", name, allowed, nearest(name, backbones()))
    return backbones()[name]


def weights_at_hand(name: str, folder: Path | None = None) -> bool:
    """Whether the pretrained weights of `name` can be loaded offline; False if there are none."""
    backbone = find(name)
    return families()[backbone.family].at_hand(backbone, folder)


def labels(name: str) -> tuple[str, ...]:
    """The class names of the pretrained weights of `name`, in the order of the logits; empty without weights."""
    backbone = find(name)
    return families()[backbone.family].labels(backbone)


def load_backbone(
    name: str,
    classes: int | None = None,
    weights: str | Path = "default",
    image_size: int | None = None,
    *,
    width: int = 0,
    channels: int | None = None,
    progress: Progress | None = None,
    folder: Path | None = None,
) -> nn.Module:
    """The network `name` in eval mode, mapping [N, channels, image_size, image_size] to logits [N, classes].

    `weights`: "default" (pretrained, or random if the catalog has none), "none" (random), or a .safetensors file.
    `classes`: None keeps the original head; another number gets a new one. `width` and `channels` (1 or 3) are for
    small networks without pretrained weights. `folder` holds downloaded weights, by default torch.hub's.
    Raises UserError on invalid arguments, or if the weights are not available.
    """
    backbone = find(name)
    family = families()[backbone.family]
    size, channels = _checked(backbone, classes, image_size, width, channels)
    fresh = weights == "none" or (weights == "default" and backbone.weights == "none")
    if fresh:
        return family.architecture(backbone, classes or backbone.classes, size, width, channels).eval()
    if weights == "default":
        net = on_meta(lambda: family.architecture(backbone, backbone.classes, size, width, channels))
        _load(net, family.fit(family.state(backbone, folder, progress), net), backbone)
    else:
        net = _filled(backbone, Path(weights), size, width, channels)
    if classes not in (None, classes_of(head_layer(net))):
        assert classes is not None
        set_head(net, _name_of(net, head_layer(net)), classes)
    assert not any(t.is_meta for t in [*net.parameters(), *net.buffers()]), f"{name}: a tensor without weights"
    return net.requires_grad_().eval()


def skeleton(name: str, classes: int | None = None, image_size: int | None = None, *, width: int = 0) -> nn.Module:
    """The network `name` on the meta device, in the form its authors count: shapes without memory, in milliseconds."""
    backbone = find(name)
    size, _ = _checked(backbone, classes, image_size, width, None)
    family = families()[backbone.family]
    net = on_meta(lambda: family.published(backbone, classes or backbone.classes, size, width))
    return net.to("meta").eval()


def _load(net: nn.Module, state: Mapping[str, Tensor], backbone: Backbone) -> None:
    """Puts published weights into `net`; raises UserError where they do not fit at this image size."""
    try:
        net.load_state_dict(state, strict=True, assign=True)
    except RuntimeError as error:
        first = str(error).strip().splitlines()[-1].strip()
        allowed = f"weights that fit {backbone.name} at this image size"
        fix = f"Set image_size to its own, {backbone.image_size}."
        raise UserError("weights_do_not_fit", "image_size", first, allowed, fix) from error


def _filled(backbone: Backbone, path: Path, size: int, width: int, channels: int) -> nn.Module:
    """The architecture with the weights and the head of a file."""
    family = families()[backbone.family]
    state = weight_files.read(path)
    net = on_meta(lambda: family.architecture(backbone, backbone.classes, size, width, channels))
    state = dict(family.fit(state, net))
    head = _name_of(net, head_layer(net))
    kept = state.get(f"{head}.bias")
    if kept is not None and kept.ndim == 1 and len(kept) != backbone.classes:
        net = on_meta(lambda: family.architecture(backbone, len(kept), size, width, channels))
    weight_files.fill(net, state, backbone.name)
    return net


def _name_of(net: nn.Module, layer: nn.Module) -> str:
    names: dict[nn.Module, str] = {module: name for name, module in net.named_modules()}
    return names[layer]


def _checked(
    backbone: Backbone, classes: int | None, image_size: int | None, width: int, channels: int | None
) -> tuple[int, int]:
    """(image size, channels) with defaults filled in; raises UserError on invalid arguments."""
    if classes is not None and classes < 1:
        raise UserError("out_of_range", "classes", classes, "a whole number of at least 1", "Count the classes.")
    size = backbone.image_size if image_size is None else image_size
    if size < backbone.smallest:
        allowed = f"at least {backbone.smallest} pixels a side for {backbone.name}"
        fix = f"Its own size is {backbone.image_size}; for smaller images choose a small network such as resnet20."
        raise UserError("image_too_small", "image_size", size, allowed, fix)
    if width and not backbone.width:
        fix = "Leave width out, or choose a small network such as resnet20."
        raise UserError("no_width", "width", width, f"0 for {backbone.name}: its width is fixed", fix)
    return size, backbone.checked_channels(channels)
