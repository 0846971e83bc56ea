"""One temperature for all logits, so that confidence says how often a network is right: no answer changes.

Guo et al. 2017, On Calibration of Modern Neural Networks, arXiv:1706.04599, section 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

Array = NDArray[np.float64]
BOUNDS = (0.05, 20.0)  # temperatures that are looked at
PRECISION = 1e-7  # of the temperature's logarithm


@dataclass(frozen=True)
class Fitted:
    """The temperature with the least mean negative log-likelihood in nats, and that without it (`before`) and with it
    (`after`). `unbounded`: where every answer is right a smaller one always fits still better, so it stays at 1."""

    temperature: float
    before: float
    after: float
    unbounded: bool = False


def nll(logits: Array, labels: NDArray[np.int64], temperature: float = 1.0) -> float:
    """The mean negative log-likelihood in nats of logits [N, C] for labels [N]."""
    found: Array = log_softmax(logits / temperature, axis=1)
    return float(-found[np.arange(len(labels)), labels].mean())


def fit(logits: Array, labels: NDArray[np.int64]) -> Fitted:
    """The best temperature for logits [N, C] and labels [N], within BOUNDS; 1 where none is better. The loss is convex
    in its inverse, so that the one minimum is found."""
    before = nll(logits, labels)
    if bool((logits.argmax(axis=1) == labels).all()):
        return Fitted(1.0, before, before, unbounded=True)
    found = minimize_scalar(
        lambda power: nll(logits, labels, float(np.exp(power))),
        bounds=tuple(np.log(BOUNDS)),
        method="bounded",
        options={"xatol": PRECISION},
    )
    best = float(np.exp(found.x))
    after = nll(logits, labels, best)
    return Fitted(best, before, after) if after < before else Fitted(1.0, before, before)
