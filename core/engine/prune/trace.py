"""Which layers share channels: torch-pruning's dependency graph, with special cases for the catalog's hard networks.

The network's outputs keep their channels (the last layers are found by walking back from them, whatever their type);
attention is one node; training-time heads are dropped; tracing stops at shufflenet_v2's channel shuffle.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from torch_pruning.dependency import DependencyGraph
from torchvision.models.shufflenetv2 import InvertedResidual

from core.engine.prune.attention import Score, cuts, opaque

AUXILIARY = ("AuxLogits", "aux1", "aux2")


def without_auxiliary_heads(net: nn.Module) -> None:
    """Drops the training-time heads of googlenet and inception_v3; the output in evaluation mode does not change."""
    for module in net.modules():
        if getattr(module, "aux_logits", False):
            setattr(module, "aux_logits", False)  # noqa: B010 (the type of an nn.Module's attribute is not bool)
            for name in AUXILIARY:
                if name in module._modules:
                    setattr(module, name, None)


@contextmanager
def traceable(net: nn.Module) -> Iterator[None]:
    """Evaluation mode, every parameter differentiable, gradients enabled; the previous state is restored afterwards."""
    without_auxiliary_heads(net)
    modes = [(module, module.training) for module in net.modules()]
    frozen = {name for name, parameter in net.named_parameters() if not parameter.requires_grad}
    net.eval()
    net.requires_grad_(True)
    try:
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training
        for name, parameter in net.named_parameters():
            parameter.requires_grad_(name not in frozen)


def trace(net: nn.Module, example: Tensor, score: Score) -> tuple[Any, list[Tensor]]:
    """torch-pruning's graph of `net`, and every tensor whose channels must be kept: its output and each barrier."""
    graph = DependencyGraph()
    outputs: list[Tensor] = []

    def forward(traced: nn.Module, entry: Tensor) -> list[Tensor]:
        outputs.append(traced(entry))
        return outputs

    hooks = [
        hook for module in net.modules() if isinstance(module, InvertedResidual) for hook in _walls(module, outputs)
    ]
    try:
        with opaque(net):
            graph.build_dependency(
                net, example, forward_fn=forward, customized_pruners=dict(cuts(score)), verbose=False
            )
    finally:
        for hook in hooks:
            hook.remove()
    return graph, outputs


def release(graph: Any) -> None:
    """Dismantles a graph: its nodes reference each other and, through autograd, the weights from before the cut."""
    for node in graph.module2node.values():
        node.dependencies.clear()
        node.inputs.clear()
        node.outputs.clear()
        node.grad_fn = None


def _walls(block: InvertedResidual, outputs: list[Tensor]) -> list[RemovableHandle]:
    """Detaches a block of shufflenet_v2 from the trace: its channel shuffle cannot be traced, so pruning is confined to
    its branches. A branch's output counts as an output of the network, whose channels are kept."""

    def protect(module: nn.Module, entry: Any, answer: Tensor) -> Tensor:
        outputs.append(answer)
        return _leaf(answer)

    branches = [branch for branch in (block.branch1, block.branch2) if len(branch)]
    hooks = [branch.register_forward_hook(protect) for branch in branches]
    hooks.append(block.register_forward_hook(lambda module, entry, answer: _leaf(answer)))
    if len(branches) == 1:  # the other half of the channels passes through the block unchanged
        hooks.append(block.branch2.register_forward_pre_hook(lambda module, entry: (_leaf(entry[0]),)))
    return hooks


def shuffle_entries(net: nn.Module) -> list[nn.Module]:
    """Depthwise layers at the entry of shufflenet_v2's blocks: their channels are those of the preceding shuffle."""
    return [block.branch1[0] for block in net.modules() if isinstance(block, InvertedResidual) and len(block.branch1)]


def _leaf(tensor: Tensor) -> Tensor:
    return tensor.detach().requires_grad_(True)


def last_layers(graph: Any, outputs: list[Tensor]) -> list[nn.Module]:
    """The layers that compute the outputs' channels, found by walking back from the outputs, whatever their type."""
    by_gradient = {node.grad_fn: node for node in graph.module2node.values()}
    waiting = [by_gradient[output.grad_fn] for output in outputs if output.grad_fn in by_gradient]
    seen, last = set(waiting), []
    while waiting:
        node = waiting.pop()
        makes_channels = isinstance(node.module, nn.Linear | nn.modules.conv._ConvNd)
        if makes_channels and getattr(node.module, "groups", 1) == 1:
            last.append(node.module)
            continue
        waiting.extend(entry for entry in node.inputs if entry not in seen)
        seen.update(node.inputs)
    return last
