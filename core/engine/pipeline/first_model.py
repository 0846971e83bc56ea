"""The model a recipe starts from: its backbone, pretrained, with a fresh head for the classes of the data."""

from __future__ import annotations

import torch
from torch import nn

from core.engine.backbones import Backbone, find, labels, load_backbone
from core.engine.context import Context, Progress
from core.engine.model import Model
from core.engine.seeds import counter_seed


def start(backbone: str, context: Context) -> Model:
    """The backbone at the recipe's image size; weights are downloaded into the workspace where they must be."""
    info = find(backbone)
    size = context.image_size or info.image_size
    torch.manual_seed(counter_seed(*context.place, "head"))

    def progress(done: int, total: int | None) -> None:
        context.stop_if_cancelled()
        context.report(Progress("downloading", done, total or 0))

    net = load_backbone(
        backbone, classes=len(context.data.classes), weights=context.weights, image_size=size,
        folder=context.cache / "weights", progress=progress,
    )  # fmt: skip
    fresh = context.weights == "none" or (context.weights == "default" and not info.fixed)
    return as_model(net, info, context.data.classes, size, fresh=fresh)


def as_model(net: nn.Module, info: Backbone, classes: tuple[str, ...], size: int, *, fresh: bool) -> Model:
    """`net`, the network of `info`, as the model a recipe begins with. Of an own network it keeps the architecture, so
    that what is made of it can be loaded where the person's weights are not."""
    known = () if fresh else labels(info.name)
    return Model(
        net, info.architecture or info.name, classes, info.preprocessing(size), info.own_width, fresh=fresh,
        alias=info.name if info.architecture else "", knows=known,
    )  # fmt: skip


def tell_random(model: Model, context: Context) -> None:
    """Says that a step leaves layers as they are whose weights are random."""
    if model.fresh:
        message = (
            f"{model.backbone} has random weights, and this step leaves layers of it as they are: nothing has trained "
            "them. Choose a backbone with pretrained weights, or fine_tune, which trains all layers."
        )
        context.remark("random_layers", message)


def side_of(backbone: str, wanted: int) -> int:
    """Pixels a side at which `backbone` works beside others that take `wanted`: its own where that is 0, and always for
    a small network, which is made for small images."""
    info = find(backbone)
    return wanted if wanted and not info.small_images else info.image_size
