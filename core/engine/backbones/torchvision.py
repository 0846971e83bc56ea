"""All classification architectures of torchvision, with their default weights and published figures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from math import isqrt
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlparse

import torch
import torchvision.models as zoo
from torch import Tensor, nn
from torchvision.models.vision_transformer import VisionTransformer, interpolate_embeddings

from core.engine.backbones.backbone import Backbone, Family, Progress
from core.engine.download import download
from core.errors import UserError

IMAGENET_CLASSES = 1000
UNSTATED = "see torchvision's documentation"
SWAG = "CC-BY-NC-4.0, non-commercial (SWAG weights)"
AUXILIARY = ("AuxLogits.", "aux1.", "aux2.")
# Names of submodules used to contain dots, which PyTorch no longer allows; densenet's files still have them.
DOTTED = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)$")
WITHOUT_NORMS = ("alexnet", "convnext", "squeezenet", "swin", "vit_")  # no batch normalisation
# The smallest supported side in pixels, for networks whose `min_size` in torchvision only describes their training.
SMALLEST = {"swin": 4, "efficientnet_v2": 1}


class Torchvision(Family):
    """torchvision's classifiers.

    inception_v3 and googlenet come without their auxiliary classifiers, which only help training from scratch, so that
    forward returns a single tensor in train mode too. Both keep the input transform of their weights, with or without
    those weights, so that a network rebuilt from its architecture computes the same function.
    """

    def catalog(self) -> list[Backbone]:
        return [_entry(name) for name in names()]

    def architecture(self, backbone: Backbone, classes: int, image_size: int, width: int, channels: int) -> nn.Module:
        extra: dict[str, Any] = {}
        if backbone.name in ("inception_v3", "googlenet"):
            extra = {"aux_logits": False, "transform_input": True, "init_weights": True}
        return _built(backbone.name, classes, image_size, extra)

    def published(self, backbone: Backbone, classes: int, image_size: int, width: int) -> nn.Module:
        """With inception_v3's auxiliary classifier, which torchvision's count includes (googlenet's does not)."""
        if backbone.name == "inception_v3":
            return _built(backbone.name, classes, image_size, {"init_weights": False})
        return super().published(backbone, classes, image_size, width)

    def state(self, backbone: Backbone, folder: Path | None, progress: Progress | None) -> Mapping[str, Tensor]:
        url = _default(backbone.name).url
        path = weights_path(backbone.name, folder)
        try:
            download(url, path, sha256_prefix=hash_in(path.name), progress=progress)
        except UserError as error:
            if error.code != "unreachable":
                raise
            fix = (
                f'Connect to the internet; or set weights to "none"; or choose a backbone with local weights, such as '
                f"efficientnet_lite0; or download {path.name} elsewhere from {url} and put it into {path.parent}."
            )
            raise UserError(
                "weights_unreachable", "backbone", backbone.name, "weights that can be downloaded", fix
            ) from error
        return cast(Mapping[str, Tensor], torch.load(path, map_location="cpu", weights_only=True))

    def at_hand(self, backbone: Backbone, folder: Path | None) -> bool:
        return weights_path(backbone.name, folder).is_file()

    def labels(self, backbone: Backbone) -> tuple[str, ...]:
        return tuple(_default(backbone.name).meta["categories"])

    def fit(self, state: Mapping[str, Tensor], net: nn.Module) -> Mapping[str, Tensor]:
        """Without auxiliary classifiers, with densenet's new names, and with position embeddings resized for `net`."""
        metadata = getattr(state, "_metadata", None)
        fitted = {DOTTED.sub(r"\1\2", k): v for k, v in state.items() if not k.startswith(AUXILIARY)}
        if isinstance(net, VisionTransformer) and _square(fitted.get("encoder.pos_embedding")):
            fitted = interpolate_embeddings(net.image_size, net.patch_size, fitted)
        return with_metadata(fitted, metadata)


def names() -> list[str]:
    """The names of the unquantized classification architectures."""
    return cast(list[str], zoo.list_models(module=zoo))


@cache
def imagenet_labels() -> tuple[str, ...]:
    """The 1,000 class names of ImageNet in the order of the logits."""
    return tuple(zoo.ResNet18_Weights.DEFAULT.meta["categories"])


def weights_path(name: str, folder: Path | None = None) -> Path:
    """The path of the default weights of `name`, in `folder`, by default torch.hub's folder of checkpoints."""
    folder = folder or Path(torch.hub.get_dir()) / "checkpoints"
    return folder / Path(urlparse(_default(name).url).path).name


def hash_in(file_name: str) -> str:
    """The beginning of the file's SHA-256, which is part of its name: `resnet18-f37072fd.pth`."""
    found = re.search(r"-([0-9a-f]{8,})\.pth$", file_name)
    assert found, f"{file_name}: torchvision's weights carry their hash in their name"
    return found.group(1)


def with_metadata(state: Mapping[str, Tensor], metadata: object) -> Mapping[str, Tensor]:
    """`state` with the versions of its modules, which PyTorch needs for old files (batch norm, mnasnet)."""
    if metadata is not None:
        state = _Versioned(state)
        state._metadata = metadata
    return state


class _Versioned(dict[str, Tensor]):
    _metadata: object


def _square(positions: Tensor | None) -> bool:
    """Whether position embeddings [1, 1 + tokens, width] are of a class token and a square of tokens."""
    tokens = positions.shape[1] - 1 if positions is not None and positions.ndim == 3 else 0
    return tokens > 0 and isqrt(tokens) ** 2 == tokens


def _default(name: str) -> Any:
    return zoo.get_model_weights(name).DEFAULT


def _built(name: str, classes: int, image_size: int, extra: dict[str, Any]) -> nn.Module:
    _refuse_odd(name, image_size, _multiple(name))
    if name.startswith("vit_"):
        extra = {**extra, "image_size": image_size}
    if name == "maxvit_t":
        extra = {**extra, "input_size": (image_size, image_size)}
    return cast(nn.Module, zoo.get_model(name, weights=None, num_classes=classes, **extra))


def _patch(name: str) -> int:
    return int(name.rsplit("_", 1)[1])  # vit_b_16: torchvision names its vision transformers by their patch


def _smallest(name: str, stated: int) -> int:
    if name.startswith("vit_"):
        return _patch(name)
    return next((side for start, side in SMALLEST.items() if name.startswith(start)), stated)


def _multiple(name: str) -> int:
    """The number that the side of its images must be a multiple of."""
    if name == "maxvit_t":
        return 224  # five halvings, then windows of 7
    return _patch(name) if name.startswith("vit_") else 1


def _refuse_odd(name: str, image_size: int, step: int) -> None:
    if image_size % step or image_size < step:
        near = max(step, round(image_size / step) * step)
        fix = f"The nearest allowed size is {near}."
        raise UserError("wrong_image_size", "image_size", image_size, f"a multiple of {step} for {name}", fix)


def _entry(name: str) -> Backbone:
    weights = _default(name)
    meta, transforms = weights.meta, weights.transforms()
    accuracy = meta["_metrics"].get("ImageNet-1K", {}).get("acc@1")
    return Backbone(
        name=name,
        title=type(weights).__name__.removesuffix("_Weights").replace("_", " "),
        image_size=transforms.crop_size[0],
        smallest=_smallest(name, meta["min_size"][0]),
        channels=3,
        mean=tuple(transforms.mean),
        std=tuple(transforms.std),
        small_images=False,
        params=meta["num_params"],
        macs=round(meta["_ops"] * 1e9),
        accuracy=accuracy,
        classes=len(meta["categories"]),
        licence=f"{SWAG}: {meta['license']}" if "license" in meta else UNSTATED,
        source=meta["recipe"],
        weights="download",
        download_bytes=round(meta["_file_size"] * 2**20),
        multiple=_multiple(name),
        norms=not name.startswith(WITHOUT_NORMS) and (not name.startswith("vgg") or name.endswith("_bn")),
        linear_head=not name.startswith("squeezenet"),
    )
