"""Linear probe, then fine-tuning: the head is trained before the backbone starts to change."""

from __future__ import annotations

from dataclasses import replace

from core.comparison.gap import KEPT, KEPT_WITHIN
from core.engine.context import Context, Progress
from core.engine.forecast import Workload
from core.engine.method import knob
from core.engine.model import Model
from core.engine.training.loop import Examples, Incumbent
from core.engine.transfer.fine_tune import FineTune
from core.engine.transfer.linear_probe import LinearProbe
from core.options import Words


class LpFt(FineTune):
    """LP-FT (Kumar et al. 2022, arXiv:2202.10054): preserves features that a random head would distort."""

    title = Words("Probe, then fine-tune", "先探测再微调")
    summary = Words(
        "A linear probe first, then fine-tuning of all layers from there; never below the probe on validation.",
        "先做线性探测，再从那里微调所有层；验证集上不会低于探测的结果。",
    )
    source = "https://arxiv.org/abs/2202.10054"

    l2: float = knob(
        0.0, "Probe's L2 penalty",
        "Adds half of this times the probe's squared weights. Automatic: the best on validation.",
        zh=("探测的 L2 惩罚", "损失加上该值的一半乘以探测权重的平方和。自动：按验证集选择。"), ge=0.0, le=100.0,
        names={0.0: ("automatic", "自动")}, usual=0.01, first=True,
    )  # fmt: skip

    def apply(self, model: Model, context: Context) -> Model:
        """Fine-tuning that starts with the probe's head; epoch 0 of its curve is the probe itself."""
        probed = LinearProbe(l2=self.l2).apply(model, _quiet(context.part("probe")))
        return self.train(
            probed, Examples.of(context.labelled), context, incumbent=Incumbent("the probe", came_in=False)
        )

    def workload(self, before: Model, after: Model, context: Context) -> tuple[Workload, ...]:
        """The work of the probe and of fine-tuning."""
        return (*LinearProbe(l2=self.l2).workload(before, after, context), *super().workload(before, after, context))


def _quiet(context: Context) -> Context:
    """Leaves out the probe's search over penalties, which is not a learning curve; reports its features' progress.

    A head that the probe keeps is not the end of the step.
    """

    def report(progress: Progress) -> None:
        if progress.what != "training":
            context.report(progress)

    def note(code: str, message: str) -> None:
        context.note(KEPT_WITHIN if code == KEPT else code, message)

    return replace(context, report=report, note=note)
