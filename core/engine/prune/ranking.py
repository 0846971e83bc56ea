"""Which channels go: groups of layer dimensions that shrink together, ranked, counted and rounded.

A group's channels go in steps, the smallest number every member can spare: 1 for plain convolutions, one a head for
attention, one a block for grouped convolutions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch_pruning.dependency import Group

from core.engine.prune.attention import ATTENTION, Score, projections
from core.errors import UserError

Scope = Literal["local", "global"]
EPSILON = 1e-9  # 10 · (1 − 0.9) is 0.9999999999999998 in floating point, and means 1


@dataclass(frozen=True)
class ChannelSet:
    """A prunable group: its root, one score a channel, how many channels it began with, and how they may go."""

    name: str
    root: nn.Module
    function: Callable[..., nn.Module]
    scores: Tensor
    size: int  # before the first round
    blocks: int  # the same places go from each of so many equal blocks (grouped convolutions)
    step: int  # kept channels are a multiple of this


def channel_sets(graph: Any, ignored: list[nn.Module], score: Score, sizes: dict[str, int]) -> list[ChannelSet]:
    """The groups of torch-pruning's graph whose channels may go; `sizes` remembers their first widths by root name.

    Raises UserError not_prunable when there is none.
    """
    roots = [nn.modules.conv._ConvNd, nn.Linear]
    found = []
    for group in graph.get_all_groups(ignored_layers=ignored, root_module_types=roots):
        one = _set(graph, group, score, sizes)
        if one is not None:
            found.append(one)
    if not found:
        allowed = "networks with a layer whose channels may go"
        fix = "Choose another backbone, or ignore fewer modules."
        raise UserError("not_prunable", "model", type(graph.model).__name__, allowed, fix)
    return found


def _set(graph: Any, group: Group, score: Score, sizes: dict[str, int]) -> ChannelSet | None:
    root, width = group[0].dep.target.module, len(group[0].idxs)
    blocks = math.lcm(*(_blocks(dep) for dep, _ in group))
    step = math.lcm(blocks, *(_heads(dep.target.module) for dep, _ in group))
    name = graph._module2name[root]
    if width % step or sizes.get(name, width) == step:
        return None  # a single step is the least a layer may keep
    with torch.no_grad():
        scores = score(group)
    if scores is None:
        return None
    scores = torch.nan_to_num(scores.detach().float().cpu())
    return ChannelSet(name, root, group[0].dep.handler, scores, sizes.setdefault(name, width), blocks, step)


def _blocks(dep: Any) -> int:
    layer = dep.target.module
    if not isinstance(layer, nn.modules.conv._ConvNd) or layer.groups in (1, layer.out_channels):
        return 1
    return layer.groups


def _heads(layer: nn.Module) -> int:
    return projections(layer).heads if isinstance(layer, ATTENTION) else 1


def refuse_empty(sets: Sequence[ChannelSet], ratio: float, scope: Scope) -> None:
    """Raises where `ratio` asks for more than all but one step of a layer (local) or of all layers (global)."""
    if scope == "local":
        tightest = min(sets, key=lambda one: one.size // one.step)
        largest, where = 1 - tightest.step / tightest.size, tightest.name
    else:
        largest, where = 1 - sum(one.step for one in sets) / sum(one.size for one in sets), "every layer together"
    if ratio > largest + EPSILON:
        shown = math.floor(largest * 1000 + EPSILON) / 1000
        allowed = f"at most {shown:g} for this model ({where} would be left without a channel)"
        raise UserError("ratio_leaves_no_channel", "ratio", ratio, allowed, f"Set ratio to {shown:g} or less.")


def kept_channels(sets: Sequence[ChannelSet], ratio: float, scope: Scope, round_to: int) -> list[int]:
    """How many channels each set keeps: at least one step, at most what it has, rounded up to `round_to`."""
    if scope == "local":
        plain = [math.floor(one.size / one.step * (1 - ratio) + EPSILON) * one.step for one in sets]
    else:
        plain = _kept_globally(sets, ratio)
    return [_rounded(one, max(kept, one.step), round_to) for one, kept in zip(sets, plain, strict=True)]


def _kept_globally(sets: Sequence[ChannelSet], ratio: float) -> list[int]:
    """The least important steps go first, wherever they are, until the share is gone; one step a set always stays."""
    kept = [len(one.scores) for one in sets]
    surplus = sum(kept) - math.ceil(sum(one.size for one in sets) * (1 - ratio) - EPSILON)
    steps = [(value, index) for index, one in enumerate(sets) for value in _step_scores(one)[:-1]]
    for _, index in sorted(steps):
        if surplus < sets[index].step:
            continue
        kept[index] -= sets[index].step
        surplus -= sets[index].step
    return kept


def _step_scores(one: ChannelSet) -> list[float]:
    """The score of each step of a set, least first: the mean of the channels that would go together."""
    places = one.scores.reshape(one.blocks, -1).mean(dim=0).sort().values
    return [float(value) for value in places.reshape(-1, one.step // one.blocks).mean(dim=1)]


def _rounded(one: ChannelSet, kept: int, round_to: int) -> int:
    multiple = math.lcm(one.step, round_to)
    return min(len(one.scores), math.ceil(kept / multiple) * multiple)


def remove(graph: Any, one: ChannelSet, kept: int) -> None:
    """Cuts the least important channels of a set, in every layer that shares them."""
    per_block = len(one.scores) // one.blocks
    places = one.scores.reshape(one.blocks, -1).mean(dim=0)
    gone = places.argsort(stable=True)[: per_block - kept // one.blocks]
    if len(gone):
        idxs = [int(place) + block * per_block for block in range(one.blocks) for place in gone]
        graph.get_pruning_group(one.root, one.function, sorted(idxs)).prune()
