"""Static 8-bit quantization: weights and activations as integers, with ranges from calibration images."""

from __future__ import annotations

from collections.abc import Iterator, Set
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from core.engine.context import Context
from core.engine.forecast import FileSize, Workload
from core.engine.measure.graph import BITS, Layer, layers, weight_bytes_of
from core.engine.method import knob
from core.engine.model import Model
from core.engine.quantize import Calibration, Conversion, Quantize
from core.engine.quantize.arithmetic import fake_quantize
from core.engine.quantize.calibration import observe, shortage
from core.engine.quantize.correction import correct_biases, mean_shifts
from core.engine.quantize.equalization import equalize
from core.engine.quantize.fallback import LOOKED_AT, Fallback, segments, within_drop
from core.engine.quantize.qdq import activations, finish, insert_pairs, operators, with_shapes
from core.engine.quantize.validation import Evaluator, no_evaluator
from core.engine.quantize.weights import float_layers
from core.files import write_atomic
from core.options import Words


class Static(Quantize):
    """int8 weights and uint8 activations (QDQ), which onnxruntime runs with integer kernels."""

    title: ClassVar[Words] = Words("Static 8 bits", "静态 8 位量化")
    summary: ClassVar[Words] = Words(
        "Computes in 8-bit integers: about a quarter of the size, and faster for most convolutional networks.",
        "以 8 位整数计算：体积约为四分之一，多数卷积网络还会更快。",
    )
    source: ClassVar[str] = "https://arxiv.org/abs/1712.05877"

    bits: int = knob(
        8, "Bits", "Bits for weights and activations; integer kernels exist only for 8.",
        zh=("位数", "权重和激活值的位数；整数内核只支持 8 位。"), choices=(8,), unit="bits", first=True,
    )  # fmt: skip
    calibration: str = knob(
        "mse",
        "Calibration",
        "How each activation's range is chosen: least error minimises the rounding error (MSE), all values "
        "keeps minimum and maximum, percentile clips the outermost 0.01 %, entropy preserves the distribution.",
        zh=("校准方法", "如何选择激活值范围：误差最小使舍入的均方误差最小，全部取值保留最小值和最大值，"
            "百分位去掉两端 0.01% 的值，熵尽量保持分布。"),
        choices=("minmax", "percentile", "entropy", "mse"), first=True,
        names={"minmax": ("all values", "全部取值"), "percentile": ("percentile", "百分位"),
               "entropy": ("entropy", "熵"), "mse": ("least error", "误差最小")},
    )  # fmt: skip
    calibration_images: int = knob(
        256, "Calibration images", "Number of training images used to determine the ranges.",
        zh=("校准图像数", "用多少张训练图像来确定范围。"), ge=16, le=4096, unit="images",
    )  # fmt: skip
    per_channel: bool = knob(
        True, "Per-channel scales", "One scale per output channel instead of one per layer; more accurate.",
        zh=("逐通道缩放", "每个输出通道一个缩放系数，而不是每层一个；精度高得多。"),
    )  # fmt: skip

    float_head: bool = knob(
        False, "Last layer stays float",
        "Keeps the last layer in float: few bytes, and a linear probe's weights have too wide a range for 8 bits.",
        zh=("末层保持浮点", "最后一层保留浮点权重：占用字节很少，而线性探测的权重跨度太大，8 位难以表示。"),
    )  # fmt: skip
    bias_correction: bool = knob(
        False, "Bias correction", "Each layer's bias compensates for the mean error of rounding its weights.",
        zh=("偏置校正", "用每层的偏置抵消权重舍入带来的平均误差。"),
    )  # fmt: skip
    equalize: str = knob(
        "none", "Cross-layer equalisation",
        "Rescales the channels between neighbouring layers so that their weights have similar ranges. Exact: only "
        "through ReLU, the function does not change; through ReLU6: ReLU replaces ReLU6, so large activations are no "
        "longer clipped.",
        zh=("跨层均衡", "缩放相邻两层之间的通道，使两层权重范围相近。精确：仅限 ReLU，函数不变；"
            "穿过 ReLU6：把 ReLU6 换成 ReLU，较大的激活值不再被截断。"),
        choices=("none", "exact", "through_relu6"),
        names={"none": ("none", "无"), "exact": ("exact", "精确"), "through_relu6": ("through ReLU6", "穿过 ReLU6")},
    )  # fmt: skip
    max_drop: float = knob(
        0.0, "Max accuracy drop",
        "Keeps the most sensitive layers in float until validation accuracy falls by no more than this.",
        zh=("最大准确率下降", "最敏感的层保持浮点，直到验证准确率的下降不超过该值。"),
        ge=0.0, le=50.0, unit="points", names={0.0: ("no bound", "不限")}, usual=1.0, first=True,
    )  # fmt: skip

    def only_rounds(self) -> bool:
        """Not where channels were rescaled between layers."""
        return super().only_rounds() and self.equalize == "none"

    def file_size(self) -> FileSize:
        """A channel has an int32 bias and, with a scale of its own, scales and zero points of weight and bias; an
        operation takes 700 bytes with the pairs around it (632 … 831 measured on 22 networks)."""
        return FileSize(weight=self.bits / 8, channel=17.0 if self.per_channel else 4.0, node=700.0)

    def workload(self, before: Model, after: Model, context: Context) -> tuple[Workload, ...]:
        """Passes over the calibration images; with a bound, also a pass over validation images for each layer."""
        calibrating = super().workload(before, after, context)
        if not self.max_drop:
            return calibrating
        evaluation = len(context.data.validation)
        held = sum(isinstance(m, nn.Conv2d | nn.Linear) for m in before.net.modules())
        return (*calibrating, Workload("answer", before, held * min(LOOKED_AT, evaluation) + 8 * evaluation))

    def convert(
        self, source: Path, target: Path, calibration: Calibration, evaluator: Evaluator = no_evaluator
    ) -> Conversion:
        """Writes the int8 file; also raises UserError when `calibration` yields nothing or activations overflow."""
        model = onnx.load(source)
        total, before = len(layers(model)), weight_bytes_of(model)
        float_layers(model, source.name)
        notes = list(self._prepare(model))
        result, found = self._quantized(onnx.load(source), model, calibration, evaluator)
        touched = [layer for layer in layers(result) if BITS[layer.data_type] == self.bits]
        finish(result, model)
        write_atomic(target, result.SerializeToString(deterministic=True))
        return Conversion(self.bits, len(touched), total, before, weight_bytes_of(result), notes=(*notes, *found))

    def _prepare(self, model: onnx.ModelProto) -> Iterator[str]:
        """Changes the float graph in place so that rounding loses less; yields a note on each change."""
        if self.equalize != "none":
            made = equalize(model, self.equalize == "through_relu6")
            yield f"Cross-layer equalisation: {made.pairs} pairs of neighbouring layers rescaled" + (
                f", {made.blocked} more are joined by a ReLU6." if made.blocked else "."
            )

    def _shifts(self, model: onnx.ModelProto, calibration: Calibration) -> dict[str, NDArray[np.float32]]:
        """By layer, what bias correction would take back; empty without it."""
        if not self.bias_correction:
            return {}
        return mean_shifts(model, calibration, self.calibration_images, self._rounded)

    def _rounded(self, layer: Layer, weight: NDArray[np.float32]) -> NDArray[np.float32]:
        axis = layer.axis if self.per_channel else None
        return fake_quantize(torch.from_numpy(weight.copy()), self.bits, axis).numpy()

    def _quantized(
        self, source: onnx.ModelProto, model: onnx.ModelProto, calibration: Calibration, evaluator: Evaluator
    ) -> tuple[onnx.ModelProto, list[str]]:
        """`model` in int8, as far as the bound on the accuracy drop from `source` permits."""
        shaped, ops = with_shapes(model), operators(model)
        origin = activations(shaped, ops)
        limit = self.calibration_images
        found, seen = observe(model, sorted(set(origin.values())), calibration, limit, self.calibration)
        ranges = {name: found[origin] for name, origin in origin.items()}
        notes = shortage(seen, limit)

        head = frozenset(list(segments(model).values())[-1]) if self.float_head else frozenset()
        shifts = self._shifts(model, calibration)

        def corrected(floats: Set[str]) -> dict[str, NDArray[np.float32]]:
            return {name: shift for name, shift in shifts.items() if name not in floats | head}

        def write(floats: Set[str]) -> onnx.ModelProto:
            copy = onnx.ModelProto()
            copy.CopyFrom(shaped)
            correct_biases(copy, corrected(floats))
            return insert_pairs(copy, ops, ranges, self.per_channel, floats | head)

        if self.float_head:
            notes.append("The last layer stays float32, as asked.")
        kept = within_drop(source, write, evaluator, self.max_drop) if self.max_drop else Fallback(write(frozenset()))
        if self.bias_correction:
            count = len(corrected(frozenset(kept.floats)))
            notes.append(f"Bias correction: {count} of {len(layers(model))} layers.")
        return kept.graph, [*notes, *filter(None, (kept.note,))]
