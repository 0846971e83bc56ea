"""What transfer by gradient descent minimises: cross-entropy with the labels, and penalties on the weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.engine.backbones.heads import head_layer
from core.engine.output import Output
from core.engine.training.loop import Batch
from core.engine.training.mixup import cross_entropy


@dataclass(frozen=True)
class Objective:
    """Cross-entropy + l1 · Σ|w| over weights (not biases and norms) + l2_sp/2 · Σ(w − w₀)² over the backbone.

    The last is L2-SP (Li, Grandvalet & Davoine 2018, arXiv:1802.01483); its term for the head is the weight decay. Only
    parameters that require a gradient are penalised. `class_weights` [C] or None, `anchors` the backbone's parameters
    with w₀.
    """

    smoothing: float = 0.0
    class_weights: Tensor | None = None
    l1: float = 0.0
    l2_sp: float = 0.0
    weights: list[nn.Parameter] = field(default_factory=list)
    anchors: list[tuple[nn.Parameter, Tensor]] = field(default_factory=list)

    @classmethod
    def of(
        cls, net: nn.Module, labels: Tensor, classes: int, *, smoothing: float, balance: bool, l1: float, l2_sp: float
    ) -> Objective:
        """The objective for labels [N]; w₀ are the current weights of `net`."""
        head = {id(p) for p in head_layer(net).parameters()}
        weights = [p for p in net.parameters() if p.ndim > 1] if l1 else []
        anchors = [(p, p.detach().clone()) for p in net.parameters() if id(p) not in head] if l2_sp else []
        return cls(smoothing, class_weights(labels, classes) if balance else None, l1, l2_sp, weights, anchors)

    def __call__(self, output: Output, batch: Batch) -> Tensor:
        value = cross_entropy(
            output.logits, batch.target, batch.mixture, smoothing=self.smoothing, weights=self.class_weights
        )
        for weight in self.weights:
            if weight.requires_grad:
                value = value + self.l1 * weight.abs().sum()
        for weight, start in self.anchors:
            if weight.requires_grad:
                value = value + self.l2_sp / 2 * (weight - start).square().sum()
        return value


def class_weights(labels: Tensor, classes: int) -> Tensor:
    """[C] float32: n / (C · n_c), so that every class counts equally; 1 for a class without images."""
    counts = torch.bincount(labels, minlength=classes).double()
    weights = len(labels) / (classes * counts)
    return torch.where(counts > 0, weights, torch.ones_like(weights)).float()


@contextmanager
def dropping(net: nn.Module, share: float) -> Iterator[None]:
    """Within the context, dropout with probability `share` is applied to the input of the head of `net` in training
    mode (Srivastava et al. 2014); the network itself does not change, so neither does its file."""

    def drop(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (F.dropout(inputs[0], share, module.training), *inputs[1:])

    handle = head_layer(net).register_forward_pre_hook(drop) if share else None
    try:
        yield
    finally:
        if handle is not None:
            handle.remove()
