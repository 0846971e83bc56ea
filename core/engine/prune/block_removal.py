"""Finds the parts of a network that can be removed without changing shapes, rates them, and removes them."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from core.engine.backbones.blocks import CONTAINERS
from core.engine.backbones.heads import evaluating, head_name
from core.engine.context import Context
from core.engine.data.augment import prepare
from core.engine.model import Model

ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.Hardswish, nn.SiLU, nn.GELU, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.Dropout)
POOLING = (nn.modules.pooling._AdaptiveAvgPoolNd, nn.modules.pooling._AvgPoolNd, nn.modules.pooling._MaxPoolNd)


@dataclass(frozen=True)
class Unit:
    """What is removed together: a residual block, or a layer with the batch norm and activation after it. The first
    of `modules` takes the input and the last returns the output."""

    name: str
    modules: tuple[str, ...]


@dataclass(frozen=True)
class Call:
    """One call of a module, with its input and output."""

    name: str
    entry: Tensor
    answer: Tensor


def removable(net: nn.Module, example: Tensor) -> list[Unit]:
    """The residual blocks that preserve shapes, in execution order; if there are none, the layers that do.

    A residual block returns its input once all its weights are zero (found by trying, whatever its class). A layer
    is a convolution or a hidden linear layer with what follows it, or a pooling that has no effect here.
    """
    images = torch.rand((1, *example.shape[1:]), generator=torch.Generator().manual_seed(0))
    calls = _calls(net, images)
    same = [call for call in calls if call.entry.shape == call.answer.shape]
    found = [call.name for call in same if _is_residual(net.get_submodule(call.name), call)]
    inner = [name for name in found if not any(other.startswith(f"{name}.") for other in found)]
    units = [Unit(name, (name,)) for name in inner] or _layers(net, calls, images)
    return [unit for unit in units if _runs_without(net, unit, images)]


def without(net: nn.Module, unit: Unit) -> nn.Module:
    """A copy of `net` in which the modules of `unit` return their input unchanged."""
    twin = copy.deepcopy(net)
    for name in unit.modules:
        path, _, own = name.rpartition(".")
        twin.get_submodule(path)._modules[own] = nn.Identity()
    return twin


def influence(model: Model, units: list[Unit], context: Context) -> dict[Unit, float]:
    """1 − the mean cosine similarity of a unit's input and output on the validation images (block influence)."""
    net = model.net.to(context.device)
    first = {unit.modules[0]: unit for unit in units}
    last = {unit.modules[-1]: unit for unit in units}
    entries: dict[Unit, Tensor] = {}
    likeness = dict.fromkeys(units, 0.0)

    def enter(name: str, entry: Tensor) -> None:
        entries[first[name]] = entry.flatten(1)

    def leave(name: str, answer: Tensor) -> None:
        likeness[last[name]] += float(F.cosine_similarity(entries[last[name]], answer.flatten(1)).sum())

    hooks = [net.get_submodule(n).register_forward_pre_hook(lambda m, e, n=n: enter(n, e[0])) for n in first]
    hooks += [net.get_submodule(n).register_forward_hook(lambda m, e, a, n=n: leave(n, a)) for n in last]
    images = context.data.validation.images
    try:
        with evaluating(net), torch.no_grad():
            for block in torch.split(images, 256):
                context.stop_if_cancelled()
                net(prepare(block.to(context.device), model.preprocessing))
    finally:
        for hook in hooks:
            hook.remove()
    net.cpu()
    return {unit: 1 - total / len(images) for unit, total in likeness.items()}


def _calls(net: nn.Module, images: Tensor) -> list[Call]:
    """The modules that are called once with one tensor and return one, in the order in which they return."""
    counts: Counter[str] = Counter()
    found: list[Call] = []
    with _watched(net, counts, found), evaluating(net), torch.no_grad():
        net(images)
    return [call for call in found if counts[call.name] == 1]


@contextmanager
def _watched(net: nn.Module, counts: Counter[str], found: list[Call]) -> Iterator[None]:
    def note(name: str, entry: tuple[object, ...], answer: object) -> None:
        counts[name] += 1
        if len(entry) == 1 and isinstance(entry[0], Tensor) and isinstance(answer, Tensor):
            found.append(Call(name, kept.pop(name), answer.clone()))

    def keep(name: str, entry: tuple[object, ...]) -> None:
        if len(entry) == 1 and isinstance(entry[0], Tensor):
            kept[name] = entry[0].clone()  # before an in-place activation overwrites it

    kept: dict[str, Tensor] = {}
    modules = [(name, module) for name, module in net.named_modules() if name]
    hooks = [module.register_forward_pre_hook(lambda m, e, n=name: keep(n, e)) for name, module in modules]
    hooks += [module.register_forward_hook(lambda m, e, a, n=name: note(n, e, a)) for name, module in modules]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _is_residual(block: nn.Module, call: Call) -> bool:
    """Whether a composite block of its own class, with all weights zero, returns its input."""
    own = any(True for _ in block.parameters()) and any(True for _ in block.children())
    if not own or type(block) in CONTAINERS or call.entry.ndim < 3:
        return False
    silent = copy.deepcopy(block)
    with torch.no_grad(), evaluating(silent):
        for parameter in silent.parameters():
            parameter.zero_()
        return torch.equal(silent(call.entry.clone()), call.entry)


def _layers(net: nn.Module, calls: list[Call], images: Tensor) -> list[Unit]:
    found = []
    head = head_name(net, images)
    for place, call in enumerate(calls):
        module = net.get_submodule(call.name)
        same = call.entry.shape == call.answer.shape and call.name != head
        if isinstance(module, POOLING) and same and torch.equal(call.entry, call.answer):
            found.append(Unit(call.name, (call.name,)))
        elif isinstance(module, nn.Linear | nn.modules.conv._ConvNd) and same:
            found.append(Unit(call.name, (call.name, *_followers(net, calls[place + 1 :], call.answer))))
    return found


def _followers(net: nn.Module, later: list[Call], answer: Tensor) -> Iterator[str]:
    """The batch norm and activation directly after a layer, each fed by the one before."""
    for call in later:
        follows = isinstance(net.get_submodule(call.name), (_BatchNorm, *ACTIVATIONS))
        if not follows or not torch.equal(call.entry, answer):
            return
        yield call.name
        answer = call.answer


def _runs_without(net: nn.Module, unit: Unit, images: Tensor) -> bool:
    twin = without(net, unit)
    try:
        with evaluating(twin), torch.no_grad():
            return bool(twin(images).shape == net(images).shape)
    except (RuntimeError, ValueError, TypeError, AttributeError, AssertionError):
        return False
