"""How long and how fast: the plan of a training, and the course of its learning rate and momentum."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

Curve = Literal["cosine", "one_cycle", "step", "constant"]
CURVES: tuple[Curve, ...] = get_args(Curve)
RISE = 0.3  # share of all steps in which one_cycle rises; Smith & Topin 2018, arXiv:1708.07120, as torch's OneCycleLR
START, END = 1 / 25, 1 / 25e4  # of the peak, where one_cycle begins and ends
MOMENTA = (0.95, 0.85)  # one_cycle's: where the rate is lowest, and at its peak
FALLS = (0.5, 0.75)  # shares of all steps after which `step` takes a tenth; He et al. 2016, arXiv:1512.03385


@dataclass(frozen=True)
class Schedule:
    """How long and how fast. A `learning_rate` of 0 is found by a range test; optimizer groups then give shares of it.

    `curve`: its course, with the share `warmup` of linear rise before it (one_cycle rises by itself). `views` 0
    augments anew every epoch; V > 0 cycles through V fixed views, the first without augmentation, so that a teacher's
    outputs can be cached. `batches` fixes the length of an epoch. `mixup` and `cutmix` are the α of Beta(α, α), 0
    mixes nothing; `erasing` the chance that a rectangle of an image is erased; `average` the decay of an exponential
    average of the weights, which is then judged and kept in their place, 0 keeps none.
    """

    epochs: int
    batch: int
    learning_rate: float
    optimizer: Literal["sgd", "adamw"] = "sgd"
    weight_decay: float = 5e-4
    warmup: float = 0.15
    augment: str = "none"
    views: int = 0
    batches: int = 0
    patience: int = 0
    curve: Curve = "cosine"
    mixup: float = 0.0
    cutmix: float = 0.0
    erasing: float = 0.0
    average: float = 0.0

    def rate(self, step: int, total: int) -> float:
        """The share of the peak learning rate in `step` of `total`, from 0 to 1."""
        if self.curve == "one_cycle":
            return _one_cycle(step, total, START, 1.0, END)
        rise = max(1.0, self.warmup * total)
        if step < rise:
            return (step + 1) / (rise + 1)
        if self.curve == "constant":
            return 1.0
        if self.curve == "step":
            return 0.1 ** sum(step >= share * total for share in FALLS)
        return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1.0, total - rise)))

    def momentum(self, step: int, total: int) -> float | None:
        """The momentum (AdamW's β₁) in `step` of `total`; None leaves it as it is."""
        low, high = MOMENTA
        return _one_cycle(step, total, low, high, low) if self.curve == "one_cycle" else None


def _one_cycle(step: int, total: int, start: float, peak: float, end: float) -> float:
    """Half a cosine from `start` to `peak`, then one to `end`."""
    top = max(1.0, RISE * total - 1)
    if step <= top:
        return _between(start, peak, step / top)
    return _between(peak, end, (step - top) / max(1.0, total - 1 - top))


def _between(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * min(1.0, share)))
