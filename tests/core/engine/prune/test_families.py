"""Every importance on the hard families: attention, shuffles, grouped and concatenated channels."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from core.engine.prune.gradients import curvature, squared_gradients, weighted_squares
from core.engine.prune.structured import prune_channels, prune_rounds
from core.errors import UserError
from tests.core.engine.prune.test_structured import CLASSES, answers, build, size

FAMILIES = ("vit", "swin", "maxvit", "convnext", "squeezenet1_1", "shufflenet_v2_x0_5")
WITHOUT_NORMS = ("vit", "swin", "convnext", "squeezenet1_1")


@pytest.mark.parametrize("importance", ["l1", "bn_scale", "fpgm", "lamp"])
@pytest.mark.parametrize("name", FAMILIES)
def test_weights_rank_the_channels_of_every_family(name: str, importance: str) -> None:
    net, images = build(name)
    if importance == "bn_scale" and name in WITHOUT_NORMS:
        with pytest.raises(UserError, match="batch normalisation"):
            prune_channels(net, images, 0.5, importance)
        return
    pruned = prune_channels(net, images, 0.5, importance)
    assert size(pruned) < (0.9 if importance == "bn_scale" else 0.6) * size(net)
    assert answers(pruned, images).shape == (2, CLASSES)
    assert answers(pruned, images).isfinite().all()


@pytest.mark.parametrize("name", ["vit", "swin", "maxvit", "shufflenet_v2_x0_5"])
@pytest.mark.parametrize("statistic", ["squares", "curvature"])
def test_gradients_rank_the_channels_of_every_family(name: str, statistic: str) -> None:
    net, images = build(name)
    if name == "vit":
        nn.init.normal_(net.heads.head.weight)  # a fresh one is zero, and lets no gradient through
    batches = [(images, torch.tensor([0, 1]))]

    def look(model: nn.Module) -> None:
        if statistic == "squares":
            squared_gradients(model, batches)
        else:
            curvature(model, batches, 2, torch.Generator().manual_seed(0))

    scores: list[Tensor] = []

    def kept(group: Any) -> Tensor:
        scores.append(weighted_squares(group))
        return scores[-1]

    *_, pruned = prune_rounds(net, images, 0.5, kept, before_cut=look)
    assert size(pruned) < 0.6 * size(net)
    assert answers(pruned, images).shape == (2, CLASSES)
    assert all(bool((score >= 0).all()) for score in scores)
    assert sum(bool((score > 0).any()) for score in scores) > 0.9 * len(scores)
    assert all(parameter.grad is None for parameter in net.parameters())
