"""L2: removes the channels with the smallest weights."""

from __future__ import annotations

from torch import nn
from torch_pruning.pruner.importance import GroupMagnitudeImportance

from core.engine.prune.attention import Score
from core.engine.prune.channels import ChannelPrune
from core.options import Words

KINDS = [nn.modules.conv._ConvNd, nn.Linear, nn.modules.batchnorm._BatchNorm, nn.LayerNorm]


class L2(ChannelPrune):
    """Group L2 norm (Li et al. 2017, arXiv:1608.08710; over all coupled layers: Fang et al. 2023, arXiv:2301.12900)."""

    title = Words("L2 norm", "L2 范数")
    summary = Words(
        "Removes the channels whose weights, over all layers that share the channel, are smallest.",
        "移除权重最小的通道；权重在共享该通道的所有层上合计。",
    )
    source = "https://arxiv.org/abs/2301.12900"

    def importance(self, seed: int) -> Score:
        """The mean squared weight of a channel over its layers, relative to its group's mean; `seed` is not used."""
        score: Score = GroupMagnitudeImportance(p=2, target_types=list(KINDS))
        return score
