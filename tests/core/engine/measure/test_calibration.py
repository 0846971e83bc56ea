"""Calibration against the definition written out slowly, hand-computed examples and SciPy's intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest

from core.engine.measure.calibration import expected_calibration_error, reliability, wilson_interval
from core.errors import UserError

Array = NDArray[np.float64]


def slow_error(p: Array, labels: Array, bins: int) -> float:
    """Guo 2017 as printed: bin m holds the samples with confidence in ((m − 1)/M, m/M]."""
    total = 0.0
    for m in range(1, bins + 1):
        inside = [i for i in range(len(p)) if (m - 1) / bins < max(p[i]) <= m / bins]
        if inside:
            accuracy = sum(int(list(p[i]).index(max(p[i])) == labels[i]) for i in inside) / len(inside)
            confidence = sum(max(p[i]) for i in inside) / len(inside)
            total += len(inside) / len(p) * abs(accuracy - confidence)
    return total


def drawn(n: int, classes: int, seed: int) -> tuple[Array, Any]:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(classes, 0.4), n)
    return p, rng.integers(0, classes, n)


@pytest.mark.parametrize(("classes", "bins"), [(2, 15), (10, 15), (10, 1), (3, 7), (100, 20)])
def test_it_equals_the_definition(classes: int, bins: int) -> None:
    p, labels = drawn(400, classes, classes)
    assert expected_calibration_error(p, labels, bins) == pytest.approx(slow_error(p, labels, bins), abs=1e-12)


def test_hand_computed() -> None:
    # Two bins: confidences .6, .6 (one right: gap .1) and .9, .9 (both wrong of class 0: gap .9 − .5 with one right).
    p = np.array([[0.6, 0.4], [0.6, 0.4], [0.9, 0.1], [0.1, 0.9], [0.95, 0.05]])
    labels = np.array([0, 1, 0, 0, 0])
    # bins of .1: (.5,.6]: 2 samples, gap |.5 − .6|; (.8,.9]: 2, gap |.5 − .9|; (.9,1]: 1, gap |1 − .95|
    assert expected_calibration_error(p, labels, bins=10) == pytest.approx((2 * 0.1 + 2 * 0.4 + 0.05) / 5)


def test_limits() -> None:
    certain = np.eye(3)[[0, 1, 2, 0]]
    assert expected_calibration_error(certain, np.array([0, 1, 2, 0])) == 0
    assert expected_calibration_error(certain, np.array([1, 2, 0, 1])) == 1
    even = np.full((10, 10), 0.1)
    assert expected_calibration_error(even, np.arange(10)) == pytest.approx(0, abs=1e-12)


def test_a_confidence_on_an_edge_belongs_to_the_bin_below() -> None:
    p = np.array([[0.75, 0.25]])
    filled = [bin for bin in reliability(p, np.array([0]), bins=4) if bin.count]
    assert [(bin.low, bin.high) for bin in filled] == [(0.5, 0.75)]


def test_a_calibrated_network_has_a_small_error_and_an_overconfident_one_a_large() -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(5), 20_000)
    labels = (p.cumsum(axis=1) > rng.random((len(p), 1))).argmax(axis=1)  # each label drawn from its own row
    sharp = p**4 / (p**4).sum(axis=1, keepdims=True)
    assert expected_calibration_error(p, labels) < 0.015
    assert expected_calibration_error(sharp, labels) > 0.15


def test_the_diagram_adds_up() -> None:
    p, labels = drawn(300, 4, 3)
    diagram = reliability(p, labels)
    assert len(diagram) == 15
    assert sum(bin.count for bin in diagram) == 300
    accuracy = sum(bin.count * bin.accuracy for bin in diagram) / 300
    assert accuracy == pytest.approx(float((p.argmax(axis=1) == labels).mean()))
    assert all(bin.low < bin.confidence <= bin.high for bin in diagram if bin.count)


def test_float32_rows_from_a_softmax_are_accepted() -> None:
    p, labels = drawn(100, 1000, 5)
    assert 0 <= expected_calibration_error(p.astype(np.float32), labels) <= 1


@pytest.mark.parametrize(
    ("p", "labels", "bins"),
    [
        (np.full((3, 2), 0.5), np.array([0, 1]), 15),
        (np.full((2, 2), 0.5), np.array([0, 2]), 15),
        (np.full((2, 2), 0.5), np.array([0, -1]), 15),
        (np.full((2, 2), 0.5), np.array([0.0, 1.0]), 15),
        (np.full((2, 2), 0.9), np.array([0, 1]), 15),
        (np.array([[1.5, -0.5]]), np.array([0]), 15),
        (np.array([[np.nan, 1.0]]), np.array([0]), 15),
        (np.zeros((0, 2)), np.zeros(0, int), 15),
        (np.array([0.5, 0.5]), np.array([0]), 15),
        (np.full((2, 2), 0.5), np.array([0, 1]), 0),
    ],
)
def test_bad_input_is_refused(p: Array, labels: Any, bins: int) -> None:
    with pytest.raises(UserError):
        expected_calibration_error(p, labels, bins)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.999])
@pytest.mark.parametrize(
    ("correct", "total"), [(0, 1), (1, 1), (0, 50), (50, 50), (7, 10), (817, 1000), (5000, 10_000)]
)
def test_the_interval_equals_scipys(correct: int, total: int, confidence: float) -> None:
    expected = binomtest(correct, total).proportion_ci(confidence, method="wilson")
    assert wilson_interval(correct, total, confidence) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_interval_covers_as_promised() -> None:
    rng = np.random.default_rng(1)
    hits = rng.binomial(200, 0.85, 2000)
    intervals = [wilson_interval(int(n), 200) for n in hits]
    assert 0.93 < np.mean([low <= 0.85 <= high for low, high in intervals]) < 0.97


@pytest.mark.parametrize(("correct", "total", "confidence"), [(2, 1, 0.95), (-1, 1, 0.95), (0, 0, 0.95), (1, 2, 1.0)])
def test_impossible_counts_are_refused(correct: int, total: int, confidence: float) -> None:
    with pytest.raises(UserError):
        wilson_interval(correct, total, confidence)
