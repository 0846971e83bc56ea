"""Finding a learning rate: a short training at ever higher rates, after which everything is as it was before."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count, islice

import torch
from torch import Tensor, nn

from core.engine.context import Context
from core.engine.seeds import counter_seed
from core.engine.training.batches import Batch, Feed

LOWEST, HIGHEST = 1e-6, 1.0
BATCHES = 60  # a tenfold higher rate every ten batches
SMOOTHING = 0.8  # share of the past in the smoothed loss
TOO_HIGH = 3.0  # times the lowest loss: what comes after tells nothing
MARGIN = 10.0  # the rate of the lowest loss is about to diverge: a tenth of it is taken
BEGINNING = 10  # batches at rates too low to change anything
FELL, ABOUT = 0.8, 1.05  # times a loss: clearly below it, and about equal to it

Step = Callable[[Batch], Tensor]


def find_learning_rate(
    feed: Feed, learner: nn.Module, optimizer: torch.optim.Optimizer, step: Step, context: Context
) -> float | None:
    """The learning rate of a range test (Smith 2015, arXiv:1506.01186), to two digits; None where the loss never fell.

    `step` trains on one batch, at the rates the optimizer's groups hold, and returns its loss. The groups' `base` are
    shares of the rate. Weights, optimizer, modes and random state are bit for bit as before when it returns or raises.
    """
    rates: list[float] = []
    losses: list[float] = []
    with _undone(learner, optimizer, context.device):
        for number, batch in enumerate(islice(_endless(feed), BATCHES)):
            context.stop_if_cancelled()
            rates.append(LOWEST * (HIGHEST / LOWEST) ** (number / (BATCHES - 1)))
            for group in optimizer.param_groups:
                group["lr"] = group["base"] * rates[-1]
            torch.manual_seed(counter_seed(*context.place, "range test", number))
            losses.append(float(step(batch)))
            if not math.isfinite(losses[-1]) or smooth(losses)[-1] > TOO_HIGH * min(smooth(losses)):
                break
    return choose(rates, losses)


def choose(rates: Sequence[float], losses: Sequence[float]) -> float | None:
    """A tenth of the highest rate at which the smoothed loss is about as low as it gets, to two digits.

    Where it never fell by a fifth, the network knows nearly all already: then a tenth of the rate from which the loss
    rises. None where it rises from the first.
    """
    smoothed = smooth(losses)
    finite = [loss for loss in smoothed if math.isfinite(loss)]
    if not finite:
        return None
    first = sum(finite[:BEGINNING]) / len(finite[:BEGINNING])
    level = min(finite) if min(finite) < FELL * first else first
    last = max((n for n, loss in enumerate(smoothed) if loss <= ABOUT * level), default=0)
    return float(f"{rates[last] / MARGIN:.1e}") if last else None


def smooth(losses: Sequence[float]) -> list[float]:
    """The exponential average of `losses`, without the bias of its beginning."""
    smoothed, average = [], 0.0
    for number, loss in enumerate(losses, 1):
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        smoothed.append(average / (1 - SMOOTHING**number))
    return smoothed


def _endless(feed: Feed) -> Iterator[Batch]:
    for epoch in count():
        yield from feed.epoch(epoch)


@contextmanager
def _undone(learner: nn.Module, optimizer: torch.optim.Optimizer, device: torch.device) -> Iterator[None]:
    """Everything that a training step changes is put back at the end."""
    weights = {name: tensor.detach().clone() for name, tensor in learner.state_dict().items()}
    moments = copy.deepcopy(optimizer.state_dict())
    modes = [(module, module.training) for module in learner.modules()]
    drawn = torch.get_rng_state()
    drawn_there = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    try:
        yield
    finally:
        learner.load_state_dict(weights)
        optimizer.load_state_dict(moments)
        optimizer.zero_grad(set_to_none=True)
        for module, training in modes:
            module.training = training
        torch.set_rng_state(drawn)
        if drawn_there is not None:
            torch.cuda.set_rng_state(drawn_there, device)
