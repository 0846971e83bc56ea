"""Attention transfer: the student imitates the teacher's spatial attention maps."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from core.engine.distill import Distill
from core.engine.distill.balance import gain_of, weight_of
from core.engine.distill.stages import pairs
from core.engine.method import knob
from core.engine.output import Output
from core.options import Words


class Attention(Distill):
    """Squared difference of normalised attention maps (Zagoruyko & Komodakis 2017, arXiv:1612.03928, as in their code).

    Maps have no channels, so networks of any widths can be compared; the larger map is average-pooled to the smaller.
    """

    reads_features: ClassVar[bool] = True
    needs_maps: ClassVar[bool] = True
    title = Words("Attention maps", "注意力图蒸馏")
    summary = Words(
        "At each stage the student learns in which regions of the image the teacher is most active.",
        "在每个阶段，学生学习教师在图像的哪些区域最活跃。",
    )
    source = "https://arxiv.org/abs/1612.03928"

    weight: float = weight_of(0.5)
    gain: float = gain_of(1000.0)
    p: int = knob(
        2, "Exponent", "Applied to activations before averaging: the higher, the more the strongest dominate.",
        zh=("幂次", "激活值取平均前的幂次：越高，最强的激活值越占主导。"), ge=1, le=8,
    )  # fmt: skip

    def soft_loss(self, student: Output, teacher: Output, target: Tensor | None) -> Tensor:
        """Sum over the stages of the mean squared difference of maps, over images and positions."""
        found = pairs(student, teacher)
        apart = [(self._map(mine) - self._map(theirs)).square().mean() for mine, theirs in found]
        return torch.stack(apart).sum()

    def _map(self, feature: Tensor) -> Tensor:
        """Mean over channels of |activation|^p, [N, positions], normalised to length 1."""
        return F.normalize(feature.abs().pow(self.p).mean(1).flatten(1), dim=1)
