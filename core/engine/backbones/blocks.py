"""A network as a sequence of blocks, shallow to deep, and its head: for layer-wise learning rates and freezing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from core.engine.backbones.heads import head_layer

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


@dataclass(frozen=True)
class Block:
    """Modules that are trained together, and their `parameters`."""

    name: str
    modules: list[nn.Module]
    parameters: list[nn.Parameter]


@dataclass(frozen=True)
class Blocks:
    """`body`, shallow to deep, and the parameters of the `head`; every parameter is in exactly one of them."""

    body: list[Block]
    head: list[nn.Parameter]


def blocks(net: nn.Module) -> Blocks:
    """Divides `net` into blocks in the order of definition: containers are opened; norms, activations and poolings
    belong to the layer or composite block before them."""
    head = head_layer(net)
    body: list[Block] = []
    for name, module in _pieces(net, "", head):
        parameters = list(module.parameters())
        if body and not _opens_a_block(module):
            last = body[-1]
            body[-1] = Block(last.name, [*last.modules, module], last.parameters + parameters)
        else:
            body.append(Block(name, [module], parameters))
    body = [block for block in body if block.parameters]
    loose = _loose(net, body, head)
    if loose:  # parameters outside all layers, such as a class token or position embedding, belong to the stem
        body.insert(0, Block("embedding", [], loose))
    return Blocks(body, list(head.parameters()))


def _pieces(module: nn.Module, name: str, head: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for key, child in module.named_children():
        path = f"{name}.{key}" if name else key
        if child is head:
            continue
        if isinstance(child, CONTAINERS) or _holds(child, head) or _wraps(child):
            yield from _pieces(child, path, head)
        else:
            yield path, child


def _opens_a_block(module: nn.Module) -> bool:
    return bool(list(module.children())) or isinstance(module, nn.Conv2d | nn.Linear)


def _holds(module: nn.Module, head: nn.Module) -> bool:
    return any(inner is head for inner in module.modules())


def _wraps(module: nn.Module) -> bool:
    """Whether the module is mostly a wrapper around a chain of blocks, like the encoder of a vision transformer."""
    chains = [c for c in module.children() if isinstance(c, CONTAINERS)]
    inside = sum(p.numel() for c in chains for p in c.parameters())
    whole = sum(p.numel() for p in module.parameters())
    return any(len(c) > 3 for c in chains) and inside > 0.9 * whole and type(module).__name__ == "Encoder"


def _loose(net: nn.Module, body: list[Block], head: nn.Module) -> list[nn.Parameter]:
    held = {id(p) for block in body for p in block.parameters} | {id(p) for p in head.parameters()}
    return [p for p in net.parameters() if id(p) not in held]
