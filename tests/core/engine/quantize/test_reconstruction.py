"""AdaRound: the quadratic form is the layer's squared error, and the chosen integers leave less of it than rounding."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from torch.nn import functional as F

from core.engine.context import CancelledError
from core.engine.measure.graph import Layer, layers
from core.engine.method import build
from core.engine.quantize import Calibration, Quantize, reconstruction
from core.engine.quantize.arithmetic import quantize
from core.engine.quantize.reconstruction import Reader, reconstruct
from core.errors import UserError


def conv_reader(shape: tuple[int, ...], group: int, **attributes: Any) -> Reader:
    node = helper.make_node("Conv", ["x", "w"], ["y"], group=group, **attributes)
    return Reader(Layer("conv", "Conv", "w", shape, 1, 0), node, group)


@pytest.mark.parametrize(
    ("shape", "group", "stride", "dilation"),
    [((6, 4, 3, 3), 1, 1, 1), ((4, 1, 3, 3), 4, 2, 1), ((6, 2, 3, 1), 2, 1, 2)],
)
def test_moments_give_the_layers_squared_error(shape: tuple[int, ...], group: int, stride: int, dilation: int) -> None:
    """Against a convolution by torch of the same images with the weights' errors."""
    torch.manual_seed(0)
    images, error = torch.randn(5, 4, 9, 8), torch.randn(shape)
    reader = conv_reader(shape, group, strides=[stride] * 2, dilations=[dilation] * 2, pads=[1, 1, 1, 1])
    rows = reader.rows(error).double()
    form = ((rows @ reader.moments(images)) * rows).sum(-1).reshape(-1)
    answers = F.conv2d(images, error, stride=stride, padding=1, dilation=dilation, groups=group)
    torch.testing.assert_close(form.float(), answers.square().sum((0, 2, 3)), rtol=1e-4, atol=1e-3)
    assert torch.equal(reader.tensor(reader.rows(error)), error)


def test_the_choice_is_near_the_best_of_all() -> None:
    """Seven correlated inputs, 40 rows: against all 2^7 ways to round each."""
    torch.manual_seed(3)
    mixing = torch.randn(7, 7)
    inputs = torch.randn(400, 7) @ mixing
    moment = (inputs.T @ inputs).double()[None]
    weight = torch.randn(40, 7)
    reader = Reader(Layer("fc", "Gemm", "w", (40, 7), 1, 0), helper.make_node("Gemm", ["x", "w"], ["y"]), 1)
    nearest = quantize(weight, 3, 0)
    made = reconstruct(weight, nearest, 3, moment, reader, lambda: None)
    assert int(made.abs().max()) <= 3

    def error(integers: torch.Tensor, row: int) -> float:
        change = (integers * nearest.scale[row] - weight[row]).double()
        return float(change @ moment[0] @ change)

    rows = []
    for row in range(40):
        floor = (weight[row] / nearest.scale[row]).floor()
        best = min(error((floor + torch.tensor(ups)).clamp(-3, 3), row) for ups in product((0.0, 1.0), repeat=7))
        ours, plain = error(made[row], row), error(nearest.integers[row], row)
        assert best - 1e-6 <= ours <= plain + 1e-6
        rows.append((best, ours, plain))
    best, ours, plain = (sum(column) for column in zip(*rows, strict=True))
    assert plain - ours > 0.7 * (plain - best) > 0, rows  # most of what can be won is won


def convert(learned, target: Path, rounding: str) -> dict[str, np.ndarray]:  # type: ignore[no-untyped-def]
    """The file's widened weights by name."""
    method = build("quantize", "weight_only", bits=3, rounding=rounding, calibration_images=128)
    assert isinstance(method, Quantize)
    made = method.convert(learned.source, target, learned.calibration)
    assert made.layers_touched == made.layers_total == 10
    stored = {t.name: numpy_helper.to_array(t) for t in onnx.load(target).graph.initializer}
    return {
        name.removesuffix("_integers"): stored[name].astype(np.float32) * stored[name.replace("_integers", "_scale")]
        for name in stored
        if name.endswith("_integers")
    }


def test_every_layer_answers_nearer_to_float_on_images_it_never_saw(  # type: ignore[no-untyped-def]
    learned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Conv layers are compared by onnxruntime on other images; all but few gain, and none by little."""
    from core.engine.measure.runtime import prepared
    from core.engine.quantize.calibration import runner

    monkeypatch.setattr(reconstruction, "STEPS", 120)
    model = onnx.load(learned.source)
    ours, plain = (convert(learned, tmp_path / f"{way}.onnx", way) for way in ("adaround", "nearest"))
    images = next(prepared(learned.context.data.test.images[:64], learned.model.preprocessing))
    nodes = {node.name: node for node in model.graph.node}
    held = [layer for layer in layers(model) if layer.op == "Conv"]
    values = runner(model, [nodes[layer.name].input[0] for layer in held])(images)
    exact = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    ratios = []
    for layer, value in zip(held, values, strict=True):
        given = {a.name: list(a.ints) for a in nodes[layer.name].attribute}

        def error(weights: np.ndarray, value=value, given=given, layer=layer) -> float:  # type: ignore[no-untyped-def]
            change = torch.from_numpy(weights - exact[layer.weight])
            answers = F.conv2d(torch.from_numpy(value), change, stride=given["strides"], padding=given["pads"][:2])
            return float(answers.square().mean())

        ratios.append(error(ours[layer.weight]) / error(plain[layer.weight]))
    assert max(ratios) < 1.0
    assert float(np.mean(ratios)) < 0.6


def test_it_is_stopped_between_two_steps_of_a_layer(learned, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """A layer of a large network takes minutes; whoever cancels does not wait for it."""
    looks = 0

    def rest() -> None:
        nonlocal looks
        looks += 1
        if looks == 4:  # while the first layer's weights are moved
            raise CancelledError

    method = build("quantize", "weight_only", bits=3, rounding="adaround", calibration_images=16)
    assert isinstance(method, Quantize)
    with pytest.raises(CancelledError):
        method.convert(learned.source, tmp_path / "stopped.onnx", Calibration(learned.calibration.images, rest))
    assert looks == 4


def test_it_says_where_there_were_fewer_images(learned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(reconstruction, "STEPS", 2)
    for wanted, told in ((256, True), (128, False)):
        method = build("quantize", "weight_only", rounding="adaround", calibration_images=wanted)
        assert isinstance(method, Quantize)
        made = method.convert(learned.source, tmp_path / "made.onnx", learned.calibration)
        assert ("Only 128 calibration images were there; 256 were asked for." in made.notes) == told


def test_it_needs_images(learned, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    method = build("quantize", "weight_only", rounding="adaround")
    assert isinstance(method, Quantize)
    with pytest.raises(UserError, match="no images"):
        method.convert(learned.source, tmp_path / "none.onnx", Calibration(lambda: iter(())))
    assert not (tmp_path / "none.onnx").exists()
