"""Distillation: a small student learns from a teacher's outputs as well as from the labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.controls import WITHOUT_TEACHER
from core.engine.backbones import find, load_backbone
from core.engine.backbones.features import observe
from core.engine.context import Context
from core.engine.data import Dataset, Split
from core.engine.data.augment import AUGMENTATIONS, CALLED, prepare
from core.engine.data.selection import choose
from core.engine.distill.balance import gain_of, weight_of
from core.engine.distill.teacher import cached_teacher, live_teacher
from core.engine.export.graph import save_float
from core.engine.forecast import Forecast, Workload, training
from core.engine.method import Method, Saved, knob
from core.engine.model import Model
from core.engine.output import Output
from core.engine.seeds import counter_seed
from core.engine.training.loop import UNLABELLED, Batch, Examples, Incumbent, Schedule, fit
from core.engine.training.operation_threads import operation_threads
from core.engine.training.small_sets import steps_at_least
from core.errors import UserError, nearest
from core.options import Value

SMALL_SIDE = 64  # pixels; the largest size that small networks are designed for
OWN_WIDTH: dict[Value, tuple[str, str]] = {0: ("its own", "自带")}


class Distill(Method, ABC):
    """Trains a student on weight · gain · soft_loss + (1 − weight) · cross-entropy; a method implements `soft_loss`.

    A method that compares features sets `reads_features`, and the teacher then runs on every batch; otherwise its
    logits are computed once per fixed view and cached. A method whose loss is not minimal where the outputs of student
    and teacher are equal sets `rests_at_equality` False.
    """

    reads_features: ClassVar[bool] = False
    rests_at_equality: ClassVar[bool] = True

    student: str = knob(
        "resnet8", "Student", "The small network to train: any backbone of the catalog, without pretrained weights.",
        zh=("学生网络", "要训练的小网络：目录中的任何骨干，不带预训练权重。"), first=True,
    )  # fmt: skip
    width: int = knob(
        0, "Student's width",
        "Channels in the first stage of resnet8 … resnet56 (16), or units of an mlp (256): its own, or another number. "
        "Half the width is about a quarter of the parameters.",
        zh=("学生宽度", "resnet8 … resnet56 第一阶段的通道数（16）或 mlp 的隐藏单元数（256）：网络自带，或另设。"
            "宽度减半，参数约为四分之一。"),
        ge=0, le=256, unit="channels", names=OWN_WIDTH, usual=8,
    )  # fmt: skip
    student_size: int = knob(
        0, "Student's image size",
        "Side of the student's input. Automatic: the dataset's own, at most 64, for small networks, the recipe's for "
        "others.",
        zh=("学生图像尺寸", "学生输入的边长。自动：小网络用数据集原尺寸（至多 64），其他网络用配方尺寸。"),
        ge=0, le=1024, unit="pixels", names={0: ("automatic", "自动")}, usual=32,
    )  # fmt: skip
    weight: float = weight_of(0.9)
    gain: float = gain_of(1.0)
    pool: bool = knob(
        True, "Use unlabelled images", "Distils on images without labels too: the teacher's output is sufficient.",
        zh=("使用无标签图像", "没有标签的图像也能用于蒸馏：只需要教师的输出。"),
    )  # fmt: skip
    epochs: int = knob(
        15, "Epochs", "Passes over all images, labelled or not. The student's accuracy rises, then levels off.",
        zh=("训练轮数", "遍历全部图像（含无标签）的次数。学生准确率随之上升并趋于平稳。"), ge=1, le=1000, first=True,
    )  # fmt: skip
    batch: int = knob(
        128, "Batch size", "Images per optimizer step.",
        zh=("批大小", "每次参数更新使用的图像数。"), ge=2, le=4096, unit="images",
    )  # fmt: skip
    least_steps: int = steps_at_least()
    learning_rate: float = knob(
        0.1, "Learning rate", "Peak step size of SGD with momentum; it rises, then falls to zero along a cosine.",
        zh=("学习率", "带动量 SGD 的最大步长；先上升，再沿余弦降到零。"), ge=1e-5, le=10.0,
    )  # fmt: skip
    augment: str = knob(
        "shift", "Augmentation", "Random transformations, the same for student and teacher.",
        zh=("数据增强", "学生与教师看到的图像同样随机变换。"), choices=AUGMENTATIONS, names=CALLED,
    )  # fmt: skip
    views: int = knob(
        4, "Fixed views",
        "Augmented copies of each image, drawn once, so that the teacher runs only once on each.",
        zh=("固定视图数", "每张图像一次性生成的增强副本数；教师对每个副本只推理一次。"), ge=1, le=64,
    )  # fmt: skip
    twin: bool = knob(
        True, "No-teacher control",
        "The same student with the same number of steps on labels alone: shows what the teacher contributes.",
        zh=("无教师对照", "同样的学生、同样的步数、只用标签：显示教师的贡献。"),
    )  # fmt: skip

    omit: str = knob(
        "", "Leave out a class",
        "Name of a class that the student never sees; the receipt shows how many of its images it still recognises.",
        zh=("排除一个类别", "学生从未见过的类别名称；凭据会显示学生仍能识别其中多少图像。"), names={"": ("none", "无")},
    )  # fmt: skip

    @abstractmethod
    def soft_loss(self, student: Output, teacher: Output, target: Tensor | None) -> Tensor:
        """The distillation term alone, a scalar."""

    # further hooks, for methods that need them

    def share(self, batch: Batch) -> float:
        """The share of the soft loss that counts at this batch: a schedule over training; by default always 1."""
        return 1.0

    def learner(self, student: Output, teacher: Output) -> nn.Module | None:
        """The loss as a module with trainable layers, sized by an example Output of each side; None if it has none.

        It is called instead of `soft_loss` during training, and is discarded together with the teacher.
        """
        return None

    def loss(self, student: Output, teacher: Output, target: Tensor | None) -> Tensor:
        """weight · gain · soft_loss + (1 − weight) · cross-entropy with target [N].

        `target` None means unlabelled images: the first term only. In a mixed batch −1 marks an image without a label,
        and the cross-entropy is the mean over the labelled ones.
        """
        return self.balanced(self.soft_loss(student, teacher, target), student.logits, target)

    def balanced(self, soft: Tensor, logits: Tensor, target: Tensor | None) -> Tensor:
        """The weighted sum of a soft loss and the cross-entropy of logits [N, C]."""
        soft = self.weight * self.gain * soft
        if target is None or self.weight == 1 or not bool((target != UNLABELLED).any()):
            return soft
        return soft + (1 - self.weight) * F.cross_entropy(logits, target, ignore_index=UNLABELLED)

    def apply(self, model: Model, context: Context) -> Model:
        """The student, taught by `model`, on labelled images and, with `pool`, on unlabelled ones."""
        return self.teach(model, self.student_of(model, context), context)

    def student_of(self, model: Model, context: Context) -> Model:
        """The student before training; by default the chosen one, whatever its teacher."""
        return self.new_student(context)

    def incumbent(self, model: Model) -> Incumbent | None:
        """A trained network that the student has to beat; None by default, as the student starts from scratch."""
        return None

    def teach(self, model: Model, student: Model, context: Context) -> Model:
        """`student`, taught by `model`; raises UserError, before any work, if their classes differ."""
        _refuse_other_classes(model, student)
        examples, schedule = self.examples(context), self.schedule()
        layers = self._layers(model, student, examples, context)
        soft_loss = self.soft_loss if layers is None else layers
        teach = live_teacher if self.reads_features else cached_teacher
        with teach(model, examples, schedule, context) as teacher:

            def loss(output: Output, batch: Batch) -> Tensor:
                soft = self.share(batch) * soft_loss(output, teacher(batch), batch.target)
                return self.balanced(soft, output.logits, batch.target)

            return fit(
                student,
                examples,
                loss,
                schedule,
                context,
                features=self.reads_features,
                extra=layers,
                incumbent=self.incumbent(model),
            )

    def _layers(self, model: Model, student: Model, examples: Examples, context: Context) -> nn.Module | None:
        """The loss's trainable layers, initialised from the context's seed; sized by the first two images."""
        if not self.reads_features:
            return None
        raw = examples.images[:2].to(context.device)
        with torch.no_grad():
            shown = [observe(m.net.to(context.device).eval(), prepare(raw, m.preprocessing)) for m in (student, model)]
        torch.manual_seed(counter_seed(*context.place, "layers"))
        return self.learner(*shown)

    def examples(self, context: Context) -> Examples:
        """What the student learns from."""
        return Examples.of(self._labelled(context), context.pool if self.pool else None)

    def _labelled(self, context: Context) -> Split:
        """The labelled images, without those of the excluded class."""
        if not self.omit:
            return context.labelled
        left = context.labelled.labels != context.data.classes.index(self.omit)
        return Split(choose(context.labelled.images, left), context.labelled.labels[left])

    def check_data(self, data: Dataset) -> None:
        """Raises UserError if the dataset does not have the class to exclude."""
        if self.omit and self.omit not in data.classes:
            allowed = f"nothing, or one of the classes of {data.name}: {', '.join(data.classes[:20])}"
            raise UserError("unknown_class", "omit", self.omit, allowed, nearest(self.omit, data.classes))

    def reported_classes(self) -> tuple[str, ...]:
        """The class the student never saw."""
        return (self.omit,) if self.omit else ()

    def controls(self, model: Model, context: Context) -> dict[str, Callable[[], Model]]:
        """The control: same student, same initial weights, same number of steps, labels only."""
        return {WITHOUT_TEACHER: lambda: self._alone(model, context)} if self.twin else {}

    def controls_at_once(self, context: Context) -> bool:
        """The same network in the same format; layers of the loss could change the format of the student."""
        if self.reads_features or not self.twin:
            return False
        student, size = self.new_student(context), self.schedule().size(len(self.examples(context)))
        threads = operation_threads(student.net, student.preprocessing, size, context.threads, context.device)
        return threads < context.threads

    def _alone(self, model: Model, context: Context) -> Model:
        seen = len(self.examples(context))
        given = self.schedule()
        schedule = replace(given, batch=given.size(seen), batches=given.length(seen))

        def loss(output: Output, batch: Batch) -> Tensor:
            return F.cross_entropy(output.logits, batch.target)

        examples = Examples.of(self._labelled(context))
        return fit(
            self.student_of(model, context), examples, loss, schedule, context.for_control("twin"), incumbent=None
        )

    def forecast(self, before: Forecast, context: Context) -> Forecast:
        """The student, whatever its teacher."""
        return Forecast(self.new_student(context))

    def workload(self, before: Model, after: Model, context: Context) -> tuple[Workload, ...]:
        """The student's training, and the teacher's inference: for every batch, or once per view."""
        images = len(self.examples(context))
        schedule = self.schedule()
        seen = (
            self.epochs * schedule.drawn(images) if self.reads_features else min(self.epochs, schedule.views) * images
        )
        teacher = Workload("forward" if self.reads_features else "answer", before, seen, control=False)
        return (*training(after, schedule, images, len(context.data.validation)), teacher)

    def schedule(self) -> Schedule:
        """The student's training schedule, with or without a teacher."""
        views = self.views if self.augment != "none" else 1
        return Schedule(
            self.epochs, self.batch, self.learning_rate, augment=self.augment, views=views, least=self.least_steps
        )

    def new_student(self, context: Context) -> Model:
        """The student before training, initialised from the context's seed."""
        named = find(self.student)
        info = find(
            named.architecture or named.name
        )  # of a person's own network its architecture: weights are not used
        data = context.data
        own = min(data.size, SMALL_SIDE) if info.small_images else context.image_size or info.image_size
        size, width = self.student_size or own, self.width or named.own_width
        channels = data.channels if info.small_images else info.channels
        torch.manual_seed(counter_seed(*context.place, "student"))
        net = load_backbone(
            info.name, classes=len(data.classes), weights="none", image_size=size, width=width, channels=channels
        )
        return Model(net, info.name, data.classes, info.preprocessing(size, channels), width)

    def save(self, model: Model, path: Path, context: Context) -> Saved:
        """The network as float32 ONNX."""
        return save_float(model, path)


def _refuse_other_classes(teacher: Model, student: Model) -> None:
    if teacher.classes != student.classes:
        given = f"{student.backbone} with {', '.join(student.classes[:6])}"
        allowed = f"the classes of the teacher {teacher.backbone}, in its order: {', '.join(teacher.classes[:6])}"
        fix = "Teach with a model of the same dataset: put a transfer step before the distillation."
        raise UserError("different_classes", "student", given, allowed, fix)
