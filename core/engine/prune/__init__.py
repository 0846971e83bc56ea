"""Pruning: weights, channels or blocks are removed permanently; the network then recovers by training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from core.controls import FROM_SCRATCH, RANDOM_PRUNING
from core.engine.context import Context
from core.engine.data import AUGMENTATIONS
from core.engine.data.augment import CALLED, prepare
from core.engine.data.selection import evenly
from core.engine.distill.divergence import softened_divergence
from core.engine.distill.teacher import cached_teacher
from core.engine.export.graph import save_float
from core.engine.forecast import Workload, training
from core.engine.method import Method, Saved, knob
from core.engine.model import Model
from core.engine.output import Output
from core.engine.prune.batch_norm import reestimate_batch_norm
from core.engine.prune.masks import zeros_kept
from core.engine.prune.reinitialize import reinitialize
from core.engine.training.loop import Batch, Examples, Incumbent, Schedule, fit
from core.engine.training.small_sets import steps_at_least
from core.options import Option, Value

AT_ONCE = 256  # images per batch of statistics, at most
TEMPERATURE = 2.0  # of the recovery's teacher, which is the network itself before the cut
SCOPES: dict[Value, tuple[str, str]] = {"local": ("local", "局部"), "global": ("global", "全局")}


class Prune(Method, ABC):
    """The method chooses what to remove (`cuts`); recovery, statistics and controls are the same for all methods.

    A method that sets weights to zero instead of shrinking shapes sets `leaves_zeros`: training keeps them at zero.
    """

    leaves_zeros: ClassVar[bool] = False

    epochs: int = knob(
        5, "Recovery epochs", "Epochs of training after pruning, divided among the rounds. With none, only the "
        "statistics of batch normalisation are updated.",
        zh=("恢复轮次", "剪枝后训练的轮次，由各轮平分。不训练时只更新批归一化统计量。"), ge=0, le=500, unit="epochs",
        names={0: ("none", "不训练")}, usual=5, first=True,
    )  # fmt: skip
    learning_rate: float = knob(
        0.05, "Learning rate", "The highest learning rate of the recovery.",
        zh=("学习率", "恢复训练的最高学习率。"), ge=0.000001, le=1.0,
    )  # fmt: skip
    batch: int = knob(
        128, "Batch size", "Images per optimizer step during recovery.",
        zh=("批大小", "恢复训练每一步的图片数。"), ge=2, le=4096, unit="images",
    )  # fmt: skip
    least_steps: int = steps_at_least()
    recovery: str = knob(
        "teacher", "Recover from",
        "Teacher: the network before pruning teaches, on unlabelled images too; labels: cross-entropy only.",
        zh=("恢复方式", "教师：由剪枝前的网络教学，也使用无标签图像；标签：只用标签的交叉熵。"),
        choices=("teacher", "labels"), names={"teacher": ("teacher", "教师"), "labels": ("labels", "标签")},
    )  # fmt: skip
    augment: str = knob(
        "shift", "Augmentation", "Random transformations of the images during recovery.",
        zh=("数据增强", "恢复训练时对图像的随机变换。"), choices=AUGMENTATIONS, names=CALLED,
    )  # fmt: skip
    twin: bool = knob(
        False, "Random-pruning control", "Prunes to the same shape at random, same recovery: shows what ranking gains.",
        zh=("随机剪枝对照", "随机剪枝到同样的形状，并以同样方式恢复：显示重要性排序的价值。"),
    )  # fmt: skip
    scratch: int = knob(
        0, "From-scratch control",
        "Epochs for a control of the same shape trained from random weights: was the large network needed?",
        zh=("从头训练对照", "同样形状、随机初始权重的对照网络的训练轮次：大网络是否必要？"),
        ge=0, le=500, unit="epochs", names={0: ("no control", "无对照")}, usual=5,
    )  # fmt: skip

    @abstractmethod
    def cuts(self, model: Model, context: Context, random_context: Context | None = None) -> Iterator[nn.Module]:
        """A copy of `model.net` after each pruning round, on the CPU; it is trained before the next one is requested.

        With `random_context` the shapes are those that `context` gives, but what is removed is drawn from its seed.
        """

    @property
    def rounds(self) -> int:
        """The number of pruning rounds."""
        return 1

    def apply(self, model: Model, context: Context) -> Model:
        """The network after its last recovery; the weights of the best validation accuracy are kept."""
        return self._recovered(model, self.cuts(model, context), context)

    def controls(self, model: Model, context: Context) -> dict[str, Callable[[], Model]]:
        """The randomly pruned control, and a network of the same shape trained from scratch."""
        random_context, blank = context.for_control("random-twin"), context.for_control("scratch")
        made: dict[str, Callable[[], Model]] = {}
        if self.twin:
            made[RANDOM_PRUNING] = lambda: self._recovered(
                model, self.cuts(model, context, random_context), random_context
            )
        if self.scratch:
            made[FROM_SCRATCH] = lambda: self._from_scratch(model, context, blank)
        return made

    def workload(self, before: Model, after: Model, context: Context) -> tuple[Workload, ...]:
        """Each round updates the statistics, runs the teacher once per view, and trains."""
        taught = [work for epochs in self._shares() for work in self._answers(before, epochs, context)]
        renewed = Workload("forward", after, self.rounds * self._images(context), AT_ONCE)
        return (renewed, *self._training(after, self.epochs, context), *taught)

    def control_workload(self, before: Model, after: Model, context: Context) -> tuple[Workload, ...]:
        """The random control recovers as the method does; the other trains for its own number of epochs."""
        twin = Prune.workload(self, before, after, context) if self.twin else ()
        taught = self._answers(before, self.scratch, context) if self.scratch else ()
        return (*twin, *self._training(after, self.scratch, context), *taught)

    def save(self, model: Model, path: Path, context: Context) -> Saved:
        """The smaller network as float32 ONNX."""
        return save_float(model, path)

    def schedule(self, epochs: int) -> Schedule:
        """The training schedule of a round of `epochs`."""
        views = 4 if self.augment != "none" else 1
        return Schedule(
            epochs, self.batch, self.learning_rate, augment=self.augment, views=views, least=self.least_steps
        )

    @classmethod
    def options(cls) -> tuple[Option, ...]:
        """Options of the cut come before options of the recovery."""
        every = super().options()
        return tuple(sorted(every, key=lambda option: option.name in Prune.model_fields))

    def _shares(self) -> list[int]:
        """The epochs of each round."""
        ends = [self.epochs * number // self.rounds for number in range(self.rounds + 1)]
        return [end - start for start, end in pairwise(ends)]

    def _images(self, context: Context) -> int:
        return len(context.labelled) + (len(context.pool) if self.recovery == "teacher" else 0)

    def _training(self, model: Model, epochs: int, context: Context) -> tuple[Workload, ...]:
        schedule = self.schedule(epochs)
        return training(model, schedule, self._images(context), len(context.data.validation)) if epochs else ()

    def _answers(self, teacher: Model, epochs: int, context: Context) -> tuple[Workload, ...]:
        views = min(self.schedule(epochs).views, epochs)
        return (Workload("answer", teacher, views * self._images(context)),) if self.recovery == "teacher" else ()

    def _recovered(self, whole: Model, cuts: Iterator[nn.Module], context: Context) -> Model:
        thinned, done = whole, 0
        for number, (net, epochs) in enumerate(zip(cuts, self._shares(), strict=True)):
            part = context.part(f"round-{number}").after(done, self.epochs)
            cut = "the cut network" if self.rounds == 1 else f"the network after cut {number + 1} of {self.rounds}"
            thinned = self._recover(whole.with_net(net), whole, epochs, part, Incumbent(cut, came_in=False))
            thinned.net.cpu()
            done += epochs
        return thinned

    def _from_scratch(self, whole: Model, context: Context, blank: Context) -> Model:
        for net in self.cuts(whole, context):
            shape = net
        fresh = whole.with_net(reinitialize(whole.with_net(shape), self.leaves_zeros, blank))
        return self._recover(fresh, whole, self.scratch, blank, None)

    def _recover(
        self, thinned: Model, whole: Model, epochs: int, context: Context, incumbent: Incumbent | None
    ) -> Model:
        """Updates the statistics, then trains; if training brings no gain, the network from before it is kept."""
        examples = Examples.of(context.labelled, context.pool if self.recovery == "teacher" else None)
        parts = evenly(examples.images, AT_ONCE)
        reestimate_batch_norm(thinned.net, (prepare(part, thinned.preprocessing) for part in parts))
        if not epochs:
            return thinned
        schedule = self.schedule(epochs)
        with zeros_kept(thinned.net) if self.leaves_zeros else nullcontext():
            if self.recovery == "labels":
                return fit(thinned, examples, _cross_entropy, schedule, context, incumbent=incumbent)
            with cached_teacher(whole, examples, schedule, context) as teacher:
                return fit(
                    thinned,
                    examples,
                    lambda output, batch: softened_divergence(output.logits, teacher(batch).logits, TEMPERATURE),
                    schedule,
                    context,
                    incumbent=incumbent,
                )


def _cross_entropy(output: Output, batch: Batch) -> Tensor:
    return F.cross_entropy(output.logits, batch.target)
