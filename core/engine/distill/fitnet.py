"""Hints: the student's features imitate the teacher's."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.engine.distill import Distill
from core.engine.distill.balance import gain_of, weight_of
from core.engine.distill.stages import Regressors, pairs, same_widths
from core.engine.output import Output
from core.options import Words


class Fitnet(Distill):
    """Mean squared difference of features (Romero, Ballas, Kahou, Chassang, Gatta & Bengio 2015, arXiv:1412.6550).

    The paper uses one hint; here every stage is one, and their losses are added. Where the widths of a stage differ, a
    1×1 convolution with batch norm, trained along with the student, maps the student's channels to the teacher's; where
    they are equal the features are compared directly. The larger map is average-pooled to the smaller.
    """

    reads_features: ClassVar[bool] = True
    needs_maps: ClassVar[bool] = True
    title = Words("Hints from features", "特征提示蒸馏")
    summary = Words(
        "At each stage the student's features imitate the teacher's through a small layer that is discarded later.",
        "在每个阶段，学生的特征通过一个训练后即丢弃的小层去模仿教师的特征。",
    )
    source = "https://arxiv.org/abs/1412.6550"

    weight: float = weight_of(0.5)
    gain: float = gain_of(100.0)

    def soft_loss(self, student: Output, teacher: Output, target: Tensor | None) -> Tensor:
        """Sum over the stages of the mean squared difference; raises UserError if channels differ."""
        found = same_widths(pairs(student, teacher), "fitnet")
        return torch.stack([F.mse_loss(mine, theirs) for mine, theirs in found]).sum()

    def learner(self, student: Output, teacher: Output) -> nn.Module | None:
        """A regressor for each stage whose widths differ."""
        return Regressors(self.soft_loss, student, teacher, _regressor)


def _regressor(inputs: int, outputs: int) -> nn.Module:
    if inputs == outputs:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
