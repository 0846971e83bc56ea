"""Trainable fake quantizers: the network trains with rounded weights and activations, gradients pass the rounding.

Batch norms are kept. Folding one multiplies a whole channel, and the grids are symmetric with a step for each channel,
so a grid of 2^b − 1 levels before folding is still one afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from core.engine.quantize.arithmetic import fake_quantize, spread
from core.engine.quantize.calibration import BINS, Histogram, Range, divisible, mse

LEAST = 1e-8  # a step or span never reaches zero
TOP = 255  # of unsigned 8-bit activations


def rounded(values: Tensor) -> Tensor:
    """`values` rounded to the nearest integer; the gradient passes unchanged (straight-through estimator, Bengio et al.
    2013, arXiv:1308.3432)."""
    return values + (values.round() - values).detach()


def scaled_gradient(values: Tensor, factor: float) -> Tensor:
    """`values` unchanged, with their gradient multiplied by `factor`."""
    return (values - values * factor).detach() + values * factor


class LearnedStep(nn.Module):
    """Learned step size: weights [C, …] rounded to multiples of a step per channel, which is trained with them.

    Esser et al. 2020, arXiv:1902.08153: starts at 2·mean|w|/√top; its gradient is divided by √(weights · top).
    """

    def __init__(self, weight: Tensor, bits: int) -> None:
        super().__init__()
        self.top = 2 ** (bits - 1) - 1
        self.gain = 1 / float(np.sqrt(weight[0].numel() * self.top))
        start = 2 * weight.detach().abs().flatten(1).mean(1) / float(np.sqrt(self.top))
        self.step = nn.Parameter(start.clamp(min=LEAST))

    def forward(self, weight: Tensor) -> Tensor:
        step = spread(scaled_gradient(self.step, self.gain).clamp(min=LEAST), 0, weight.ndim)
        return rounded((weight / step).clamp(-self.top, self.top)) * step


class StraightThrough(nn.Module):
    """Weights [C, …] rounded to the grid given by each channel's largest weight; the grid itself is not learned."""

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = bits

    def forward(self, weight: Tensor) -> Tensor:
        return weight + (fake_quantize(weight, self.bits, 0) - weight).detach()


class LearnedRange(nn.Module):
    """Unsigned 8-bit activations over a range [low ≤ 0, high ≥ 0] whose ends are trained (LSQ with an offset, Bhalgat
    et al. 2020, arXiv:2004.09576)."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low = nn.Parameter(torch.tensor(min(low, 0.0)))
        self.high = nn.Parameter(torch.tensor(max(high, LEAST)))

    def forward(self, values: Tensor) -> Tensor:
        gain = 1 / float(np.sqrt(values[0].numel() * TOP))
        low = scaled_gradient(self.low, gain).clamp(max=0)
        high = scaled_gradient(self.high, gain).clamp(min=LEAST)
        scale = (high - low) / TOP
        zero = rounded(-low / scale)
        return (rounded((values / scale + zero).clamp(0, TOP)) - zero) * scale

    def range(self) -> Range:
        """The current range."""
        return min(float(self.low.detach()), 0.0), max(float(self.high.detach()), LEAST)


def weight_layers(net: nn.Module) -> dict[str, nn.Conv2d | nn.Linear]:
    """The layers whose weights are rounded, by name."""
    return {name: m for name, m in net.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}


def weights(net: nn.Module) -> dict[str, tuple[nn.Module, str]]:
    """Where the weights to be rounded are stored: by name, a module and the name of its tensor.

    Attention keeps those of its queries, keys and values in one tensor of its own, which belongs to no layer.
    """
    found: dict[str, tuple[nn.Module, str]] = {name: (layer, "weight") for name, layer in weight_layers(net).items()}
    for name, module in net.named_modules():
        if isinstance(module, nn.MultiheadAttention) and module.in_proj_weight is not None:
            found[name] = (module, "in_proj_weight")
    return found


def attach_weights(net: nn.Module, quantizer: Callable[[str, Tensor], nn.Module]) -> None:
    """From now on every layer computes with its weight passed through `quantizer(name, weight)`."""
    for name, (module, tensor) in weights(net).items():
        parametrize.register_parametrization(module, tensor, quantizer(name, getattr(module, tensor).detach()))


def bake_weights(net: nn.Module) -> None:
    """Makes the rounded weights the layers' own and removes the quantizers."""
    for module, tensor in weights(net).values():
        if parametrize.is_parametrized(module, tensor):
            parametrize.remove_parametrizations(module, tensor, leave_parametrized=True)


@contextmanager
def attached_ranges(net: nn.Module, ranges: Mapping[str, nn.Module]) -> Iterator[None]:
    """Within the context, the input of each named layer passes through its quantizer first."""
    layers = weight_layers(net)

    def enter(quantizer: nn.Module) -> Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor, ...]]:
        return lambda module, inputs: (quantizer(inputs[0]), *inputs[1:])

    handles = [layers[name].register_forward_pre_hook(enter(quantizer)) for name, quantizer in ranges.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


Seen = Callable[[str, Tensor], None]


def watch_inputs(net: nn.Module, images: Iterable[Tensor], see: Seen) -> None:
    """Calls `see` with the name and input of every layer, in the order in which they run."""

    def hook(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda module, inputs: see(name, inputs[0])

    handles = [layer.register_forward_pre_hook(hook(name)) for name, layer in weight_layers(net).items()]
    try:
        with torch.no_grad():
            for batch in images:
                net.eval()(batch)
    finally:
        for handle in handles:
            handle.remove()


def same_inputs(net: nn.Module, example: Tensor) -> dict[str, str]:
    """By layer, in execution order, the first layer that reads the same tensor object."""
    held: list[tuple[str, Tensor]] = []  # kept alive, so that no id is reused
    watch_inputs(net, [example], lambda name, value: held.append((name, value)))
    first: dict[int, str] = {}
    return {name: first.setdefault(id(value), name) for name, value in held}


def input_ranges(net: nn.Module, images: list[Tensor]) -> dict[str, Range]:
    """The range of each layer's input over which 256 levels give the least squared error."""
    full: dict[str, Range] = {}
    counts: dict[str, Histogram] = {}

    def widen(name: str, value: Tensor) -> None:
        low, high = full.get(name, (0.0, 0.0))
        full[name] = (min(low, float(value.min())), max(high, float(value.max())))

    def count(name: str, value: Tensor) -> None:
        if divisible(full[name]):
            array = value.float().cpu().numpy()
            counts[name] = counts.get(name, 0) + np.histogram(array, BINS, full[name])[0]

    watch_inputs(net, images, widen)
    watch_inputs(net, images, count)
    return {name: mse(counts[name], full[name]) if name in counts else full[name] for name in full}
