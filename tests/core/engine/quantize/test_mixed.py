"""Bits by layer: the best of all choices, under the budget, and better than equal bits where one layer is sensitive."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto

from core.engine.forecast import Forecast
from core.engine.measure.graph import layers, weight_bytes
from core.engine.method import build
from core.engine.quantize import Conversion, Quantize
from core.engine.quantize.allocation import allocate, sensitivities
from core.engine.quantize.arithmetic import packed_size, quantize
from core.engine.quantize.validation import cached_evaluator
from core.engine.quantize.weights import float_layers, least_error, unpack_file
from core.errors import UserError

BITS = (2, 4, 8)


def test_the_choice_is_the_best_of_all() -> None:
    """Against trying every combination, over random losses and budgets."""
    random = np.random.default_rng(0)
    for _ in range(20):
        sizes = {name: int(random.integers(1, 400)) for name in "abcde"}
        losses = {(n, b): float(random.exponential() / b) for n, b in product(sizes, BITS)}
        least, most = (sum(packed_size(size, b) for size in sizes.values()) for b in (2, 8))
        budget = int(random.integers(least, most + 1))
        given = allocate(sizes, BITS, losses, budget)
        best = min(
            sum(losses[pair] for pair in zip(sizes, bits, strict=True))
            for bits in product(BITS, repeat=5)
            if sum(packed_size(s, b) for s, b in zip(sizes.values(), bits, strict=True)) <= budget
        )
        assert sum(packed_size(sizes[n], b) for n, b in given.items()) <= budget
        assert sum(losses[n, b] for n, b in given.items()) == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("scale", [1e-6, 1e-4, 10.0])
def test_the_choice_is_the_best_however_small_the_losses(scale: float) -> None:
    """A well trained network loses millionths at 8 bits, and a broken one any amount at 2."""
    random = np.random.default_rng(1)
    for number in range(12):
        sizes = {name: 100 * (place + 1) for place, name in enumerate("abcdef")}
        losses = {(n, b): scale * float(random.random()) / b for n, b in product(sizes, BITS)}
        losses["c", 2] = 1e9 if number % 2 else losses["c", 2]
        budget = int(random.uniform(0.35, 0.9) * sum(sizes.values()))
        given = allocate(sizes, BITS, losses, budget)
        best = min(
            sum(losses[pair] for pair in zip(sizes, bits, strict=True))
            for bits in product(BITS, repeat=6)
            if sum(packed_size(s, b) for s, b in zip(sizes.values(), bits, strict=True)) <= budget
        )
        assert sum(losses[n, b] for n, b in given.items()) <= best * (1 + 1e-6) + 4e-8


def test_of_equal_losses_more_bits_are_taken() -> None:
    assert allocate({"a": 8, "b": 8}, BITS, {(n, b): 0.0 for n in "ab" for b in BITS}, 16) == {"a": 8, "b": 8}


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_least_error_is_no_worse_than_the_largest_weights_step(bits: int) -> None:
    """And near the best of 2,000 steps tried one by one."""
    torch.manual_seed(bits)
    weight = torch.distributions.StudentT(3.0).sample((4, 60))
    made, plain = least_error(weight, bits, 0), quantize(weight, bits, 0)
    top = 2 ** (bits - 1) - 1
    for channel in range(4):
        row = weight[channel].double()

        def error(step: float, row: torch.Tensor = row) -> float:
            return float(((row / step).round().clamp(-top, top) * step - row).square().sum())

        found = error(float(made.scale[channel]))
        assert found <= error(float(plain.scale[channel])) + 1e-9
        tried = [error(float(plain.scale[channel]) * share) for share in np.linspace(0.1, 1, 2000)]
        assert found <= 1.2 * min(tried)


def convert(learned, source: Path, target: Path, method: str = "mixed", **options: object) -> Conversion:  # type: ignore[no-untyped-def]
    made = build("quantize", method, **options)  # type: ignore[arg-type]
    assert isinstance(made, Quantize)
    return made.convert(source, target, learned.calibration, cached_evaluator(learned.model, learned.context))


@pytest.fixture(scope="module")
def sensitive(learned, tmp_path_factory: pytest.TempPathFactory) -> Path:  # type: ignore[no-untyped-def]
    """One layer reads a channel that is 100 times smaller than the others: its own weights there are 100 times larger,
    so few bits lose all others."""
    return learned.planted(tmp_path_factory.mktemp("sensitive") / "model.onnx", 0.01)  # type: ignore[no-any-return]


def test_at_equal_bytes_it_beats_equal_bits_where_a_layer_is_sensitive(  # type: ignore[no-untyped-def]
    learned, sensitive: Path, tmp_path: Path
) -> None:
    evaluator = cached_evaluator(learned.model, learned.context)
    convert(learned, sensitive, tmp_path / "equal.onnx", "weight_only", bits=4, step="least_error")
    convert(learned, sensitive, tmp_path / "mixed.onnx", sensitivity_images=200)
    equal, mixed = (evaluator(onnx.load(tmp_path / f"{name}.onnx")) for name in ("equal", "mixed"))
    assert weight_bytes(tmp_path / "mixed.onnx") <= weight_bytes(tmp_path / "equal.onnx")
    assert mixed.loss < 0.7 * equal.loss
    assert mixed.accuracy > equal.accuracy
    kinds = {layer.shape: layer.data_type for layer in layers(onnx.load(tmp_path / "mixed.onnx"))}
    assert kinds[16, 16, 3, 3] == TensorProto.INT8, "the planted layer keeps its bits"


def test_a_budget_below_the_smallest_file_is_refused(learned, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    least = sum(packed_size(layer.size, 2) for layer in float_layers(onnx.load(learned.source), "x"))
    with pytest.raises(UserError, match=f"at least {least} bytes") as caught:
        convert(learned, learned.source, tmp_path / "none.onnx", budget=least - 1)
    assert caught.value.field == "budget"
    assert not (tmp_path / "none.onnx").exists()
    method = build("quantize", "mixed", budget=least - 1)
    with pytest.raises(UserError, match=f"at least {least} bytes"):
        method.forecast(Forecast(learned.model), learned.context)
    made = convert(learned, learned.source, tmp_path / "least.onnx", budget=least, sensitivity_images=64)
    assert weight_bytes(tmp_path / "least.onnx") == least
    assert made.notes[0].startswith(f"{least:,} of {least:,} bytes")


def test_all_widths_come_with_a_packed_file(learned, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    numbers = sum(layer.size for layer in layers(onnx.load(learned.source)))
    options: dict[str, Any] = {"widths": "all", "budget": numbers * 5 // 8, "sensitivity_images": 64}
    made = convert(learned, learned.source, tmp_path / "all.onnx", **options)
    assert made.packed_path is not None
    assert "bits" in made.notes[0]
    restored = unpack_file(made.packed_path)
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(tmp_path / "all.onnx").graph.initializer}
    for name in (n for n in stored if n.endswith("_integers")):
        widened = stored[name].astype(np.float32) * stored[name.replace("_integers", "_scale")]
        np.testing.assert_array_equal(restored[name.removesuffix("_integers")], widened)


def test_sensitivities_are_measured_and_remembered(learned) -> None:  # type: ignore[no-untyped-def]
    model = onnx.load(learned.source)
    chosen = float_layers(model, "x")[:2]
    asked = []
    evaluator = cached_evaluator(learned.model, learned.context)

    def counting(graph: onnx.ModelProto, images: int = 0):  # type: ignore[no-untyped-def]
        asked.append(images)
        return evaluator(graph, images)

    found = sensitivities(model, chosen, BITS, counting, 100)
    assert asked == [100] * 7
    assert all(found[layer.weight, 2] >= found[layer.weight, 8] >= 0 for layer in chosen)
    assert max(found.values()) > 0
