"""Cross-layer equalisation: rescales the channels between two layers so that both layers' weights have equal ranges.

If the first layer makes a channel s times smaller and the second scales it up by s, the function does not change,
provided that what lies between is positively homogeneous (nothing, or a ReLU).

Source: Nagel et al. 2019, arXiv:1906.04721, section 4.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

ROUNDS = 40  # a layer in two pairs converges in a few
SETTLED = 1e-3  # tolerance of a scale
Weights = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Pair:
    """Two neighbouring layers, and the ReLU or Clip between them, if there is one."""

    first: onnx.NodeProto
    second: onnx.NodeProto
    between: onnx.NodeProto | None

    @property
    def clipped(self) -> bool:
        return self.between is not None and self.between.op_type == "Clip"


@dataclass(frozen=True)
class Equalized:
    """The number of pairs rescaled, and of pairs that a Clip (ReLU6) prevented from it."""

    pairs: int
    blocked: int


def equalize(model: onnx.ModelProto, through_clip: bool) -> Equalized:
    """Rescales every pair in place until convergence; with `through_clip` also pairs joined by a ReLU6, which is
    replaced by a ReLU, so that activations above 6 are no longer clipped."""
    found = pairs(model)
    chosen = [pair for pair in found if through_clip or not pair.clipped]
    weights = _floats(model)
    for _ in range(ROUNDS):
        if all(_rescale(pair, weights) for pair in chosen):
            break
    for pair in chosen:
        if pair.clipped and pair.between is not None:
            _unclip(pair.between)
    for tensor in model.graph.initializer:
        if tensor.name in weights:
            tensor.CopyFrom(numpy_helper.from_array(weights[tensor.name], tensor.name))
    return Equalized(len(chosen), len(found) - len(chosen))


def pairs(model: onnx.ModelProto) -> tuple[Pair, ...]:
    """The layers whose output feeds exactly one other layer, directly or through one ReLU or ReLU6."""
    users: dict[str, list[onnx.NodeProto]] = {output.name: [] for output in model.graph.output}
    ends = set(users)
    for node in model.graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    weights = _floats(model)

    def only_user(name: str) -> onnx.NodeProto | None:
        return users[name][0] if name not in ends and len(users.get(name, ())) == 1 else None

    def owned(node: onnx.NodeProto) -> bool:
        return all(name in weights and len(users[name]) == 1 for name in node.input[1:] if name)

    found = []
    for first in model.graph.node:
        if not _scales_out(first, weights) or not owned(first):
            continue
        second, between = only_user(first.output[0]), None
        if second is not None and (second.op_type == "Relu" or _is_relu6(second, model)):
            second, between = only_user(second.output[0]), second
        if second is not None and _scales_in(second, first, weights) and owned(second):
            found.append(Pair(first, second, between))
    return tuple(found)


def _rescale(pair: Pair, weights: Weights) -> bool:
    """Rescales a pair once; returns whether it had already converged."""
    first, second = weights[pair.first.input[1]], weights[pair.second.input[1]]
    axis = 0 if _depthwise(pair.second, second) else 1
    one = np.abs(first).reshape(len(first), -1).max(1)
    two = np.abs(np.moveaxis(second, axis, 0)).reshape(len(first), -1).max(1)
    alive = (one > 0) & (two > 0)
    scale = np.where(alive, np.sqrt(np.where(alive, one, 1) / np.where(alive, two, 1)), 1).astype(np.float32)
    weights[pair.first.input[1]] = first / _along(scale, 0, first.ndim)
    if len(pair.first.input) > 2 and pair.first.input[2]:
        weights[pair.first.input[2]] = weights[pair.first.input[2]] / scale
    weights[pair.second.input[1]] = second * _along(scale, axis, second.ndim)
    return bool(np.abs(scale - 1).max() < SETTLED)


def _along(scale: NDArray[np.float32], axis: int, dimensions: int) -> NDArray[np.float32]:
    shape = [1] * dimensions
    shape[axis] = -1
    return scale.reshape(shape)


def _scales_out(node: onnx.NodeProto, weights: Weights) -> bool:
    """Whether axis 0 of its weights is the output channels."""
    return len(node.input) > 1 and node.input[1] in weights and (node.op_type == "Conv" or _plain_gemm(node))


def _scales_in(node: onnx.NodeProto, first: onnx.NodeProto, weights: Weights) -> bool:
    """Whether one axis of its weights is the channels that `first` outputs."""
    if node.op_type != first.op_type or not _scales_out(node, weights):
        return False
    weight, channels = weights[node.input[1]], len(weights[first.input[1]])
    if _depthwise(node, weight):
        return len(weight) == channels  # each filter maps one channel to one channel
    return _group(node) == 1 and weight.shape[1] == channels


def _depthwise(node: onnx.NodeProto, weight: NDArray[np.float32]) -> bool:
    return _group(node) > 1 and weight.shape[1] == 1 and len(weight) == _group(node)


def _group(node: onnx.NodeProto) -> int:
    return next((a.i for a in node.attribute if a.name == "group"), 1)


def _plain_gemm(node: onnx.NodeProto) -> bool:
    found = {a.name: a for a in node.attribute}
    scaled = any(name in found and found[name].f != 1.0 for name in ("alpha", "beta"))
    crossed = "transA" in found and found["transA"].i
    return node.op_type == "Gemm" and "transB" in found and found["transB"].i == 1 and not scaled and not crossed


def _is_relu6(node: onnx.NodeProto, model: onnx.ModelProto) -> bool:
    """A Clip with lower bound zero; its upper bound is what prevents rescaling."""
    if node.op_type != "Clip" or len(node.input) < 2:
        return False
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    low = stored.get(node.input[1])
    return low is not None and float(numpy_helper.to_array(low)) == 0.0


def _unclip(node: onnx.NodeProto) -> None:
    del node.input[1:]
    node.op_type = "Relu"


def _floats(model: onnx.ModelProto) -> Weights:
    found = (t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT and t.dims)
    return {tensor.name: numpy_helper.to_array(tensor).copy() for tensor in found}
