"""Born-again networks: the student has the teacher's architecture and is trained from scratch."""

from __future__ import annotations

import copy
from typing import ClassVar

import torch
from torch import Tensor, nn

from core.engine.backbones import load_backbone
from core.engine.context import Context
from core.engine.distill import Distill
from core.engine.distill.balance import weight_of
from core.engine.distill.divergence import softened_divergence
from core.engine.forecast import Forecast
from core.engine.method import knob
from core.engine.model import Model
from core.engine.output import Output
from core.engine.seeds import counter_seed
from core.engine.training.loop import Incumbent
from core.options import Words


class SelfDistillation(Distill):
    """Soft labels of a teacher of the student's own architecture (born-again networks: Furlanello, Lipton, Tschannen,
    Itti & Anandkumar 2018, arXiv:1805.04770, one generation).

    The student has the teacher's shapes, including those of a pruned network, and random initial weights. Repeat the
    step for further generations. The paper's temperature is 1.
    """

    excluded_options: ClassVar[tuple[str, ...]] = ("student", "width", "student_size")
    title = Words("Self-distillation (born-again)", "自蒸馏（重生网络）")
    summary = Words(
        "The trained network teaches a randomly initialised network of the same architecture: the size does not "
        "change, accuracy may rise.",
        "用训练好的网络去教同一结构、随机初始化的网络：体积不变，准确率可能提高。",
    )
    source = "https://arxiv.org/abs/1805.04770"

    weight: float = weight_of(0.5)
    temperature: float = knob(
        1.0, "Temperature", "Softens the teacher's probabilities; 1, as in the paper, leaves them unchanged.",
        zh=("温度", "软化教师的概率；论文取 1，即不变。"), ge=0.1, le=100.0, first=True,
    )  # fmt: skip

    def soft_loss(self, student: Output, teacher: Output, target: Tensor | None) -> Tensor:
        """T² · KL, mean over the batch; logits [N, C] of both."""
        return softened_divergence(student.logits, teacher.logits, self.temperature)

    def student_of(self, model: Model, context: Context) -> Model:
        """The teacher's network, initialised as before any training."""
        torch.manual_seed(counter_seed(*context.place, "student"))
        return model.with_net(_reborn(model))

    def incumbent(self, model: Model) -> Incumbent:
        """The teacher: the size does not change, so a student below its accuracy is of no use."""
        return Incumbent("the teacher", model.net)

    def forecast(self, before: Forecast, context: Context) -> Forecast:
        """The incoming network."""
        return before


def _reborn(model: Model) -> nn.Module:
    """The architecture's initial weights, cut to the network's shapes; what the catalog's architecture does not have, a
    new head for instance, is initialised by the layer's own rule."""
    net = copy.deepcopy(model.net)
    for module in net.modules():
        if callable(reset := getattr(module, "reset_parameters", None)):
            reset()
    p = model.preprocessing
    fresh = load_backbone(
        model.backbone, len(model.classes), "none", p.size, width=model.width, channels=p.channels
    ).state_dict()
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            drawn = fresh.get(name)
            if drawn is not None and drawn.ndim == tensor.ndim and _fits(tensor, drawn):
                tensor.copy_(drawn[tuple(slice(side) for side in tensor.shape)])
    return net.requires_grad_()


def _fits(small: Tensor, large: Tensor) -> bool:
    return all(a <= b for a, b in zip(small.shape, large.shape, strict=True))
