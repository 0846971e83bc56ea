"""Re-estimates the running statistics of batch norms after pruning: the old ones belong to a different network."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from core.errors import UserError


def reestimate_batch_norm(net: nn.Module, batches: Iterable[Tensor]) -> None:
    """Re-estimates the running mean and variance of every batch norm: the plain average over `batches` [N, C, H, W].

    Each batch counts equally; variances are unbiased (torch's cumulative average, momentum None). Weights, modes and
    momenta do not change. Raises UserError no_batches, before anything changes, when there is no batch.
    """
    norms = [module for module in net.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    waiting = iter(batches)
    first = next(waiting, None)
    if first is None:
        raise UserError("no_batches", "batches", 0, "at least one batch of images", "Pass the images to measure.")
    modes = [(module, module.training) for module in net.modules()]
    momenta = [norm.momentum for norm in norms]
    net.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    try:
        with torch.no_grad():
            net(first)
            for batch in waiting:
                net(batch)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, training in modes:
            module.training = training
