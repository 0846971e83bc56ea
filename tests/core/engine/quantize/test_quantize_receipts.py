"""What a point and its receipt say of a quantized file, derived again from the saved files alone; and its forecast."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest

from core.engine.measure.calibration import expected_calibration_error
from core.engine.measure.file import quality
from core.engine.measure.graph import FLOATS, count, integer_layers, kernels, layers, zeros
from core.engine.measure.runtime import open_session, predict
from core.engine.measure.size import compressed_bytes
from core.engine.method import build
from core.engine.pipeline.measure_step import StepInfo, StepMeasurement, StepOutput
from core.engine.quantize import Quantize
from core.engine.questions.estimate import parts
from core.points import Point

METHODS: dict[str, dict[str, Any]] = {
    "static": {"max_drop": 1.0, "bias_correction": True, "equalize": "exact"},
    "weight_only": {"bits": 3, "step": "least_error"},
    "mixed": {"sensitivity_images": 64},
    "qat": {"bits": 2, "epochs": 1},
    "bf16": {},
}
QUICK = ("mixed", "qat", "static")  # the others take the same way, for `pytest -m slow`


PARAMS = [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in sorted(METHODS.keys() - set(QUICK)))]


@pytest.fixture(scope="module", params=PARAMS)
def told(request: pytest.FixtureRequest, learned, tmp_path_factory: pytest.TempPathFactory) -> tuple[Point, Path, Any]:  # type: ignore[no-untyped-def]
    """The point of a step, its file, and the learned network it came from."""
    folder = tmp_path_factory.mktemp(str(request.param))
    method = build("quantize", request.param, **METHODS[request.param])
    assert isinstance(method, Quantize)
    context = replace(learned.context, folder=folder / "checkpoints", place=(0, 1))
    made = method.apply(learned.model, context)
    saved = method.save(made, folder / "model.onnx", context)
    logits = quality(learned.source, learned.model.preprocessing, context.data, 1, lambda done, total: None).logits
    before = StepOutput(learned.model, learned.source, learned.source, logits)
    step_info = StepInfo(1, method, "quantize", request.param, "net", folder)
    point, product = StepMeasurement(context).point(step_info, made, folder / "model.onnx", saved, before, before)
    assert product.quantized
    return point, folder / "model.onnx", learned


def test_every_number_is_found_again_in_the_files(told) -> None:  # type: ignore[no-untyped-def]
    point, path, learned = told
    receipt, data, p = point.receipt, learned.context.data, learned.model.preprocessing
    rounded = [
        layer for layer in layers(onnx.load(path)) if layer.data_type not in FLOATS - {onnx.TensorProto.BFLOAT16}
    ]
    assert receipt["layers"] == {"touched": len(rounded), "total": 10}
    uses = kernels(path)
    assert receipt["int8_layers"] == integer_layers(uses)[0]
    found = sorted((use.op, use.data_type, len(use.nodes), use.integer) for use in uses if use.layer)
    assert sorted((k["op"], k["type"], k["count"], k["integer"]) for k in receipt["kernels"]) == found
    empty = zeros(path)
    numbers = {"numbers": count(path).params, "folded_params": point.params - count(path).params}
    assert receipt["file"] == (numbers if empty is None else {**numbers, "zeros": empty})
    sizes = (learned.source.stat().st_size, path.stat().st_size)
    expected = {"before": sizes[0], "after": sizes[1], "times_smaller": sizes[0] / sizes[1]}
    assert receipt["bytes_fp32"] == receipt["bytes_before"] == receipt["bytes_first"] == expected
    assert (point.bytes, point.compressed_bytes) == (sizes[1], compressed_bytes(path))
    packed = path.with_name("model.packed.safetensors")
    assert point.packed_bytes == (packed.stat().st_size if packed.exists() else None)
    now, then = (predict(open_session(file, 1), data.validation.images, p) for file in (path, learned.source))
    assert point.validation_accuracy == float((now.argmax(1) == data.validation.labels).double().mean())
    assert receipt["same_answer_as_before"] == pytest.approx(float((now.argmax(1) == then.argmax(1)).double().mean()))
    test = predict(open_session(path, 1), data.test.images, p)
    assert point.accuracy == float((test.argmax(1) == data.test.labels).double().mean())
    error = expected_calibration_error(test.softmax(1).double().numpy(), data.test.labels.numpy())
    assert receipt["calibration_error"] == error
    assert receipt["latency_fp32"]["predicted_by_macs"] == 1.0


def test_it_says_why_nothing_became_faster(told) -> None:  # type: ignore[no-untyped-def]
    point, _, _ = told
    reasons = [reason for reason in point.receipt["no_gain"] if "latency" in reason]
    if (speedup := point.receipt["latency_fp32"].get("speedup")) is not None:
        assert len(reasons) == int(speedup < 1.05)
        assert all(reason.startswith("no gain in latency (") for reason in reasons)
    if point.method != "static":
        assert any("The arithmetic stays float32" in note for note in point.receipt["notes"])
        assert point.receipt["int8_layers"] == 0
    assert not any("bytes" in reason for reason in point.receipt["no_gain"])


def test_its_size_was_foreseen(told) -> None:  # type: ignore[no-untyped-def]
    """Within a tenth, before a file was written."""
    point, path, learned = told
    method = build("quantize", point.method, **METHODS[point.method])
    labels = sum(len(entry.value) for entry in onnx.load(path).metadata_props)
    foreseen = method.file_size().bytes(parts(learned.model)) + labels
    assert foreseen == pytest.approx(path.stat().st_size, rel=0.1)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_it_tells_its_work_beforehand(learned, name: str) -> None:  # type: ignore[no-untyped-def]
    method = build("quantize", name, **METHODS[name])
    works = method.workload(learned.model, learned.model, learned.context)
    images = {work.kind: work.images for work in works}
    assert ("train" in images) == (name == "qat")
    assert (sum(images.values()) == 0) == (name in ("bf16", "weight_only"))
