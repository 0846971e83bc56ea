"""Finds a learning rate: a short training run at increasing rates, after which the previous state is restored."""

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
BATCHES = 60  # the rate grows tenfold every ten batches
SMOOTHING = 0.8  # weight of the past in the smoothed loss
TOO_HIGH = 3.0  # times the lowest loss: what follows is uninformative
MARGIN = 10.0  # at the rate of the lowest loss training is close to diverging: a tenth of it is used
BEGINNING = 10  # batches at rates too low to have an effect
FELL, ABOUT = 0.8, 1.05  # times a loss: clearly below it, and about equal to it

Step = Callable[[Batch], Tensor]


def find_learning_rate(
    feed: Feed, learner: nn.Module, optimizer: torch.optim.Optimizer, step: Step, context: Context
) -> float | None:
    """The learning rate of a range test (Smith 2015, arXiv:1506.01186), to two digits; None if the loss never fell.

    `step` trains on one batch, at the rates in the optimizer's groups, and returns its loss. The groups' `base` are
    factors of the rate. Weights, optimizer, modes and random state are restored bit for bit on return or exception.
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
    """A tenth of the highest rate at which the smoothed loss is close to its minimum, to two digits.

    If it never fell by a fifth, the network is already well trained: then a tenth of the rate from which the loss
    rises. None if it rises from the start.
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
    """The exponential moving average of `losses`, with bias correction."""
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
    """Restores at the end everything that a training step changes."""
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
