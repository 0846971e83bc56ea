"""Variational information distillation: how well the teacher's features can be predicted from the student's."""

from __future__ import annotations

from math import expm1, log
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.engine.distill import Distill
from core.engine.distill.balance import weight_of
from core.engine.distill.stages import Regressors, pairs, same_widths
from core.engine.method import knob
from core.engine.output import Output
from core.options import Words

LEAST = 1e-5  # variance


class Vid(Distill):
    """(t − m)² / 2v + log v / 2 of the teacher's features t (Ahn, Hu, Damianou, Lawrence & Dai 2019, arXiv:1904.05835).

    The mean m comes from the student's features through three 1×1 convolutions, the variance v is one number per
    channel; both are trained too. Without them, as in `soft_loss`, m is the student's feature and v is `variance`.
    """

    reads_features: ClassVar[bool] = True
    needs_maps: ClassVar[bool] = True
    title = Words("Variational information", "变分信息蒸馏")
    summary = Words(
        "The teacher's features must be predictable from the student's; how precisely is learned for each channel.",
        "教师的特征必须能由学生的特征预测；各通道的精度由学习决定。",
    )
    source = "https://arxiv.org/abs/1904.05835"

    weight: float = weight_of(0.5)
    variance: float = knob(
        5.0, "Initial variance", "Variance of the predictions at the start of training.",
        zh=("初始方差", "训练开始时预测的方差。"), ge=0.001, le=1000.0,
    )  # fmt: skip

    def soft_loss(self, student: Output, teacher: Output, target: Tensor | None) -> Tensor:
        """Sum over the stages of the mean negative log-likelihood, without its constant; may be negative."""
        found = same_widths(pairs(student, teacher), "vid")
        return _unlikely(found, [torch.full((), self.variance)] * len(found))

    def learner(self, student: Output, teacher: Output) -> nn.Module | None:
        """Means and variances of every stage."""
        return _Distributions(self.variance, student, teacher)


class _Distributions(Regressors):
    def __init__(self, variance: float, student: Output, teacher: Output) -> None:
        super().__init__(self.likelihood, student, teacher, _means)
        start = log(expm1(variance - LEAST)) if variance < 20 else variance
        widths = [theirs.shape[1] for _, theirs in pairs(student, teacher)]
        self.scales = nn.ParameterList(torch.full((width, 1, 1), start) for width in widths)

    def likelihood(self, student: Output, teacher: Output, target: Tensor | None) -> Tensor:
        return _unlikely(pairs(student, teacher), [F.softplus(scale) + LEAST for scale in self.scales])


def _unlikely(found: list[tuple[Tensor, Tensor]], variances: list[Tensor]) -> Tensor:
    losses = [
        ((theirs - mine).square() / v.to(mine) + v.to(mine).log()).mean() / 2
        for (mine, theirs), v in zip(found, variances, strict=True)
    ]
    return torch.stack(losses).sum()


def _means(inputs: int, outputs: int) -> nn.Module:
    first, second = nn.Conv2d(inputs, outputs, 1), nn.Conv2d(outputs, outputs, 1)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Conv2d(outputs, outputs, 1))
