"""The last layer of a classifier: found by its output, and replaced for another number of classes."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from core.errors import UserError


def head_name(net: nn.Module, example: Tensor) -> str:
    """The name of the Linear or Conv2d module that produced the logits for `example` [N, C, H, W].

    Follows the autograd graph back from the logits to the nearest such layer, so that convolutional classifiers
    (squeezenet) and layers defined after the head are handled. Raises UserError if no layer has one output per class.
    """
    made: dict[object, str] = {}
    handles = []

    def remember(name: str) -> object:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            made[output.grad_fn] = name

        return hook

    for name, module in net.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            handles.append(module.register_forward_hook(remember(name)))  # type: ignore[arg-type]
    try:
        with evaluating(net), torch.inference_mode(False), torch.enable_grad():
            logits = net(example[:1].detach().clone().requires_grad_() * 1)
    finally:
        for handle in handles:
            handle.remove()
    name = _nearest(logits, made)
    if name is None or classes_of(net.get_submodule(name)) != logits.shape[1]:
        allowed = "a classifier whose last layer is a Linear or Conv2d layer with one output per class"
        raise UserError("no_head", "backbone", type(net).__name__, allowed, "Choose a backbone of the catalog.")
    return name


def head(net: nn.Module, example: Tensor) -> nn.Module:
    """The last layer itself; see `head_name`."""
    return net.get_submodule(head_name(net, example))


def head_layer(net: nn.Module) -> nn.Module:
    """The last Linear or Conv2d layer in the order of definition, found without an example image.

    It equals `head` for every backbone of the catalog, as a test checks. Raises UserError if there is no such layer.
    """
    layers = [module for module in net.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    if not layers:
        allowed = "a network with a Linear or Conv2d layer"
        raise UserError("no_head", "backbone", type(net).__name__, allowed, "Choose a backbone of the catalog.")
    return layers[-1]


def replace_head(net: nn.Module, classes: int, example: Tensor) -> nn.Module:
    """Replaces the last layer of `net` by a new one with `classes` outputs, and returns it."""
    return set_head(net, head_name(net, example), classes)


def set_head(net: nn.Module, name: str, classes: int) -> nn.Module:
    """Replaces the layer `name` by a new one with `classes` outputs; weights N(0, 0.01), bias 0, so that the first
    predictions are nearly uniform."""
    old = net.get_submodule(name)
    place = {"device": old.weight.device, "dtype": old.weight.dtype}
    fresh: nn.Linear | nn.Conv2d
    if isinstance(old, nn.Linear):
        fresh = nn.Linear(old.in_features, classes, **place)  # type: ignore[arg-type]
    else:
        assert isinstance(old, nn.Conv2d), name
        fresh = nn.Conv2d(old.in_channels, classes, old.kernel_size, old.stride, old.padding, **place)  # type: ignore[arg-type]
    nn.init.normal_(fresh.weight, std=0.01)
    assert fresh.bias is not None
    nn.init.zeros_(fresh.bias)
    fresh.train(old.training)
    net.set_submodule(name, fresh)
    return fresh


def without_head(net: nn.Module) -> nn.Module:
    """A copy in eval mode that returns the input of its head."""
    copied = copy.deepcopy(net).eval()
    head = head_layer(copied)
    name = next(name for name, module in copied.named_modules() if module is head)
    copied.set_submodule(name, nn.Identity())
    return copied


def classes_of(layer: nn.Module) -> int:
    """The number of outputs of a Linear or Conv2d layer."""
    return layer.out_features if isinstance(layer, nn.Linear) else int(layer.out_channels)  # type: ignore[arg-type]


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """`net` in eval mode in the block, so that a forward pass changes no statistics; modes are restored afterwards."""
    modes = [(module, module.training) for module in net.modules()]
    net.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _nearest(logits: Tensor, made: dict[object, str]) -> str | None:
    """The name of the layer nearest to the output, by breadth-first search."""
    front: list[object] = [logits.grad_fn]
    seen: set[object] = set()
    while front:
        node = front.pop(0)
        if node in made:
            return made[node]
        if node is not None and node not in seen:
            seen.add(node)
            front.extend(parent for parent, _ in node.next_functions)  # type: ignore[attr-defined]
    return None
