"""Distances between two domains in feature space, which adaptation minimises."""

from __future__ import annotations

import torch
from torch import Tensor

from core.errors import UserError

BANDWIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the kernels, as multiples of the mean squared distance of all pairs


def coral(source: Tensor, target: Tensor) -> Tensor:
    """Distance of the second-order statistics of source [N, D] and target [M, D]: ‖C_S − C_T‖²_F / (4 d²).

    Deep CORAL (Sun & Saenko 2016, arXiv:1607.01719, eq. 1–3); covariances are unbiased, divided by N − 1.
    Raises UserError with fewer than two rows in either.
    """
    _check(source, target, least=2)
    difference = covariance(source) - covariance(target)
    return difference.square().sum() / (4 * source.shape[1] ** 2)


def covariance(features: Tensor) -> Tensor:
    """The unbiased covariance [D, D] of features [N, D]."""
    centred = features - features.mean(0)
    return centred.T @ centred / (len(features) - 1)


def mmd(source: Tensor, target: Tensor) -> Tensor:
    """Squared maximum mean discrepancy of source [N, D] and target [M, D], summed over five RBF kernels.

    Biased estimate (diagonal kept, so it is never negative and mmd(x, x) = 0) of Gretton et al. 2012 with the kernels
    of DAN (Long et al. 2015, arXiv:1502.02791): exp(−‖a − b‖² / γ), γ = ¼ … 4 times the mean squared distance of all
    pairs of different rows; no gradient flows through γ. Raises UserError if either has no row.
    """
    _check(source, target, least=1)
    within, across, other = _squared(source, source), _squared(source, target), _squared(target, target)
    rows = len(source) + len(target)
    mean = (within.sum() + 2 * across.sum() + other.sum()).detach() / (rows * (rows - 1))
    # For equal rows, with distances and result 0. Each product below stays a normal number: a run flushes smaller to 0.
    widths = mean.clamp_min(torch.finfo(mean.dtype).tiny / BANDWIDTHS[0])
    found = source.new_zeros(())
    for multiple in BANDWIDTHS:
        same, mixed, there = (torch.exp(-part / (multiple * widths)).mean() for part in (within, across, other))
        found = found + same + there - 2 * mixed
    return found


def _squared(a: Tensor, b: Tensor) -> Tensor:
    """Squared distances [N, M], computed from differences: exactly 0 for equal rows."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square()


def _check(source: Tensor, target: Tensor, least: int) -> None:
    if source.ndim != 2 or target.ndim != 2 or source.shape[1] != target.shape[1]:
        given = f"{tuple(source.shape)} and {tuple(target.shape)}"
        raise UserError("wrong_shape", "target", given, "[N, D] and [M, D]", "Use equal numbers of features.")
    for name, features in (("source", source), ("target", target)):
        if len(features) < least:
            fix = "Use a larger batch."
            raise UserError("too_few_rows", name, f"{len(features)} rows", f"at least {least}", fix)
