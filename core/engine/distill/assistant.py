"""Teacher assistant: a network of intermediate size is trained first and then teaches the student."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from core.engine.context import Context
from core.engine.distill import OWN_WIDTH, Distill
from core.engine.distill.divergence import softened_divergence
from core.engine.forecast import Workload
from core.engine.method import knob
from core.engine.model import Model
from core.engine.output import Output
from core.options import Words


class Assistant(Distill):
    """Soft labels in two steps: teacher to assistant, assistant to student (Mirzadeh, Farajtabar, Li, Levine,
    Matsukawa & Ghasemzadeh 2020, arXiv:1902.03393). Both steps have the same options."""

    title = Words("Teacher assistant", "助教蒸馏")
    summary = Words(
        "If the teacher is far larger than the student, a network of intermediate size learns first and then teaches.",
        "当教师比学生大得多时，先训练一个大小居中的网络，再由它教学生。",
    )
    source = "https://arxiv.org/abs/1902.03393"

    assistant: str = knob(
        "resnet20", "Assistant",
        "The network between teacher and student: any backbone of the catalog, without pretrained weights.",
        zh=("助教网络", "介于教师与学生之间的网络：目录中的任何骨干，不带预训练权重。"), first=True,
    )  # fmt: skip
    assistant_width: int = knob(
        0, "Assistant's width",
        "Channels in the first stage of resnet8 … resnet56 (16), or units of an mlp (256): its own, or another number.",
        zh=("助教宽度", "resnet8 … resnet56 第一阶段的通道数（16）或 mlp 的隐藏单元数（256）：网络自带，或另设。"),
        ge=0, le=256, unit="channels", names=OWN_WIDTH, usual=16,
    )  # fmt: skip
    temperature: float = knob(
        4.0, "Temperature", "Softens the probabilities of teacher and assistant; the higher, the more uniform.",
        zh=("温度", "软化教师和助教的概率；温度越高分布越均匀。"), ge=0.1, le=100.0,
    )  # fmt: skip

    def soft_loss(self, student: Output, teacher: Output, target: Tensor | None) -> Tensor:
        """T² · KL, mean over the batch; logits [N, C] of both."""
        return softened_divergence(student.logits, teacher.logits, self.temperature)

    def apply(self, model: Model, context: Context) -> Model:
        """The student; the assistant is discarded. One curve: first the assistant's epochs, then the student's."""
        first = context.part("assistant").after(0, 2 * self.epochs)
        second = replace(context, source=None).after(self.epochs, 2 * self.epochs)  # the assistant has no saved file
        between = self.teach(model, self._assistant(first), first)
        return self.teach(between, self.new_student(context), second)

    def workload(self, before: Model, after: Model, context: Context) -> tuple[Workload, ...]:
        """Both training runs, and inference with both teachers."""
        between = self._assistant(context)
        leap = super().workload(before, between, context)
        return (*(replace(work, control=False) for work in leap), *super().workload(between, after, context))

    def _assistant(self, context: Context) -> Model:
        return self.model_copy(update={"student": self.assistant, "width": self.assistant_width}).new_student(context)
