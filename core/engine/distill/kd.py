"""Knowledge distillation by softened probabilities."""

from __future__ import annotations

from torch import Tensor

from core.engine.distill import Distill
from core.engine.distill.divergence import softened_divergence
from core.engine.method import knob
from core.engine.output import Output
from core.options import Words


class Kd(Distill):
    """T² · KL(teacher ‖ student) of probabilities softened by T (Hinton, Vinyals & Dean 2015, arXiv:1503.02531)."""

    title = Words("Soft labels", "软标签蒸馏")
    summary = Words(
        "The student imitates the teacher's softened probabilities: how similar a shirt is to a coat, for example.",
        "学生模仿教师软化后的概率：例如一件衬衫与外套有多相似。",
    )
    source = "https://arxiv.org/abs/1503.02531"

    temperature: float = knob(
        4.0, "Temperature", "Softens the teacher's probabilities; 1 leaves them unchanged, higher is more uniform.",
        zh=("温度", "软化教师的概率；1 表示不变，温度越高分布越均匀。"), ge=0.1, le=100.0, first=True,
    )  # fmt: skip

    def soft_loss(self, student: Output, teacher: Output, target: Tensor | None) -> Tensor:
        """T² · KL, mean over the batch; logits [N, C] of both."""
        return softened_divergence(student.logits, teacher.logits, self.temperature)
