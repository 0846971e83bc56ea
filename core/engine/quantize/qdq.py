"""Inserts QuantizeLinear and DequantizeLinear around a graph's layers, which onnxruntime then runs as int8 kernels."""

from __future__ import annotations

from collections.abc import Mapping, Set
from types import MappingProxyType

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, shape_inference
from onnxruntime.quantization import CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import TensorData, TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

# Operators with an int8 kernel, and those that only move data (so that int8 stays int8 between layers). Without
# Clip and Relu, EfficientNet-Lite0 takes 8.4 ms instead of 5.0: float activations between int8 layers.
CONVOLUTIONAL = (
    "Conv",
    "Gemm",
    "MatMul",
    "Add",
    "Mul",
    "Clip",
    "Relu",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "Concat",
    "Reshape",
    "Transpose",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Split",
    "Slice",
    "Pad",
)
RANGES = "condenser.ranges"  # metadata of a float file on its way to int8: learned ranges by tensor, JSON
Grid = tuple[int, NDArray[np.float32]]  # axis of the output channels, and their scales
NO_GRIDS: Mapping[str, Grid] = MappingProxyType({})
TRANSFORMER = ("Conv", "Gemm", "MatMul")  # normalisation, softmax and the residual sums stay float


def operators(model: onnx.ModelProto) -> tuple[str, ...]:
    """The operators worth quantizing in this network."""
    transformer = any(node.op_type == "LayerNormalization" for node in model.graph.node)
    return TRANSFORMER if transformer else CONVOLUTIONAL


def activations(model: onnx.ModelProto, ops: tuple[str, ...]) -> dict[str, str]:
    """Each float activation at those operators, and the one whose range it uses: its own, or that of the Clip or Relu
    that is its only user (the integers' bounds then do that operator's work). Needs inferred shapes."""
    graph = model.graph
    values = (*graph.value_info, *graph.input, *graph.output)
    floats = {value.name for value in values if value.type.tensor_type.elem_type == TensorProto.FLOAT}
    floats -= {tensor.name for tensor in graph.initializer}
    users: dict[str, list[onnx.NodeProto]] = {value.name: [] for value in values}
    touched: dict[str, None] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
        if node.op_type in ops:
            touched |= dict.fromkeys((*node.input, *node.output))
    return {name: _source(name, users[name]) for name in touched if name in floats}


def _source(name: str, users: list[onnx.NodeProto]) -> str:
    bounded = len(users) == 1 and users[0].op_type in ("Clip", "Relu") and users[0].input[0] == name
    return users[0].output[0] if bounded else name


def with_shapes(model: onnx.ModelProto) -> onnx.ModelProto:
    """`model` with the type and shape of every value inferred."""
    return shape_inference.infer_shapes(model, data_prop=True)


def insert_pairs(
    model: onnx.ModelProto,
    ops: tuple[str, ...],
    ranges: dict[str, tuple[float, float]],
    per_channel: bool,
    floats: Set[str] = frozenset(),
    grids: Mapping[str, Grid] = NO_GRIDS,
) -> onnx.ModelProto:
    """`model` in int8: symmetric int8 weights (−127 … 127), affine uint8 activations over `ranges`, int32 biases.

    The nodes named in `floats` stay float; a weight in `grids` uses the given scales, others those of their extremes.
    uint8, not int8: on x86 onnxruntime's kernels for signed activations took 8.2 ms where unsigned ones took 5.0
    (EfficientNet-Lite0, 224 px), and on resnet18 were slower than float.
    """
    copy = onnx.ModelProto()  # the quantizer modifies its input
    copy.CopyFrom(model)
    data = {n: TensorData(lowest=np.float32(low), highest=np.float32(high)) for n, (low, high) in ranges.items()}
    quantizer = QDQQuantizer(
        copy,
        per_channel,
        False,
        QuantType.QInt8,
        QuantType.QUInt8,
        TensorsData(CalibrationMethod.MinMax, data),
        [],
        sorted(floats),
        list(ops),
        {"MatMulConstBOnly": True, "TensorQuantOverrides": {n: _override(*grid) for n, grid in grids.items()}},
    )
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    result: onnx.ModelProto = quantizer.model.model
    return result


def _override(axis: int, scales: NDArray[np.float32]) -> list[dict[str, object]]:
    zero = np.array(0, np.int8)
    return [{"axis": axis, "scale": np.array(scale, np.float32), "zero_point": zero} for scale in scales]


def finish(result: onnx.ModelProto, source: onnx.ModelProto) -> None:
    """Copies the metadata of `source` to `result`, except learned ranges, and removes the inferred shapes."""
    del result.metadata_props[:], result.graph.value_info[:]
    result.metadata_props.extend(entry for entry in source.metadata_props if entry.key != RANGES)
