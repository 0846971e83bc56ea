"""Masks that keep pruned weights at zero, during pruning and during training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def kernels(net: nn.Module) -> dict[str, Tensor]:
    """The weights of convolutions and linear layers by parameter name; biases and normalisations are not pruned."""
    return {
        f"{name}.weight": module.weight
        for name, module in net.named_modules()
        if isinstance(module, nn.Linear | nn.modules.conv._ConvNd)
    }


def mask(net: nn.Module, keep: Mapping[str, Tensor]) -> None:
    """Sets the weights to zero where `keep`, by parameter name, is false."""
    with torch.no_grad():
        for name, kept in keep.items():
            net.get_parameter(name).mul_(kept)


@contextmanager
def zeros_kept(net: nn.Module) -> Iterator[None]:
    """Within the context, weights that are zero now are reset to zero before each forward pass, and at the end."""
    keep = {name: weight.detach() != 0 for name, weight in kernels(net).items()}

    def renew(module: nn.Module, entry: object) -> None:
        mask(module, {name: kept.to(module.get_parameter(name).device) for name, kept in keep.items()})

    hook = net.register_forward_pre_hook(renew)
    try:
        yield
    finally:
        hook.remove()
        renew(net, None)
