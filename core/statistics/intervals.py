"""Confidence intervals of accuracies, and the quantiles that those of means take."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

# two-sided 95 % quantiles of Student's t for 1, 2, … degrees of freedom; a recipe has at most ten seeds
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
LOPSIDED = 0.003  # of an interval: its middle is so far from the share that half of its width would say too little


def wilson(share: float, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """The Wilson score interval (low, high) of a `share` of `total` ≥ 1 trials, within 0 … 1 (Wilson 1927, without
    continuity correction)."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    z2 = z * z
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = z / (1 + z2 / total) * sqrt(share * (1 - share) / total + z2 / (4 * total * total))
    return max(0.0, centre - half), min(1.0, centre + half)


def around(share: float, low: float, high: float) -> float:
    """The ± of a `share` whose interval is (`low`, `high`): half of its width; where it reaches farther to one side, as
    next to 0 and 1 and for few trials, the way to the farther end, so that ± never promises too much."""
    half, farther = (high - low) / 2, max(high - share, share - low)
    return farther if farther - half > LOPSIDED else half


def student(samples: int) -> float:
    """The two-sided 95 % quantile of Student's t for `samples` − 1 ≥ 1 degrees of freedom."""
    return STUDENT[samples - 2] if samples - 2 < len(STUDENT) else NormalDist().inv_cdf(0.975)
