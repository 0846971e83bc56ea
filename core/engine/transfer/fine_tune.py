"""Fine-tuning: all layers are trained, deeper layers at higher rates."""

from __future__ import annotations

from typing import Self

from torch import nn

from core.engine.backbones.blocks import blocks
from core.engine.method import knob
from core.engine.model import Model
from core.engine.transfer.training import Trainable, TrainedTransfer, batch_norms, knows_images
from core.options import Words

ENOUGH_FOR_STATISTICS = 5000  # labelled images; with fewer, the target's batch statistics are noisier than the source's
PRETRAINED_RATE = 0.1  # of the head's


class FineTune(TrainedTransfer):
    """Every layer is trained; layer-wise learning rates as in Howard & Ruder 2018 (ULMFiT), arXiv:1801.06146."""

    title = Words("Fine-tuning", "微调")
    summary = Words(
        "Trains all layers; the head at ten times the backbone's rate, shallow layers slowest.",
        "训练所有层；分类头的学习率是骨干的十倍，越浅的层越小。",
    )
    source = "https://arxiv.org/abs/1801.06146"

    backbone_rate: float = knob(
        0.0, "Backbone's learning rate",
        "The deepest block's learning rate relative to the head's. Automatic: a tenth for pretrained weights; with "
        "random weights all layers use the head's rate.",
        zh=("骨干学习率比例", "最深一块的学习率与分类头学习率之比。自动：预训练权重取十分之一；"
            "权重随机时，所有层都用分类头的学习率。"), ge=0.0, le=1.0, names={0.0: ("automatic", "自动")}, usual=0.1,
    )  # fmt: skip
    layer_decay: float = knob(
        0.9, "Layer-wise decay", "Each block's learning rate relative to that of the block after it.",
        zh=("逐层衰减", "每一块的学习率是其后一块的这个比例。"), ge=0.5, le=1.0,
        names={1.0: ("none", "无")}, usual=0.9,
    )  # fmt: skip
    statistics: str = knob(
        "auto", "Batch-norm statistics",
        "Frozen keeps the pretraining means and variances, learned updates them; automatic freezes those of pretrained "
        "weights below 5,000 images.",
        zh=("批归一化统计量", "冻结：保留源域的均值和方差；学习：跟随目标域；"
            "自动：少于 5000 张图像时冻结预训练权重的统计量。"),
        choices=("auto", "frozen", "learned"),
        names={"auto": ("automatic", "自动"), "frozen": ("frozen", "冻结"), "learned": ("learned", "学习")},
    )  # fmt: skip

    def suited(self, model: Model) -> Self:
        """Random layers have nothing to preserve: all are trained at the same rate, and statistics are updated."""
        found = super().suited(model)
        if found.backbone_rate:
            return found
        rates = {"backbone_rate": 1.0, "layer_decay": 1.0} if model.fresh else {"backbone_rate": PRETRAINED_RATE}
        return found.model_copy(update=rates)

    def trainable(self, net: nn.Module, images: int) -> Trainable:
        """The head at the full rate, block i from the end at backbone_rate · layer_decay^i of it."""
        parts = blocks(net)
        groups: list[dict[str, object]] = [{"params": parts.head, "lr": self.learning_rate}]
        rate = self.learning_rate * (self.backbone_rate or PRETRAINED_RATE)
        for block in reversed(parts.body):
            groups.append({"params": block.parameters, "lr": rate})
            rate *= self.layer_decay
        return Trainable(groups, self._frozen(net, images))

    def _frozen(self, net: nn.Module, images: int) -> list[nn.Module]:
        """The batch norms that keep their statistics; with `auto` only those whose statistics come from images."""
        keeps = self.statistics == "frozen" or (self.statistics == "auto" and images < ENOUGH_FOR_STATISTICS)
        return [norm for norm in batch_norms(net) if keeps and (self.statistics == "frozen" or knows_images(norm))]
