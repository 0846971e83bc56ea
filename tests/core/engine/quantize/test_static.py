"""Static int8 files: agreement with float on real images, bytes, and the kernels that run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from core.engine.measure.graph import count, integer_layers, kernels, layers, weight_bytes
from core.engine.method import build
from core.engine.quantize import Calibration, Conversion, Quantize
from core.errors import UserError


def convert(tiny, folder: Path, **options: str | int | bool) -> tuple[Path, Conversion]:  # type: ignore[no-untyped-def]
    method = build("quantize", "static", **options)
    assert isinstance(method, Quantize)
    target = folder / "int8.onnx"
    return target, method.convert(tiny.path, target, Calibration(lambda: iter(tiny.calibration())))


@pytest.mark.parametrize("calibration", ["minmax", "percentile", "entropy", "mse"])
def test_agrees_with_float_on_real_images(tiny, run, tmp_path: Path, calibration: str) -> None:  # type: ignore[no-untyped-def]
    target, _ = convert(tiny, tmp_path, calibration=calibration)
    ours, theirs = run(target, tiny.images[64:]), run(tiny.path, tiny.images[64:])
    ours, theirs = ours - theirs.mean(0), theirs - theirs.mean(0)  # what differs between images, not the biases
    cosine = (ours * theirs).sum() / np.linalg.norm(ours) / np.linalg.norm(theirs)
    assert cosine > (0.94 if calibration == "entropy" else 0.99)
    assert np.isfinite(ours).all()


def test_every_layer_runs_an_integer_kernel(tiny, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    target, conversion = convert(tiny, tmp_path)
    assert (conversion.layers_touched, conversion.layers_total) == (4, 4)
    assert integer_layers(kernels(target)) == (4, 4)
    assert integer_layers(kernels(tiny.path)) == (0, 4)


def test_weights_are_a_quarter_and_symmetric(tiny, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    target, conversion = convert(tiny, tmp_path)
    assert conversion.weight_bytes_before == weight_bytes(tiny.path) == 4 * conversion.weight_bytes_after
    assert weight_bytes(target) == conversion.weight_bytes_after
    stored = {t.name: t for t in onnx.load(target).graph.initializer}
    for layer in layers(onnx.load(target)):
        assert layer.data_type == TensorProto.INT8
        assert numpy_helper.to_array(stored[layer.weight]).min() >= -127
    assert count(target) == count(tiny.path)


def scales(path: Path) -> set[int]:
    """How many scales each weight has."""
    model = onnx.load(path)
    stored = {t.name: t for t in model.graph.initializer}
    weights = {layer.weight for layer in layers(model)}
    nodes = [n for n in model.graph.node if n.op_type == "DequantizeLinear" and n.input[0] in weights]
    return {int(np.prod(stored[n.input[1]].dims)) for n in nodes}


def test_one_scale_a_channel_or_one_a_layer(tiny, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert scales(convert(tiny, tmp_path)[0]) == {9, 5, 4}
    assert scales(convert(tiny, tmp_path, per_channel=False)[0]) == {1}


def test_metadata_batch_and_checker(tiny, run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    target, _ = convert(tiny, tmp_path)
    model = onnx.load(target)
    onnx.checker.check_model(model, full_check=True)
    assert {p.key: p.value for p in model.metadata_props} == {
        p.key: p.value for p in onnx.load(tiny.path).metadata_props
    }
    np.testing.assert_allclose(run(target, tiny.images[:1]), run(target, tiny.images)[:1], atol=1e-6)
    for tensor in model.graph.initializer:
        assert np.isfinite(numpy_helper.to_array(tensor).astype(np.float64)).all()


def test_the_same_images_give_the_same_bytes(tiny, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    first = convert(tiny, tmp_path)[0].read_bytes()
    assert convert(tiny, tmp_path)[0].read_bytes() == first


def test_calibration_images_are_limited(tiny, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    drawn = []

    def batches():  # type: ignore[no-untyped-def]
        for start in range(0, 64, 4):
            drawn.append(start)
            yield tiny.images[start : start + 4]

    method = build("quantize", "static", calibration_images=16, calibration="minmax")
    assert isinstance(method, Quantize)
    conversion = method.convert(tiny.path, tmp_path / "few.onnx", Calibration(batches))
    assert drawn == [0, 4, 8, 12]
    assert conversion.notes == ()
    _, conversion = convert(tiny, tmp_path)
    assert "64" in conversion.notes[0]
    assert "256" in conversion.notes[0]


def test_calibration_decides_the_ranges(tiny, run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    method = build("quantize", "static")
    assert isinstance(method, Quantize)
    target = tmp_path / "dim.onnx"
    method.convert(tiny.path, target, Calibration(lambda: iter([tiny.images[:64] * 0.01])))
    expected = run(tiny.path, tiny.images)
    good = np.abs(run(convert(tiny, tmp_path)[0], tiny.images) - expected).mean()
    assert np.abs(run(target, tiny.images) - expected).mean() > 5 * good


def test_refuses(tiny, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    target, _ = convert(tiny, tmp_path)
    method = build("quantize", "static")
    assert isinstance(method, Quantize)
    with pytest.raises(UserError, match="float"):
        method.convert(target, tmp_path / "twice.onnx", Calibration(lambda: iter(tiny.calibration())))
    with pytest.raises(UserError, match="no images"):
        method.convert(tiny.path, tmp_path / "twice.onnx", Calibration(lambda: iter(())))
    assert not (tmp_path / "twice.onnx").exists()
    for options in ({"bits": 4}, {"calibration": "max"}, {"calibration_images": 5}, {"per_channel": 1}):
        with pytest.raises(UserError):
            build("quantize", "static", **options)
