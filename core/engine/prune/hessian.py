"""Hessian: how much the loss would rise, to second order, without a channel's weights."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from core.engine.method import knob
from core.engine.prune.gradients import GradientPrune, Labelled, curvature
from core.options import Words


class Hessian(GradientPrune):
    """Optimal brain damage (LeCun et al. 1990): Σ weight² · H_ii, half of which the loss would rise at a minimum. As
    there, H is the Gauss-Newton form, never negative; its diagonal comes from squared gradients with labels sampled
    from the network's own predictions (Martens 2020, arXiv:1412.1193)."""

    title = Words("Hessian", "海森矩阵")
    summary = Words(
        "Removes the channels in whose weights the loss is least curved, estimated from squared gradients of the "
        "network's own predictions.",
        "移除损失曲率最小的通道；曲率由网络自身预测的梯度平方估计。",
    )
    source = "https://proceedings.neurips.cc/paper/1989/hash/6c9882bbac1c7093bd25041881277658-Abstract.html"

    draws: int = knob(
        4, "Draws per batch", "How often labels are sampled for each batch; more samples give less noise.",
        zh=("每批抽样次数", "每个批次采样标签的次数；越多噪声越小。"), ge=1, le=64,
    )  # fmt: skip

    @property
    def passes(self) -> int:
        return self.draws

    def weigh(self, net: nn.Module, batches: Iterable[Labelled], draw: torch.Generator) -> None:
        """The Gauss-Newton matrix's diagonal."""
        curvature(net, batches, self.draws, draw)
