"""Confidence intervals of accuracies."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist


def wilson(share: float, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """The Wilson score interval (low, high) of a `share` of `total` ≥ 1 trials, within 0 … 1 (Wilson 1927, without
    continuity correction)."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    z2 = z * z
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = z / (1 + z2 / total) * sqrt(share * (1 - share) / total + z2 / (4 * total * total))
    return max(0.0, centre - half), min(1.0, centre + half)
