"""Reads what QAT stores in a float file: the grids of its weights, and ranges of activations in its metadata."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import onnx
import torch
from onnx import TensorProto, numpy_helper
from torch import Tensor

from core.engine.export.graph import write_graph
from core.engine.measure.graph import BITS, Layer, layers, weight_bytes_of
from core.engine.model import Model
from core.engine.quantize import Calibration, Conversion
from core.engine.quantize.arithmetic import Quantized, spread
from core.engine.quantize.calibration import Range, observe, shortage
from core.engine.quantize.fake_quantizers import same_inputs, weight_layers
from core.engine.quantize.qdq import RANGES, activations, finish, insert_pairs, operators, with_shapes
from core.engine.quantize.weights import Stored
from core.files import write_atomic


def write_learned(model: Model, path: Path) -> None:
    """Writes the float file of `model`, with its learned ranges under the names of their tensors in the file."""
    write_graph(model, path)
    found = _by_tensor(model, onnx.load(path))
    if found:
        graph = onnx.load(path)
        graph.metadata_props.add(key=RANGES, value=json.dumps(found))
        write_atomic(path, graph.SerializeToString(deterministic=True))


def learned_ranges(graph: onnx.ModelProto) -> dict[str, Range]:
    """The learned ranges that `write_learned` stored, by tensor."""
    text = next((entry.value for entry in graph.metadata_props if entry.key == RANGES), "{}")
    return {str(name): (float(low), float(high)) for name, (low, high) in json.loads(text).items()}


def grids(graph: onnx.ModelProto, chosen: tuple[Layer, ...], bits: tuple[int, ...]) -> dict[str, Stored]:
    """By weight, its integers on the first of the grids (by `bits`) on which it lies; absent if it lies on none."""
    tensors = {tensor.name: tensor for tensor in graph.graph.initializer}
    found = {}
    for layer in chosen:
        for number in bits:
            stored = _stored(tensors[layer.weight], layer, number)
            if stored is not None:
                found[layer.weight] = stored
                break
    return found


def _stored(tensor: TensorProto, layer: Layer, bits: int) -> Stored | None:
    grid = read_grid(torch.from_numpy(numpy_helper.to_array(tensor).copy()), bits, layer.axis)
    return grid and Stored(layer.weight, bits, layer.axis, grid.integers.numpy(), grid.scale.numpy())


def _by_tensor(model: Model, graph: onnx.ModelProto) -> dict[str, Range]:
    """Matches layers by order, which is the same in torch and in the file, though the file may hold more of them;
    nothing is matched where the shapes are ambiguous."""
    p = model.preprocessing
    order = list(same_inputs(model.net, torch.zeros(1, p.channels, p.size, p.size)))
    held = weight_layers(model.net)
    inputs = {node.name or node.output[0]: node.input[0] for node in graph.graph.node}
    written = layers(graph)
    shapes = [tuple(sorted(held[name].weight.shape)) for name in order]
    places = only_places(shapes, [tuple(sorted(layer.shape)) for layer in written])
    tensors = {name: inputs[written[place].name] for name, place in zip(order, places, strict=False)}
    return {tensors[name]: (low, high) for name, low, high in model.ranges if name in tensors}


def only_places(some: Sequence[object], every: Sequence[object]) -> list[int]:
    """The positions of `some` in `every`, in the same order; empty if there is no match, or more than one.

    Attention runs its projections without calling their layers, so a file can hold layers that torch never called.
    """
    first, last = _first_places(some, every), _first_places(some[::-1], every[::-1])
    return first if first == [len(every) - 1 - place for place in reversed(last)] else []


def _first_places(some: Sequence[object], every: Sequence[object]) -> list[int]:
    """The earliest position of each of `some` in order; empty if they are not all there."""
    found: list[int] = []
    for place, value in enumerate(every):
        if len(found) < len(some) and value == some[len(found)]:
            found.append(place)
    return found if len(found) == len(some) else []


def integers(
    model: onnx.ModelProto, target: Path, found: dict[str, Stored], calibration: Calibration, limit: int
) -> Conversion:
    """Writes the int8 file of `model`: weights with the scales of their grids, activations over the learned ranges, or
    over measured ones where none were learned (sums, the outputs themselves)."""
    shaped, ops = with_shapes(model), operators(model)
    origin = activations(shaped, ops)
    ranges, seen = observe(model, sorted(set(origin.values())), calibration, limit, "mse")
    learned = learned_ranges(model)
    chosen = {name: learned.get(source, ranges[source]) for name, source in origin.items()}
    steps = {name: (stored.axis, stored.scale) for name, stored in found.items()}
    result = insert_pairs(shaped, ops, chosen, True, grids=steps)
    finish(result, model)
    write_atomic(target, result.SerializeToString(deterministic=True))
    held = [layer for layer in layers(result) if BITS[layer.data_type] == 8]
    used = len(learned.keys() & set(origin.values()))
    notes = (f"{used} ranges of activations were learned, {len(set(origin.values())) - used} measured.",)
    before, after = weight_bytes_of(model), weight_bytes_of(result)
    return Conversion(8, len(held), len(layers(model)), before, after, notes=(*notes, *shortage(seen, limit)))


LOOKED_AT = 64  # weights of a channel on which a number of levels is tried before all are checked
NEAR = 1e-3  # of a step: the error of float32 after folding is about 1e-5


def read_grid(values: Tensor, bits: int, axis: int) -> Quantized | None:
    """The symmetric integers (−(2^(b−1)−1) … 2^(b−1)−1) and the scale of each channel along `axis` that reproduce
    `values`; None if a channel lies on no such grid. A channel of zeros has scale 1."""
    rows = values.detach().double().movedim(axis, 0).reshape(values.shape[axis], -1)
    largest = rows.abs().amax(1)
    levels = torch.zeros(len(rows), dtype=torch.float64)  # of the largest weight; 0: not found yet
    few = rows[:, :: max(1, rows.shape[1] // LOOKED_AT)]
    for top in range(1, 2 ** (bits - 1)):
        left = (levels == 0).nonzero().flatten()
        left = left[_fits(few[left], largest[left], top)]
        levels[left[_fits(rows[left], largest[left], top)]] = top
    if bool((levels == 0).any()):
        return None
    scale = torch.where(largest > 0, largest / levels, torch.ones_like(largest))
    integers = (values.double() / spread(scale, axis, values.ndim)).round().to(torch.int32)
    return Quantized(integers, scale.float(), torch.zeros(len(scale), dtype=torch.int32))


def _fits(rows: Tensor, largest: Tensor, top: int) -> Tensor:
    """Which rows consist of integer multiples of their largest magnitude divided by `top`."""
    scaled = rows * (top / largest.clamp(min=torch.finfo(torch.float64).tiny))[:, None]
    return (scaled - scaled.round()).abs().amax(1) < NEAR
