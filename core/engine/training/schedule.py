"""The training schedule: its length, and the curves of learning rate and momentum."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

Curve = Literal["cosine", "one_cycle", "step", "constant"]
CURVES: tuple[Curve, ...] = get_args(Curve)
RISE = 0.3  # share of all steps in which one_cycle rises; Smith & Topin 2018, arXiv:1708.07120, as torch's OneCycleLR
START, END = 1 / 25, 1 / 25e4  # of the peak, at the start and end of one_cycle
MOMENTA = (0.95, 0.85)  # of one_cycle: at the lowest rate, and at its peak
SMALLEST_BATCH = 16  # images to which `least` shrinks a batch at most; chosen with it, see tests/bench/small_sets.py
TOO_FEW = 3  # images in a last batch: batch norm's variances over them would be noise, or undefined for a single one
FALLS = (0.5, 0.75)  # fractions of all steps after which `step` drops to a tenth; He et al. 2016, arXiv:1512.03385


@dataclass(frozen=True)
class Schedule:
    """Length and rates of training. A `learning_rate` of 0 is found by a range test; the rates of optimizer groups
    are then relative to it.

    `curve`: the shape of the rate, after a linear warm-up over the fraction `warmup` (one_cycle has its own rise).
    `views` 0 augments differently in every epoch; V > 0 cycles through V fixed views, the first without augmentation,
    so that a teacher's outputs can be cached. `batches` fixes the length of an epoch; `least` is its minimum number of
    steps: a set too small for them is trained in smaller batches, down to 16 images, and then repeated. `mixup` and
    `cutmix` are the α of Beta(α, α), 0 disables mixing; `erasing` is the probability that a rectangle of an image is
    erased; `average` the decay of an exponential moving average of the weights, which is then evaluated and kept in
    their place, 0 disables it.
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
    least: int = 0

    def size(self, images: int) -> int:
        """Images in a batch, for a set of `images`."""
        whole = min(self.batch, images)
        if not self.least or self.batches:
            return whole
        return min(whole, max(SMALLEST_BATCH, images // self.least))

    def length(self, images: int) -> int:
        """Steps in an epoch, for a set of `images`."""
        return self.batches or max(self._whole(images), self.least)

    def drawn(self, images: int) -> int:
        """Images used in an epoch, for a set of `images`; more than that if some are repeated."""
        again = bool(self.batches) or self._whole(images) < self.least
        return self.size(images) * self.length(images) if again else images

    def _whole(self, images: int) -> int:
        """Steps that use every image once; a last batch too small for a meaningful variance is left out."""
        return max(1, math.ceil((images - TOO_FEW) / self.size(images)))

    def rate(self, step: int, total: int) -> float:
        """The fraction of the peak learning rate in `step` of `total`, from 0 to 1."""
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
        """The momentum (AdamW's β₁) in `step` of `total`; None leaves it unchanged."""
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
