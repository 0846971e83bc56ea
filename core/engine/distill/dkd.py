"""Decoupled knowledge distillation."""

from __future__ import annotations

import torch
from torch import Tensor

from core.engine.distill import Distill
from core.engine.distill.balance import weight_of
from core.engine.distill.divergence import softened_divergence
from core.engine.method import knob
from core.engine.output import Output
from core.engine.training.loop import UNLABELLED, Batch
from core.options import Words


class Dkd(Distill):
    """alpha · TCKD + beta · NCKD, with T² (Zhao, Cui, Song, Qiu & Liang 2022, arXiv:2203.08679).

    TCKD compares the probability of the target class with that of all others together, NCKD the probabilities among the
    others. Over the first `warmup` epochs the soft loss grows to its full weight, as in the authors' code. For an image
    without a label, the class that the teacher predicts is the target.
    """

    title = Words("Decoupled distillation", "解耦蒸馏")
    summary = Words(
        "Distils the teacher's confidence in the correct class separately from its ranking of the other classes.",
        "把“教师对正确类别的置信度”与“教师对其余类别的排序”分开蒸馏。",
    )
    source = "https://arxiv.org/abs/2203.08679"

    weight: float = weight_of(0.5)
    alpha: float = knob(
        1.0, "Weight of the target class", "Weight of the teacher's confidence in the correct class.",
        zh=("目标类权重", "教师对正确类别的置信度的权重。"), ge=0.0, le=100.0,
    )  # fmt: skip
    beta: float = knob(
        8.0, "Weight of the other classes", "Weight of the teacher's ranking of the other classes.",
        zh=("非目标类权重", "教师对其余类别的排序的权重。"), ge=0.0, le=100.0,
    )  # fmt: skip
    temperature: float = knob(
        4.0, "Temperature", "Softens the teacher's probabilities; 1 leaves them unchanged, higher is more uniform.",
        zh=("温度", "软化教师的概率；1 表示不变，温度越高分布越均匀。"), ge=0.1, le=100.0, first=True,
    )  # fmt: skip
    warmup: int = knob(
        20, "Warm-up", "Epochs until the soft loss has its full weight; shorter training never reaches it.",
        zh=("预热", "软损失的权重逐渐增大到全值所用的轮数；训练轮数更少时不会达到全值。"), ge=0, le=1000, unit="epochs",
    )  # fmt: skip

    def soft_loss(self, student: Output, teacher: Output, target: Tensor | None) -> Tensor:
        """alpha · TCKD + beta · NCKD of logits [N, C], means over the batch; finite also where p is 1 in float32."""
        t = self.temperature
        right = _targets(teacher.logits, target)
        mine, theirs = (_binary(logits / t, right) for logits in (student.logits, teacher.logits))
        among = softened_divergence(_others(student.logits, right), _others(teacher.logits, right), t)
        certain = t**2 * (theirs.exp() * (theirs - mine)).sum(1).mean()
        return self.alpha * certain + self.beta * among

    def share(self, batch: Batch) -> float:
        """(epoch + 1) / warmup, at most 1."""
        return min(1.0, (batch.epoch + 1) / self.warmup) if self.warmup else 1.0


def _targets(teacher: Tensor, target: Tensor | None) -> Tensor:
    guessed = teacher.argmax(1)
    return guessed if target is None else torch.where(target == UNLABELLED, guessed, target)


def _binary(logits: Tensor, target: Tensor) -> Tensor:
    """log [p(target), p(any other)], [N, 2]; the second from the others' logits, as 1 − p is 0 if p rounds to 1."""
    whole = logits.logsumexp(1, keepdim=True)
    both = [logits.gather(1, target[:, None]), _others(logits, target).logsumexp(1, keepdim=True)]
    return torch.cat(both, 1) - whole


def _others(logits: Tensor, target: Tensor) -> Tensor:
    """Logits without the target's, [N, C − 1]."""
    kept = torch.arange(logits.shape[1], device=logits.device) != target[:, None]
    return logits[kept].view(len(logits), -1)
