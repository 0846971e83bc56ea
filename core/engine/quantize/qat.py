"""Quantization-aware training: the network trains with rounded weights, so it works at bit widths at which rounding
alone would break it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import onnx

from core.engine.context import Context
from core.engine.data.augment import AUGMENTATIONS, CALLED
from core.engine.forecast import FileSize, Workload, training
from core.engine.method import Saved, knob
from core.engine.model import Model
from core.engine.quantize import Calibration, Conversion, Quantize
from core.engine.quantize.qat_file import grids, integers, write_learned
from core.engine.quantize.qat_training import Rounding, train_rounded
from core.engine.quantize.validation import Evaluator, no_evaluator
from core.engine.quantize.weights import NATIVE, WIDTH, float_layers, store
from core.engine.training.loop import Schedule
from core.engine.training.small_sets import steps_at_least
from core.errors import UserError
from core.files import make_folder, remove_file
from core.options import Words

FULL = 8


class Qat(Quantize):
    """Trains with fake quantizers in every convolution and linear layer: weights at 2 … 8 bits, at 8 their inputs too.

    The file holds exactly the grid used in training: at 8 bits as int8 with the learned ranges, below only the weights.
    """

    title: ClassVar[Words] = Words("Quantization-aware training", "量化感知训练")
    summary: ClassVar[Words] = Words(
        "Continues training with rounded weights: recovers accuracy lost at low bit widths, but takes time to train.",
        "在权重取整的状态下继续训练：找回低位量化损失的准确率，代价是训练时间。",
    )
    source: ClassVar[str] = "https://arxiv.org/abs/1902.08153"

    bits: int = knob(
        4, "Bits", "Bits per weight. 8 also quantizes activations and runs integer kernels; fewer only save bytes.",
        zh=("位数", "每个权重的位数。8 位同时量化激活值并使用整数内核；更少的位数只节省字节。"),
        choices=(2, 3, 4, 5, 6, 7, 8), unit="bits", first=True,
    )  # fmt: skip
    learner: str = knob(
        "lsq", "What is learned",
        "Weights and grid (LSQ): the step sizes are trained with the weights; weights alone (straight-through): the "
        "grid follows each channel's largest weight.",
        zh=("学习内容", "权重与网格（LSQ）：网格步长与权重一起训练；"
            "仅权重（直通估计）：网格由每个通道的最大权重决定。"),
        choices=("lsq", "ste"), names={"lsq": ("weights and grid", "权重与网格"), "ste": ("weights alone", "仅权重")},
    )  # fmt: skip
    ends: bool = knob(
        True, "First and last layer at 8 bits", "They hold few weights and are the most sensitive.",
        zh=("首层和末层使用 8 位", "这两层权重少，却最敏感。"),
    )  # fmt: skip
    teacher: float = knob(
        0.5, "Weight of the float teacher",
        "Share of the loss that matches the float network's outputs; the rest is cross-entropy with the labels.",
        zh=("浮点教师的权重", "损失中要求与浮点网络输出一致的比例；其余是与标签的交叉熵。"), ge=0.0, le=1.0,
    )  # fmt: skip
    epochs: int = knob(
        10, "Epochs", "Passes over the images with rounded weights.",
        zh=("训练轮数", "在权重取整的状态下遍历图像的次数。"), ge=1, le=1000, first=True,
    )  # fmt: skip
    learning_rate: float = knob(
        0.02, "Learning rate", "The highest learning rate of the training.",
        zh=("学习率", "训练的最高学习率。"), ge=1e-6, le=1.0,
    )  # fmt: skip
    batch: int = knob(
        64, "Batch size", "Images per optimizer step.",
        zh=("批大小", "每次参数更新使用的图像数。"), ge=2, le=4096, unit="images",
    )  # fmt: skip
    least_steps: int = steps_at_least()
    augment: str = knob(
        "shift", "Augmentation", "Random transformations of the images.",
        zh=("数据增强", "对图像的随机变换。"), choices=AUGMENTATIONS, names=CALLED,
    )  # fmt: skip
    calibration_images: int = knob(
        256, "Calibration images", "Number of training images that set the initial ranges of activations.",
        zh=("校准图像数", "用多少张训练图像来确定激活值的初始范围。"), ge=16, le=4096, unit="images",
    )  # fmt: skip

    def apply(self, model: Model, context: Context) -> Model:
        """The network with every weight on its grid, from the epoch of best validation accuracy with rounding."""
        ends = FULL if self.ends else self.bits
        calibrated_on = self.calibration_images if self.bits == FULL else 0
        how = Rounding(ends, self.bits, self.learner == "lsq", calibrated_on)
        return train_rounded(model, how, self._schedule(), self.teacher, context)

    def save(self, model: Model, path: Path, context: Context) -> Saved:
        """Converts the trained network's own float file, which is not kept."""
        source = make_folder(context.folder) / "rounded.onnx"
        write_learned(model, source)
        try:
            return self.saved(source, model, path, context)
        finally:
            remove_file(source)

    def convert(
        self, source: Path, target: Path, calibration: Calibration, evaluator: Evaluator = no_evaluator
    ) -> Conversion:
        """Writes the grids on which the weights of `source` lie; raises UserError if they lie on none."""
        model = onnx.load(source)
        held = float_layers(model, source.name)
        found = grids(model, held, (self.bits, FULL))
        chosen = tuple(layer for layer in held if layer.weight in found)
        if not chosen:
            fix = "Quantize it with weight_only, or as a step of a recipe."
            raise UserError("not_on_a_grid", "model", source.name, f"weights trained for {self.bits} bits", fix)
        if self.bits == FULL:
            return integers(model, target, found, calibration, self.calibration_images)
        made = store(model, target, chosen, lambda tensor, layer: found[layer.weight], self.bits)
        left = len(held) - len(chosen)
        added = (f"{left} layers stay float32: training could not round them.",) if left else ()
        return replace(made, notes=(*made.notes, *added))

    def workload(self, before: Model, after: Model, context: Context) -> tuple[Workload, ...]:
        """Training, the teacher's outputs once per view, and two passes over the calibration images."""
        images = len(context.labelled) + (len(context.pool) if self.teacher else 0)
        views = min(self.epochs, self._schedule().views) if self.teacher else 0
        calibrating = 4 * min(self.calibration_images, images) if self.bits == FULL else 0
        trained = training(after, self._schedule(), images, len(context.data.validation))
        return (*trained, Workload("answer", before, views * images + calibrating))

    def file_size(self) -> FileSize:
        """At 8 bits as for static quantization, else as for weight-only quantization."""
        if self.bits == FULL:
            return FileSize(weight=1.0, channel=17.0, node=700.0)
        return FileSize(weight=WIDTH[NATIVE[self.bits]] / 8, channel=8.0, layer=275.0)

    def _schedule(self) -> Schedule:
        views = 4 if self.augment != "none" else 1
        return Schedule(
            self.epochs, self.batch, self.learning_rate, augment=self.augment, views=views, least=self.least_steps
        )
