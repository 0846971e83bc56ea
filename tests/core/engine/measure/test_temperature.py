"""Temperature scaling against an optimum found another way, and calibration error against torchmetrics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import softmax
from torch.nn import functional as F
from torchmetrics.functional.classification import multiclass_calibration_error

from core.engine.measure.calibration import expected_calibration_error
from core.engine.measure.temperature import BOUNDS, fit, nll


def drawn(truth: float, seed: int, n: int = 2000, classes: int = 10) -> tuple[Any, Any]:
    """Logits that are `truth` times too large, and labels drawn from the probabilities they should say."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (n, classes))
    shares = softmax(logits, axis=1)
    labels = np.array([random.choice(classes, p=row) for row in shares])
    return logits * truth, labels


@pytest.mark.parametrize("truth", [0.5, 1.0, 3.0])
def test_the_temperature_that_was_planted_is_found(truth: float) -> None:
    found = fit(*drawn(truth, 1))
    assert found.temperature == pytest.approx(truth, rel=0.08)
    assert found.after <= found.before
    assert not found.unbounded


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_optimum_of_scipys_bfgs_in_torch_arithmetic(seed: int) -> None:
    logits, labels = drawn(2.2, seed)

    def loss(inverse: Any) -> float:
        scaled = torch.from_numpy(logits) * float(inverse[0])
        return float(F.cross_entropy(scaled, torch.from_numpy(labels)))

    theirs = minimize(loss, [1.0], method="BFGS", options={"gtol": 1e-8})
    found = fit(logits, labels)
    assert found.temperature == pytest.approx(1 / theirs.x[0], rel=1e-4)
    assert found.after == pytest.approx(theirs.fun, abs=1e-9)
    assert found.before == pytest.approx(loss([1.0]), abs=1e-12)
    assert found.after == pytest.approx(nll(logits, labels, found.temperature))


def test_a_network_without_a_mistake_keeps_its_temperature() -> None:
    found = fit(np.eye(4) * 3.0, np.arange(4))
    assert found.unbounded
    assert (found.temperature, found.after) == (1.0, found.before)


def test_no_temperature_beyond_the_bounds() -> None:
    """A network that is wrong with certainty: the flattest answer allowed is the best."""
    found = fit(np.eye(4)[[1, 2, 3, 0]] * 90.0, np.arange(4))
    assert found.temperature == pytest.approx(BOUNDS[1], rel=1e-4)


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_calibration_error_is_that_of_torchmetrics(classes: int) -> None:
    logits, labels = drawn(2.0, classes, 1000, classes)
    shares = softmax(logits, axis=1)
    theirs = multiclass_calibration_error(
        torch.from_numpy(shares), torch.from_numpy(labels), num_classes=classes, n_bins=15, norm="l1"
    )
    assert expected_calibration_error(shares, labels, 15) == pytest.approx(float(theirs), abs=1e-6)
