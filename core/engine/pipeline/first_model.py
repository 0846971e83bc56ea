"""The initial model of a recipe: its backbone with a new head for the classes of the dataset."""

from __future__ import annotations

import torch
from torch import nn

from core.engine.backbones import Backbone, find, labels, load_backbone
from core.engine.context import Context, Progress
from core.engine.model import Model
from core.engine.seeds import counter_seed


def start(backbone: str, context: Context) -> Model:
    """The backbone at the recipe's image size; weights are downloaded into the workspace's cache if necessary."""
    info = find(backbone)
    size = context.image_size or info.image_size
    torch.manual_seed(counter_seed(*context.place, "head"))

    def progress(done: int, total: int | None) -> None:
        context.stop_if_cancelled()
        context.report(Progress("downloading", done, total or 0))

    net = load_backbone(
        backbone,
        classes=len(context.data.classes),
        weights=context.weights,
        image_size=size,
        folder=context.cache / "weights",
        progress=progress,
    )
    fresh = context.weights == "none" or (context.weights == "default" and not info.fixed)
    return as_model(net, info, context.data.classes, size, fresh=fresh)


def as_model(net: nn.Module, info: Backbone, classes: tuple[str, ...], size: int, *, fresh: bool) -> Model:
    """`net`, the network of `info`, as a model. For an imported network the model names the architecture, so that
    models made from it can be loaded without the imported weights."""
    known = () if fresh else labels(info.name)
    return Model(
        net,
        info.architecture or info.name,
        classes,
        info.preprocessing(size),
        info.own_width,
        fresh=fresh,
        alias=info.name if info.architecture else "",
        knows=known,
    )


def warn_random_weights(model: Model, context: Context) -> None:
    """Warns if a step leaves layers with random weights untrained."""
    if model.fresh:
        message = (
            f"{model.backbone} has random weights, and this step leaves some of its layers untrained. Choose a "
            "backbone with pretrained weights, or fine_tune, which trains all layers."
        )
        context.remark("random_layers", message)


def side_of(backbone: str, wanted: int) -> int:
    """The image size in pixels for `backbone` among others that use `wanted`: its own if `wanted` is 0, and always for
    small networks, which are made for small images."""
    info = find(backbone)
    return wanted if wanted and not info.small_images else info.image_size
