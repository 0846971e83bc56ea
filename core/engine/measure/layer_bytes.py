"""The bytes that each layer of an ONNX file takes up, which with all others add up to the file."""

from __future__ import annotations

import onnx

from core.engine.measure.contents import payload, stored
from core.engine.measure.graph import WEIGHTED, Layer, layers

SCALED = ("DequantizeLinear", "QuantizeLinear", "Cast", "Mul")  # whose every stored input belongs to the layer
MOVED = ("Identity", "Transpose", "Reshape")  # of which only the first does: the others are shapes
SUFFIXES = ("_DequantizeLinear_Output", "_quantized", ".weight")


def title(layer: Layer) -> str:
    """What a person calls it: the module whose weights it holds; else the node."""
    name = layer.weight
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    return name if layer.weight.removesuffix("_quantized").endswith(".weight") else layer.name


def bytes_of(model: onnx.ModelProto) -> tuple[dict[str, int], int]:
    """Bytes of the tensors that each layer alone computes with, by the name of its node; and those of no layer. A
    tensor that two layers share counts for the first."""
    found = {layer.name: 0 for layer in layers(model)}
    owners = Owners(model, frozenset(found))
    constants = 0
    for tensor in stored(model.graph):
        owner = owners.of(tensor.name)
        if owner is None:
            constants += payload(tensor)
        else:
            found[owner] += payload(tensor)
    return found, constants


class Owners:
    """Which layer a stored tensor belongs to."""

    def __init__(self, model: onnx.ModelProto, held: frozenset[str]) -> None:
        self._held = held
        self._makers = {output: node for node in model.graph.node for output in node.output}
        self._users: dict[str, list[onnx.NodeProto]] = {}
        for node in model.graph.node:
            for name in node.input:
                self._users.setdefault(name, []).append(node)

    def of(self, name: str) -> str | None:
        """The layer that the tensor reaches, through what only changes its form; of a bias that is added afterwards
        the layer before the sum. None where there is none."""
        waiting, seen = [name], {name}
        while waiting:
            here = waiting.pop(0)
            for node in self._users.get(here, []):
                if node.op_type in WEIGHTED and _name(node) in self._held:
                    return _name(node)
                if node.op_type == "Add":
                    return self._before(node, name)
                if node.op_type in SCALED or (node.op_type in MOVED and node.input[0] == here):
                    waiting += [output for output in node.output if output not in seen]
                    seen.update(node.output)
        return None

    def _before(self, node: onnx.NodeProto, name: str) -> str | None:
        """The layer whose output is summed with the tensor, and nothing else is."""
        others = [maker for one in node.input if one != name and (maker := self._makers.get(one)) is not None]
        while len(others) == 1 and others[0].op_type in (*SCALED, *MOVED):
            before = self._makers.get(others[0].input[0])
            others = [] if before is None else [before]
        found = _name(others[0]) if len(others) == 1 else ""
        return found if found in self._held else None


def _name(node: onnx.NodeProto) -> str:
    return node.name or node.output[0]
