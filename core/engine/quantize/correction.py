"""Bias correction: rounding weights shifts a layer's mean output, and its bias can compensate for the shift.

Nagel et al. 2019, arXiv:1906.04721, section 4.2, with the means measured on calibration images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from core.engine.measure.graph import Layer, layers
from core.engine.quantize import Calibration
from core.engine.quantize.calibration import chunks, runner

Rounder = Callable[[Layer, NDArray[np.float32]], NDArray[np.float32]]  # the weight tensor as it will be stored
AVERAGED = {"Conv": (0, 2, 3), "Gemm": (0,)}  # all axes of the output except channels


def correct_biases(model: onnx.ModelProto, shifts: Mapping[str, NDArray[np.float32]]) -> None:
    """Lowers the biases of the layers named in `shifts` in place, each by its mean shift [C]: those of the layers whose
    weights are rounded. A layer that stays float has no shift to take back."""
    nodes = {node.name or node.output[0]: node for node in model.graph.node}
    for name, shift in shifts.items():
        _move_bias(model, nodes[name], -shift)


def mean_shifts(
    model: onnx.ModelProto, images: Calibration, limit: int, rounded: Rounder
) -> dict[str, NDArray[np.float32]]:
    """By convolution and Gemm, how much rounding its weights alone raises its mean output on the float network's
    activations, per channel [C]. A MatMul has no bias and is left out."""
    observed, means = onnx.ModelProto(), {}
    observed.CopyFrom(model)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = {node.name or node.output[0]: node for node in model.graph.node}
    for layer in layers(model):
        if layer.op in AVERAGED and layer.weight == nodes[layer.name].input[1]:
            weight = numpy_helper.to_array(stored[layer.weight])
            means[layer.name] = _watch(observed, nodes[layer.name], rounded(layer, weight) - weight)
    totals: dict[str, NDArray[np.float64]] = {}
    seen = 0
    run = runner(observed, list(means.values()))
    for chunk in chunks(images, limit):
        seen += len(chunk)
        for name, mean in zip(means, run(chunk), strict=True):
            totals[name] = totals.get(name, 0.0) + mean.astype(np.float64) * len(chunk)
    return {name: (total / seen).astype(np.float32) for name, total in totals.items()}


def _watch(graph: onnx.ModelProto, node: onnx.NodeProto, error: NDArray[np.float32]) -> str:
    """Adds a copy of `node` with the weights `error` and no bias; returns the name of its mean output."""
    name = node.name or node.output[0]
    twin = onnx.NodeProto()
    twin.CopyFrom(node)
    del twin.input[1:], twin.output[:]
    twin.name = f"{name}_shift"
    twin.input.append(f"{name}_error")
    twin.output.append(f"{name}_shift")
    axes = numpy_helper.from_array(np.asarray(AVERAGED[node.op_type], np.int64), f"{name}_axes")
    graph.graph.initializer.extend([numpy_helper.from_array(np.ascontiguousarray(error), f"{name}_error"), axes])
    mean = helper.make_node("ReduceMean", [f"{name}_shift", f"{name}_axes"], [f"{name}_mean_shift"], keepdims=0)
    graph.graph.node.extend([twin, mean])
    return f"{name}_mean_shift"


def _move_bias(model: onnx.ModelProto, node: onnx.NodeProto, by: NDArray[np.float32]) -> None:
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    old = stored.get(node.input[2]) if len(node.input) > 2 else None
    name = f"{node.name or node.output[0]}_corrected_bias"
    bias = by if old is None else numpy_helper.to_array(old) + by
    model.graph.initializer.append(numpy_helper.from_array(bias.astype(np.float32), name))
    if old is not None and sum(old.name in other.input for other in model.graph.node) == 1:
        model.graph.initializer.remove(old)
    del node.input[2:]
    node.input.append(name)
