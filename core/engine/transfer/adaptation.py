"""Domain adaptation: trains on the source's labels and the target's images a model for both; the loop and its control.

A method is an `Alignment`, which makes the features of both domains similar while the labels are learned, or a
`SourceFreeAdaptation`, which learns from the source first and then fits the network to the target's images. Whatever is
selected (such as the best epoch) is selected on the source's validation images: target labels are never used.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.comparison.gap import KEPT, KEPT_WITHIN
from core.controls import SOURCE_ONLY, english
from core.engine.backbones.blocks import blocks
from core.engine.backbones.features import observe
from core.engine.context import Context
from core.engine.data import Unlabelled, prepare
from core.engine.data.augment import AUGMENTATIONS, CALLED
from core.engine.forecast import Workload, training
from core.engine.method import knob
from core.engine.model import Model
from core.engine.output import Output
from core.engine.seeds import counter_seed
from core.engine.training.loop import UNLABELLED, Batch, Examples, Incumbent, Schedule, evaluate, fit
from core.engine.training.small_sets import steps_at_least
from core.engine.transfer import Transfer
from core.errors import UserError
from core.rules.target import no_target

PRETRAINED_RATE = 0.1  # of the backbone, relative to the head's


class Adaptation(Transfer, ABC):
    """Learns the source's classes so that they are also recognised in images of the recipe's target."""

    needs_target: ClassVar[bool] = True

    source_only: bool = knob(
        True, "Source-only control",
        "The same network with the same steps on the source's labels alone: shows what adaptation contributes.",
        zh=("仅源域对照", "同样的网络和步数，只用源域标签：显示域适应的贡献。"),
    )  # fmt: skip
    epochs: int = knob(
        10, "Epochs", "Passes over the labelled source images.",
        zh=("训练轮数", "遍历有标签的源域图像的次数。"), ge=1, le=1000, first=True,
    )  # fmt: skip
    batch: int = knob(
        64, "Batch size", "Source images per optimizer step; the same number of target images is added.",
        zh=("批大小", "每次参数更新使用的源域图像数；同时使用同样多的目标域图像。"), ge=2, le=4096, unit="images",
    )  # fmt: skip
    least_steps: int = steps_at_least()
    learning_rate: float = knob(
        1e-2, "Learning rate", "Peak step size of the head (AdamW).",
        zh=("学习率", "分类头的最大步长（AdamW）。"), ge=1e-6, le=1.0, first=True,
    )  # fmt: skip
    backbone_rate: float = knob(
        0.0, "Backbone's learning rate",
        "Relative to the head's. Automatic: a tenth for pretrained weights, 1 for random ones.",
        zh=("骨干学习率比例", "与分类头学习率之比。自动：预训练权重取十分之一，随机权重取 1。"), ge=0.0, le=1.0,
        names={0.0: ("automatic", "自动")}, usual=0.1,
    )  # fmt: skip
    weight_decay: float = knob(
        1e-2, "Weight decay", "Pull of the weights towards zero (decoupled, as in AdamW).",
        zh=("权重衰减", "把权重拉向零的力度（AdamW 的解耦形式）。"), ge=0.0, le=1.0,
    )  # fmt: skip
    source_drop: float = knob(
        0.1, "Maximum drop on the source",
        "How far adaptation may lower the source's validation accuracy (0 to 1): beyond that the network from before "
        "is kept, and the run reports it. Target labels cannot be used to decide.",
        zh=("源域最大降幅", "域适应最多可降低的源域验证准确率（0 到 1）：超过则保留适应之前的网络，并在运行中说明。"
            "目标域标签不能用于判断。"), ge=0.0, le=1.0, names={1.0: ("any loss", "任何损失")}, usual=0.1, first=True,
    )  # fmt: skip
    augment: str = knob(
        "none", "Augmentation", "Random transformations, drawn independently for every image of both domains.",
        zh=("数据增强", "对两个域的每张图像独立随机变换。"), choices=AUGMENTATIONS, names=CALLED,
    )  # fmt: skip

    def refuse(self, model: Model, context: Context) -> None:
        """Raises UserError, before any work, if this network cannot be adapted by this method; by default never."""

    @abstractmethod
    def adapt(self, model: Model, context: Context, target: Unlabelled) -> Model:
        """The adapted model."""

    def apply(self, model: Model, context: Context) -> Model:
        """The model trained on the source's labels and the target's images; raises UserError without a target."""
        if context.target is None:
            raise no_target("method", type(self).title.en)
        self.refuse(model, context)
        return self.adapt(model, context, context.target)

    def controls(self, model: Model, context: Context) -> dict[str, Callable[[], Model]]:
        """Source only: the same initial weights, the same images in the same order, no target."""
        if not self.source_only:
            return {}
        alone = replace(
            context.for_control(english(SOURCE_ONLY)), place=context.place, folder=context.folder / "source"
        )
        return {SOURCE_ONLY: lambda: self.learn_source(model, alone)}

    def learn_source(self, model: Model, context: Context) -> Model:
        """`model` after training on the source's labels alone."""

        def loss(output: Output, batch: Batch) -> Tensor:
            return F.cross_entropy(output.logits, batch.target)

        examples = Examples.of(context.labelled)
        learner = copied(model)
        return fit(learner, examples, loss, self.schedule(), context, parameters=self.groups(learner))

    def before(self, name: str, *, came_in: bool = True) -> Incumbent:
        """The network that is kept if adaptation costs too much on the source."""
        return Incumbent(name, drop=self.source_drop, came_in=came_in)

    def schedule(self) -> Schedule:
        """The training schedule, with or without a target."""
        return Schedule(
            self.epochs,
            self.batch,
            self.learning_rate,
            "adamw",
            self.weight_decay,
            augment=self.augment,
            least=self.least_steps,
        )

    def groups(self, model: Model) -> list[dict[str, object]]:
        """The head at the full rate, the backbone at its fraction of it."""
        parts = blocks(model.net)
        body = [parameter for block in parts.body for parameter in block.parameters]
        rate = self.learning_rate * (self.backbone_rate or (1.0 if model.fresh else PRETRAINED_RATE))
        return [{"params": parts.head, "lr": self.learning_rate}, {"params": body, "lr": rate}]

    def source_workload(self, model: Model, context: Context, beside: int = 1) -> tuple[Workload, ...]:
        """Training on the source's images; `beside` 2 if each batch also holds as many of the target."""
        return training(model, self.schedule(), len(context.labelled), len(context.data.validation), beside)


class Alignment(Adaptation, ABC):
    """Cross-entropy on the source plus weight · distance of both domains' embeddings; a method implements `distance`.

    Both domains pass through the network in one batch, so its batch-norm statistics are those of the mixture.
    """

    weight: float = knob(
        1.0, "Weight of the alignment",
        "Weight relative to the cross-entropy. Without it the domains are not aligned.",
        zh=("对齐权重", "对齐项相对于交叉熵的比重。没有它就不对齐。"), ge=0.0, le=10000.0,
        names={0.0: ("none", "无")}, usual=1.0, first=True,
    )  # fmt: skip

    @abstractmethod
    def distance(self, source: Tensor, target: Tensor, progress: float, critic: nn.Module | None) -> Tensor:
        """The distance between the embeddings source [N, D] and target [M, D], a scalar to minimise; progress is the
        fraction of training done."""

    def critic(self, width: int) -> nn.Module | None:
        """Layers that learn to distinguish the domains from embeddings of `width`; by default none."""
        return None

    def adapt(self, model: Model, context: Context, target: Unlabelled) -> Model:
        """One loop over both domains; source images of classes that the target lacks are not aligned."""
        shared = torch.tensor(target.shared, device=context.device)
        torch.manual_seed(counter_seed(*context.place, "critic"))
        critic = self.critic(_width(model, target))

        def loss(output: Output, batch: Batch) -> Tensor:
            here = batch.target != UNLABELLED
            classified = F.cross_entropy(output.logits[here], batch.target[here])
            alike = torch.isin(batch.target, shared)
            if int(alike.sum()) < 2:  # one image has no variance
                return classified
            assert output.embedding is not None
            apart = self.distance(output.embedding[alike], output.embedding[~here], batch.progress, critic)
            return classified + self.weight * apart

        examples = replace(Examples.of(context.labelled), beside=target.images)
        learner, schedule = copied(model), self.schedule()
        groups = self.groups(learner)
        return fit(
            learner,
            examples,
            loss,
            schedule,
            context,
            parameters=groups,
            features=True,
            extra=critic,
            incumbent=self.before("the network before adapting"),
        )

    def workload(self, before: Model, after: Model, context: Context) -> tuple[Workload, ...]:
        """Twice the number of source images; the control is counted as if it saw as many."""
        return self.source_workload(after, context, beside=2)


class SourceFreeAdaptation(Adaptation, ABC):
    """Learns the source first, then fits the network to the target's images; a method implements `fit_to_target`."""

    needs_norms = True

    epochs: int = knob(
        10, "Epochs",
        "Passes over labelled source images before adaptation. With none, the previous step's model is adapted.",
        zh=("训练轮数", "适应之前遍历有标签源域图像的次数。不训练时直接适应上一步的模型。"), ge=0, le=1000,
        names={0: ("none", "不训练")}, usual=10, first=True,
    )  # fmt: skip

    @abstractmethod
    def fit_to_target(self, model: Model, context: Context, target: Unlabelled) -> Model:
        """The model trained on the source, fitted in place to the target's images."""

    def more_epochs(self) -> int:
        """The number of epochs that `fit_to_target` adds to the curve."""
        return 0

    def refuse(self, model: Model, context: Context) -> None:
        """Requires batch normalisation and a trained model."""
        if not statistics_layers(model.net):
            allowed, fix = "a network with batch normalisation", "Choose coral, mk_mmd, dann or another backbone."
            raise UserError("no_batch_norm", "backbone", model.backbone, allowed, fix)
        if self.epochs == 0 and context.artifact is None:
            fix = "Set epochs, or put a transfer step before this one."
            raise UserError("nothing_trained", "epochs", 0, "at least 1 in the first step of a recipe", fix)

    def adapt(self, model: Model, context: Context, target: Unlabelled) -> Model:
        """The control is bit for bit the model that this step has before it uses the target."""
        source = replace(context, folder=context.folder / "source").after(0, self.epochs + self.more_epochs())
        learned = self.learn_source(model, source) if self.epochs else copied(model)
        adapted = self.fit_to_target(copied(learned), context, target)
        return learned if self._collapsed(learned, adapted, context) else adapted

    def _collapsed(self, learned: Model, adapted: Model, context: Context) -> bool:
        """Whether adaptation lowered the source's validation accuracy more than permitted; reports it."""
        before, after = (evaluate(model, context.data.validation, context).accuracy for model in (learned, adapted))
        if after >= before - self.source_drop:
            return False
        fell = f"from {100 * before:.1f} % to {100 * after:.1f} %"
        most = f"more than {100 * self.source_drop:g} percentage points"
        code = KEPT_WITHIN if self.epochs else KEPT  # it is the network that came in only where nothing was learned
        context.remark(
            code,
            f"Adapting to the target lowered the source's validation accuracy {fell}, {most}: the network from "
            "before adapting is kept. Set source_drop higher to accept this.",
        )
        return True

    def controls(self, model: Model, context: Context) -> dict[str, Callable[[], Model]]:
        """None if the previous step's model is itself the one trained on the source only."""
        return super().controls(model, context) if self.epochs else {}

    def workload(self, before: Model, after: Model, context: Context) -> tuple[Workload, ...]:
        """Training on the source, which the control shares with this step, and a pass over every target image."""
        learned = self.source_workload(after, context) if self.epochs else ()
        seen = len(context.target.images) if context.target else 0
        return (
            *(replace(work, control=False) for work in learned),
            Workload("forward", after, seen, 256, control=False),
        )


def copied(model: Model) -> Model:
    """The model with a copy of its weights: `fit` trains in place, and a control starts where the step started."""
    return model.with_net(copy.deepcopy(model.net))


def statistics_layers(net: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    """The batch-norm layers that keep running statistics."""
    return [m for m in net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats]


def _width(model: Model, target: Unlabelled) -> int:
    """The width of the embedding, determined from two of the target's images."""
    net = copy.deepcopy(model.net).eval()
    device = next(net.parameters()).device
    with torch.no_grad():
        embedding = observe(net, prepare(target.images[:2].to(device), model.preprocessing)).embedding
    assert embedding is not None
    return embedding.shape[1]
