"""The weights of a saved file's layers as it computes with them, and how loud rounding is in what they put out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray

from core.engine.measure.graph import BITS, FLOATS, Layer, layers
from core.engine.measure.runtime import open_session
from core.questions.layers import Weights

BINS = 41
CUT_OFF = "_QuantizeLinear_Input"  # behind the name of a value before it is rounded
MOST_VALUES = 256  # of a weight of 8 bits
Numbers = NDArray[np.float32]


def computed_weights(model: onnx.ModelProto) -> dict[str, Numbers]:
    """The float weights of each layer, by the name of its node: of integers after scale and zero point, which
    onnxruntime applies itself."""
    nodes = {node.name or node.output[0]: node for node in model.graph.node}
    names = {layer.name: nodes[layer.name].input[1] for layer in layers(model)}
    found = values_of(model, sorted(set(names.values())))
    return {layer: found[name] for layer, name in names.items()}


def values_of(model: onnx.ModelProto, names: list[str], image: Numbers | None = None) -> dict[str, Numbers]:
    """What values of the graph are for `image`, [N, channels, S, S], default: for an image of zeros."""
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    asked = [name for name in names if name not in stored]
    found = {name: onnx.numpy_helper.to_array(stored[name]) for name in names if name in stored}
    if asked:
        session = open_session(_leading_to(model, asked).SerializeToString(), 1)
        entry = session.get_inputs()[0]
        given = np.zeros((1, *entry.shape[1:]), np.float32) if image is None else image
        found |= dict(zip(asked, session.run(asked, {entry.name: given}), strict=True))
    return found


def _leading_to(model: onnx.ModelProto, names: list[str]) -> onnx.ModelProto:
    """The part of `model` that computes the named values, which are its outputs; its inputs stay."""
    part = onnx.ModelProto()
    part.CopyFrom(model)
    needed, nodes = set(names), []
    for node in reversed(model.graph.node):  # in the order of computation, as a valid file has them
        if needed.intersection(node.output):
            needed.update(node.input)
            nodes.append(node)
    del part.graph.node[:], part.graph.output[:]
    part.graph.node.extend(reversed(nodes))
    part.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    return part


def weights(layer: Layer, numbers: Numbers, edges: NDArray[np.float64]) -> Weights:
    """The histogram of a layer's weights, and the numbers that they can be."""
    counts, _ = np.histogram(numbers, edges)
    return Weights(
        tuple(map(float, edges)),
        tuple(map(int, counts)),
        tuple(map(float, grid(layer, numbers))),
        float((numbers == 0).mean()),
    )


def edges_of(*several: Numbers | None) -> NDArray[np.float64]:
    """The same bins for all, from the smallest to the largest weight."""
    there = [numbers for numbers in several if numbers is not None and numbers.size]
    low, high = min(float(one.min()) for one in there), max(float(one.max()) for one in there)
    return np.linspace(low, high if high > low else low + 1e-6, BINS + 1)


def grid(layer: Layer, numbers: Numbers) -> Numbers:
    """The numbers that occur in the output channel of median range, where weights are stored in 8 bits or fewer."""
    if layer.data_type in FLOATS or BITS[layer.data_type] > 8:
        return np.zeros(0, np.float32)
    rows = np.moveaxis(numbers, layer.axis, 0).reshape(numbers.shape[layer.axis], -1)
    order = np.argsort(np.abs(rows).max(1), kind="stable")
    return np.unique(rows[order[len(order) // 2]])[:MOST_VALUES]


def signal_to_noise(model: onnx.ModelProto, reference: onnx.ModelProto, image: Numbers) -> Mapping[str, float]:
    """10 · log10(Σ float² / Σ (float − rounded)²) of each layer's output in decibels, by the name of its node in
    `model`, over all images [N, channels, S, S]; the noise of earlier layers is in it. Only of layers whose output the
    reference, the same network in floats, computes under the same name."""
    nodes = {node.name or node.output[0]: node for node in model.graph.node}
    known = {output for node in reference.graph.node for output in node.output}
    put_out = {layer.name: nodes[layer.name].output[0] for layer in layers(model)}
    names = {layer: (name.removesuffix(CUT_OFF), _after_rounding(model, name)) for layer, name in put_out.items()}
    names = {layer: (name, rounded) for layer, (name, rounded) in names.items() if name in known}
    truth = values_of(reference, sorted({name for name, _ in names.values()}), image)
    found = values_of(model, sorted({rounded for _, rounded in names.values()}), image)
    return {
        layer: decibels(truth[name], found[rounded])
        for layer, (name, rounded) in names.items()
        if truth[name].shape == found[rounded].shape and truth[name].any()
    }


def decibels(signal: Numbers, noisy: Numbers) -> float:
    """Capped at 120, which float32 does not exceed."""
    wide, noise = signal.astype(np.float64), signal.astype(np.float64) - noisy.astype(np.float64)
    ratio = float((wide**2).sum()) / max(float((noise**2).sum()), 1e-300)
    return float(min(10 * np.log10(ratio), 120.0)) if ratio > 0 else -120.0


def _after_rounding(model: onnx.ModelProto, name: str) -> str:
    """The value as the next layer gets it: after QuantizeLinear and DequantizeLinear, where it goes through both."""
    for maker in model.graph.node:
        if maker.op_type == "QuantizeLinear" and maker.input[0] == name:
            for node in model.graph.node:
                if node.op_type == "DequantizeLinear" and node.input[0] == maker.output[0]:
                    found: str = node.output[0]
                    return found
    return name
