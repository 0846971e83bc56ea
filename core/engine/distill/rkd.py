"""Relational distillation: distances and angles between images."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from core.engine.distill import Distill
from core.engine.distill.balance import weight_of
from core.engine.distill.stages import embeddings
from core.engine.method import knob
from core.engine.output import Output
from core.options import Words

MOST = 256  # images per batch: all their triples are compared, 64 MB of angles at 256


class Rkd(Distill):
    """distance_weight · L_D + angle_weight · L_A on embeddings (Park, Kim, Lu & Cho 2019, arXiv:1904.05068).

    Time and memory of the angles grow with the cube of the batch size, which is therefore bounded.
    """

    reads_features: ClassVar[bool] = True
    title = Words("Relations between images", "关系蒸馏")
    summary = Words(
        "The student arranges images as the teacher does: proportional distances, equal angles.",
        "学生的嵌入像教师那样排布图像：距离成比例，角度相同。",
    )
    source = "https://arxiv.org/abs/1904.05068"

    weight: float = weight_of(0.5)
    batch: int = knob(
        128, "Batch size", "Images per optimizer step; every three of them form an angle.",
        zh=("批大小", "每次参数更新使用的图像数；每三张图像构成一个角。"), ge=2, le=MOST, unit="images",
    )  # fmt: skip
    distance_weight: float = knob(
        25.0, "Weight of distances", "Weight of the distances between two images.",
        zh=("距离权重", "两张图像之间距离的权重。"), ge=0.0, le=1000.0,
    )  # fmt: skip
    angle_weight: float = knob(
        50.0, "Weight of angles", "Weight of the angles between three images.",
        zh=("角度权重", "三张图像构成的角的权重。"), ge=0.0, le=1000.0,
    )  # fmt: skip

    def soft_loss(self, student: Output, teacher: Output, target: Tensor | None) -> Tensor:
        """Smooth L1 of distances [N, N] in units of their mean, and of cosines [N, N, N], both averaged."""
        mine, theirs = (_differences(embedding) for embedding in embeddings(student, teacher))
        distance = F.smooth_l1_loss(_distances(mine), _distances(theirs))
        angle = F.smooth_l1_loss(_cosines(mine), _cosines(theirs))
        return self.distance_weight * distance + self.angle_weight * angle


def _differences(embedding: Tensor) -> Tensor:
    """[N, N, D]: row i holds every image relative to image i."""
    return embedding.unsqueeze(0) - embedding.unsqueeze(1)


def _distances(differences: Tensor) -> Tensor:
    """In units of the mean over pairs of different embeddings; all zero if there are none."""
    squares = differences.square().sum(2)
    apart = squares > 0
    found = squares.where(apart, 1.0).sqrt() * apart  # the root has no gradient at zero
    return found / (found.sum() / apart.sum().clamp(min=1)).clamp(min=1e-12)


def _cosines(differences: Tensor) -> Tensor:
    """[N, N, N]: at image i, the cosine of the angle between images j and k."""
    directions = F.normalize(differences, dim=2)
    return directions @ directions.mT
