"""Mixed precision: each layer gets as few bits as it tolerates, under a byte budget."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import onnx
from torch import nn

from core.engine.context import Context
from core.engine.forecast import FileSize, Forecast, Workload
from core.engine.measure.anatomy import Anatomy
from core.engine.method import knob
from core.engine.model import Model
from core.engine.quantize import Calibration, Conversion, Quantize
from core.engine.quantize.allocation import allocate, check_budget, sensitivities
from core.engine.quantize.arithmetic import packed_size
from core.engine.quantize.validation import Evaluator, no_evaluator
from core.engine.quantize.weights import float_layers, least_error_rounding, store
from core.options import Words

CANDIDATES = {"native": (2, 4, 8), "all": (2, 3, 4, 5, 6, 7, 8)}


@dataclass(frozen=True)
class Budgeted(FileSize):
    """A file whose weights take `budget` bytes, or half a byte each where `budget` is 0."""

    budget: int = 0

    def bytes(self, parts: Anatomy) -> int:
        """The budget, or the size at 8 bits where that is less, in addition to everything else."""
        weights = min(self.budget, parts.weights) if self.budget else parts.weights // 2
        return super().bytes(parts) + weights


class Mixed(Quantize):
    """Measures on validation images the loss of rounding each layer to each bit width, then solves for the optimum."""

    title: ClassVar[Words] = Words("Mixed precision", "混合精度")
    summary: ClassVar[Words] = Words(
        "Sensitive layers get more bits, the others fewer, within a byte budget; computes in float.",
        "在字节预算内，敏感层用更多位，其余层用更少位；仍以浮点数计算。",
    )
    source: ClassVar[str] = "https://arxiv.org/abs/2006.10518"

    budget: int = knob(
        0, "Byte budget", "Maximum bytes for all weights together: half of what 8 bits need, or another number.",
        zh=("字节预算", "所有权重合计最多占用的字节数：8 位所需的一半，或另设。"), ge=0, le=10**10, unit="bytes",
        names={0: ("half of 8 bits", "8 位的一半")}, usual=20_000, first=True,
    )  # fmt: skip
    widths: str = knob(
        "native", "Bit widths",
        "2, 4 and 8, for which the runtime has types, or all from 2 to 8, with an additional bit-packed file.",
        zh=("可选位数", "2、4、8 位：运行时有对应类型；2 到 8 位：另附按位打包的文件。"),
        choices=("native", "all"), names={"native": ("2, 4, 8", "2、4、8"), "all": ("2 to 8", "2 到 8")}, first=True,
    )  # fmt: skip
    sensitivity_images: int = knob(
        512, "Images for sensitivity", "Validation images used to measure each layer's sensitivity; at most all.",
        zh=("敏感度图像数", "用多少张验证图像测量各层的敏感度，至多全部。"), ge=64, le=100_000, unit="images",
    )  # fmt: skip

    def convert(
        self, source: Path, target: Path, calibration: Calibration, evaluator: Evaluator = no_evaluator
    ) -> Conversion:
        """Also raises UserError when the budget is too small to reach."""
        model, bits = onnx.load(source), CANDIDATES[self.widths]
        chosen = tuple({layer.weight: layer for layer in float_layers(model, source.name)}.values())
        sizes = {layer.weight: layer.size for layer in chosen}
        budget = self.budget or sum(sizes.values()) // 2
        check_budget(budget, sizes, bits)
        losses = sensitivities(model, chosen, bits, evaluator, self.sensitivity_images)
        given = allocate(sizes, bits, losses, budget)
        roundings = {name: least_error_rounding(number) for name, number in given.items()}
        made = store(
            model, target, chosen, lambda tensor, layer: roundings[layer.weight](tensor, layer), max(given.values())
        )
        used = sum(packed_size(sizes[name], number) for name, number in given.items())
        counts = ", ".join(f"{n} at {number} bits" for number, n in sorted(Counter(given.values()).items()))
        note = f"{used:,} of {budget:,} bytes for weights: {counts}."
        return replace(made, notes=(note, *made.notes))

    def forecast(self, before: Forecast, context: Context) -> Forecast:
        """The same network; raises UserError if its weights cannot fit the budget."""
        held = (m for m in before.model.net.modules() if isinstance(m, nn.Conv2d | nn.Linear))
        sizes = {str(number): layer.weight.numel() for number, layer in enumerate(held)}
        if self.budget and not before.why:
            check_budget(self.budget, sizes, CANDIDATES[self.widths])
        return before

    def workload(self, before: Model, after: Model, context: Context) -> tuple[Workload, ...]:
        """A pass over the validation images for each layer and bit width."""
        held = sum(isinstance(m, nn.Conv2d | nn.Linear) for m in before.net.modules())
        images = min(self.sensitivity_images, len(context.data.validation))
        return (Workload("answer", before, (1 + held * len(CANDIDATES[self.widths])) * images),)

    def file_size(self) -> FileSize:
        """As for weight-only quantization, within the budget."""
        return Budgeted(weight=0.0, channel=8.0, layer=275.0, budget=self.budget)
