"""Networks with a single changed layer: quantized to few bits, or pruned."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from core.engine.model import Model
from core.engine.prune.attention import widths_settled
from core.engine.prune.channel_selection import EPSILON, ChannelSet, channel_sets, remove
from core.engine.prune.structured import LIBRARY_FAULTS, is_of_library
from core.engine.prune.trace import last_layers, release, shuffle_entries, trace, traceable
from core.engine.quantize.arithmetic import fake_quantize
from core.errors import UserError

WEIGHTED = (nn.modules.conv._ConvNd, nn.Linear, nn.MultiheadAttention)


@dataclass(frozen=True)
class Layer:
    """One layer to change: its name, and a function that yields the network for each value, in order; None if it equals
    the network before."""

    name: str
    variants: Callable[[tuple[float, ...]], Iterator[nn.Module | None]]


def weighted(model: Model) -> list[Layer]:
    """The layers with weights; each is quantized symmetrically with one scale per output channel."""
    found = []
    for name, module in model.net.named_modules():
        weight = getattr(module, "in_proj_weight", getattr(module, "weight", None))
        if isinstance(module, WEIGHTED) and weight is not None:
            found.append(Layer(name, partial(_rounded, model.net, weight)))
    return found


def _rounded(net: nn.Module, weight: nn.Parameter, values: tuple[float, ...]) -> Iterator[nn.Module]:
    """The network with one weight quantized; the weight is restored afterwards."""
    before = weight.detach().clone()
    try:
        for bits in values:
            with torch.no_grad():
                weight.copy_(fake_quantize(before, int(bits), axis=0))
            yield net
    finally:
        with torch.no_grad():
            weight.copy_(before)


def prunable(model: Model) -> list[Layer]:
    """The layers whose channels can be removed, in the network's order; layers that share channels are one entry, with
    the name of one of them.

    Raises UserError not_prunable.
    """
    names: list[str] = []
    _at_work(copy.deepcopy(model.net), model, {}, lambda graph, sets: names.extend(one.name for one in sets))
    places = {name: place for place, (name, _) in enumerate(model.net.named_modules())}
    return [Layer(name, partial(_thinned, model, name)) for name in sorted(names, key=places.__getitem__)]


def _thinned(model: Model, name: str, ratios: tuple[float, ...]) -> Iterator[nn.Module | None]:
    """The network with more and more channels of one set removed, those with the smallest filters (L1 norm) first."""
    net, sizes = copy.deepcopy(model.net), dict[str, int]()
    cuts: list[bool] = []

    def cut(ratio: float, graph: object, sets: list[ChannelSet]) -> None:
        one = next((one for one in sets if one.name == name), None)  # a set no more at its last step
        kept = 0 if one is None else max(int(one.size / one.step * (1 - ratio) + EPSILON), 1) * one.step
        cuts.append(one is not None and kept < len(one.scores))
        if one is not None and cuts[-1]:
            remove(graph, one, kept)
            widths_settled(net)

    for ratio in ratios:
        _at_work(net, model, sizes, partial(cut, ratio))
        yield net if cuts[-1] else None


def _at_work(
    net: nn.Module, model: Model, sizes: dict[str, int], work: Callable[[object, list[ChannelSet]], None]
) -> None:
    """Calls `work` with the graph of `net` and its channel sets; `sizes` are their original widths."""
    p = model.preprocessing
    try:
        with traceable(net):
            graph, outputs = trace(net, torch.zeros(2, p.channels, p.size, p.size), filter_norm)
            protected = [*last_layers(graph, outputs), *shuffle_entries(net)]
            work(graph, channel_sets(graph, protected, filter_norm, sizes))
            release(graph)
    except LIBRARY_FAULTS as fault:
        if isinstance(fault, UserError) or not is_of_library(fault):
            raise
        allowed = "networks whose channels torch-pruning can follow"
        given = f"{model.backbone} ({type(fault).__name__}: {fault})"
        raise UserError("not_prunable", "model", given, allowed, "Ask for bits instead.") from fault


def filter_norm(group: Any) -> Tensor:
    """The L1 norm of the filter of each channel [N] in the first layer of a torch-pruning Group."""
    layer, channels = group[0].dep.target.module, group[0].idxs
    norms: Tensor = layer.weight.detach().flatten(1).abs().sum(1)
    return norms[channels]
