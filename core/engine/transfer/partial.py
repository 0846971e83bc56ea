"""Partial fine-tuning: only the last blocks and the head are trained, the rest stays bit-identical."""

from __future__ import annotations

from typing import Self

from torch import nn

from core.engine.backbones.blocks import blocks
from core.engine.method import knob
from core.engine.model import Model
from core.engine.transfer.training import Trainable, TrainedTransfer
from core.options import Words

PRETRAINED_RATE = 0.3  # of the head's


class Partial(TrainedTransfer):
    """Trains the last N blocks (Yosinski et al. 2014, arXiv:1411.1792); all below is frozen, including statistics."""

    title = Words("Last blocks only", "只训练最后几块")
    summary = Words(
        "Trains the last blocks and the head; everything below stays bit-identical.",
        "只训练最后几块和分类头；之前的层逐比特保持不变。",
    )
    source = "https://arxiv.org/abs/1411.1792"

    blocks: int = knob(
        2, "Blocks to train", "Number of blocks from the end to train with the head.",
        zh=("训练块数", "从末尾数起与分类头一起训练的块数。"), ge=0, le=200,
        names={0: ("head alone", "只有分类头")}, first=True,
    )  # fmt: skip
    backbone_rate: float = knob(
        0.0, "Blocks' learning rate",
        "The trained blocks' learning rate relative to the head's. Automatic: 0.3 for pretrained weights, 1 for "
        "random ones.",
        zh=("块学习率比例", "被训练的块的学习率与分类头学习率之比。自动：预训练权重取 0.3，随机权重取 1。"),
        ge=0.0, le=1.0, names={0.0: ("automatic", "自动")}, usual=0.3,
    )  # fmt: skip

    def suited(self, model: Model) -> Self:
        """Random blocks have nothing to preserve and use the head's rate."""
        found = super().suited(model)
        rate = found.backbone_rate or (1.0 if model.fresh else PRETRAINED_RATE)
        return found.model_copy(update={"backbone_rate": rate})

    def trainable(self, net: nn.Module, images: int) -> Trainable:
        """The head and the last blocks; the other parameters no longer require gradients."""
        parts = blocks(net)
        kept = parts.body[: max(0, len(parts.body) - self.blocks)]
        learning = parts.body[len(kept) :]
        frozen = [module for block in kept for module in block.modules]
        for parameter in (p for block in kept for p in block.parameters):
            parameter.requires_grad_(False)
        groups: list[dict[str, object]] = [{"params": parts.head, "lr": self.learning_rate}]
        rate = self.learning_rate * (self.backbone_rate or PRETRAINED_RATE)
        groups += [{"params": block.parameters, "lr": rate} for block in learning]
        return Trainable(groups, frozen)
