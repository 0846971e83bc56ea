"""Transfer by gradient descent: the shared loop and options; a method defines what is trained at which rates."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Self

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from core.engine.backbones.blocks import blocks
from core.engine.context import Context
from core.engine.data.augment import AUGMENTATIONS, CALLED
from core.engine.forecast import Workload, training
from core.engine.method import knob
from core.engine.model import Model
from core.engine.pipeline.first_model import warn_random_weights
from core.engine.training.loop import ITSELF, Examples, Incumbent, fit
from core.engine.training.lr_finder import BATCHES
from core.engine.training.schedule import CURVES, Schedule
from core.engine.training.small_sets import steps_at_least
from core.engine.transfer import Transfer
from core.engine.transfer.objective import Objective, dropping
from core.errors import UserError


@dataclass(frozen=True)
class Trainable:
    """What is trained: optimizer groups `{"params": [...], "lr": ...}`, and the modules that stay in evaluation mode
    (batch-norm statistics, dropout)."""

    groups: Sequence[dict[str, object]]
    frozen: Sequence[nn.Module] = field(default=())


class TrainedTransfer(Transfer, ABC):
    """Trains with AdamW on cross-entropy; a method implements `trainable`."""

    epochs: int = knob(
        10, "Epochs", "Passes over the labelled images. More can help until validation accuracy stops rising.",
        zh=("训练轮数", "遍历有标签图像的次数。验证准确率不再上升时，更多轮数没有帮助。"), ge=1, le=1000, first=True,
    )  # fmt: skip
    batch: int = knob(
        64, "Batch size", "Images per optimizer step. Smaller needs less memory, larger is faster per image.",
        zh=("批大小", "每次参数更新使用的图像数。小批省内存，大批每张图更快。"), ge=2, le=4096, unit="images",
    )  # fmt: skip
    learning_rate: float = knob(
        3e-3, "Learning rate",
        "Peak step size of the head; the backbone's is smaller. Automatic: found by a short test, and shown.",
        zh=("学习率", "分类头的最大步长；骨干网络学得更慢。自动：通过简短测试寻找并显示。"), ge=0.0, le=1.0,
        names={0.0: ("automatic", "自动")}, usual=3e-3, first=True,
    )  # fmt: skip
    least_steps: int = steps_at_least()
    curve: str = knob(
        "cosine", "Learning-rate schedule",
        "After a warm-up the rate falls along a cosine, to a tenth at half and at three quarters (steps), or not at "
        "all (constant). One cycle rises for 30 % of the steps while momentum falls.",
        zh=("学习率曲线", "预热后按余弦下降，或在一半和四分之三处降为十分之一（阶梯），或保持不变（恒定）。"
            "单周期：在前 30% 的时间上升，动量同时下降。"), choices=CURVES,
        names={"cosine": ("cosine", "余弦"), "one_cycle": ("one cycle", "单周期"), "step": ("steps", "阶梯"),
               "constant": ("constant", "恒定")},
    )  # fmt: skip
    weight_decay: float = knob(
        1e-2, "Weight decay", "Pull of the weights towards zero (decoupled, as in AdamW).",
        zh=("权重衰减", "把权重拉向零的力度（AdamW 的解耦形式）。"), ge=0.0, le=1.0,
    )  # fmt: skip
    l1: float = knob(
        0.0, "L1 penalty", "Pulls individual weights to zero: adds this times their absolute sum. Try 0.00001.",
        zh=("L1 惩罚", "把单个权重拉向零：损失加上该值乘以权重绝对值之和。可试 0.00001。"), ge=0.0, le=10.0,
        names={0.0: ("off", "关")}, usual=1e-5,
    )  # fmt: skip
    l2_sp: float = knob(
        0.0, "Pull to pretrained weights",
        "Pulls the backbone towards its pretrained weights instead of towards zero. Try 0.01 to 0.1.",
        zh=("拉向预训练权重", "把骨干拉向预训练权重而不是零。可试 0.01 至 0.1。"), ge=0.0, le=100.0,
        names={0.0: ("off", "关")}, usual=0.01,
    )  # fmt: skip
    dropout: float = knob(
        0.0, "Dropout", "Share of the head's input features set to zero at random in each step. Try 0.2 to 0.5.",
        zh=("随机失活", "每一步中分类头输入特征被随机置零的比例。可试 0.2 至 0.5。"), ge=0.0, le=0.9,
        names={0.0: ("off", "关")}, usual=0.2,
    )  # fmt: skip
    label_smoothing: float = knob(
        0.0, "Label smoothing", "Share of each label spread over all classes; reduces over-confidence.",
        zh=("标签平滑", "把每个标签的一部分均分给所有类别，抑制过度自信。"), ge=0.0, le=0.5,
        names={0.0: ("off", "关")}, usual=0.1,
    )  # fmt: skip
    augment: str = knob(
        "none", "Augmentation", "Random transformations, drawn independently for every image of every batch.",
        zh=("数据增强", "对每个批次中的每张图像独立随机变换。"), choices=AUGMENTATIONS, names=CALLED, first=True,
    )  # fmt: skip
    erasing: float = knob(
        0.0, "Random erasing", "Probability that a rectangle of an image is replaced by noise. Try 0.1.",
        zh=("随机擦除", "图像中一个矩形被噪声替换的概率。可试 0.1。"), ge=0.0, le=1.0,
        names={0.0: ("off", "关")}, usual=0.1,
    )  # fmt: skip
    mixup: float = knob(
        0.0, "Mixup", "Blends each image and its label with another; higher blends more evenly. Try 0.2.",
        zh=("Mixup", "把每张图像及其标签与另一张混合；值越大混合越均匀。可试 0.2。"), ge=0.0, le=10.0,
        names={0.0: ("off", "关")}, usual=0.2,
    )  # fmt: skip
    cutmix: float = knob(
        0.0, "CutMix",
        "Pastes a rectangle of another image, whose label counts by area. Try 1. With mixup: half each.",
        zh=("CutMix", "贴入另一张图像的矩形，标签按面积计。可试 1。与 Mixup 同用时各占一半。"),
        ge=0.0, le=10.0, names={0.0: ("off", "关")}, usual=1.0,
    )  # fmt: skip
    balance: bool = knob(
        False, "Balance classes", "Rare classes count more: a label's weight is images / (classes · class images).",
        zh=("类别均衡", "稀有类别权重更大：每个标签的权重为图像数除以类别数与该类图像数之积。"),
    )  # fmt: skip
    average: float = knob(
        0.0, "Weight averaging",
        "Uses a moving average of the weights instead; the closer to 1, the longer it averages. Try 0.99.",
        zh=("权重平均", "保留权重的滑动平均并用它代替；越接近 1 平均越久。可试 0.99。"), ge=0.0, le=0.9999,
        names={0.0: ("off", "关")}, usual=0.99,
    )  # fmt: skip
    patience: int = knob(
        0, "Early stopping", "Stops after this many epochs without better validation accuracy.",
        zh=("提前停止", "验证准确率连续这么多轮没有提高就停止。"), ge=0, le=1000, unit="epochs",
        names={0: ("off", "关")}, usual=5,
    )  # fmt: skip

    @abstractmethod
    def trainable(self, net: nn.Module, images: int) -> Trainable:
        """What of `net` is trained, given the number of labelled images; the rest stays bit-identical."""

    def apply(self, model: Model, context: Context) -> Model:
        """Cross-entropy on the labelled images; the weights of the best validation accuracy are kept."""
        return self.train(model, Examples.of(context.labelled), context)

    def train(
        self,
        model: Model,
        examples: Examples,
        context: Context,
        what: Trainable | None = None,
        *,
        start: Objective | None = None,
        schedule: Schedule | None = None,
        incumbent: Incumbent = ITSELF,
    ) -> Model:
        """Trains `what` (default: `trainable`) on labelled examples with every option of this method.

        `start` is the objective of an earlier part, whose pretrained weights remain the anchors; `incumbent`: see
        `training.loop.fit`.
        """
        net = model.net.to(context.device)
        what = what or self.suited(model).trainable(net, len(examples))
        whole = _whole(net, what.groups)
        if not whole or any(isinstance(m, _BatchNorm) and not knows_images(m) for m in what.frozen):
            warn_random_weights(model, context)
        head = {id(p) for p in blocks(net).head}
        groups = [g if _of(g, head) or not self.l2_sp else {**g, "weight_decay": 0.0} for g in what.groups]
        loss = start or self.objective(model, examples, context)
        try:
            with dropping(net, self.dropout):
                made = fit(
                    model,
                    examples,
                    loss,
                    schedule or self.schedule(),
                    context,
                    parameters=groups,
                    frozen=what.frozen,
                    incumbent=incumbent,
                )
        finally:
            net.requires_grad_()  # freezing applies to this method only: a later step decides for itself
        return replace(made, fresh=model.fresh and not whole)

    def suited(self, model: Model) -> Self:
        """This method with options that depend on the network filled in: rates relative to one still to be found, and
        the backbone's relative rate if the option leaves it open."""
        return self if self.learning_rate else self.model_copy(update={"learning_rate": 1.0})

    def objective(self, model: Model, examples: Examples, context: Context) -> Objective:
        """What training minimises, starting from the model's current weights."""
        return Objective.of(
            model.net.to(context.device),
            examples.target.to(context.device),
            len(model.classes),
            smoothing=self.label_smoothing,
            balance=self.balance,
            l1=self.l1,
            l2_sp=self.l2_sp,
        )

    def schedule(self, epochs: int | None = None) -> Schedule:
        """The training schedule, for some of the epochs or for all."""
        curve = next(c for c in CURVES if c == self.curve)
        return Schedule(
            epochs or self.epochs,
            self.batch,
            self.learning_rate,
            "adamw",
            self.weight_decay,
            augment=self.augment,
            patience=self.patience,
            curve=curve,
            mixup=self.mixup,
            cutmix=self.cutmix,
            erasing=self.erasing,
            average=self.average,
            least=self.least_steps,
        )

    def workload(self, before: Model, after: Model, context: Context) -> tuple[Workload, ...]:
        """Training of the trainable parts; early stopping is not taken into account."""
        images = len(context.labelled)
        learner = after.with_net(copy.deepcopy(after.net))
        self.suited(learner).trainable(learner.net, images)
        return self.training(learner, self.schedule(), images, context)

    def training(self, learner: Model, schedule: Schedule, images: int, context: Context) -> tuple[Workload, ...]:
        """Training by this schedule of what requires a gradient in `learner`, and the range test before it, if any."""
        train, evaluator = training(learner, schedule, images, len(context.data.validation))
        searched = 0 if self.learning_rate else BATCHES * train.batch
        return replace(train, images=train.images + searched), evaluator


def shared_out(epochs: int, parts: int, option: str, given: int) -> list[tuple[int, int]]:
    """The epochs as equal parts of one curve: the first epoch of each and the one after its last. Raises UserError if a
    part would be empty, naming the option that requests `given` of them."""
    if parts > epochs:
        most = epochs - (parts - given)
        fix = f"Set {option} to {max(1, most)} or less, or raise epochs."
        raise UserError("conflicting_options", option, given, f"at most {most} with epochs = {epochs}", fix)
    return list(pairwise(epochs * number // parts for number in range(parts + 1)))


def _of(group: dict[str, object], parameters: set[int]) -> bool:
    held = group["params"]
    return isinstance(held, list) and any(id(p) in parameters for p in held)


def _whole(net: nn.Module, groups: Sequence[dict[str, object]]) -> bool:
    """Whether all of the network is trained."""
    return all(any(_of(group, {id(parameter)}) for group in groups) for parameter in net.parameters())


def batch_norms(net: nn.Module) -> list[_BatchNorm]:
    """All batch-normalisation layers."""
    return [m for m in net.modules() if isinstance(m, _BatchNorm)]


def knows_images(norm: _BatchNorm) -> bool:
    """Whether running statistics come from images: a random network starts with means 0 and variances 1."""
    if norm.running_mean is None or norm.running_var is None:
        return False
    return bool(norm.running_mean.any()) or bool((norm.running_var != 1).any())
