"""Mutual learning: two untrained networks teach each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from core.controls import WITHOUT_PEER, WITHOUT_TEACHER
from core.engine.context import Context
from core.engine.distill import Distill
from core.engine.distill.balance import weight_of
from core.engine.distill.divergence import softened_divergence
from core.engine.forecast import Workload, training
from core.engine.method import knob
from core.engine.model import Model
from core.engine.output import Output
from core.engine.training.loop import Batch, fit
from core.options import Words


class Mutual(Distill):
    """Each of two students learns from the labels and from the other's probabilities (Zhang, Xiang, Hospedales & Lu
    2018, arXiv:1706.00384).

    The peer is the same network with different initial weights; both are updated in the same step. The incoming model
    is not used, and the peer is discarded.
    """

    title = Words("Mutual learning", "互相学习")
    summary = Words(
        "Two students start from scratch and teach each other; the previous model is not used.",
        "两个学生从零开始互相学习；不使用之前的模型。",
    )
    source = "https://arxiv.org/abs/1706.00384"

    weight: float = weight_of(0.5)
    temperature: float = knob(
        1.0, "Temperature", "Softens the probabilities of both; 1, as in the paper, leaves them unchanged.",
        zh=("温度", "软化双方的概率；论文取 1，即不变。"), ge=0.1, le=100.0, first=True,
    )  # fmt: skip

    def soft_loss(self, student: Output, teacher: Output, target: Tensor | None) -> Tensor:
        """T² · KL(peer ‖ student), mean over the batch; `teacher` is the peer."""
        return softened_divergence(student.logits, teacher.logits, self.temperature)

    def apply(self, model: Model, context: Context) -> Model:
        """The student; its peer sees the same batches."""
        peer = self.new_student(context.part("peer"))

        def loss(output: Output, batch: Batch) -> Tensor:
            other = Output(peer.net(batch.images).float())
            mine = self.loss(output, Output(other.logits.detach()), batch.target)
            return mine + self.loss(other, Output(output.logits.detach()), batch.target)

        student, examples = self.new_student(context), self.examples(context)
        return fit(student, examples, loss, self.schedule(), context, extra=peer.net, incumbent=None)

    def controls(self, model: Model, context: Context) -> dict[str, Callable[[], Model]]:
        """The control: same student, same number of steps, labels only."""
        return {WITHOUT_PEER: super().controls(model, context)[WITHOUT_TEACHER]} if self.twin else {}

    def workload(self, before: Model, after: Model, context: Context) -> tuple[Workload, ...]:
        """The training of two students."""
        images = len(self.examples(context))
        own = training(after, self.schedule(), images, len(context.data.validation))
        return (*own, replace(own[0], control=False))
