"""Taylor: how much the loss would change, to first order, without a channel's weights."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from core.engine.prune.gradients import GradientPrune, Labelled, squared_gradients
from core.options import Words


class Taylor(GradientPrune):
    """First-order importance (Molchanov et al. 2019, arXiv:1906.10771, eq. 5 and 8): Σ (gradient · weight)², the sum
    over a channel's weights, averaged over batches."""

    title = Words("Taylor", "泰勒展开")
    summary = Words(
        "Removes the channels whose removal would change the loss least, estimated from gradients on labelled images.",
        "根据有标签图像上的梯度，移除对损失影响最小的通道。",
    )
    source = "https://arxiv.org/abs/1906.10771"

    def weigh(self, net: nn.Module, batches: Iterable[Labelled], draw: torch.Generator) -> None:
        """The mean squared gradient."""
        squared_gradients(net, batches)
