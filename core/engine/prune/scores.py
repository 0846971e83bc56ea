"""What an importance reads of a group: for each layer that shares its channels, one row of numbers per channel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch_pruning.dependency import Group
from torch_pruning.pruner import function as cut

WRITES = (cut.prune_conv_out_channels, cut.prune_linear_out_channels, cut.prune_depthwise_conv_out_channels)
READS = (cut.prune_conv_in_channels, cut.prune_linear_in_channels)
NORMS = (cut.prune_batchnorm_out_channels, cut.prune_layernorm_out_channels)


@dataclass(frozen=True)
class Share:
    """One layer's part in a group: `weight` [channels, numbers], the filters that write them, the columns that read
    them, or a normalisation's scales; `bias` [channels] of a writer or a scale; `places` [channels], the channel of
    the group that each row belongs to; and the gradients of both, if any."""

    role: Literal["writes", "reads", "norm"]
    layer: nn.Module
    weight: Tensor
    places: Tensor
    bias: Tensor | None = None
    weight_grad: Tensor | None = None
    bias_grad: Tensor | None = None


def shares(group: Group) -> Iterator[Share]:
    """The layers of a group that hold weights for its channels; attention and similar modules are left out."""
    for item in group:
        layer, how = item.dep.target.module, item.dep.handler
        weight = getattr(layer, "weight", None)
        role = _role(layer, how)
        if role is None or weight is None or any(place is None for place in item.root_idxs):
            continue
        rows = _columns if role == "reads" else _filters
        bias = None if role == "reads" else getattr(layer, "bias", None)
        yield Share(
            role,
            layer,
            rows(layer, weight.detach())[item.idxs],
            torch.tensor(item.root_idxs),
            None if bias is None else bias.detach()[item.idxs],
            None if weight.grad is None else rows(layer, weight.grad)[item.idxs],
            None if bias is None or bias.grad is None else bias.grad[item.idxs],
        )


def gather(group: Group, measure: Callable[[Share], Tensor | None]) -> tuple[Tensor, int]:
    """(the sum over the group's layers of `measure`, one number per row; the number of layers with a value)."""
    total, layers = torch.zeros(len(group[0].idxs)), 0
    for share in shares(group):
        found = measure(share)
        if found is not None:
            total.index_add_(0, share.places, found.float().cpu())
            layers += 1
    return total, layers


def average(group: Group, measure: Callable[[Share], Tensor | None]) -> Tensor | None:
    """The mean over the layers for which `measure` returns a value; None where there are none."""
    total, layers = gather(group, measure)
    return total / layers if layers else None


def relative(scores: Tensor | None) -> Tensor | None:
    """Scores relative to their mean, so that groups of different scale can be compared."""
    return None if scores is None else scores / scores.mean().clamp_min(torch.finfo(scores.dtype).tiny)


def _role(layer: Any, how: Any) -> Literal["writes", "reads", "norm"] | None:
    if isinstance(layer, nn.modules.conv._ConvNd | nn.Linear):
        return "writes" if how in WRITES else "reads" if how in READS else None
    return "norm" if how in NORMS else None


def _filters(layer: nn.Module, weight: Tensor) -> Tensor:
    """[outputs, numbers]: the weights that compute each output channel; for a normalisation, its scale."""
    if getattr(layer, "transposed", False):
        weight = weight.transpose(0, 1)
    return weight.reshape(len(weight), -1)


def _columns(layer: nn.Module, weight: Tensor) -> Tensor:
    """[inputs, numbers]: the weights that read each input channel; in a grouped convolution only its own group's."""
    if getattr(layer, "transposed", False):
        return weight.reshape(len(weight), -1)
    groups = int(getattr(layer, "groups", 1))
    apart = weight.reshape(groups, len(weight) // groups, weight.shape[1], -1)
    return apart.transpose(1, 2).reshape(groups * weight.shape[1], -1)
