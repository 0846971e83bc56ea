"""The stages of a network, found by tracing one forward pass: the last block's output at each resolution."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from core.engine.backbones.heads import evaluating, head_name

QUARTERS = 4  # stages of a transformer, whose blocks all have one resolution


@dataclass(frozen=True)
class Stage:
    """The output of the module `name` is a stage; `channels_last`: its layout is [N, H, W, C], as in swin."""

    name: str
    channels_last: bool = False


@dataclass(frozen=True)
class Call:
    """One call of a module: the modules it was called inside of, and the shapes of its first input and its output."""

    name: str
    inside: tuple[str, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def side(self) -> int:
        """The side of the output, if it is a square map; otherwise 0."""
        return _side(self.outputs)


def stages(net: nn.Module, example: Tensor) -> tuple[str, ...]:
    """Names of the modules whose outputs are the stages of `net`, shallow to deep; see `trace`."""
    return tuple(stage.name for stage in trace(net, example, head_name(net, example)))


def trace(net: nn.Module, example: Tensor, head: str) -> tuple[Stage, ...]:
    """The stages of `net` before its last layer `head`, for square images like `example` [N, C, side, side].

    Convolutional networks and swin: the last module called at each resolution above 1x1, without the inside of the
    block that halves it (so that resnet's stage is its layer, not the next layer's first convolution). Transformers
    with one resolution: the block outputs [N, tokens, width] at each quarter of the depth. Networks without feature
    maps have no stages.
    """
    pair = torch.cat([example[:1], example[:1]])  # two images: outputs of another batch size are not activations
    calls = _calls(net, pair)
    counts = Counter(call.name for call in calls)
    end = next(place for place, call in enumerate(calls) if call.name == head)
    once = [c for c in calls[:end] if counts[c.name] == 1 and c.outputs[:1] == (2,) and not _drops(net, c)]
    blocks = [call for call in once if _is_token_block(net, call)]
    if len(blocks) >= QUARTERS and len({call.side for call in once} - {0, 1}) <= 1:
        return tuple(Stage(blocks[len(blocks) * quarter // QUARTERS - 1].name) for quarter in range(1, QUARTERS + 1))
    last = _last_at_each_side(once, _halving(net, once))
    plain = [_is_channels_last(call) for call in last if not _is_cube(call)]
    mostly_last = sum(plain) > len(plain) / 2  # decides for maps with as many channels as pixels a side
    return tuple(Stage(c.name, mostly_last if _is_cube(c) else _is_channels_last(c)) for c in last)


def _calls(net: nn.Module, images: Tensor) -> list[Call]:
    """All module calls of one forward pass in eval mode, in the order of their ends."""
    names = {module: name for name, module in net.named_modules()}
    opened: list[str] = []
    ended: list[Call] = []

    def before(module: nn.Module, inputs: tuple[object, ...]) -> None:
        opened.append(names[module])

    def after(module: nn.Module, inputs: tuple[object, ...], output: object) -> None:
        opened.pop()
        ended.append(Call(names[module], tuple(opened), _shape(inputs[0] if inputs else None), _shape(output)))

    handles = [module.register_forward_pre_hook(before) for module in names]
    handles += [module.register_forward_hook(after) for module in names]
    try:
        with evaluating(net), torch.no_grad():
            net(images)
    finally:
        for handle in handles:
            handle.remove()
    return ended


def _shape(value: object) -> tuple[int, ...]:
    return tuple(value.shape) if isinstance(value, Tensor) else ()


def _side(shape: tuple[int, ...]) -> int:
    """The side of a square map in either layout; 0 for anything else."""
    if len(shape) != 4:
        return 0
    return shape[2] if shape[2] == shape[3] else shape[1] if shape[1] == shape[2] else 0


def _drops(net: nn.Module, call: Call) -> bool:
    return isinstance(net.get_submodule(call.name), nn.modules.dropout._DropoutNd)


def _is_cube(call: Call) -> bool:
    return len(set(call.outputs[1:])) == 1


def _is_channels_last(call: Call) -> bool:
    return call.outputs[2] != call.outputs[3]


def _is_token_block(net: nn.Module, call: Call) -> bool:
    """Whether it is a block in a chain of blocks that maps [N, tokens, width] to the same shape."""
    parent = net.get_submodule(call.name.rpartition(".")[0])
    module = net.get_submodule(call.name)
    chained = type(parent) in (nn.Sequential, nn.ModuleList) and type(module) is not nn.Sequential
    return chained and any(module.children()) and len(call.outputs) == 3 and call.inputs == call.outputs


def _halving(net: nn.Module, calls: list[Call]) -> dict[str, int]:
    """The input resolutions of the blocks that change the resolution once, by name."""
    found = {}
    for call in calls:
        before, after = _side(call.inputs), call.side
        module = net.get_submodule(call.name)
        if before > 1 and after not in (0, before) and type(module) is not nn.Sequential and any(module.children()):
            within = {inner.side for inner in calls if call.name in inner.inside} - {0, 1}
            if within <= {before, after}:
                found[call.name] = before
    return found


def _last_at_each_side(calls: list[Call], halving: dict[str, int]) -> list[Call]:
    """Only falling resolutions count: a pooling that pads a small map to a larger one is no stage."""
    last: dict[int, Call] = {}
    for call in calls:
        early = any(halving.get(name) == call.side for name in call.inside)
        if call.side > 1 and not early and call.side <= min(last, default=call.side):
            last[call.side] = call
    return list(last.values())
