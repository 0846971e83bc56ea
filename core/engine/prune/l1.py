"""L1: removes the channels with the smallest sum of absolute weights."""

from __future__ import annotations

from torch import Tensor
from torch_pruning.dependency import Group

from core.engine.prune.attention import Score
from core.engine.prune.channels import ChannelPrune
from core.engine.prune.scores import Share, average, relative
from core.options import Words


class L1(ChannelPrune):
    """L1 norm of filters (Li et al. 2017, arXiv:1608.08710), over all layers that share a channel."""

    title = Words("L1 norm", "L1 范数")
    summary = Words(
        "Removes the channels with the smallest sum of absolute weights: many small weights count as one large one.",
        "移除权重绝对值之和最小的通道：许多小权重与一个大权重等价。",
    )
    source = "https://arxiv.org/abs/1608.08710"

    def importance(self, seed: int) -> Score:
        """The sum of absolute weights, its mean over the layers, relative to the group's; `seed` is not used."""
        return l1


def l1(group: Group) -> Tensor | None:
    """One score per channel [C]."""
    return relative(average(group, _absolute))


def _absolute(share: Share) -> Tensor:
    return share.weight.abs().sum(1)
