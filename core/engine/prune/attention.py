"""Modules that torch-pruning cannot trace (attention, patch merging): traced as one block, pruned by our own rules.

An attention block of embedding width E with h heads loses the removed embedding channels at its input and output;
inside, every head loses the same number of its least important dimensions, so that E remains h · head width.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch_pruning.dependency import Dependency, Group, Node
from torch_pruning.pruner.function import prune_linear_in_channels, prune_linear_out_channels
from torchvision.models.maxvit import RelativePositionalMultiHeadAttention
from torchvision.models.swin_transformer import (
    PatchMerging,
    PatchMergingV2,
    ShiftedWindowAttention,
    ShiftedWindowAttentionV2,
)
from torchvision.models.vision_transformer import VisionTransformer

from core.engine.prune.scores import average

Score = Callable[[Group], Tensor | None]


@dataclass(frozen=True)
class Projections:
    """Where an attention block keeps its query, key and value rows (packed, [3 E, E]) and output layer [E, E]."""

    owner: nn.Module
    weight: str
    bias: str
    out: nn.Linear
    heads: int
    scaled: bool  # its logits are divided by √(head width), read from the shapes at run time


def projections(layer: nn.Module) -> Projections:
    """The packed projections of any attention block of the catalog."""
    if isinstance(layer, nn.MultiheadAttention):
        return Projections(layer, "in_proj_weight", "in_proj_bias", layer.out_proj, layer.num_heads, True)
    if isinstance(layer, RelativePositionalMultiHeadAttention):
        return Projections(layer.to_qkv, "weight", "bias", layer.merge, layer.n_heads, False)
    assert isinstance(layer, ShiftedWindowAttention)
    cosine = isinstance(layer, ShiftedWindowAttentionV2)
    return Projections(layer.qkv, "weight", "bias", layer.proj, layer.num_heads, not cosine)


class AttentionCut:
    """Removes embedding channels from an attention block; has the interface of torch-pruning's custom pruners."""

    pruning_dim = 1

    def __init__(self, score: Score) -> None:
        self.score = score

    def prune_out_channels(self, layer: nn.Module, idxs: Sequence[int]) -> nn.Module:
        parts = projections(layer)
        width = parts.out.out_features
        keep = complement(width, idxs)
        with torch.no_grad():
            pair = [self._inside(parts, rows, len(keep)) for rows in ("qk", "v")]
            _cut(parts, keep, *pair)
        _settle(layer, parts, len(keep))
        return layer

    prune_in_channels = prune_out_channels

    def get_out_channels(self, layer: nn.Module) -> int:
        return projections(layer).out.out_features

    get_in_channels = get_out_channels

    def get_out_channel_groups(self, layer: nn.Module) -> int:
        return 1

    get_in_channel_groups = get_out_channel_groups

    def _inside(self, parts: Projections, rows: str, kept: int) -> Tensor:
        """The dimensions that each head keeps of its queries and keys ("qk"), or of its values ("v")."""
        group = _inner_group(parts, rows)
        score = self.score(group)
        if score is None:  # the importance reads only other kinds of layers: rank by squared weights
            score = average(group, lambda share: share.weight.square().sum(1))
        assert score is not None
        heads = score.detach().cpu().reshape(parts.heads, -1)
        best = heads.argsort(dim=1, descending=True, stable=True)[:, : kept // parts.heads].sort(dim=1).values
        return (best + torch.arange(parts.heads).unsqueeze(1) * heads.shape[1]).flatten()


class MergingCut:
    """Patch merging reduces four neighbours of C channels to 2 C: each input channel occurs four times."""

    pruning_dim = 1

    def prune_in_channels(self, layer: Any, idxs: Sequence[int]) -> Any:
        width = self.get_in_channels(layer)
        four = [index + part * width for part in range(4) for index in idxs]
        if isinstance(layer, PatchMerging):
            _layer_norm(layer.norm, four)
        prune_linear_in_channels(layer.reduction, four)
        return layer

    def prune_out_channels(self, layer: Any, idxs: Sequence[int]) -> Any:
        if isinstance(layer, PatchMergingV2):
            _layer_norm(layer.norm, idxs)
        prune_linear_out_channels(layer.reduction, idxs)
        return layer

    def get_in_channels(self, layer: Any) -> int:
        return int(layer.reduction.in_features) // 4

    def get_out_channels(self, layer: Any) -> int:
        return int(layer.reduction.out_features)

    def get_out_channel_groups(self, layer: Any) -> int:
        return 1

    get_in_channel_groups = get_out_channel_groups


ATTENTION = (
    nn.MultiheadAttention,
    ShiftedWindowAttention,
    ShiftedWindowAttentionV2,
    RelativePositionalMultiHeadAttention,
)
MERGING = (PatchMerging, PatchMergingV2)


def cuts(score: Score) -> dict[type[nn.Module], AttentionCut | MergingCut]:
    """A new table for torch-pruning: block type → how to prune it."""
    attention, merging = AttentionCut(score), MergingCut()
    return {**dict.fromkeys(ATTENTION, attention), **dict.fromkeys(MERGING, merging)}


def widths_settled(net: nn.Module) -> None:
    """Updates the widths that a whole network (not a layer) stores, to match its layers."""
    for module in net.modules():
        if isinstance(module, VisionTransformer):
            module.hidden_dim = module.conv_proj.out_channels


def complement(width: int, removed: Sequence[int]) -> Tensor:
    without = set(removed)
    return torch.tensor([i for i in range(width) if i not in without])


@contextmanager
def opaque(net: nn.Module) -> Iterator[None]:
    """While tracing, each block of ATTENTION and MERGING is one node: autograd sees only its input and output."""
    blocks = [module for module in net.modules() if type(module) in (*ATTENTION, *MERGING)]
    for block in blocks:
        block.forward = _one_node(block, block.forward)
    try:
        yield
    finally:
        for block in blocks:
            del block.forward


class _Block(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, entry: Tensor, answer: Tensor) -> Tensor:
        return answer.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        raise AssertionError("a traced block is never trained")


def _one_node(block: nn.Module, real: Callable[..., Any]) -> Callable[..., Any]:
    def forward(entry: Tensor, *rest: object, **named: object) -> Any:
        with torch.no_grad():
            answer = real(entry, *rest, **named)
        if isinstance(answer, tuple):
            return _Block.apply(entry, answer[0]), *answer[1:]
        return _Block.apply(entry, answer)

    return forward


def _inner_group(parts: Projections, rows: str) -> Group:
    """The inside of an attention block as a group of plain linear layers, so that any importance can score it."""
    packed = getattr(parts.owner, parts.weight)
    width = parts.out.in_features
    used = {"qk": (0, 1), "v": (2,)}[rows]
    layers = [(_rows(packed, part * width, width), prune_linear_out_channels) for part in used]
    if rows == "v":
        layers.append((parts.out, prune_linear_in_channels))
    group = Group()
    for layer, function in layers:
        node = Node(module=layer, grad_fn=None, name="attention")
        group.add_dep(Dependency(function, function, source=node, target=node), list(range(width)))
        group[len(group) - 1].root_idxs = list(range(width))
    return group


def _rows(packed: Tensor, first: int, width: int) -> nn.Linear:
    with torch.device("meta"):
        layer = nn.Linear(packed.shape[1], width, bias=False)
    layer.weight = nn.Parameter(packed.detach()[first : first + width])
    if packed.grad is not None:
        layer.weight.grad = packed.grad[first : first + width]
    return layer


def _cut(parts: Projections, keep: Tensor, pair: Tensor, value: Tensor) -> None:
    """Queries and keys keep the rows `pair`, values the rows `value`, the embedding the channels `keep`."""
    width, out = parts.out.in_features, parts.out
    stretch = math.sqrt(len(keep) / width) if parts.scaled else 1.0
    rows = torch.cat([pair, pair + width, value + 2 * width])
    scale = torch.ones(len(rows))
    scale[: len(pair)] = stretch  # the logits are divided by √(new head width): keeps their temperature unchanged
    _replace(parts.owner, parts.weight, lambda packed: packed[rows][:, keep] * scale.to(packed).unsqueeze(1))
    _replace(parts.owner, parts.bias, lambda packed: packed[rows] * scale.to(packed))
    _replace(out, "weight", lambda weight: weight[keep][:, value])
    _replace(out, "bias", lambda bias: bias[keep])


def _replace(owner: nn.Module, name: str, change: Callable[[Tensor], Tensor]) -> None:
    old = getattr(owner, name)
    if old is None:
        return
    new = nn.Parameter(change(old.detach()).contiguous(), requires_grad=old.requires_grad)
    if old.grad is not None:
        new.grad = change(old.grad).contiguous()
    setattr(owner, name, new)


def _settle(layer: nn.Module, parts: Projections, width: int) -> None:
    parts.out.in_features = parts.out.out_features = width
    if isinstance(parts.owner, nn.Linear):
        parts.owner.in_features, parts.owner.out_features = width, 3 * width
    if isinstance(layer, nn.MultiheadAttention):
        layer.embed_dim = layer.kdim = layer.vdim = width
    if isinstance(layer, nn.MultiheadAttention | RelativePositionalMultiHeadAttention):
        layer.head_dim = width // parts.heads


def _layer_norm(layer: nn.LayerNorm, idxs: Sequence[int]) -> None:
    keep = complement(layer.normalized_shape[0], idxs)
    _replace(layer, "weight", lambda weight: weight[keep])
    _replace(layer, "bias", lambda bias: bias[keep])
    layer.normalized_shape = (len(keep),)
