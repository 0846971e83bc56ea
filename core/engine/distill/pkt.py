"""Probabilistic knowledge transfer: student and teacher agree on the probabilities of an image's neighbours."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from core.engine.distill import Distill
from core.engine.distill.balance import gain_of, weight_of
from core.engine.distill.stages import embeddings
from core.engine.output import Output
from core.options import Words

NOTHING = 1e-7  # a probability of exactly 0 has no logarithm


class Pkt(Distill):
    """KL of the probabilities that image i picks image j, from cosines of embeddings (Passalis & Tefas 2018,
    arXiv:1803.10837)."""

    reads_features: ClassVar[bool] = True
    title = Words("Probabilistic knowledge transfer", "概率知识迁移")
    summary = Words(
        "In the student's embedding each image has the same neighbours as in the teacher's, equally probable.",
        "每张图像在学生的嵌入空间中的近邻及其概率与教师相同。",
    )
    source = "https://arxiv.org/abs/1803.10837"

    weight: float = weight_of(0.5)
    gain: float = gain_of(30000.0)

    def soft_loss(self, student: Output, teacher: Output, target: Tensor | None) -> Tensor:
        """p · log(p / q), averaged over all N² pairs; p of the teacher, q of the student."""
        q, p = (_neighbours(embedding) for embedding in embeddings(student, teacher))
        return (p * ((p + NOTHING) / (q + NOTHING)).log()).mean()


def _neighbours(embedding: Tensor) -> Tensor:
    """[N, N]: (cosine + 1) / 2, each row as probabilities."""
    directions = F.normalize(embedding, dim=1)
    kernel = ((directions @ directions.T + 1) / 2).clamp(min=0)  # rounding may lead below −1
    return kernel / kernel.sum(1, keepdim=True)
