"""Fine-tuning: all layers learn, the deeper the faster."""

from __future__ import annotations

from torch import nn

from core.engine.backbones.blocks import blocks
from core.engine.method import knob
from core.engine.transfer.training import Trainable, TrainedTransfer, batch_norms
from core.options import Words

ENOUGH_FOR_STATISTICS = 5000  # labelled images; with fewer, the target's batch statistics are noisier than the source's


class FineTune(TrainedTransfer):
    """Every layer is trained; layer-wise learning rates as in Howard & Ruder 2018 (ULMFiT), arXiv:1801.06146."""

    title = Words("Fine-tuning", "微调")
    summary = Words(
        "All layers learn; the head ten times faster than the backbone, shallow layers slowest.",
        "所有层都参与训练;分类头比骨干快十倍,越浅的层越慢。",
    )
    source = "https://arxiv.org/abs/1801.06146"

    backbone_rate: float = knob(
        0.1, "Backbone's learning rate", "The deepest block's learning rate as a share of the head's.",
        zh=("骨干学习率比例", "最深一块的学习率与分类头学习率之比。"), ge=0.0001, le=1.0,
    )  # fmt: skip
    layer_decay: float = knob(
        0.9, "Layer-wise decay", "Each block learns at this share of the rate of the block after it; 1 is no decay.",
        zh=("逐层衰减", "每一块的学习率是其后一块的这个比例;1 表示不衰减。"), ge=0.5, le=1.0,
    )  # fmt: skip
    statistics: str = knob(
        "auto", "Batch-norm statistics",
        "frozen keeps the source's means and variances, learned follows the target; auto freezes below 5,000 images.",
        zh=("批归一化统计量", "frozen 保留源域均值方差,learned 跟随目标域;auto 在少于 5000 张图像时冻结。"),
        choices=("auto", "frozen", "learned"),
    )  # fmt: skip

    def trainable(self, net: nn.Module, images: int) -> Trainable:
        """Head at the full rate, block i from the end at backbone_rate · layer_decay^i of it."""
        parts = blocks(net)
        groups: list[dict[str, object]] = [{"params": parts.head, "lr": self.learning_rate}]
        rate = self.learning_rate * self.backbone_rate
        for block in reversed(parts.body):
            groups.append({"params": block.parameters, "lr": rate})
            rate *= self.layer_decay
        frozen = self.statistics == "frozen" or (self.statistics == "auto" and images < ENOUGH_FOR_STATISTICS)
        return Trainable(groups, batch_norms(net) if frozen else ())
