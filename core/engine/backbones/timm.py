"""timm's image classifiers by name, `timm/<architecture>.<weights>`: a chosen list in the catalog, others on request.

Weights are the safetensors of the hub; preprocessing, classes and licence are those of timm's pretrained_cfg.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from core.catalog import TIMM
from core.engine.backbones import hub
from core.engine.backbones import state as weight_files
from core.engine.backbones.backbone import Backbone, Family, Progress
from core.engine.backbones.heads import head_layer
from core.engine.backbones.skeleton import on_meta
from core.engine.backbones.timm_listed import LISTED, Facts
from core.errors import UserError, nearest
from core.questions.search_backbones import FoundBackbone

PIXELS = {  # the mean and std of a channel
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "plain": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
LICENCES = {"apache-2.0": "Apache-2.0", "mit": "MIT", "bsd-3-clause": "BSD-3-Clause"}
NON_COMMERCIAL = "cc-by-nc-4.0"
ONE_HEAD = ("distilled", "distillation")  # by either timm builds a network without its second head
HEAD_EPS = 1e-5  # of the batch normalisation inside a head
FRESH_STD = 0.01  # of a head where the weights know no classes, as heads.set_head draws it
OTHER_SIZES = 32  # networks of convolutions halve the image five times


class Timm(Family):
    """timm's classifiers. Those that were distilled into a second head come with the two made one, which gives their
    mean as timm does; weights without a head get a fresh one."""

    prefix = TIMM

    def catalog(self) -> list[Backbone]:
        return [_entry(TIMM + name, facts) for name, facts in LISTED.items()]

    def unlisted(self, name: str) -> Backbone:
        return described(name)

    def architecture(self, backbone: Backbone, classes: int, image_size: int, width: int, channels: int) -> nn.Module:
        if image_size % backbone.multiple:
            near = max(backbone.smallest, round(image_size / backbone.multiple) * backbone.multiple)
            allowed = f"a multiple of {backbone.multiple} for {backbone.name}"
            raise UserError(
                "wrong_image_size", "image_size", image_size, allowed, f"The nearest allowed size is {near}."
            )
        return _built(backbone.name, max(classes, 1), image_size)

    def state(self, backbone: Backbone, folder: Path | None, progress: Progress | None) -> Mapping[str, Tensor]:
        path = hub.fetch(_repository(backbone.name), weights_path(backbone.name, folder), progress)
        return weight_files.read(path)

    def at_hand(self, backbone: Backbone, folder: Path | None) -> bool:
        return hub.at_hand(_repository(backbone.name), weights_path(backbone.name, folder))

    def labels(self, backbone: Backbone) -> tuple[str, ...]:
        """ImageNet's 1,000 classes; the names of larger sets of classes are not kept here."""
        from core.engine.backbones.torchvision import IMAGENET_CLASSES, imagenet_labels

        return imagenet_labels() if backbone.classes == IMAGENET_CLASSES else ()

    def fit(self, state: Mapping[str, Tensor], net: nn.Module) -> Mapping[str, Tensor]:
        """One head for two, a fresh one for none, and timm's own changes for another image size or older names."""
        if not type(net).__module__.startswith("timm."):
            return state
        fitted, own = _with_head(_one_head(state), net), net.state_dict()
        if fitted.keys() == own.keys() and all(fitted[key].shape == own[key].shape for key in own):
            return fitted
        change = getattr(sys.modules[type(net).__module__], "checkpoint_filter_fn", None)
        if change is None or not fitted.keys() & own.keys():
            return fitted
        try:
            return cast(Mapping[str, Tensor], change(dict(fitted), net))
        except (RuntimeError, KeyError, AttributeError, AssertionError, ValueError):
            return fitted  # weights that it cannot change are refused by what they are


def weights_path(name: str, folder: Path | None = None) -> Path:
    """Where the weights of `name` are kept: in `folder`, by default torch.hub's folder of checkpoints."""
    folder = folder or Path(torch.hub.get_dir()) / "checkpoints"
    return folder / f"{TIMM}{name.removeprefix(TIMM)}.safetensors"


@cache
def names() -> tuple[str, ...]:
    """Every classifier of the installed timm with weights on the hub, as `timm/<architecture>.<weights>`."""
    from timm.models import list_models

    return tuple(TIMM + name for name in list_models(pretrained=True) if _usable(name))


def brief(name: str) -> FoundBackbone:
    """What timm says of a network, without building it."""
    cfg = _config(name)
    return FoundBackbone(name, int(cfg.input_size[-1]), int(cfg.num_classes or 0), _licence(cfg.license or ""))


@cache
def described(name: str) -> Backbone:
    """A network of timm that the catalog does not list, counted here in a second or two; raises UserError."""
    if name not in names():
        allowed = "a classifier of timm with its weights, timm/<architecture>.<weights>"
        raise UserError("unknown_backbone", "backbone", name, allowed, nearest(name, names()))
    return _entry(name, _facts(name))


def _usable(name: str) -> bool:
    """Whether it takes square colour images, and its weights are one file on the hub that timm loads plainly."""
    cfg = _config(name)
    plain = cfg.custom_load != "hf" and not cfg.hf_hub_filename  # True is of files elsewhere, in a form of their own
    return bool(cfg.hf_hub_id) and plain and cfg.input_size[0] == 3 and cfg.input_size[1] == cfg.input_size[2]


def _facts(name: str) -> Facts:
    from core.engine.measure.complexity import counted  # it counts backbones, and so imports this package

    cfg = _config(name)
    size, classes = int(cfg.input_size[-1]), int(cfg.num_classes or 0)
    net = on_meta(lambda: _built(name, max(classes, 1), size))
    smallest, multiple = _sides(name, net, size)
    kept = net.state_dict().values()
    norms = any(isinstance(module, nn.modules.batchnorm._BatchNorm) and module.affine for module in net.modules())
    return Facts(
        size,
        bytes=sum(tensor.numel() * tensor.element_size() for tensor in kept),
        crop=float(cfg.crop_pct),
        smallest=smallest,
        multiple=multiple,
        norms=norms,
        classes=classes,
        licence=cfg.license or "",
        linear_head=isinstance(head_layer(net), nn.Linear),
        mean=tuple(cfg.mean),
        std=tuple(cfg.std),
        **counted(lambda: _built(name, max(classes, 1), size), 3, size),
    )


def _sides(name: str, net: nn.Module, size: int) -> tuple[int, int]:
    """The least side in pixels at which it runs, and what sides must be a multiple of."""
    if _config(name).fixed_input_size:
        patch = getattr(getattr(net, "patch_embed", None), "patch_size", None)
        step = patch[0] if isinstance(patch, tuple) and size % patch[0] == 0 else size
        return step, step
    return (OTHER_SIZES, OTHER_SIZES) if size % OTHER_SIZES == 0 and _runs(net, OTHER_SIZES) else (size, size)


def _runs(net: nn.Module, side: int) -> bool:
    from core.engine.measure.complexity import complexity

    try:
        return complexity(net, (3, side, side)).macs > 0
    except (RuntimeError, ValueError, AssertionError, NotImplementedError):
        return False


def _config(name: str) -> Any:
    from timm.models import get_pretrained_cfg

    return get_pretrained_cfg(name.removeprefix(TIMM))


def _repository(name: str) -> str:
    return f"timm/{name.removeprefix(TIMM)}" if name.removeprefix(TIMM) in LISTED else str(_config(name).hf_hub_id)


def _built(name: str, classes: int, size: int) -> nn.Module:
    """timm's network with one head, and its input size fixed where it has to be."""
    from timm.models import create_model

    bare = name.removeprefix(TIMM)
    fixed: dict[str, Any] = {"img_size": size} if _config(bare).fixed_input_size else {}

    def made(**options: Any) -> nn.Module:
        net: nn.Module = create_model(bare, pretrained=False, num_classes=classes, **fixed, **options)
        return net

    net = made()
    return net if not _two_heads(net) else _with_one_head(made, name)


def _with_one_head(made: Callable[..., nn.Module], name: str) -> nn.Module:
    for option in ONE_HEAD:
        try:
            net = made(**{option: False})
        except TypeError:
            continue
        if not _two_heads(net):
            return net
    fix = "Choose a network with one head, such as timm/deit3_small_patch16_224.fb_in1k."
    raise UserError("two_heads", "backbone", name, "a network whose answer comes from one layer", fix)


def _two_heads(net: nn.Module) -> bool:
    return any(name.rsplit(".", 1)[-1] == "head_dist" for name, _ in net.named_modules())


def _one_head(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """`state` with the mean of two heads on the same embedding as one, exact in evaluation: the normalisation before
    the second, where there is one, is put into its weights in terms of the first's."""
    second = next((key.rpartition("head_dist.")[0] + "head_dist." for key in state if "head_dist." in key), "")
    if not second:
        return state
    first = second.removesuffix("_dist.") + "."
    merged = {key: tensor for key, tensor in state.items() if not key.startswith(second)}
    layer = next(key.removeprefix(second) for key in state if key.startswith(second) and state[key].ndim == 2)
    weight, bias = layer, layer.removesuffix("weight") + "bias"
    one, other = _affine(state, first), _affine(state, second)
    scale = other[0] / one[0] if one and other else torch.ones(())
    shift = other[1] - one[1] * scale if one and other else torch.zeros(())
    theirs = state[second + weight]
    merged[first + weight] = (state[first + weight] + theirs * scale) / 2
    merged[first + bias] = (state[first + bias] + state[second + bias] + (theirs * shift).sum(1)) / 2
    return merged


def _affine(state: Mapping[str, Tensor], head: str) -> tuple[Tensor, Tensor] | None:
    """What the batch normalisation in a head multiplies by and adds, in evaluation; None where it has none."""
    if f"{head}bn.running_var" not in state:
        return None
    scale = state[f"{head}bn.weight"] / (state[f"{head}bn.running_var"] + HEAD_EPS).sqrt()
    return scale, state[f"{head}bn.bias"] - state[f"{head}bn.running_mean"] * scale


def _with_head(state: Mapping[str, Tensor], net: nn.Module) -> Mapping[str, Tensor]:
    """`state` with a fresh head where it has none at all."""
    names = {module: name for name, module in net.named_modules()}
    head = head_layer(net)
    weight, bias = f"{names[head]}.weight", f"{names[head]}.bias"
    own = net.state_dict()
    if weight in state or own.keys() - state.keys() != {weight, bias}:
        return state
    return {**state, weight: FRESH_STD * torch.randn(own[weight].shape), bias: torch.zeros(own[bias].shape)}


def _entry(name: str, facts: Facts) -> Backbone:
    bare = name.removeprefix(TIMM)
    mean, std = (facts.mean, facts.std) if facts.mean else PIXELS[facts.pixels]
    architecture, _, tag = bare.partition(".")
    return Backbone(
        name=name,
        title=f"{architecture} ({tag})",
        image_size=facts.size,
        smallest=facts.smallest,
        channels=3,
        mean=mean,
        std=std,
        small_images=False,
        params=facts.params,
        macs=facts.macs,
        accuracy=facts.accuracy,
        classes=facts.classes,
        licence=_licence(facts.licence),
        source=f"{hub.HUB}/{_repository(name)}",
        weights="download",
        download_bytes=facts.bytes,
        multiple=facts.multiple,
        norms=facts.norms,
        linear_head=facts.linear_head,
        crop=facts.crop,
        accuracy_at=facts.at,
    )


def _licence(code: str) -> str:
    if code.startswith(NON_COMMERCIAL):
        return "CC-BY-NC-4.0, non-commercial"
    return LICENCES.get(code) or (f"{code} (see its page)" if code else "not stated by timm")
