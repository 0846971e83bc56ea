"""TENT: makes predictions on the target's images more confident by changing only batch normalisation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.engine.context import Context
from core.engine.data import Unlabelled
from core.engine.forecast import Workload
from core.engine.method import knob
from core.engine.model import Model
from core.engine.output import Output
from core.engine.training.loop import UNLABELLED, Batch, Examples, Schedule, fit
from core.engine.transfer.adabn import with_statistics
from core.engine.transfer.adaptation import SourceFreeAdaptation, statistics_layers
from core.options import Words


class Tent(SourceFreeAdaptation):
    """Entropy of predictions on target images, minimised over the scales and shifts of batch normalisation, whose
    statistics are the target's (Wang et al. 2021, arXiv:2006.10726); offline, on the target's training images."""

    title = Words("Adaptation: TENT", "域适应：TENT")
    summary = Words(
        "After training on the labels, tunes batch-norm scales and shifts for confident predictions on target images.",
        "学完标签后，只调整批归一化的缩放和平移，使模型对目标域图像的预测更确定。",
    )
    source = "https://arxiv.org/abs/2006.10726"

    passes: int = knob(
        1, "Passes over the target",
        "Of several passes, keeps the one with the best source validation accuracy.",
        zh=("目标域遍历次数", "多次遍历时，保留源域验证准确率最高的一次。"), ge=1, le=100, first=True,
    )  # fmt: skip
    target_rate: float = knob(
        1e-3, "Learning rate on the target",
        "Step size of entropy minimisation (Adam, no weight decay).",
        zh=("目标域学习率", "熵最小化的步长（Adam，无权重衰减）。"), ge=1e-6, le=0.1,
    )  # fmt: skip

    def more_epochs(self) -> int:
        """One per pass."""
        return self.passes

    def fit_to_target(self, model: Model, context: Context, target: Unlabelled) -> Model:
        """Target statistics, entropy minimisation, and the statistics again, which the new scales have changed."""
        model = with_statistics(model, context, target)
        norms = statistics_layers(model.net)
        learning = [p for norm in norms for p in norm.parameters()]
        for parameter in model.net.parameters():
            parameter.requires_grad_(False)
        for parameter in learning:
            parameter.requires_grad_(True)
        others: list[nn.Module] = [m for m in model.net.modules() if not list(m.children()) and m not in norms]
        images = target.images
        unlabelled = Examples(images, torch.full((len(images),), UNLABELLED))
        schedule = Schedule(self.passes, self.batch, self.target_rate, "adamw", 0.0, warmup=0.0)
        after = context.part("tent").after(self.epochs, self.epochs + self.passes)
        made = fit(
            model,
            unlabelled,
            entropy,
            schedule,
            after,
            parameters=[{"params": learning}],
            frozen=others,
            incumbent=self.before("the network with the target's statistics", came_in=False),
        )
        made.net.requires_grad_(True)
        return with_statistics(made, context, target)

    def workload(self, before: Model, after: Model, context: Context) -> tuple[Workload, ...]:
        """As for AdaBN, plus training on the target."""
        seen = self.passes * (len(context.target.images) if context.target else 0)
        return (*super().workload(before, after, context), Workload("train", after, seen, self.batch, control=False))


def entropy(output: Output, batch: Batch) -> Tensor:
    """Mean Shannon entropy of the predictions [N, C], in nats."""
    logs = output.logits.log_softmax(1)
    return -(logs.exp() * logs).sum(1).mean()
