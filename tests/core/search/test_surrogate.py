"""The models behind the next trial are scikit-learn's Gaussian processes, their improvement is SciPy's integral."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern

from core.search.bounds import Bounds
from core.search.space import Vary
from core.search.surrogate import LENGTHS, NOISES, Belief, model, propose
from core.search.trial import Trial


def reference(seen: np.ndarray, figures: np.ndarray, length: float, noise: float) -> GaussianProcessRegressor:
    kernel = Matern(length, nu=2.5)
    return GaussianProcessRegressor(kernel, alpha=noise, optimizer=None).fit(seen, figures)


@pytest.mark.parametrize("seed", range(3))
def test_mean_and_deviation_are_those_of_the_likeliest_process(seed: int) -> None:
    dice = np.random.default_rng(seed)
    seen, places = dice.random((25, 3)), dice.random((40, 3))
    figures = np.sin(3 * seen[:, 0]) + seen[:, 1] ** 2 + 0.05 * seed * dice.normal(size=25)
    middle, spread = figures.mean(), figures.std()
    scaled = (figures - middle) / spread
    fits = [reference(seen, scaled, length, noise) for length in LENGTHS for noise in NOISES]
    best = max(fits, key=lambda fit: fit.log_marginal_likelihood_value_)
    mean, deviation = best.predict(places, return_std=True)
    found = model(seen, figures, places)
    np.testing.assert_allclose(found.mean, middle + spread * mean, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(found.deviation, spread * deviation, rtol=1e-4)


@pytest.mark.parametrize(("mean", "deviation", "best"), [(0.0, 1.0, 0.5), (2.0, 0.3, 1.5), (-1.0, 2.0, 3.0)])
def test_the_expected_improvement_is_the_integral(mean: float, deviation: float, best: float) -> None:
    gain, _ = quad(lambda x: (x - best) * norm.pdf(x, mean, deviation), best, mean + 12 * deviation)
    belief = Belief(np.array([mean]), np.array([deviation]))
    assert belief.improvement(best)[0] == pytest.approx(gain, rel=1e-6)
    assert belief.below(best)[0] == pytest.approx(norm.cdf(best, mean, deviation))


def trials(count: int) -> list[Trial]:
    return [
        Trial(
            number=n,
            run=str(n),
            values={"x": n / count, "kind": ("a", "b")[n % 2]},
            state="finished",
            accuracy=0.5 + 0.3 * n / count,
            bytes=100 + 100 * n,
        )
        for n in range(count)
    ]


def test_a_proposal_was_not_tried_and_lies_within_what_varies() -> None:
    varied = (Vary("x", 0.0, 1.0), Vary("kind", choices=("a", "b")))
    known = trials(12)
    made = propose(known, varied, Bounds(bytes=800), None, 3, lambda values, vary: True)
    assert varied[0].holds(made["x"])
    assert made["kind"] in ("a", "b")
    assert made not in [trial.values for trial in known]
    assert made == propose(known, varied, Bounds(bytes=800), None, 3, lambda values, vary: True)


def test_it_goes_to_the_edge_of_the_bound() -> None:
    """Accuracy and bytes both rise with x: the best within 800 bytes is near x = 7/12."""
    made = propose(trials(12), (Vary("x", 0.0, 1.0),), Bounds(bytes=800), None, 0, lambda values, vary: True)
    assert 0.5 < float(made["x"]) < 0.62
