"""Which channels are removed: groups of layer dimensions that shrink together, ranked, counted and rounded.

A group loses channels in steps, the smallest number that suits every member: 1 for plain convolutions, one per head
for attention, one per block for grouped convolutions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch_pruning.dependency import Group

from core.engine.prune.attention import ATTENTION, Score, projections
from core.engine.prune.scores import WRITES
from core.errors import UserError
from core.rules.layer_patterns import matches, refuse_unknown

Scope = Literal["local", "global"]
EPSILON = 1e-9  # 10 · (1 − 0.9) is 0.9999999999999998 in floating point, and means 1


@dataclass(frozen=True)
class ChannelSet:
    """A prunable group: its root, one score per channel, its original width, and how channels can be removed."""

    name: str
    makers: tuple[str, ...]  # the layers whose outputs these channels are
    root: nn.Module
    function: Callable[..., nn.Module]
    scores: Tensor
    size: int  # before the first round
    blocks: int  # the same positions are removed from each of this many equal blocks (grouped convolutions)
    step: int  # kept channels are a multiple of this


def channel_sets(graph: Any, ignored: list[nn.Module], score: Score, sizes: dict[str, int]) -> list[ChannelSet]:
    """The groups of torch-pruning's graph that can be pruned; `sizes` stores their original widths by root name.

    Raises UserError not_prunable when there are none.
    """
    roots = [nn.modules.conv._ConvNd, nn.Linear]
    found = []
    for group in graph.get_all_groups(ignored_layers=ignored, root_module_types=roots):
        one = _set(graph, group, score, sizes)
        if one is not None:
            found.append(one)
    if not found:
        allowed = "networks with a layer that can lose channels"
        fix = "Choose another backbone, or ignore fewer modules."
        raise UserError("not_prunable", "model", type(graph.model).__name__, allowed, fix)
    return found


def _set(graph: Any, group: Group, score: Score, sizes: dict[str, int]) -> ChannelSet | None:
    root, width = group[0].dep.target.module, len(group[0].idxs)
    blocks = math.lcm(*(_blocks(dep) for dep, _ in group))
    step = math.lcm(blocks, *(_heads(dep.target.module) for dep, _ in group))
    name = graph._module2name[root]
    if width % step or sizes.get(name, width) == step:
        return None  # a layer keeps at least one step
    with torch.no_grad():
        scores = score(group)
    if scores is None:
        return None
    scores = torch.nan_to_num(scores.detach().float().cpu())
    makers = tuple(graph._module2name[dep.target.module] for dep, _ in group if dep.handler in WRITES)
    size = sizes.setdefault(name, width)
    return ChannelSet(name, makers, root, group[0].dep.handler, scores, size, blocks, step)


def _blocks(dep: Any) -> int:
    layer = dep.target.module
    if not isinstance(layer, nn.modules.conv._ConvNd) or layer.groups in (1, layer.out_channels):
        return 1
    return layer.groups


def _heads(layer: nn.Module) -> int:
    return projections(layer).heads if isinstance(layer, ATTENTION) else 1


def own_ratios(sets: Sequence[ChannelSet], layers: Mapping[str, float]) -> list[float | None]:
    """The ratio that `layers` (name or pattern → ratio, the first match counts) gives each set, or None.

    Raises UserError unknown_layer for a pattern that matches no prunable layer.
    """
    names = [name for one in sets for name in one.makers]
    allowed = f"prunable layers: {', '.join(names[:12])}{' …' if len(names) > 12 else ''}"
    refuse_unknown(layers, names, "layer_ratios", "unknown_layer", allowed)
    return [
        next((r for pattern, r in layers.items() if any(matches(pattern, name) for name in one.makers)), None)
        for one in sets
    ]


def largest_ratio(sets: Sequence[ChannelSet], own: Sequence[float | None], scope: Scope) -> tuple[float, str]:
    """The largest ratio for the sets without one of their own, and the layer that sets this bound; every set keeps at
    least one step (a channel, a head)."""
    free = [one for one, ratio in zip(sets, own, strict=True) if ratio is None]
    if not free:
        return 0.0, ""
    if scope == "local":
        tightest = min(free, key=lambda one: one.size // one.step)
        return 1 - tightest.step / tightest.size, tightest.name
    return 1 - sum(one.step for one in free) / sum(one.size for one in free), "every layer together"


def refuse_empty(sets: Sequence[ChannelSet], own: Sequence[float | None], ratio: float, scope: Scope) -> None:
    """Raises where a ratio would leave a layer (local), or all layers together (global), less than one step each."""
    for one, given in zip(sets, own, strict=True):
        if given is not None and given > 1 - one.step / one.size + EPSILON:
            raise _leaves_nothing("layer_ratios", given, 1 - one.step / one.size, one.name)
    largest, where = largest_ratio(sets, own, scope)
    if where and ratio > largest + EPSILON:
        raise _leaves_nothing("ratio", ratio, largest, where)


def _leaves_nothing(field: str, given: float, largest: float, where: str) -> UserError:
    shown = math.floor(largest * 1000 + EPSILON) / 1000
    allowed = f"at most {shown:g} for this model ({where} would be left without a channel)"
    return UserError("ratio_leaves_no_channel", field, given, allowed, f"Set ratio to {shown:g} or less.")


def kept_channels(
    sets: Sequence[ChannelSet], own: Sequence[float | None], ratio: float, scope: Scope, round_to: int, share: float = 1
) -> list[int]:
    """How many channels each set keeps: at least one step, at most all, rounded up to a multiple of `round_to`.

    `share` of each ratio is removed up to this round; sets with their own ratio are excluded from a global ranking.
    """
    if scope == "global":
        free = [one for one, given in zip(sets, own, strict=True) if given is None]
        ranked = iter(_kept_globally(free, ratio * share))
        plain = [next(ranked) if r is None else _kept(one, r * share) for one, r in zip(sets, own, strict=True)]
    else:
        plain = [_kept(one, (ratio if r is None else r) * share) for one, r in zip(sets, own, strict=True)]
    return [_rounded(one, max(kept, one.step), round_to) for one, kept in zip(sets, plain, strict=True)]


def _kept(one: ChannelSet, ratio: float) -> int:
    return math.floor(one.size / one.step * (1 - ratio) + EPSILON) * one.step


def _kept_globally(sets: Sequence[ChannelSet], ratio: float) -> list[int]:
    """Removes the least important steps of all sets until the share is reached; every set keeps at least one step."""
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
    """The score of each step of a set in ascending order: the mean of the channels that are removed together."""
    places = one.scores.reshape(one.blocks, -1).mean(dim=0).sort().values
    return [float(value) for value in places.reshape(-1, one.step // one.blocks).mean(dim=1)]


def _rounded(one: ChannelSet, kept: int, round_to: int) -> int:
    multiple = math.lcm(one.step, round_to)
    return min(len(one.scores), math.ceil(kept / multiple) * multiple)


def remove(graph: Any, one: ChannelSet, kept: int) -> None:
    """Removes the least important channels of a set from every layer that shares them."""
    per_block = len(one.scores) // one.blocks
    places = one.scores.reshape(one.blocks, -1).mean(dim=0)
    removed = places.argsort(stable=True)[: per_block - kept // one.blocks]
    if len(removed):
        idxs = [int(place) + block * per_block for block in range(one.blocks) for place in removed]
        graph.get_pruning_group(one.root, one.function, sorted(idxs)).prune()
