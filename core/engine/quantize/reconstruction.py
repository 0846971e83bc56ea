"""AdaRound: rounds each weight up or down so that the layer's outputs on real images change least.

Nagel et al. 2020, arXiv:2004.10568, equations 21 to 24. A layer's squared error over all calibration images is a
quadratic form of its weights' errors, whose matrix is the second moment of the layer's input; so the images are read
once and every step of the optimisation takes all of them into account.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor
from torch.nn import functional as F

from core.engine.measure.graph import Layer
from core.engine.quantize import Calibration
from core.engine.quantize.arithmetic import Quantized, spread
from core.engine.quantize.calibration import chunks, runner
from core.engine.quantize.weights import Stored
from core.errors import UserError

STEPS, RATE = 600, 0.02
STRETCH = (-0.1, 1.1)  # range of the stretched sigmoid, so that it reaches 0 and 1
PRESSURE = 0.1  # weight of the rounding regularizer, relative to the error of nearest rounding
WARM = 0.2  # share of the steps before the regularizer sets in
SHARP = (20.0, 2.0)  # exponent of the regularizer, from first to last step


@dataclass(frozen=True)
class Reader:
    """How a layer reads its input [N, …]: its weight as [groups, outputs, K], and second moments [groups, K, K]."""

    layer: Layer
    node: onnx.NodeProto
    groups: int

    def rows(self, weight: Tensor) -> Tensor:
        """[groups, outputs of a group, K] of a weight tensor shaped as in the file."""
        return weight.movedim(self.layer.axis, 0).reshape(self.groups, weight.shape[self.layer.axis] // self.groups, -1)

    def tensor(self, rows: Tensor) -> Tensor:
        """The inverse of `rows`."""
        shape = list(self.layer.shape)
        outputs = shape.pop(self.layer.axis)
        return rows.reshape(outputs, *shape).movedim(0, self.layer.axis)

    def moments(self, values: Tensor) -> Tensor:
        """Sum of x·xᵀ over every position at which the weights are applied to the input, [groups, K, K], float64."""
        if self.layer.op == "Conv":
            patches = _patches(values, self.layer.shape, self.node)  # [N, C·k·k, places]
            read = patches.reshape(len(values), self.groups, -1, patches.shape[-1])
            read = read.permute(1, 2, 0, 3).reshape(self.groups, read.shape[2], -1)
        else:
            read = values.reshape(-1, values.shape[-1]).T[None]
        return (read @ read.transpose(1, 2)).double()


def adaptive(
    model: onnx.ModelProto, chosen: tuple[Layer, ...], start: dict[str, Stored], images: Calibration, limit: int
) -> tuple[dict[str, Stored], int]:
    """By weight, the integers of `start` (nearest rounding) or their neighbours, whichever changes each channel's
    outputs on at most `limit` images less; and the number of images used. A grouped layer other than a convolution, and
    a weight that two layers share, keep those of `start`. Raises UserError if there are no images."""
    readers = _readers(model, chosen)
    weights = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in model.graph.initializer if t.dims}
    moments, seen = _moments(model, readers, images, limit)
    found = dict(start)
    for reader, moment in zip(readers, moments, strict=True):
        name = reader.layer.weight
        old = Quantized(torch.from_numpy(start[name].integers), torch.from_numpy(start[name].scale), torch.zeros(1))
        new = reconstruct(weights[name], old, start[name].bits, moment, reader, images.rest)
        found[name] = Stored(name, start[name].bits, start[name].axis, new.numpy(), start[name].scale)
    return found, seen


def reconstruct(
    weight: Tensor, nearest: Quantized, bits: int, moment: Tensor, reader: Reader, rest: Callable[[], None]
) -> Tensor:
    """The integers [like weight] whose outputs are closest to those of `weight` for inputs with that second moment;
    channels that do not improve keep those of `nearest`. Single changes then refine the result of the optimisation."""
    top = 2 ** (bits - 1) - 1
    step = reader.rows(spread(nearest.scale, reader.layer.axis, weight.ndim).expand_as(weight))
    exact = reader.rows(weight) / step
    before = reader.rows(nearest.integers).float()
    moment = moment.float()
    reference = _error(before - exact, step, moment).clamp(min=1e-12)
    floor, choice = exact.floor(), _start(exact)
    optimizer = torch.optim.Adam([choice], RATE)
    with torch.enable_grad():
        for number in range(STEPS):
            rest()
            up = _stretched(choice)
            error = _error((floor + up).clamp(-top, top) - exact, step, moment) / reference
            loss = error.sum() + _pressure(up, number / STEPS) / exact.shape[-1] ** 0.5
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    after = (floor + (_stretched(choice.detach()) >= 0.5)).clamp(-top, top)
    better = _error(after - exact, step, moment) < reference
    chosen = torch.where(better[..., None], after, before)
    return reader.tensor(_flipped(chosen, exact, step, moment, top, rest)).to(torch.int32)


def _flipped(
    integers: Tensor, exact: Tensor, step: Tensor, moment: Tensor, top: int, rest: Callable[[], None]
) -> Tensor:
    """`integers` after every single change from floor to ceiling, or back, that still reduces the error, best first."""
    lower, upper = exact.floor().clamp(-top, top), (exact.floor() + 1).clamp(-top, top)
    current = integers.clone()
    slope = 2 * ((current - exact) * step) @ moment
    own = torch.diagonal(moment, dim1=1, dim2=2)[:, None]
    for _ in range(2 * exact.shape[-1]):
        rest()
        change = (torch.where(current == lower, upper, lower) - current) * step
        gain, place = (change * slope + change.square() * own).min(-1, keepdim=True)
        moved = torch.where(gain < -1e-6 * slope.abs().amax(-1, keepdim=True), change.gather(-1, place), 0.0)
        if not bool(moved.any()):
            break
        current.scatter_add_(-1, place, (moved / step.gather(-1, place)).round())
        row = place.squeeze(-1)[..., None].expand(-1, -1, moment.shape[-1])
        slope = slope + 2 * moved * moment.gather(1, row)
    return current


def _error(integers: Tensor, step: Tensor, moment: Tensor) -> Tensor:
    """Squared change of the outputs, [groups, outputs], for errors [groups, outputs, K] in steps."""
    errors = integers * step
    return ((errors @ moment) * errors).sum(-1)


def _start(exact: Tensor) -> Tensor:
    low, high = STRETCH
    share = ((exact - exact.floor()) - low) / (high - low)
    return torch.logit(share).detach().requires_grad_()


def _stretched(choice: Tensor) -> Tensor:
    low, high = STRETCH
    return (choice.sigmoid() * (high - low) + low).clamp(0, 1)


def _pressure(up: Tensor, done: float) -> Tensor:
    if done < WARM:
        return up.new_zeros(())
    first, last = SHARP
    sharp = first + (last - first) * (done - WARM) / (1 - WARM)
    return PRESSURE * (1 - (2 * up - 1).abs().pow(sharp)).sum()


def _readers(model: onnx.ModelProto, chosen: tuple[Layer, ...]) -> list[Reader]:
    nodes = {node.name or node.output[0]: node for node in model.graph.node}
    uses = [layer.weight for layer in chosen]
    found = []
    for layer in chosen:
        node = nodes[layer.name]
        group = next((a.i for a in node.attribute if a.name == "group"), 1)
        if layer.op in ("Conv", "Gemm", "MatMul") and uses.count(layer.weight) == 1 and len(layer.shape) in (2, 4):
            found.append(Reader(layer, node, group))
    return found


def _moments(
    model: onnx.ModelProto, readers: list[Reader], images: Calibration, limit: int
) -> tuple[list[Tensor], int]:
    names = list(dict.fromkeys(reader.node.input[0] for reader in readers))
    run = runner(model, names)
    totals: list[Tensor] = []
    seen = 0
    for chunk in chunks(images, limit):
        seen += len(chunk)
        values = dict(zip(names, map(torch.from_numpy, run(chunk)), strict=True))
        found = [reader.moments(values[reader.node.input[0]]) for reader in readers]
        totals = found if not totals else [old + new for old, new in zip(totals, found, strict=True)]
    if not seen:
        fix = "Check the dataset's training split."
        raise UserError("no_images", "calibration", "no images", "at least one image", fix)
    return totals, seen


def _patches(values: Tensor, shape: tuple[int, ...], node: onnx.NodeProto) -> Tensor:
    given = {a.name: list(a.ints) for a in node.attribute if a.ints}
    top, left, bottom, right = given.get("pads", [0, 0, 0, 0])
    padded = F.pad(values, (left, right, top, bottom))
    dilation, stride = (tuple(given.get(name, [1, 1])) for name in ("dilations", "strides"))
    return F.unfold(padded, shape[2:], dilation, 0, stride)
