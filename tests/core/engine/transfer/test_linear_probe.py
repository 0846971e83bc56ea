from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch.nn import functional as F

from core.engine.transfer import logistic
from core.engine.transfer.linear_probe import Head, solve
from core.engine.transfer.logistic import Bend, Problem


def pixels() -> tuple[torch.Tensor, torch.Tensor]:
    """The digits' pixels as float32 features; three of them never vary."""
    data = load_digits()
    return torch.from_numpy(data.data.astype(np.float32)), torch.from_numpy(data.target)


@pytest.mark.thorough
@pytest.mark.parametrize("large", [30_000_000, 0])
@pytest.mark.parametrize("l2", [1.0, 0.01, 0.001])
def test_reaches_scikit_learns_optimum(l2: float, large: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In float64, and as many images are searched on, in float32."""
    monkeypatch.setattr(logistic, "LARGE", large)
    x, y = pixels()
    train, test = slice(0, 1200), slice(1200, None)
    head = solve(x[train], y[train], 10, l2)
    scaler = StandardScaler().fit(x[train].double().numpy())
    z, z_test = (scaler.transform(x[s].double().numpy()) for s in (train, test))
    theirs = LogisticRegression(C=1 / (l2 * 1200), tol=1e-8, max_iter=5000).fit(z, y[train].numpy())

    def objective(weight: np.ndarray, bias: np.ndarray) -> float:
        logits = torch.from_numpy(z @ weight.T + bias)
        return float(F.cross_entropy(logits, y[train])) + 0.5 * l2 * float((weight**2).sum())

    deviation, mean = scaler.scale_, scaler.mean_
    weight = head.weight.numpy() * deviation
    bias = head.bias.numpy() + head.weight.numpy() @ mean
    ours = objective(weight, bias)
    assert ours == pytest.approx(objective(theirs.coef_, theirs.intercept_), abs=1e-4)
    accuracy = float((head(x[test]).argmax(1) == y[test]).double().mean())
    assert accuracy == pytest.approx(theirs.score(z_test, y[test].numpy()), abs=0.002)


@pytest.mark.parametrize("l2", [1.0, 0.01])
def test_reaches_the_optimum_with_fewer_images_than_features(l2: float) -> None:
    """Where the search runs in the images' own space; all 64 pixels as they are span more than 40 images do."""
    x, y = pixels()
    x, y = x[:40], y[:40]
    head = solve(x, y, 10, l2)
    z = StandardScaler().fit_transform(x.double().numpy())
    theirs = LogisticRegression(C=1 / (l2 * 40), tol=1e-10, max_iter=9000).fit(z, y.numpy())
    expected = torch.from_numpy(theirs.predict_proba(z))
    torch.testing.assert_close(head(x.double()).softmax(1), expected, atol=2e-3, rtol=0)


def test_a_feature_that_never_varies_gets_no_weight() -> None:
    x, y = pixels()
    head = solve(x, y, 10, 0.01)
    still = x.std(0) == 0
    assert still.any()
    assert (head.weight[:, still] == 0).all()
    assert torch.isfinite(head.weight).all()


def test_scaling_the_features_changes_nothing() -> None:
    x, y = pixels()
    one, other = solve(x, y, 10, 0.01), solve(x * 1000 + 5, y, 10, 0.01)
    torch.testing.assert_close(one(x), other(x * 1000 + 5), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("large", [30_000_000, 0])
def test_a_rough_head_is_near_and_is_searched_to_its_end_from_there(
    large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logistic, "LARGE", large)
    x, y = pixels()
    deviation = x.double().std(0, correction=0)

    def objective(head: Head) -> float:
        weight = head.weight * deviation
        return float(F.cross_entropy(head(x.double()), y)) + 0.5 * 0.01 * float(weight.square().sum())

    problem = Problem.of(x, y, 10)
    roughly = [problem.solve(l2, rough=True) for l2 in (0.1, 0.03, 0.01, 0.003)][2]
    best, ended = objective(solve(x, y, 10, 0.01)), objective(problem.solve(0.01))
    assert 1e-7 < objective(roughly) - best < 1e-4
    assert ended == pytest.approx(best, abs=1e-6)


def test_the_search_follows_the_slope_of_the_objective() -> None:
    """In its own coordinates, which any weight and bias have."""
    x, y = pixels()
    draw = torch.Generator().manual_seed(0)
    weight, bias = (torch.randn(*shape, generator=draw, dtype=torch.float64) / 10 for shape in ((10, 64), (10,)))
    problem = Problem.of(x, y, 10)
    bend = Bend.at(problem.rotated @ weight.T + bias, problem.variances, 0.1)
    point = bend.flatten(weight, bias).requires_grad_()
    w, b = bend.unfold(point)
    torch.testing.assert_close((w, b), (weight, bias))
    expected = F.cross_entropy(problem.rotated @ w.T + b, y) + 0.05 * w.square().sum()
    expected.backward()  # type: ignore[no-untyped-call]
    value, *slope = problem.objective(0.1)(weight, bias)
    torch.testing.assert_close(value, expected.detach())
    assert point.grad is not None
    torch.testing.assert_close(bend.slope(*slope), point.grad)


def test_the_search_sees_the_same_bend_in_every_direction() -> None:
    """Where all images are in the same doubt, as at the start: the second derivative is 1 in its coordinates."""
    x, y = pixels()
    problem = Problem.of(x[:, 20:24], y, 10)
    nothing = torch.zeros(10, 4, dtype=torch.float64), torch.zeros(10, dtype=torch.float64)
    bend = Bend.at(torch.zeros(len(x), 10, dtype=torch.float64), problem.variances, 0.1)

    def value(point: torch.Tensor) -> torch.Tensor:
        weight, bias = bend.unfold(point)
        return F.cross_entropy(problem.rotated @ weight.T + bias, y) + 0.05 * weight.square().sum()

    second = torch.autograd.functional.hessian(value, bend.flatten(*nothing))  # type: ignore[no-untyped-call]
    assert isinstance(second, torch.Tensor)
    torch.testing.assert_close(second[:40, :40], torch.eye(40, dtype=torch.float64), atol=1e-9, rtol=0)


def test_a_head_is_linear() -> None:
    head = Head(torch.tensor([[1.0, 2.0]]).double(), torch.tensor([0.5]).double())
    assert head(torch.tensor([[3.0, 4.0]])).tolist() == [[11.5]]
