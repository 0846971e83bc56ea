"""Integers are added exactly in every session of the product, on processors that would cut sums off too."""

from __future__ import annotations

import base64
import runpy
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from core.assets import PREDICT, shipped
from core.engine.data import Split
from core.engine.measure import file, session
from core.engine.measure.runtime import open_session
from core.engine.measure.session import CPU, EXACT, options_for, overflows
from core.engine.model import Preprocessing

CHANNELS, SIDE = 48, 8
SCALE, STEP = np.float32(1 / 255), np.float32(4)


def convolution(weight: NDArray[np.int8]) -> bytes:
    """uint8 images [1, 48, 8, 8] through one int8 convolution, [O, 48, 1, 1], rounded to steps of 4."""
    channels = len(weight)
    constants = {
        "weight": weight,
        "weight_scale": np.full(channels, 0.01, np.float32),
        "weight_zero": np.zeros(channels, np.int8),
        "scale": SCALE,
        "zero": np.uint8(0),
        "step": STEP,
        "middle": np.uint8(128),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["image", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["x"]),
        helper.make_node("DequantizeLinear", ["weight", "weight_scale", "weight_zero"], ["w"], axis=0),
        helper.make_node("Conv", ["x", "w"], ["y"]),
        helper.make_node("QuantizeLinear", ["y", "step", "middle"], ["p"]),
        helper.make_node("DequantizeLinear", ["p", "step", "middle"], ["logits"]),
    ]
    value = helper.make_tensor_value_info
    shapes = ([1, CHANNELS, SIDE, SIDE], [1, channels, SIDE, SIDE])
    ends = [value(name, TensorProto.FLOAT, shape) for name, shape in zip(("image", "logits"), shapes, strict=True)]
    stored = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], stored)
    made: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    ).SerializeToString()
    return made


@pytest.mark.parametrize("seed", range(5))
def test_sums_are_those_of_whole_numbers(seed: int) -> None:
    draw = np.random.default_rng(seed)
    weight = draw.choice(np.array([-127, 90, 127], np.int8), size=(16, CHANNELS, 1, 1))  # pairs pass 32,767
    pixels = draw.integers(200, 256, (1, CHANNELS, SIDE, SIDE)).astype(np.uint8)
    (found,) = open_session(convolution(weight)).run(None, {"image": pixels * SCALE})
    sums = np.einsum("oc,nchw->nohw", weight[..., 0, 0].astype(np.int64), pixels.astype(np.int64))
    exact = np.clip(np.rint(sums * (0.01 / 255 / STEP)), -128, 127) * STEP
    assert np.abs(found - exact).max() <= STEP  # a sum half-way between two steps may be rounded either way
    assert np.mean(found != exact) < 0.02


def test_what_this_processor_does_untold_is_found_by_multiplying() -> None:
    weight = np.full((16, CHANNELS, 1, 1), 127, np.int8)
    image = np.ones((1, CHANNELS, SIDE, SIDE), np.float32)
    model = convolution(weight)
    untold = onnxruntime.InferenceSession(model, providers=CPU).run(None, {"image": image})[0]
    exact = CHANNELS * 127 * 0.01
    assert overflows() is bool(np.abs(untold - exact).max() > STEP)


@pytest.mark.parametrize("cuts", [True, False])
def test_a_processor_that_adds_whole_sums_keeps_its_fast_kernels(cuts: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "overflows", lambda: cuts)
    model = convolution(np.ones((4, CHANNELS, 1, 1), np.int8))
    assert options_for(model).get_session_config_entry(EXACT) == ("1" if cuts else "0")
    float_weights = helper.make_model(helper.make_graph([], "g", [], [])).SerializeToString()
    assert options_for(float_weights).get_session_config_entry(EXACT) == "0"


def test_a_bundle_finds_out_by_the_same_multiplication() -> None:
    script = runpy.run_path(str(shipped(PREDICT)))
    held = zlib.decompress(base64.b64decode("".join(script["SIXTEEN"])))
    assert onnx.load_from_string(held) == onnx.load_from_string(session.multiplication())
    assert script["cuts_sums_off"]() is overflows()


def classifier(path: Path, weight: list[list[float]], *, rounded: bool) -> Path:
    """Logits of an image's four pixels; `rounded`: its activations are."""
    pair = [
        helper.make_node("QuantizeLinear", ["flat", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["x"]),
    ]
    flat = helper.make_node("Flatten", ["image"], ["flat"])
    product = helper.make_node("MatMul", ["x" if rounded else "flat", "weight"], ["logits"])
    ends = [
        helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, 2, 2]),
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 2]),
    ]
    constants = {"weight": np.array(weight, np.float32), "scale": SCALE, "zero": np.uint8(0)}
    stored = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    graph = helper.make_graph([flat, *(pair if rounded else []), product], "g", ends[:1], ends[1:], stored)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


@pytest.mark.parametrize(("cuts", "rounded", "told"), [(True, True, 1), (True, False, 0), (False, True, 0)])
def test_receipt_counts_the_answers_that_others_get(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cuts: bool, rounded: bool, told: int
) -> None:
    mine = classifier(tmp_path / "mine.onnx", [[1, 0], [0, 1], [0, 0], [0, 0]], rounded=rounded)
    other = classifier(tmp_path / "other.onnx", [[1, 0], [0, 0], [0, 0], [0, 0]], rounded=rounded)
    monkeypatch.setattr(file, "overflows", lambda: cuts)
    monkeypatch.setattr(file, "as_others_open_it", lambda path: open_session(other))
    upper = torch.tensor([[200, 100], [100, 200], [90, 250], [30, 10]], dtype=torch.uint8)
    images = torch.cat([upper, torch.zeros_like(upper)], 1).reshape(4, 1, 2, 2)
    test = Split(images, torch.tensor([0, 1, 1, 0]))
    pixels = Preprocessing(mean=(0.0,), std=(1.0,), size=2, channels=1)
    logits = open_session(mine).run(None, {"image": images.numpy() / np.float32(255)})[0]
    quality = SimpleNamespace(test=1.0, test_logits=torch.from_numpy(logits))
    found = file.cut_off(mine, pixels, test, quality, 1)  # type: ignore[arg-type]
    assert len(found) == told
    if told:
        assert "answers differ on 2 of 4 test images and the accuracy is 50.0 % instead of 100.0 %" in found[0]
