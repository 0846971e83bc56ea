"""Weight-only quantization: smaller files that compute in float; no data needed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import onnx
from torch import nn

from core.engine.context import Context
from core.engine.forecast import FileSize, Workload
from core.engine.method import knob
from core.engine.model import Model
from core.engine.quantize import Calibration, Conversion, Quantize
from core.engine.quantize.calibration import shortage
from core.engine.quantize.reconstruction import STEPS, adaptive
from core.engine.quantize.validation import Evaluator, no_evaluator
from core.engine.quantize.weights import NATIVE, WIDTH, float_layers, least_error_rounding, nearest, store
from core.options import Words


class WeightOnly(Quantize):
    """Rounds every convolution and matrix to `bits`, symmetric, one scale per output channel; biases stay float."""

    title: ClassVar[Words] = Words("Weights only", "仅量化权重")
    summary: ClassVar[Words] = Words(
        "Stores the weights in 2 to 8 bits and computes in float: a smaller file, not a faster one.",
        "用 2 到 8 位存储权重，仍以浮点数计算：文件更小，但不会更快。",
    )
    source: ClassVar[str] = "https://arxiv.org/abs/2106.08295"

    bits: int = knob(
        8,
        "Bits",
        "Bits per weight. 8 loses little; below 6, networks with depthwise layers may fail.",
        zh=("位数", "每个权重的位数。8 位几乎无损；低于 6 位时，含深度可分离卷积的网络可能失效。"),
        choices=(2, 3, 4, 5, 6, 7, 8),
        unit="bits",
        first=True,
    )
    form: str = knob(
        "cast",
        "When weights are expanded",
        "In every run: by the standard operator (DequantizeLinear); once: when the file is loaded, so it runs as fast "
        "as float.",
        zh=(
            "权重展开方式",
            "每次运行：使用标准算子（DequantizeLinear）；一次：加载文件时展开，运行速度与浮点模型相同。",
        ),
        choices=("dequantize", "cast"),
        names={"dequantize": ("at every run", "每次运行"), "cast": ("once", "一次")},
    )

    step: str = knob(
        "largest", "Step size",
        "Largest: preserves each channel's largest weight; least error: may clip it so that the others are more "
        "accurate. Below 6 bits try both: which one loses less depends on the network.",
        zh=("每个通道的步长", "最大值：保留最大的权重；误差最小：可截断最大权重，"
            "使其余权重更准确。低于 6 位时两者都试，哪个损失小取决于网络。"),
        choices=("largest", "least_error"), first=True,
        names={"largest": ("largest", "最大值"), "least_error": ("least error", "误差最小")},
    )  # fmt: skip
    rounding: str = knob(
        "nearest", "Rounding",
        "Nearest: each weight to its nearest level; AdaRound: up or down, whichever changes the layer's outputs on "
        "training images less. Takes longer; below 6 bits it can preserve most of the accuracy.",
        zh=("舍入方式", "最近：取最近的级别；AdaRound：向上或向下，"
            "取使该层在训练图像上输出变化更小的一边；耗时更长，低于 6 位时可保住大部分准确率。"),
        choices=("nearest", "adaround"), first=True,
        names={"nearest": ("nearest", "最近"), "adaround": ("AdaRound", "AdaRound")},
    )  # fmt: skip
    calibration_images: int = knob(
        256, "Calibration images", "Number of training images that AdaRound uses.",
        zh=("校准图像数", "AdaRound 使用多少张训练图像。"), ge=16, le=4096, unit="images",
    )  # fmt: skip

    def file_size(self) -> FileSize:
        """The bits of the storage type; float bias and scale per channel; the nodes that widen a tensor."""
        widened = 275.0 if self.form == "cast" else 200.0  # measured on 24 networks
        return FileSize(weight=WIDTH[NATIVE[self.bits]] / 8, channel=8.0, layer=widened)

    def workload(self, before: Model, after: Model, context: Context) -> tuple[Workload, ...]:
        """None for nearest rounding; adaround reads the images once, then optimises each layer."""
        if self.rounding == "nearest":
            return ()
        images = min(self.calibration_images, len(context.labelled) + len(context.pool))
        held = (m.weight for m in before.net.modules() if isinstance(m, nn.Conv2d | nn.Linear))
        operations = sum(6.0 * STEPS * weight.numel() * weight[0].numel() for weight in held)
        return (Workload("answer", before, 4 * images, operations=operations),)

    def convert(
        self, source: Path, target: Path, calibration: Calibration, evaluator: Evaluator = no_evaluator
    ) -> Conversion:
        """Writes integer weights to `target`; for 3, 5, 6 and 7 bits also the bit-packed file next to it."""
        model = onnx.load(source)
        chosen = float_layers(model, source.name)
        rounding = least_error_rounding(self.bits) if self.step == "least_error" else nearest(self.bits)
        if self.rounding == "adaround":
            tensors = {tensor.name: tensor for tensor in model.graph.initializer}
            start = {layer.weight: rounding(tensors[layer.weight], layer) for layer in chosen}
            limit = self.calibration_images
            found, seen = adaptive(model, chosen, start, calibration, limit)
            made = store(model, target, chosen, lambda tensor, layer: found[layer.weight], self.bits, self.form)
            return replace(made, notes=(*made.notes, *shortage(seen, limit)))
        return store(model, target, chosen, rounding, self.bits, self.form)
