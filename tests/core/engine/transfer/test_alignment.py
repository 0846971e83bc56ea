"""CORAL and MMD against slow references written from the papers, in float64, one pair of rows at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from core.engine.transfer.alignment import coral, mmd
from core.errors import UserError


def features(rows: int, width: int, seed: int, scale: float = 1.0, shift: float = 0.0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(rows, width, generator=draw, dtype=torch.float64) * scale + shift


def slow_coral(source: Tensor, target: Tensor) -> float:
    """Sun & Saenko 2016, eq. 1: the squared Frobenius distance of NumPy's unbiased covariances, over 4 d²."""
    width = source.shape[1]
    difference = np.cov(source.numpy().T, ddof=1) - np.cov(target.numpy().T, ddof=1)
    return float((difference**2).sum() / (4 * width**2))


def slow_mmd(source: Tensor, target: Tensor) -> float:
    """Gretton et al. 2012, eq. 5, summed over kernels exp(−d²/γ), γ the mean of d² over pairs times 1/4 … 4."""
    x, y = source.tolist(), target.tolist()

    def squared(a: list[float], b: list[float]) -> float:
        return sum((p - q) ** 2 for p, q in zip(a, b, strict=True))

    both = x + y
    pairs = [squared(a, b) for i, a in enumerate(both) for j, b in enumerate(both) if i != j]
    mean = sum(pairs) / len(pairs)
    total = 0.0
    for multiple in (0.25, 0.5, 1, 2, 4):

        def kernel(a: list[float], b: list[float], width: float = multiple * mean) -> float:
            return math.exp(-squared(a, b) / width)

        total += sum(kernel(a, b) for a in x for b in x) / len(x) ** 2
        total += sum(kernel(a, b) for a in y for b in y) / len(y) ** 2
        total -= 2 * sum(kernel(a, b) for a in x for b in y) / (len(x) * len(y))
    return total


CASES = [(2, 2, 1), (5, 5, 3), (7, 12, 4), (30, 9, 16)]


@pytest.mark.parametrize(("n", "m", "width"), CASES)
@pytest.mark.parametrize("shift", [0.0, 100.0])
def test_coral_is_the_papers(n: int, m: int, width: int, shift: float) -> None:
    source, target = features(n, width, 1, shift=shift), features(m, width, 2, scale=3.0)
    expected = slow_coral(source, target)
    assert float(coral(source, target)) == pytest.approx(expected, rel=1e-9)
    assert float(coral(source.float(), target.float())) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(("n", "m", "width"), CASES)
@pytest.mark.parametrize("shift", [0.0, 0.5, 100.0])
def test_mmd_is_the_papers(n: int, m: int, width: int, shift: float) -> None:
    source, target = features(n, width, 3), features(m, width, 4, shift=shift)
    expected = slow_mmd(source, target)
    assert float(mmd(source, target)) == pytest.approx(expected, rel=1e-9)
    assert float(mmd(source.float(), target.float())) == pytest.approx(expected, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 12), st.integers(2, 12), st.integers(1, 6), st.integers(0, 10**6), st.floats(-50, 50))
def test_both_are_symmetric_and_never_negative_and_nothing_lies_apart_from_itself(
    n: int, m: int, width: int, seed: int, shift: float
) -> None:
    source, target = features(n, width, seed), features(m, width, seed + 1, shift=shift)
    for distance in (coral, mmd):
        assert float(distance(source, target)) == pytest.approx(float(distance(target, source)), abs=1e-12)
        assert float(distance(source, target)) >= -1e-12
        assert float(distance(source, source.clone())) == pytest.approx(0, abs=1e-12)
        moved = distance(source + 3.5, target + 3.5)
        assert float(moved) == pytest.approx(float(distance(source, target)), abs=1e-9)


def test_mmd_grows_with_the_distance_and_coral_does_not_see_it() -> None:
    source = features(40, 5, 5)
    near, far = (float(mmd(source, source + shift)) for shift in (0.3, 3.0))
    assert 0 < near < far
    assert float(coral(source, source + 3.0)) == pytest.approx(0, abs=1e-12)
    assert float(coral(source, 2 * source)) > 0


@pytest.mark.parametrize("distance", [coral, mmd])
def test_gradients_are_those_of_differences(distance: object) -> None:
    assert callable(distance)
    source, target = features(6, 3, 7).requires_grad_(), features(5, 3, 8, scale=2.0, shift=1.0).requires_grad_()
    distance(source, target).backward()
    for rows in (source, target):
        assert rows.grad is not None
        assert bool(rows.grad.isfinite().all())
        assert float(rows.grad.abs().sum()) > 0
    if distance is coral:
        assert torch.autograd.gradcheck(coral, (source, target))


@pytest.mark.parametrize("flushed", [False, True])
def test_gradients_stay_finite_where_rows_are_equal(flushed: bool) -> None:
    """Also where denormal numbers are zero, as in every run."""
    torch.set_flush_denormal(flushed)
    rows = torch.ones(4, 3, requires_grad=True)
    for distance in (coral, mmd):
        value = distance(rows, torch.ones(4, 3))
        assert value.item() == pytest.approx(0, abs=1e-7)
        (gradient,) = torch.autograd.grad(value, rows)
        assert bool(gradient.isfinite().all())


def test_descent_along_mmd_brings_two_clouds_together() -> None:
    source, target = features(30, 2, 9), features(30, 2, 10, shift=2.0).requires_grad_()
    before = float(mmd(source, target.detach()))
    optimizer = torch.optim.SGD([target], lr=5.0)
    for _ in range(60):
        optimizer.zero_grad()
        mmd(source, target).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert float(mmd(source, target.detach())) < 0.2 * before


def test_wrong_shapes_are_refused() -> None:
    for distance in (coral, mmd):
        with pytest.raises(UserError, match="equal numbers of features"):
            distance(torch.zeros(4, 3), torch.zeros(4, 2))
        with pytest.raises(UserError, match="larger batch"):
            distance(torch.zeros(4, 3), torch.zeros(0, 3))
    with pytest.raises(UserError, match="at least 2"):
        coral(torch.zeros(1, 3), torch.zeros(4, 3))
