"""Transfer by gradient descent: the shared loop and options; a method says what is trained and how fast."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn
from torch.nn import functional as F

from core.engine.bench import Bench
from core.engine.data.augment import AUGMENTATIONS
from core.engine.forecast import Labour, training
from core.engine.method import knob
from core.engine.model import Model
from core.engine.output import Output
from core.engine.train import Batch, Examples, Schedule, fit
from core.engine.transfer import Transfer


@dataclass(frozen=True)
class Trainable:
    """What is trained: optimizer groups `{"params": [...], "lr": ...}`, and the modules whose batch-norm statistics
    (and dropout) stay as in evaluation."""

    groups: Sequence[dict[str, object]]
    frozen: Sequence[nn.Module] = field(default=())


class TrainedTransfer(Transfer, ABC):
    """Trains with AdamW on cross-entropy; a method fills `trainable`."""

    epochs: int = knob(
        10, "Epochs", "Passes over the labelled images. More can help until validation accuracy stops rising.",
        zh=("训练轮数", "遍历有标签图像的次数。验证准确率不再上升时,更多轮数没有帮助。"), ge=1, le=1000,
    )  # fmt: skip
    batch: int = knob(
        64, "Batch size", "Images per optimizer step. Smaller needs less memory, larger is faster per image.",
        zh=("批大小", "每次参数更新使用的图像数。小批省内存,大批每张图更快。"), ge=2, le=4096, unit="images",
    )  # fmt: skip
    learning_rate: float = knob(
        1e-3, "Learning rate", "Peak step size of the head; the backbone learns more slowly.",
        zh=("学习率", "分类头的最大步长;骨干网络学得更慢。"), ge=1e-6, le=1.0,
    )  # fmt: skip
    weight_decay: float = knob(
        1e-2, "Weight decay", "Pull of the weights towards zero (decoupled, as in AdamW).",
        zh=("权重衰减", "把权重拉向零的力度(AdamW 的解耦形式)。"), ge=0.0, le=1.0,
    )  # fmt: skip
    label_smoothing: float = knob(
        0.0, "Label smoothing", "Share of each label spread over all classes; tames over-confidence.",
        zh=("标签平滑", "把每个标签的一部分均分给所有类别,抑制过度自信。"), ge=0.0, le=0.5,
    )  # fmt: skip
    augment: str = knob(
        "none", "Augmentation", "Random changes drawn anew for every image of every batch.",
        zh=("数据增强", "对每个批次中的每张图像独立随机变换。"), choices=AUGMENTATIONS,
    )  # fmt: skip
    patience: int = knob(
        0, "Early stopping", "Stop after so many epochs without a better validation accuracy; 0 never stops early.",
        zh=("提前停止", "验证准确率连续这么多轮没有提高就停止;0 表示不提前停止。"), ge=0, le=1000, unit="epochs",
    )  # fmt: skip

    @abstractmethod
    def trainable(self, net: nn.Module, images: int) -> Trainable:
        """What of `net` is trained, given how many labelled images there are; the rest keeps its exact bits."""

    def apply(self, model: Model, bench: Bench) -> Model:
        """Cross-entropy on the labelled images; the weights of the best validation accuracy are kept."""

        def loss(output: Output, batch: Batch) -> Tensor:
            return F.cross_entropy(output.logits, batch.target, label_smoothing=self.label_smoothing)

        what = self.trainable(model.net, len(bench.labelled))
        schedule = Schedule(
            self.epochs, self.batch, self.learning_rate, "adamw", self.weight_decay,
            augment=self.augment, patience=self.patience,
        )  # fmt: skip
        examples = Examples.of(bench.labelled)
        return fit(model, examples, loss, schedule, bench, parameters=what.groups, frozen=what.frozen)

    def labour(self, before: Model, after: Model, bench: Bench) -> tuple[Labour, ...]:
        """Training of what learns; early stopping is not foreseen."""
        images = len(bench.labelled)
        learner = after.with_net(copy.deepcopy(after.net))
        self.trainable(learner.net, images)
        return training(learner, self.epochs, self.batch, images, len(bench.data.validation))


def batch_norms(net: nn.Module) -> list[nn.Module]:
    """All batch-normalisation layers."""
    return [m for m in net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
