"""What every way to quantize keeps to; one joins by being in the folder."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, numpy_helper

from core.engine.measure.evaluate import evaluate
from core.engine.measure.graph import layers
from core.engine.measure.runtime import open_session
from core.engine.method import methods
from core.engine.quantize import Quantize

KINDS = methods("quantize")
CHEAP = {"epochs": 1, "least_steps": 0, "calibration_images": 64, "sensitivity_images": 64, "ends": False}
INTEGERS = {TensorProto.INT2, TensorProto.INT4, TensorProto.INT8, TensorProto.UINT8}


def widths(kind: type[Quantize]) -> list[int]:
    """The bits it offers, of one that trains the ends only; 0 where it offers none."""
    choices = next((option.choices for option in kind.options() if option.name == "bits"), (0,))
    bits = [int(choice) for choice in choices]
    return [bits[0], bits[-1]] if "epochs" in kind.model_fields and len(bits) > 1 else bits


EVERY = [(name, bits) for name, kind in KINDS.items() if issubclass(kind, Quantize) for bits in widths(kind)]


def quantized(name: str, bits: int, learned, folder: Path) -> Path:  # type: ignore[no-untyped-def]
    """The file that the step writes, of a network that knows the digits."""
    kind = KINDS[name]
    options = {key: value for key, value in {**CHEAP, "bits": bits}.items() if key in kind.model_fields}
    method = kind.model_validate(options)
    context = replace(learned.context, folder=folder, cache=folder / "cache")
    model = learned.model.with_net(copy.deepcopy(learned.model.net))
    method.save(method.apply(model, context), folder / "model.onnx", context)
    return folder / "model.onnx"


@pytest.mark.thorough
@pytest.mark.parametrize(("name", "bits"), EVERY)
def test_its_file_is_valid_smaller_and_keeps_to_its_bits(name: str, bits: int, learned, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = quantized(name, bits, learned, tmp_path)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert path.stat().st_size < learned.source.stat().st_size
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    found = [numpy_helper.to_array(stored[one.weight]) for one in layers(model) if one.data_type in INTEGERS]
    assert len(found) == len(layers(model)) or not bits
    for numbers in found if bits else []:
        assert int(numbers.astype(np.int64).max()) - int(numbers.astype(np.int64).min()) < 2**bits


@pytest.mark.thorough
@pytest.mark.parametrize(("name", "bits"), EVERY)
def test_its_kernels_add_as_exactly_as_floats(name: str, bits: int, learned, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Beside onnxruntime that rounds as the file says and multiplies in float32; a processor without VNNI would not."""
    path = quantized(name, bits, learned, tmp_path)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    plain = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    data, preprocessing = learned.context.data.test, learned.model.preprocessing
    truth, found = (evaluate(each, data, preprocessing) for each in (plain, open_session(path, 1)))
    steps = (truth.logits - found.logits).abs() / (truth.logits.max() - truth.logits.min()) * 255
    assert float(steps.median()) < 1.5
    assert float((truth.logits.argmax(1) == found.logits.argmax(1)).double().mean()) >= 0.99


@pytest.mark.thorough
@pytest.mark.parametrize(("name", "bits"), [(name, bits) for name, bits in EVERY if bits in (0, 8)])
def test_at_8_bits_it_answers_as_the_float_file(name: str, bits: int, learned, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """And so does one that chooses its bits by validation."""
    files = (learned.source, quantized(name, bits, learned, tmp_path))
    data, preprocessing = learned.context.data.test, learned.model.preprocessing
    exact, rounded = (evaluate(open_session(path, 1), data, preprocessing) for path in files)
    assert torch.isfinite(rounded.logits).all()
    assert abs(rounded.accuracy - exact.accuracy) <= 0.05
    assert float((rounded.logits.argmax(1) == exact.logits.argmax(1)).double().mean()) > 0.9
