"""Calibration ranges against NumPy on all values at once, and against exhaustive search."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper

from core.engine.quantize import Calibration, calibration
from core.engine.quantize.calibration import BINS, Histogram, Range, entropy, mse, observe, percentile, squared_error
from core.errors import UserError


def filled(values: NDArray[np.floating]) -> tuple[Histogram, Range]:
    full = (min(0.0, float(values.min())), max(0.0, float(values.max())))
    return np.histogram(values, BINS, full)[0].astype(np.int64), full


def error(values: NDArray[np.floating], found: Range) -> float:
    """The mean squared error of 256 affine levels over the range, on the values themselves."""
    low, high = found
    scale = (high - low) / 255
    zero = np.rint(-low / scale)
    return float(np.mean(((np.clip(np.rint(values / scale) + zero, 0, 255) - zero) * scale - values) ** 2))


def doubled() -> onnx.ModelProto:
    """image -> Mul 2 -> Relu."""
    nodes = [helper.make_node("Add", ["image", "image"], ["twice"]), helper.make_node("Relu", ["twice"], ["logits"])]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", 1, 4, 5]) for n in ("image", "logits")]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


@pytest.fixture(scope="module")
def images() -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((100, 1, 4, 5), dtype=np.float32)


NAMES = ["image", "twice", "logits"]


@pytest.mark.parametrize("size", [1, 7, 8, 33, 100])
def test_minmax_is_exact_however_the_images_are_batched(images: NDArray[np.float32], size: int) -> None:
    def batches() -> Iterator[NDArray[np.float32]]:
        return (images[i : i + size] for i in range(0, len(images), size))

    found, seen = observe(doubled(), NAMES, Calibration(batches), 60, "minmax")
    used = images[:60].astype(float)
    assert seen == 60
    assert found["image"] == (used.min(), used.max())
    assert found["twice"] == (2 * used.min(), 2 * used.max())
    assert found["logits"] == (0.0, 2 * used.max())


@pytest.mark.parametrize("method", ["percentile", "mse", "entropy"])
def test_ranges_hold_zero_and_stay_inside_the_extremes(images: NDArray[np.float32], method: str) -> None:
    widest, _ = observe(doubled(), NAMES, Calibration(lambda: iter([images])), 100, "minmax")
    found, _ = observe(doubled(), NAMES, Calibration(lambda: iter([images])), 100, method)
    again, _ = observe(doubled(), NAMES, Calibration(lambda: iter([images[:50], images[50:]])), 100, method)
    for name in NAMES:
        assert widest[name][0] <= found[name][0] <= 0 <= found[name][1] <= widest[name][1]
        assert found[name] == again[name]
    np.testing.assert_allclose(found["twice"], np.multiply(found["image"], 2), rtol=1e-6)


def test_percentile_is_numpys_within_a_bin() -> None:
    values = np.random.default_rng(1).standard_normal(200_000)
    histogram, full = filled(values)
    width = (full[1] - full[0]) / BINS
    expected = np.quantile(values, [0.0001, 0.9999])
    np.testing.assert_allclose(percentile(histogram, full), expected, atol=1.5 * width)
    positive = np.abs(values)
    assert percentile(*filled(positive))[0] == 0.0


@pytest.mark.parametrize("heavy", [True, False])
def test_mse_is_near_the_best_of_all_ranges(heavy: bool) -> None:
    random = np.random.default_rng(2)
    values = random.standard_t(3, 50_000) if heavy else random.uniform(-1, 2, 50_000)
    histogram, full = filled(values)
    found = mse(histogram, full)
    shares = np.linspace(0.02, 1, 50)
    best = min(error(values, (full[0] * a, full[1] * b)) for a in shares for b in shares)
    assert error(values, found) <= 1.03 * best
    if heavy:
        assert error(values, found) < 0.95 * error(values, full)
    else:
        np.testing.assert_allclose(found, full, rtol=0.02)


def test_squared_error_is_that_of_the_values() -> None:
    values = np.random.default_rng(3).standard_normal(100_000)
    histogram, full = filled(values)
    ranges = [full, (full[0] / 2, full[1] / 2), (full[0], full[1] / 3)]
    lows, highs = np.array(ranges).T
    told = squared_error(histogram, full, lows, highs) / values.size
    np.testing.assert_allclose(told, [error(values, r) for r in ranges], rtol=0.05)


def test_entropy_cuts_lone_outliers_and_keeps_a_uniform_range() -> None:
    random = np.random.default_rng(4)
    bulk = np.abs(random.standard_normal(100_000))
    low, high = entropy(*filled(np.append(bulk, 20.0)))
    assert low == 0.0
    assert 2.5 < high < 8
    even = random.uniform(0, 1, 100_000)
    assert entropy(*filled(even))[1] > 0.95


def test_entropy_ignores_the_zeros_of_a_relu() -> None:
    bulk = np.random.default_rng(5).gamma(2.0, 1.0, 50_000)
    assert entropy(*filled(np.append(bulk, np.zeros(500_000)))) == entropy(*filled(bulk))


@pytest.mark.parametrize("method", ["minmax", "percentile", "mse", "entropy"])
def test_a_constant_activation_keeps_its_range(method: str) -> None:
    zeros = np.zeros((20, 1, 4, 5), np.float32)
    assert observe(doubled(), ["logits"], Calibration(lambda: iter([zeros])), 20, method)[0] == {"logits": (0.0, 0.0)}
    found, _ = observe(doubled(), ["logits"], Calibration(lambda: iter([zeros + 3])), 20, method)
    assert found["logits"][1] == pytest.approx(6.0, rel=0.02)


@pytest.mark.parametrize("largest", [1e-30, 1e-34, 1e-36, 1e-38, 1e-42])
@pytest.mark.parametrize("method", ["percentile", "mse", "entropy"])
def test_a_layer_that_has_all_but_died_keeps_its_range(method: str, largest: float) -> None:
    """Its range is too small to be cut into bins, in a run, which flushes denormal numbers to zero."""
    values = largest * np.linspace(0, 0.5, 400, dtype=np.float64).reshape(20, 1, 4, 5)
    torch.set_flush_denormal(True)
    try:
        found, _ = observe(doubled(), NAMES, Calibration(lambda: iter([values.astype(np.float32)])), 20, method)
    finally:
        torch.set_flush_denormal(False)
    assert 0 <= found["logits"][1] <= 1.001 * largest
    assert found["logits"][1] >= 0.9 * largest or largest < 1e-37


def test_sampling_spreads_over_the_image() -> None:
    large = np.arange(2 * 400 * 400, dtype=np.float32).reshape(2, 1, 400, 400)
    sample = calibration._sample(large)
    assert sample.size <= 2 * calibration.SAMPLE
    columns = np.bincount((sample.astype(int) % 400), minlength=400)
    assert columns.min() > 0.9 * columns.max()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_refuses_what_is_not_finite(images: NDArray[np.float32], bad: float) -> None:
    broken = images.copy()
    broken[50, 0, 2, 2] = bad
    with pytest.raises(UserError, match="finite"):
        observe(doubled(), NAMES, Calibration(lambda: iter([broken])), 100, "minmax")


def test_refuses_no_images() -> None:
    with pytest.raises(UserError, match="no images"):
        observe(doubled(), NAMES, Calibration(lambda: iter(())), 100, "mse")
