"""Similarity-preserving distillation: images that are similar to the teacher are similar to the student."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from core.engine.distill import Distill
from core.engine.distill.balance import gain_of, weight_of
from core.engine.distill.stages import matched
from core.engine.output import Output
from core.options import Words


class Similarity(Distill):
    """Squared difference of the batch's similarity matrices (Tung & Mori 2019, arXiv:1907.09682).

    The matrices are [N, N] whatever the features' widths and sizes, so any two networks can be compared.
    """

    reads_features: ClassVar[bool] = True
    needs_maps: ClassVar[bool] = True
    title = Words("Similarity-preserving", "相似性保持蒸馏")
    summary = Words(
        "Images that cause similar responses in the teacher should cause similar responses in the student.",
        "让教师产生相似响应的图像，也应让学生产生相似响应。",
    )
    source = "https://arxiv.org/abs/1907.09682"

    weight: float = weight_of(0.5)
    gain: float = gain_of(3000.0)

    def soft_loss(self, student: Output, teacher: Output, target: Tensor | None) -> Tensor:
        """Sum over the stages of ‖G − G'‖² / N², G the Gram matrix of the batch with rows normalised to 1."""
        found = matched(student, teacher)
        return torch.stack([(_alike(mine) - _alike(theirs)).square().mean() for mine, theirs in found]).sum()


def _alike(feature: Tensor) -> Tensor:
    flat = feature.flatten(1)
    return F.normalize(flat @ flat.T, dim=1)
