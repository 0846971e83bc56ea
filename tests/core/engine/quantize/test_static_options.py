"""What static quantization does before and after rounding: equalisation, bias correction, a bound on the loss."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch.nn import functional as F

from core.engine.measure.graph import BITS, integer_layers, kernels, layers
from core.engine.method import build
from core.engine.quantize import Conversion, Quantize
from core.engine.quantize.arithmetic import fake_quantize
from core.engine.quantize.correction import correct_biases, mean_shifts
from core.engine.quantize.equalization import equalize, pairs
from core.engine.quantize.fallback import by_sensitivity, segments
from core.engine.quantize.validation import GraphEvaluation, cached_evaluator
from core.errors import UserError


def chain(between: list[onnx.NodeProto], group: int = 1) -> onnx.ModelProto:
    """image [N, 2, 6, 6] → Conv 3×3 to 4 channels of very different size → `between` (y to z) → Conv 3×3."""
    random = np.random.default_rng(0)
    size = np.array([100.0, 1.0, 0.01, 5.0], np.float32).reshape(4, 1, 1, 1)
    numbers = {
        "w1": random.normal(size=(4, 2, 3, 3)).astype(np.float32) * size,
        "b1": random.normal(size=4).astype(np.float32),
        "w2": random.normal(size=(4 if group > 1 else 3, 4 // group, 3, 3)).astype(np.float32),
        "low": np.array(0, np.float32),
        "six": np.array(6, np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["image", "w1", "b1"], ["y"], name="one"),
        *between,
        helper.make_node("Conv", ["z", "w2"], ["logits"], name="two", group=group),
    ]
    shape = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", None, None, None]) for n in ("image", "logits")]
    stored = [numpy_helper.from_array(array, name) for name, array in numbers.items()]
    graph = helper.make_graph(nodes, "chain", shape[:1], shape[1:], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def answer(model: onnx.ModelProto, images: NDArray[np.float32]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: NDArray[np.float32] = session.run(None, {session.get_inputs()[0].name: images})[0]
    return found


def weight(model: onnx.ModelProto, name: str) -> NDArray[np.float32]:
    return numpy_helper.to_array({t.name: t for t in model.graph.initializer}[name])


IMAGES = np.random.default_rng(1).normal(size=(5, 2, 6, 6)).astype(np.float32)
RELU = [helper.make_node("Relu", ["y"], ["z"], name="relu")]
CLIP = [helper.make_node("Clip", ["y", "low", "six"], ["z"], name="clip")]
SIGMOID = [helper.make_node("Sigmoid", ["y"], ["z"], name="sigmoid")]
SPLIT = [*RELU, helper.make_node("Identity", ["y"], ["unused"], name="other")]


@pytest.mark.parametrize("group", [1, 4])
def test_equalisation_keeps_the_function_and_makes_the_ranges_equal(group: int) -> None:
    model = chain(RELU, group)
    before = answer(model, IMAGES)
    assert (equalize(model, False).pairs, equalize(model, False).blocked) == (1, 0)
    np.testing.assert_allclose(answer(model, IMAGES), before, rtol=1e-3, atol=1e-3)
    one = np.abs(weight(model, "w1")).max((1, 2, 3))
    two = np.abs(weight(model, "w2")).max((1, 2, 3) if group > 1 else (0, 2, 3))
    np.testing.assert_allclose(one, two, rtol=1e-3)
    assert one.max() / one.min() < 200  # 10,000 before


def test_relu6_is_left_alone_unless_asked_for() -> None:
    model = chain(CLIP)
    before = model.SerializeToString()
    made = equalize(model, False)
    assert (made.pairs, made.blocked) == (0, 1)
    assert model.SerializeToString() == before
    assert equalize(model, True).pairs == 1
    assert [node.op_type for node in model.graph.node] == ["Conv", "Relu", "Conv"]
    np.testing.assert_allclose(answer(model, IMAGES), answer(chain(RELU), IMAGES), rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("between", [SIGMOID, SPLIT])
def test_no_pair_where_the_function_would_change(between: list[onnx.NodeProto]) -> None:
    assert pairs(chain(between)) == ()


def test_equalisation_undoes_a_planted_outlier(learned, planted: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    evaluator = cached_evaluator(learned.model, learned.context)
    found = {}
    for mode in ("none", "exact"):
        method = build("quantize", "static", equalize=mode, calibration="minmax")
        assert isinstance(method, Quantize)
        conversion = method.convert(planted, tmp_path / f"{mode}.onnx", learned.calibration)
        found[mode] = evaluator(onnx.load(tmp_path / f"{mode}.onnx")).accuracy
    assert evaluator(onnx.load(planted)).accuracy - found["none"] > 0.05
    assert evaluator(onnx.load(planted)).accuracy - found["exact"] < 0.01
    assert "3 pairs" in conversion.notes[0]


def test_shifts_are_the_mean_error_of_each_layer(learned) -> None:  # type: ignore[no-untyped-def]
    """Against torch: the stem's answers with float and with 2-bit weights, averaged."""
    model = onnx.load(learned.source)

    def rounded(layer, array):  # type: ignore[no-untyped-def]
        return fake_quantize(torch.from_numpy(array.copy()), 2, 0).numpy()

    shifts = mean_shifts(model, learned.calibration, 128, rounded)
    stem = layers(model)[0]
    images = torch.from_numpy(np.concatenate(list(learned.calibration())))
    kernel = torch.from_numpy(weight(model, stem.weight).copy())
    exact, coarse = (F.conv2d(images, k, padding=1).mean((0, 2, 3)) for k in (kernel, fake_quantize(kernel, 2, 0)))
    np.testing.assert_allclose(shifts[stem.name], (coarse - exact).numpy(), atol=1e-5)
    assert np.abs(shifts[stem.name]).max() > 1e-2
    correct_biases(model, shifts)
    assert len(shifts) == len(layers(model)) == 10
    for layer in layers(model):  # now the coarse layer answers as the float one does on average
        bias = weight(model, next(n for n in model.graph.node if n.name == layer.name).input[2])
        assert bias.shape == shifts[layer.name].shape
    np.testing.assert_allclose(
        weight(model, f"{stem.name}_corrected_bias") + shifts[stem.name],
        weight(onnx.load(learned.source), onnx.load(learned.source).graph.node[0].input[2]),
        atol=1e-6,
    )


def test_bias_correction_brings_a_coarse_network_nearer(learned) -> None:  # type: ignore[no-untyped-def]
    """With 3-bit weights the logits lie nearer to float after correction than before."""

    def rounded(layer, array):  # type: ignore[no-untyped-def]
        return fake_quantize(torch.from_numpy(array.copy()), 3, 0).numpy()

    images = np.concatenate(list(learned.calibration()))
    expected = answer(onnx.load(learned.source), images)
    distances = []
    for correct in (False, True):
        model = onnx.load(learned.source)
        if correct:
            correct_biases(model, mean_shifts(model, learned.calibration, 128, rounded))
        for layer in layers(model):
            tensor = {t.name: t for t in model.graph.initializer}[layer.weight]
            coarse: NDArray[np.float32] = rounded(layer, numpy_helper.to_array(tensor))  # type: ignore[no-untyped-call]
            tensor.CopyFrom(numpy_helper.from_array(coarse, layer.weight))
        distances.append(float(np.abs(answer(model, images) - expected).mean()))
    assert distances[1] < 0.95 * distances[0]


def convert(learned, source: Path, target: Path, **options: object) -> Conversion:  # type: ignore[no-untyped-def]
    method = build("quantize", "static", calibration="minmax", calibration_images=128, **options)  # type: ignore[arg-type]
    assert isinstance(method, Quantize)
    return method.convert(source, target, learned.calibration, cached_evaluator(learned.model, learned.context))


def test_the_most_sensitive_layer_stays_float_and_the_bound_is_met(learned, planted: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    made = convert(learned, planted, tmp_path / "bound.onnx", max_drop=1.0)
    evaluator = cached_evaluator(learned.model, learned.context)
    assert evaluator(onnx.load(planted)).accuracy - evaluator(onnx.load(tmp_path / "bound.onnx")).accuracy <= 0.01
    assert 0 < made.layers_touched < made.layers_total == 10
    assert "within 1 points" in made.notes[0]
    kept = [layer for layer in layers(onnx.load(tmp_path / "bound.onnx")) if BITS[layer.data_type] == 32]
    assert len(kept) == made.layers_total - made.layers_touched
    assert (16, 16, 3, 3) in [layer.shape for layer in kept]  # the layer that reads the planted channel, or its maker
    loose = convert(learned, learned.source, tmp_path / "loose.onnx", max_drop=5.0)
    assert loose.layers_touched == 10
    assert "no layer had to" in loose.notes[0]


def test_the_last_layer_stays_float_on_request(learned, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    made = convert(learned, learned.source, tmp_path / "head.onnx", float_head=True)
    assert (made.layers_touched, made.layers_total) == (9, 10)
    found = layers(onnx.load(tmp_path / "head.onnx"))
    assert [BITS[layer.data_type] for layer in found] == [8] * 9 + [32]
    exact = weight(onnx.load(learned.source), layers(onnx.load(learned.source))[-1].weight)
    np.testing.assert_array_equal(weight(onnx.load(tmp_path / "head.onnx"), found[-1].weight), exact)
    assert integer_layers(kernels(tmp_path / "head.onnx")) == (9, 10)


def biases(model: onnx.ModelProto) -> dict[str, NDArray[np.float32]]:
    """By layer, its bias in float32; of a rounded layer its integers times their scales."""
    stored = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    made = {node.output[0]: node for node in model.graph.node}
    found = {}
    for node in model.graph.node:
        if node.op_type in ("Conv", "Gemm"):
            name = node.input[2]
            whole, scale = (stored[each] for each in made[name].input[:2]) if name in made else (stored[name], 1.0)
            found[node.name] = np.asarray(whole * scale, np.float32)
    return found


@pytest.mark.parametrize("options", [{"float_head": True}, {"max_drop": 1.0}])
def test_layers_that_stay_float_keep_their_bias(  # type: ignore[no-untyped-def]
    options: dict[str, object], learned, planted: Path, tmp_path: Path
) -> None:
    """Their weights are not rounded, so there is no shift to take back."""
    made = convert(learned, planted, tmp_path / "made.onnx", bias_correction=True, **options)
    before, after = biases(onnx.load(planted)), biases(onnx.load(tmp_path / "made.onnx"))
    held = layers(onnx.load(tmp_path / "made.onnx"))
    floats = {layer.name for layer in held if BITS[layer.data_type] == 32}
    assert floats
    for name in floats:
        np.testing.assert_array_equal(after[name], before[name])
    moved = {name for name in before if name not in floats and not np.allclose(before[name], after[name], atol=1e-3)}
    assert moved
    assert f"Bias correction: {10 - len(floats)} of 10 layers." in made.notes


def test_says_when_the_bound_cannot_be_met(learned, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """An evaluator that finds any quantized graph worthless: no bound can be met."""
    method = build("quantize", "static", calibration="minmax", calibration_images=128, max_drop=1.0)
    assert isinstance(method, Quantize)

    def harsh(graph: onnx.ModelProto, images: int = 0) -> GraphEvaluation:
        quantized = sum(node.op_type == "QuantizeLinear" for node in graph.graph.node)
        return GraphEvaluation(float(quantized), 0.5 - quantized / 1000 if quantized else 0.9, 100)

    made = method.convert(learned.source, tmp_path / "harsh.onnx", learned.calibration, harsh)
    assert "can't be met" in made.notes[0]
    assert made.layers_touched == 1


def test_segments_cover_every_node_once(learned) -> None:  # type: ignore[no-untyped-def]
    model = onnx.load(learned.source)
    parts = segments(model)
    assert list(parts) == [layer.name for layer in layers(model)]
    assert [name for nodes in parts.values() for name in nodes] == [node.name for node in model.graph.node]


def test_sensitivity_puts_the_layer_that_hurts_most_first(learned) -> None:  # type: ignore[no-untyped-def]
    model = onnx.load(learned.source)
    names = [layer.name for layer in layers(model)]
    asked: list[frozenset[str]] = []

    def write(floats):  # type: ignore[no-untyped-def]
        asked.append(frozenset(floats))
        return model

    order = by_sensitivity(model, write, lambda graph, images=0: GraphEvaluation(float(len(asked)), 0.5, images))
    assert order == tuple(reversed(names))  # the last one asked about had the highest loss
    for name, floats in zip(names, asked, strict=True):
        assert name not in floats
        assert set(names) - {name} <= floats


def test_a_judgement_is_remembered(learned, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    stops = []
    evaluator = cached_evaluator(learned.model, learned.context)
    evaluator = type(evaluator)(
        evaluator.split, evaluator.preprocessing, tmp_path / "memory", evaluator.data, lambda *_: stops.append(1)
    )
    graph = onnx.load(learned.source)
    first = evaluator(graph, 100)
    looked = len(stops)
    assert evaluator(graph, 100) == first
    assert len(stops) == looked > 0
    assert first.images == 100
    (path,) = (tmp_path / "memory").iterdir()
    path.write_text(json.dumps("damaged"))
    assert evaluator(graph, 100) == first
    assert evaluator(graph).images == len(evaluator.split)


def test_a_bound_needs_images_to_judge_by(learned, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    method = build("quantize", "static", max_drop=1.0)
    assert isinstance(method, Quantize)
    with pytest.raises(UserError, match="validation"):
        method.convert(learned.source, tmp_path / "none.onnx", learned.calibration)
    assert not (tmp_path / "none.onnx").exists()
