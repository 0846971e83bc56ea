"""An exponential moving average (EMA) of a network's weights, which is evaluated and kept in their place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

Weights = dict[str, Tensor]


def update_average(average: Weights, learner: nn.Module, decay: float, updates: int) -> None:
    """Updates `average` with the learner's weights and statistics, in place, after `updates` earlier updates.

    average ← d · average + (1 − d) · weights (Polyak & Juditsky 1992; Tarvainen & Valpola 2017, arXiv:1703.01780) with
    d = min(decay, (1 + updates) / (10 + updates)), so that the initial weights soon lose their influence. Values that
    do not change stay bit-identical; integers are copied.
    """
    now = learner.state_dict()
    moving = [name for name, tensor in average.items() if tensor.is_floating_point()]
    share = 1 - min(decay, (1 + updates) / (10 + updates))
    with torch.no_grad():
        torch._foreach_lerp_([average[name] for name in moving], [now[name] for name in moving], share)
        for name in average.keys() - set(moving):
            average[name].copy_(now[name])


@contextmanager
def swapped_in(average: Weights | None, learner: nn.Module) -> Iterator[None]:
    """Within the context the learner has the averaged weights, if there are any; its own are restored at the end."""
    if average is None:
        yield
        return
    own = {name: tensor.detach().clone() for name, tensor in learner.state_dict().items()}
    learner.load_state_dict(average)
    try:
        yield
    finally:
        learner.load_state_dict(own)
