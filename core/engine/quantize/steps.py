"""Steps of symmetric grids that leave the least squared error: large weights are cut where that helps the others."""

from __future__ import annotations

import torch
from onnx import TensorProto, numpy_helper
from torch import Tensor

from core.engine.measure.graph import Layer
from core.engine.quantize.arithmetic import Quantized, quantize, spread
from core.engine.quantize.weights import Rounding, Stored

SHARES = torch.linspace(1.0, 0.1, 91).tolist()  # of the step that the largest weight asks for


def least_error(values: Tensor, bits: int, axis: int) -> Quantized:
    """As `arithmetic.quantize`, symmetric, but each channel with that of 91 steps which leaves its weights the least
    squared error; larger weights are cut. Source: Nagel et al. 2021, arXiv:2106.08295, section 3.1."""
    widest = quantize(values, bits, axis).scale
    top = 2 ** (bits - 1) - 1
    best = torch.full_like(widest, float("inf"))
    scale = widest.clone()
    for share in SHARES:
        step = spread(widest * share, axis, values.ndim)
        error = ((values / step).round().clamp(-top, top) * step - values).square()
        total = error.movedim(axis, 0).reshape(len(widest), -1).sum(1)
        scale = torch.where(total < best, widest * share, scale)
        best = torch.minimum(total, best)
    integers = (values / spread(scale, axis, values.ndim)).round().clamp(-top, top).to(torch.int32)
    return Quantized(integers, scale, torch.zeros(len(scale), dtype=torch.int32))


def least_error_rounding(bits: int) -> Rounding:
    """Every weight to the nearest of its channel's levels, over steps of least error."""

    def rounding(tensor: TensorProto, layer: Layer) -> Stored:
        made = least_error(torch.from_numpy(numpy_helper.to_array(tensor).copy()), bits, layer.axis)
        return Stored(layer.weight, bits, layer.axis, made.integers.numpy(), made.scale.numpy())

    return rounding
