"""Max accuracy drop: keeps the most sensitive layers in float until validation accuracy is within a bound."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass

import onnx

from core.engine.measure.graph import layers
from core.engine.quantize.validation import Evaluator, GraphEvaluation

LOOKED_AT = 512  # validation images per layer for its sensitivity; the bound is checked on all of them
Writer = Callable[[Set[str]], onnx.ModelProto]  # the quantized graph in which the nodes of these names stay float


@dataclass(frozen=True)
class Fallback:
    """The chosen graph, the layers left in float, and a note on the result; without a bound no layer, and no note."""

    graph: onnx.ModelProto
    floats: tuple[str, ...] = ()
    note: str = ""


def within_drop(source: onnx.ModelProto, write: Writer, evaluator: Evaluator, points: float) -> Fallback:
    """The fewest float layers, most sensitive first, that keep validation accuracy within `points` of the float
    graph's; if no graph with a quantized layer does, the most accurate one tried, with a note that says so."""
    wanted = evaluator(source).accuracy - points / 100 - 1e-9
    parts = segments(source)
    order: tuple[str, ...] = ()
    tried: dict[int, tuple[onnx.ModelProto, GraphEvaluation]] = {}

    def meets(count: int) -> bool:
        graph = write(_nodes(parts, order[:count]))
        tried[count] = (graph, evaluator(graph))
        return tried[count][1].accuracy >= wanted

    if meets(0):
        return _result(tried, 0, order, wanted, points)
    order = by_sensitivity(source, write, evaluator)
    low = 0
    for high in _counts(len(order) - 1):
        if meets(high):
            break
        low = high
    else:
        best = max(tried, key=lambda count: tried[count][1].accuracy)
        return _result(tried, best, order, wanted, points)
    while high - low > 1:  # accuracy need not be monotonic, but `high` is known to meet the bound
        middle = (low + high) // 2
        low, high = (low, middle) if meets(middle) else (middle, high)
    return _result(tried, high, order, wanted, points)


def _counts(most: int) -> Iterator[int]:
    """1, 2, 3, 4, 6, 9 … and `most`: often only one or two layers cause the loss."""
    count = 1
    while count < most:
        yield count
        count = max(count + 1, count * 3 // 2)
    if most > 0:
        yield most


def by_sensitivity(source: onnx.ModelProto, write: Writer, evaluator: Evaluator) -> tuple[str, ...]:
    """The layers, sorted by how much quantizing each one alone raises the validation loss, largest first."""
    parts = segments(source)
    losses = {
        name: evaluator(write(_nodes(parts, [other for other in parts if other != name])), LOOKED_AT).loss
        for name in parts
    }
    return tuple(sorted(losses, key=lambda name: -losses[name]))


def segments(model: onnx.ModelProto) -> dict[str, tuple[str, ...]]:
    """By layer, the nodes that are quantized with it: itself and what follows up to the next layer (activations,
    sums, pooling); nodes before the first layer belong to the first."""
    names = {layer.name for layer in layers(model)}
    found: dict[str, list[str]] = {}
    early: list[str] = []
    current = early
    for node in model.graph.node:
        name = node.name or node.output[0]
        if name in names:
            current = found.setdefault(name, [*early] if not found else [])
        current.append(name)
    return {name: tuple(nodes) for name, nodes in found.items()}


def _nodes(parts: dict[str, tuple[str, ...]], chosen: tuple[str, ...] | list[str]) -> frozenset[str]:
    return frozenset(node for name in chosen for node in parts[name])


def _result(
    tried: dict[int, tuple[onnx.ModelProto, GraphEvaluation]],
    count: int,
    order: tuple[str, ...],
    wanted: float,
    points: float,
) -> Fallback:
    graph, evaluation = tried[count]
    kept = f"{count} of the layers stay float32" if count else "no layer had to stay float32"
    if evaluation.accuracy >= wanted:
        note = f"Validation accuracy is within {points:g} points of float32: {kept}."
    else:
        note = (
            f"The bound of {points:g} points can't be met with any layer quantized: this is the most accurate file "
            f"found, {100 * (wanted - evaluation.accuracy):.2f} points of validation accuracy below it; {kept}."
        )
    return Fallback(graph, order[:count], note)
