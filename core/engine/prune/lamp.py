"""LAMP: a channel's weights relative to those of all larger channels of its group."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_pruning.dependency import Group

from core.engine.prune.attention import Score
from core.engine.prune.channels import ChannelPrune
from core.engine.prune.scores import Share, average
from core.options import Words


class Lamp(ChannelPrune):
    """Layer-adaptive magnitude (Lee et al. 2021, arXiv:2010.07611), with channels in place of single weights."""

    title = Words("LAMP", "LAMP")
    summary = Words(
        "Squared weights, each relative to all larger ones of its layer: made for the global scope, where it decides "
        "how much each layer loses. In the local scope its ranking equals that of L2.",
        "权重平方除以同层所有不小于它的权重平方之和：适合全局范围，由它决定各层剪多少；局部范围内与 L2 排序相同。",
    )
    source = "https://arxiv.org/abs/2010.07611"

    def importance(self, seed: int) -> Score:
        """Between 0 and 1; the largest channel of every group has 1. `seed` is not used."""
        return lamp


def lamp(group: Group) -> Tensor | None:
    """One score per channel [C]: its mean squared norm divided by the sum of all that are at least as large."""
    norms = average(group, _squares)
    if norms is None:
        return None
    order = norms.argsort(stable=True)
    beyond = norms[order].flip(0).cumsum(0).flip(0)
    scores = torch.empty_like(norms)
    scores[order] = norms[order] / beyond.clamp_min(torch.finfo(norms.dtype).tiny)
    return scores


def _squares(share: Share) -> Tensor:
    return share.weight.square().sum(1)
