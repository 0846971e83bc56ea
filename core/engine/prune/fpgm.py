"""Geometric median: removes filters that the other filters of their layer can replace."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_pruning.dependency import Group

from core.engine.prune.attention import Score
from core.engine.prune.channels import ChannelPrune
from core.engine.prune.scores import Share, average, relative
from core.options import Words


class Fpgm(ChannelPrune):
    """Filter pruning via geometric median (He et al. 2019, arXiv:1811.00250)."""

    title = Words("Geometric median", "几何中位数")
    summary = Words(
        "Removes the filters closest to all others of their layer: the others can replace them.",
        "移除与同层其他滤波器总距离最小的滤波器：它们的作用可由其他滤波器代替。",
    )
    source = "https://arxiv.org/abs/1811.00250"

    def importance(self, seed: int) -> Score:
        """The sum of a filter's distances to the others, relative to its layer's mean; `seed` is not used."""
        return fpgm


def fpgm(group: Group) -> Tensor | None:
    """One score per channel [C], the mean over the layers that write it."""
    return relative(average(group, _distances))


def _distances(share: Share) -> Tensor | None:
    if share.role != "writes":
        return None
    rows = share.weight
    return relative(torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist").sum(1))
