"""What takes up the bytes of an ONNX file, and why one file is no smaller than another: read from both files."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import TensorProto

from core.engine.measure.graph import layers
from core.text.formatting import size

DATA = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data")  # besides raw_data
PARTS = {
    "weights": "weights",
    "constants": "biases and other constants",
    "scales": "scales and zero points",
    "graph": "the graph itself (operators, names, shapes, labels)",
}


@dataclass(frozen=True)
class Contents:
    """Bytes of a file's parts: the weights of convolutions and matrix products, biases and other stored constants, the
    scales and zero points of quantization, and all else. `numbers` counts the weights by the name of their type."""

    weights: int
    constants: int
    scales: int
    graph: int
    numbers: dict[str, int]

    @property
    def total(self) -> int:
        return self.weights + self.constants + self.scales + self.graph


def contents(path: Path) -> Contents:
    """The parts of the file at `path`, which add up to its size; a tensor that two layers share counts once."""
    model = onnx.load(path)
    held = {layer.weight for layer in layers(model)}
    scales = set(_scales(model.graph))
    sizes = {"weights": 0, "constants": 0, "scales": 0}
    numbers: dict[str, int] = {}
    for tensor in stored(model.graph):
        part = "weights" if tensor.name in held else "scales" if tensor.name in scales else "constants"
        sizes[part] += payload(tensor)
        if part == "weights":
            kind = TensorProto.DataType.Name(tensor.data_type).lower()
            numbers[kind] = numbers.get(kind, 0) + math.prod(tensor.dims)
    return Contents(**sizes, graph=path.stat().st_size - sum(sizes.values()), numbers=numbers)


def payload(tensor: TensorProto) -> int:
    """Bytes of a tensor's values, without its name and shape."""
    if tensor.raw_data:
        return len(tensor.raw_data)
    bare = TensorProto()
    for name in DATA:
        getattr(bare, name).extend(getattr(tensor, name))
    return int(bare.ByteSize())


def stored(graph: onnx.GraphProto) -> Iterator[TensorProto]:
    """Every tensor in the file, under the name that nodes know it by."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                named = TensorProto()
                named.CopyFrom(attribute.t)
                named.name = node.output[0]
                yield named


def _scales(graph: onnx.GraphProto) -> Iterator[str]:
    """Names of all inputs but the first of QuantizeLinear and DequantizeLinear, and the factors of widened weights."""
    casts = {node.output[0] for node in graph.node if node.op_type == "Cast"}
    for node in graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            yield from node.input[1:]
        if node.op_type == "Mul" and node.input[0] in casts:
            yield node.input[1]


def why_not_smaller(before: Contents, after: Contents) -> str:
    """The contents, part by part, of a file that is not smaller than the one before; parts that did not change are left
    out."""
    if before.numbers == after.numbers and before.weights == after.weights:
        held = ", ".join(f"{count:,} of {kind}" for kind, count in sorted(after.numbers.items())) or "none"
        same = f"it stores as many weights in as many bits as before ({held}, {size(after.weights)})"
    else:
        same = ""
    changed = [
        f"{words} {size(getattr(before, part))} → {size(getattr(after, part))}"
        for part, words in PARTS.items()
        if getattr(before, part) != getattr(after, part)
    ]
    return "; ".join(filter(None, [same, ", ".join(changed)]))
