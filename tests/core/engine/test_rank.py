"""Transferability scores against slow references written another way, against examples computed by hand, and against
what they are for: more separable features must score higher, pure noise low."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from math import log
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.covariance import LedoitWolf
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from core.engine.rank import h_score, knn_accuracy, leep, logme, nce, transrate
from core.errors import UserError

Array = NDArray[np.float64]
Score = Callable[[Any, Any], float]
ON_FEATURES: tuple[Score, ...] = (logme, h_score, transrate, knn_accuracy)
ON_PROBABILITIES: tuple[Score, ...] = (leep, nce)


def clusters(n: int = 120, d: int = 8, classes: int = 4, apart: float = 1.0, seed: int = 0) -> tuple[Array, Any]:
    """Gaussian clouds of unit width around centres `apart` widths from the origin."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    centres = rng.standard_normal((classes, d))
    centres *= apart / np.linalg.norm(centres, axis=1, keepdims=True)
    return rng.standard_normal((n, d)) + centres[labels], labels


def source(apart: float, n: int = 600, seed: int = 0) -> tuple[Array, Any]:
    """Probabilities over 5 source classes whose logits lean towards one by the label, the more the farther apart."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    logits = rng.standard_normal((n, 5)) + apart * np.eye(5)[labels]
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), labels


# LogME


def slow_logme(f: Array, labels: Any) -> float:
    """The evidence as a Gaussian density of y with covariance I/β + F Fᵀ/α, maximised numerically."""
    values = []
    for c in np.unique(labels):
        y = (labels == c).astype(float)

        def lost(logs: Array, y: Array = y) -> float:
            alpha, beta = np.exp(np.clip(logs, -30, 30))
            covariance = np.eye(len(y)) / beta + f @ f.T / alpha
            return -float(multivariate_normal.logpdf(y, np.zeros(len(y)), covariance)) / len(y)

        starts = [(a, b) for a in (-2.0, 2.0, 6.0) for b in (0.0, 3.0)]
        values.append(max(-minimize(lost, s, method="Nelder-Mead", options={"xatol": 1e-6}).fun for s in starts))
    return float(np.mean(values))


@pytest.mark.parametrize(("n", "d", "apart"), [(60, 5, 1.0), (60, 5, 3.0), (60, 20, 2.0), (30, 45, 1.0)])
def test_logme_is_the_maximal_evidence(n: int, d: int, apart: float) -> None:
    f, labels = clusters(n, d, 3, apart)
    assert logme(f, labels) == pytest.approx(slow_logme(f, labels), abs=2e-4)


def test_logme_equals_the_authors_recursion_where_features_have_full_rank() -> None:
    f, labels = clusters(300, 20, 5, 2.0)
    assert logme(f, labels) == pytest.approx(_recursion(f, labels), abs=1e-4)


def _recursion(f: Array, labels: Any) -> float:
    """Algorithm 1 of the journal version with explicit inverses, 100 rounds."""
    n, d = f.shape
    total = []
    for c in np.unique(labels):
        y = (labels == c).astype(float)
        alpha = beta = 1.0
        for _ in range(100):
            a = alpha * np.eye(d) + beta * f.T @ f
            m = beta * np.linalg.solve(a, f.T @ y)
            gamma = d - alpha * np.trace(np.linalg.inv(a))
            alpha, beta = gamma / (m @ m), (n - gamma) / ((y - f @ m) @ (y - f @ m))
        a = alpha * np.eye(d) + beta * f.T @ f
        m = beta * np.linalg.solve(a, f.T @ y)
        fit = beta / 2 * ((f @ m - y) @ (f @ m - y)) + alpha / 2 * (m @ m)
        evidence = n / 2 * log(beta) + d / 2 * log(alpha) - n / 2 * log(2 * np.pi) - fit
        total.append((evidence - np.linalg.slogdet(a)[1] / 2) / n)
    return float(np.mean(total))


def test_logme_stays_finite_where_features_fit_exactly() -> None:
    labels = np.arange(40) % 4
    assert np.isfinite(logme(np.eye(4)[labels] * 1000, labels))
    assert np.isfinite(logme(np.eye(40) * 1e6, labels))
    assert np.isfinite(logme(np.eye(4)[labels] * 1e-6, labels))


# H-score


def test_h_score_equals_its_definition_with_scikit_learns_covariance() -> None:
    f, labels = clusters(80, 30, 4, 2.0)
    estimate = LedoitWolf().fit(f)
    means = np.stack([f[labels == c].mean(axis=0) for c in labels])
    expected = np.trace(np.linalg.inv(estimate.covariance_) @ np.cov(means, rowvar=False))
    assert h_score(f, labels) == pytest.approx((1 - estimate.shrinkage_) * expected, rel=1e-9)


def test_h_score_of_noise_is_low_although_dimensions_are_many() -> None:
    rng = np.random.default_rng(0)
    noise, labels = rng.standard_normal((400, 200)), np.arange(400) % 2
    covariance = np.cov(noise, rowvar=False)
    means = np.stack([noise[labels == c].mean(axis=0) for c in labels])
    plain = float(np.trace(np.linalg.inv(covariance) @ np.cov(means, rowvar=False)))
    assert plain > 0.3
    assert h_score(noise, labels) < 0.05


def test_h_score_is_at_most_the_number_of_classes_less_one() -> None:
    f, labels = clusters(4000, 6, 4, 1000.0)
    assert 2.9 < h_score(f, labels) < 3.01


# LEEP and NCE


def test_leep_computed_by_hand() -> None:
    # P(y, z): y0: (.8 + .6)/4 = .35, (.2 + .4)/4 = .15; y1: (.3 + .1)/4 = .1, (.7 + .9)/4 = .4; P(z) = .45, .55
    p = np.array([[0.8, 0.2], [0.6, 0.4], [0.3, 0.7], [0.1, 0.9]])
    y0, y1 = np.array([0.35, 0.15]) / (0.45, 0.55), np.array([0.1, 0.4]) / (0.45, 0.55)
    expected = (log(p[0] @ y0) + log(p[1] @ y0) + log(p[2] @ y1) + log(p[3] @ y1)) / 4
    assert expected == pytest.approx(-0.4712, abs=1e-4)
    assert leep(p, np.array([0, 0, 1, 1])) == pytest.approx(expected, abs=1e-12)


def test_nce_computed_by_hand() -> None:
    # z = 0, 0, 0, 1 and y = 0, 0, 1, 1: H(y | z = 0) = H(1/3), weight 3/4; H(y | z = 1) = 0
    p = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.4, 0.6]])
    expected = 0.75 * (2 / 3 * log(2 / 3) + 1 / 3 * log(1 / 3))
    assert nce(p, np.array([0, 0, 1, 1])) == pytest.approx(expected, abs=1e-12)


def test_source_classes_that_name_the_label_give_zero_and_independent_ones_minus_the_entropy() -> None:
    labels = np.arange(600) % 3
    assert leep(np.eye(4)[labels], labels) == pytest.approx(0, abs=1e-12)
    assert nce(np.eye(4)[labels], labels) == pytest.approx(0, abs=1e-12)
    constant = np.full((600, 4), 0.25)
    assert leep(constant, labels) == pytest.approx(-log(3), abs=1e-12)
    assert nce(constant, labels) == pytest.approx(-log(3), abs=1e-12)


def test_leep_is_above_nce_plus_the_mean_log_of_the_largest_probability() -> None:
    """Property 1 of Nguyen et al. 2020."""
    p, labels = source(1.0)
    assert leep(p, labels) >= nce(p, labels) + np.log(p.max(axis=1)).mean()


# TransRate


def test_transrate_equals_its_definition() -> None:
    f, labels = clusters(90, 7, 3, 2.0)
    z = f - f.mean(axis=0)

    def rate(part: Array) -> float:
        eigenvalues = np.linalg.svd(part, compute_uv=False) ** 2
        return 0.5 * float(np.log1p(eigenvalues / (len(part) * 1e-4)).sum())

    expected = rate(z) - np.mean([rate(z[labels == c]) for c in range(3)])
    assert transrate(f, labels) == pytest.approx(expected, abs=1e-9)
    assert transrate(f[:, :3].repeat(40, axis=1), labels) > 0  # more dimensions than images of a class


# kNN


@pytest.mark.parametrize("k", [1, 5, 8])
def test_knn_equals_scikit_learns_leave_one_out(k: int) -> None:
    f, labels = clusters(300, 5, 4, 1.5)
    predicted = cross_val_predict(KNeighborsClassifier(k), f, labels, cv=LeaveOneOut())
    assert knn_accuracy(f, labels, k) == pytest.approx((predicted == labels).mean())


# What all have in common


@pytest.mark.parametrize("score", ON_FEATURES)
def test_the_farther_apart_the_classes_the_higher(score: Score) -> None:
    scores = [score(*clusters(apart=apart)) for apart in (0.0, 2.0, 4.0, 8.0)]
    assert scores == sorted(scores)
    assert scores[-1] > scores[0]


@pytest.mark.parametrize("score", ON_PROBABILITIES)
def test_the_better_the_source_tells_the_classes_the_higher(score: Score) -> None:
    scores = [score(*source(apart)) for apart in (0.0, 1.0, 2.0, 4.0)]
    assert scores == sorted(scores)
    assert scores[-1] > scores[0] + 0.3


@pytest.mark.parametrize("score", ON_FEATURES)
def test_a_rotation_changes_nothing(score: Score) -> None:
    f, labels = clusters(apart=2.0)
    rotation = np.linalg.qr(np.random.default_rng(1).standard_normal((8, 8)))[0]
    assert score(f @ rotation, labels) == pytest.approx(score(f, labels), abs=1e-8)


@pytest.mark.parametrize("score", [*ON_FEATURES, *ON_PROBABILITIES])
def test_names_and_order_do_not_matter(score: Score) -> None:
    values, labels = source(2.0) if score in ON_PROBABILITIES else clusters(apart=2.0)
    order = np.random.default_rng(2).permutation(len(labels))
    assert score(values[order], labels[order]) == pytest.approx(score(values, labels), abs=1e-8)
    assert score(values, labels * 1000 - 7) == pytest.approx(score(values, labels), abs=1e-12)


@pytest.mark.parametrize("score", [h_score, knn_accuracy])
def test_the_unit_of_the_features_does_not_matter(score: Score) -> None:
    f, labels = clusters(apart=2.0)
    assert score(f * 1000 + 5, labels) == pytest.approx(score(f, labels), abs=1e-6)


@pytest.mark.parametrize("score", [*ON_FEATURES, *ON_PROBABILITIES])
def test_bad_input_is_refused(score: Score) -> None:
    values = np.full((6, 2), 0.5)
    values[0] = (0.25, 0.75)
    labels = np.array([0, 1, 0, 1, 0, 1])
    broken = values.copy()
    broken[2, 1] = np.nan
    bad: list[tuple[Any, Any]] = [
        (values[:5], labels),
        (values, labels[:, None]),
        (values[:, 0], labels),
        (broken, labels),
        (values * np.inf, labels),
        (values, np.zeros(6, int)),
        (values, labels / 2),
        (np.zeros((0, 2)), labels[:0]),
        (np.zeros((6, 2)), labels),  # constant features, and rows that do not sum to 1
    ]
    for x, y in bad:
        with pytest.raises(UserError):
            score(x, y)


def test_limits_of_the_arguments() -> None:
    f, labels = clusters(10, 3, 2)
    with pytest.raises(UserError):
        knn_accuracy(f, labels, 10)
    with pytest.raises(UserError):
        knn_accuracy(f, labels, 0)
    with pytest.raises(UserError):
        transrate(f, labels, 0.0)
    with pytest.raises(UserError):
        leep(np.array([[1.5, -0.5], [0.5, 0.5]]), np.array([0, 1]))


def test_it_needs_no_torch() -> None:
    code = "import core.engine.rank, core.engine.measure.calibration, sys; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
