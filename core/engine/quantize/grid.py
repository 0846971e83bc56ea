"""The integers behind float weights that already lie on a grid, read back from the weights alone.

Training on a grid leaves every channel at whole multiples of one step. Folding a batch norm into the convolution
multiplies a channel by one number, so it stays on a grid of as many levels: the float file holds all that is needed.
"""

from __future__ import annotations

import torch
from torch import Tensor

from core.engine.quantize.arithmetic import Quantized, spread

LOOKED_AT = 64  # weights of a channel that a number of levels must fit before all are looked at
NEAR = 1e-3  # of a step: float32 leaves about 1e-5 of it after folding


def read_grid(values: Tensor, bits: int, axis: int) -> Quantized | None:
    """The symmetric integers (−(2^(b−1)−1) … 2^(b−1)−1) and the scale of each channel along `axis` that give `values`;
    None where a channel lies on no such grid. A channel of zeros has scale 1."""
    rows = values.detach().double().movedim(axis, 0).reshape(values.shape[axis], -1)
    largest = rows.abs().amax(1)
    levels = torch.zeros(len(rows), dtype=torch.float64)  # of the largest weight; 0: not found yet
    few = rows[:, :: max(1, rows.shape[1] // LOOKED_AT)]
    for top in range(1, 2 ** (bits - 1)):
        left = (levels == 0).nonzero().flatten()
        left = left[_fits(few[left], largest[left], top)]
        levels[left[_fits(rows[left], largest[left], top)]] = top
    if bool((levels == 0).any()):
        return None
    scale = torch.where(largest > 0, largest / levels, torch.ones_like(largest))
    integers = (values.double() / spread(scale, axis, values.ndim)).round().to(torch.int32)
    return Quantized(integers, scale.float(), torch.zeros(len(scale), dtype=torch.int32))


def _fits(rows: Tensor, largest: Tensor, top: int) -> Tensor:
    """Which rows lie on whole multiples of their largest magnitude divided by `top`."""
    scaled = rows * (top / largest.clamp(min=torch.finfo(torch.float64).tiny))[:, None]
    return (scaled - scaled.round()).abs().amax(1) < NEAR
