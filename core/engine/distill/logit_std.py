"""Distillation of standardised logits."""

from __future__ import annotations

from torch import Tensor

from core.engine.distill import Distill
from core.engine.distill.divergence import softened_divergence
from core.engine.method import knob
from core.engine.output import Output
from core.options import Words

NOTHING = 1e-7  # prevents division by zero for a row of equal logits


class LogitStd(Distill):
    """Soft labels of logits divided by their standard deviation (Sun, Ren, Li, Wang & Cao 2024, arXiv:2403.01427)."""

    title = Words("Standardised logits", "标准化对数几率蒸馏")
    summary = Words(
        "Distils only the order and relations of the teacher's logits, not their magnitude, which a small student "
        "cannot match.",
        "只蒸馏教师对数几率的顺序与相对关系，不蒸馏其大小——小的学生网络达不到那样的大小。",
    )
    source = "https://arxiv.org/abs/2403.01427"

    temperature: float = knob(
        2.0, "Temperature", "Softens the standardised logits; 1 leaves them unchanged, higher is more uniform.",
        zh=("温度", "软化标准化后的对数几率；1 表示不变，温度越高分布越均匀。"), ge=0.1, le=100.0, first=True,
    )  # fmt: skip

    def soft_loss(self, student: Output, teacher: Output, target: Tensor | None) -> Tensor:
        """T² · KL of logits [N, C], each row with mean 0 and unbiased standard deviation 1."""
        return softened_divergence(_standard(student.logits), _standard(teacher.logits), self.temperature)


def _standard(logits: Tensor) -> Tensor:
    return (logits - logits.mean(1, keepdim=True)) / (logits.std(1, keepdim=True) + NOTHING)
