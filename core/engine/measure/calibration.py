"""Calibration: is a network that reports 80 % correct 80 times in 100? And how certain is an accuracy of n images?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import UserError
from core.statistics.intervals import wilson


@dataclass(frozen=True)
class Bin:
    """The predictions whose confidence is in (`low`, `high`]: their mean confidence, accuracy and number.

    An empty bin has confidence and accuracy 0; check `count` first.
    """

    low: float
    high: float
    confidence: float
    accuracy: float
    count: int


def reliability(probabilities: ArrayLike, labels: ArrayLike, bins: int = 15) -> tuple[Bin, ...]:
    """The reliability diagram (Guo et al. 2017, https://arxiv.org/abs/1706.04599): `bins` bins of equal width,
    closed on the right, by the largest probability of each row.

    probabilities [N, C] with rows that sum to 1, labels [N] from 0 to C − 1. Raises UserError for anything else.
    """
    p, y = _checked(probabilities, labels, bins)
    confidence, hit = p.max(axis=1), p.argmax(axis=1) == y
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    some = np.maximum(count, 1)
    means = np.bincount(place, confidence, bins) / some
    hits = np.bincount(place, hit, bins) / some
    rows = zip(edges[:-1], edges[1:], means, hits, count, strict=True)
    return tuple(Bin(float(a), float(b), float(c), float(d), int(n)) for a, b, c, d, n in rows)


def expected_calibration_error(probabilities: ArrayLike, labels: ArrayLike, bins: int = 15) -> float:
    """The mean gap between confidence and accuracy over the bins, weighted by their counts; 0 is perfect, at most 1.

    Guo et al. 2017, equation 3. Shapes and errors as in `reliability`.
    """
    diagram = reliability(probabilities, labels, bins)
    total = sum(bin.count for bin in diagram)
    return sum(bin.count * abs(bin.accuracy - bin.confidence) for bin in diagram) / total


def wilson_interval(correct: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """The interval (low, high) around the accuracy `correct` / `total` (Wilson 1927, without continuity correction).

    Within 0 … 1 and not empty for 0 or `total` correct, unlike the normal interval. Raises UserError for impossible
    counts.
    """
    if not 0 <= correct <= total or total < 1:
        raise UserError(
            "out_of_range", "correct", f"{correct} of {total}", "0 to total, total at least 1", "Check the counts."
        )
    if not 0 < confidence < 1:
        raise UserError("out_of_range", "confidence", confidence, "a number between 0 and 1", "Use 0.95.")
    low, high = wilson(correct / total, total, confidence)
    return (0.0 if correct == 0 else low, 1.0 if correct == total else high)


def _checked(probabilities: ArrayLike, labels: ArrayLike, bins: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    p, y = np.asarray(probabilities, dtype=np.float64), np.asarray(labels)
    if p.ndim != 2 or y.ndim != 1 or len(p) != len(y) or not len(p):
        raise UserError(
            "wrong_shape", "probabilities", f"{p.shape} and {y.shape}", "[N, C] and [N], N ≥ 1", "Pair them."
        )
    if not np.isfinite(p).all() or p.min() < 0 or np.abs(p.sum(axis=1) - 1).max() > 1e-3:
        raise UserError("not_probabilities", "probabilities", "other rows", "rows that sum to 1", "Apply a softmax.")
    if y.dtype.kind not in "iu" or y.min() < 0 or y.max() >= p.shape[1]:
        allowed = f"whole numbers from 0 to {p.shape[1] - 1}"
        raise UserError("unknown_label", "labels", f"{y.min()} to {y.max()} ({y.dtype})", allowed, "Index the classes.")
    if bins < 1:
        raise UserError("out_of_range", "bins", bins, "a whole number of at least 1", "Use 15.")
    return p, y.astype(np.int64)
