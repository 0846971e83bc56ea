"""Bit allocation: bits per layer with the least total loss under a byte budget, solved as an integer program."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from scipy.optimize import Bounds, LinearConstraint, milp

from core.engine.measure.graph import Layer
from core.engine.quantize.arithmetic import packed_size
from core.engine.quantize.validation import Evaluator
from core.engine.quantize.weights import least_error_rounding, shrink
from core.errors import UserError

Losses = Mapping[tuple[str, int], float]  # by weight and bits: increase in validation loss if it alone is rounded
TIE = 1e-9  # prefers more bits at equal loss; too small to affect measurable differences
UNIT = 1e-4  # nats of the solver's numbers: it takes choices for equal that are closer than 1e-6 of them
HOPELESS = 1e3  # nats: losses beyond it count as this much, so that the solver's numbers stay in range


def sensitivities(
    model: onnx.ModelProto, chosen: tuple[Layer, ...], bits: tuple[int, ...], evaluator: Evaluator, images: int
) -> Losses:
    """The increase in validation loss on that many images when a single layer is rounded; a decrease counts as 0."""
    exact = evaluator(model, images).loss
    found = {}
    for layer in chosen:
        for number in bits:
            graph = onnx.ModelProto()
            graph.CopyFrom(model)
            shrink(graph, (layer,), least_error_rounding(number), "cast")
            found[layer.weight, number] = max(0.0, evaluator(graph, images).loss - exact)
    return found


def least_bytes(sizes: Mapping[str, int], bits: tuple[int, ...]) -> int:
    """The bytes of the weights at the fewest bits."""
    return sum(packed_size(size, min(bits)) for size in sizes.values())


def check_budget(budget: int, sizes: Mapping[str, int], bits: tuple[int, ...]) -> None:
    """Raises UserError, naming the smallest possible budget, if `budget` cannot be reached."""
    least = least_bytes(sizes, bits)
    if budget < least:
        allowed = f"at least {least} bytes: {min(bits)} bits for every weight of this network"
        fix = f"Set budget to {least} or more, or prune the network first."
        raise UserError("budget_unreachable", "budget", budget, allowed, fix)


def allocate(sizes: Mapping[str, int], bits: tuple[int, ...], losses: Losses, budget: int) -> dict[str, int]:
    """Bits by weight, given their sizes: the choice of least total loss whose packed bytes do not exceed `budget`.

    Raises UserError as `check_budget` does. Source: integer programming as in Hubara et al. 2020, arXiv:2006.10518.
    """
    check_budget(budget, sizes, bits)
    choices = [(name, number) for name in sizes for number in bits]
    costs = np.array([min(losses[choice], HOPELESS) - TIE * choice[1] for choice in choices]) / UNIT
    weights = np.array([[packed_size(sizes[name], number) for name, number in choices]], np.float64)
    one_each = np.array([[float(name == other) for other, _ in choices] for name in sizes])
    limits = [LinearConstraint(weights, ub=budget), LinearConstraint(one_each, 1, 1)]
    whole, exact = np.ones(len(choices)), {"mip_rel_gap": 0.0}
    solved = milp(costs, integrality=whole, bounds=Bounds(0, 1), constraints=limits, options=exact)
    if solved.x is None:
        raise RuntimeError(f"no allocation of bits was found: {solved.message}")
    return {name: number for (name, number), taken in zip(choices, solved.x, strict=True) if taken > 0.5}
