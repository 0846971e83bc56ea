"""Weight-only quantization: smaller files that compute in float; no data needed."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import onnx

from core.engine.forecast import Packing
from core.engine.method import knob
from core.engine.quantize import Calibration, Conversion, Quantize
from core.engine.quantize.judging import Judge, unjudged
from core.engine.quantize.storing import store
from core.engine.quantize.weights import NATIVE, WIDTH, float_layers, nearest
from core.options import Words


class WeightOnly(Quantize):
    """Every convolution and matrix rounded to `bits`, symmetric, one scale an output channel; biases stay float."""

    title: ClassVar[Words] = Words("Weights only", "仅量化权重")
    summary: ClassVar[Words] = Words(
        "Stores the weights in 2 to 8 bits and computes in float: a smaller file, not a faster one.",
        "用 2 到 8 位存储权重，仍以浮点数计算：文件更小，但不会更快。",
    )
    source: ClassVar[str] = "Nagel et al. 2021, A White Paper on Neural Network Quantization, arXiv:2106.08295"

    bits: int = knob(
        8,
        "Bits",
        "Bits for each weight. 8 loses little; below 6 a network with thin (depthwise) layers may break.",
        zh=("位数", "每个权重的位数。8 位几乎无损；低于 6 位时，含深度可分离卷积的网络可能失效。"),
        choices=(2, 3, 4, 5, 6, 7, 8),
        unit="bits",
    )
    form: str = knob(
        "cast",
        "How the file widens its weights",
        "dequantize: the standard operator, widened at every run; cast: widened once when the file is loaded, "
        "so it runs as fast as float.",
        zh=(
            "权重展开方式",
            "dequantize：使用标准算子，每次运行都展开；cast：加载文件时展开一次，运行速度与浮点模型相同。",
        ),
        choices=("dequantize", "cast"),
    )

    def packing(self) -> Packing:
        """The bits of the type that holds them; float bias and scale a channel; the nodes that widen a tensor."""
        widened = 275.0 if self.form == "cast" else 200.0  # measured on 24 networks
        return Packing(weight=WIDTH[NATIVE[self.bits]] / 8, channel=8.0, layer=widened)

    def convert(self, source: Path, target: Path, calibration: Calibration, judge: Judge = unjudged) -> Conversion:
        """Writes integer weights into `target`; for 3, 5, 6 and 7 bits also the bit-packed file beside it."""
        model = onnx.load(source)
        return store(model, target, float_layers(model, source.name), nearest(self.bits), self.bits, self.form)
