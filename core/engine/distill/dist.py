"""Distillation by correlation, for teachers much stronger than the student."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from core.engine.distill import Distill
from core.engine.distill.balance import weight_of
from core.engine.method import knob
from core.engine.output import Output
from core.options import Words


class Dist(Distill):
    """beta · (1 − correlation of rows) + gamma · (1 − correlation of columns) of softened probabilities, with tau²
    (DIST: Huang, You, Wang, Qian & Xu 2022, arXiv:2205.10536)."""

    title = Words("Correlation of probabilities", "概率相关性蒸馏")
    summary = Words(
        "The student need not match the teacher's probabilities, only correlate with them: within each image, and "
        "within each class across images.",
        "学生不必复现教师的概率，只需与其相关：既在每张图像内，也在每个类别的各图像之间。",
    )
    source = "https://arxiv.org/abs/2205.10536"

    weight: float = weight_of(0.5)
    beta: float = knob(
        1.0, "Weight within images", "Weight of the relation between classes within one image.",
        zh=("图像内权重", "同一图像各类别之间关系的权重。"), ge=0.0, le=100.0,
    )  # fmt: skip
    gamma: float = knob(
        1.0, "Weight within classes", "Weight of the relation between images within one class.",
        zh=("类别内权重", "同一类别各图像之间关系的权重。"), ge=0.0, le=100.0,
    )  # fmt: skip
    tau: float = knob(
        1.0, "Temperature", "Softens the probabilities of both networks before they are compared.",
        zh=("温度", "比较前软化双方的概率。"), ge=0.1, le=100.0, first=True,
    )  # fmt: skip

    def soft_loss(self, student: Output, teacher: Output, target: Tensor | None) -> Tensor:
        """tau² · (beta · mean over rows + gamma · mean over columns of 1 − Pearson); logits [N, C] of both."""
        mine, theirs = ((output.logits / self.tau).softmax(1) for output in (student, teacher))
        return self.tau**2 * (self.beta * _unlike(mine, theirs) + self.gamma * _unlike(mine.T, theirs.T))


def _unlike(a: Tensor, b: Tensor) -> Tensor:
    """The mean over rows of 1 − Pearson correlation; a row without variance has correlation 0."""
    a, b = (v - v.mean(1, keepdim=True) for v in (a, b))
    return 1 - F.cosine_similarity(a, b, dim=1, eps=1e-8).mean()
