"""bfloat16 files: half the bytes, torch's own rounding, and a runtime that computes with exactly those weights."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from torch.nn.utils.fusion import fuse_conv_bn_eval

from core.engine.measure.graph import count, integer_layers, kernels, layers, weight_bytes
from core.engine.method import build
from core.engine.quantize import Calibration, Conversion, Quantize
from core.errors import UserError


def convert(source: Path, target: Path) -> Conversion:
    method = build("quantize", "bf16")
    assert isinstance(method, Quantize)
    return method.convert(source, target, Calibration(lambda: iter(())))


def test_onnxruntime_computes_with_weights_rounded_by_torch(tiny, run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    made = convert(tiny.path, tmp_path / "half.onnx")
    net = copy.deepcopy(tiny.net)
    net.stem, net.norm = fuse_conv_bn_eval(net.stem, net.norm), torch.nn.Identity()
    net.deep, net.deep_norm = fuse_conv_bn_eval(net.deep, net.deep_norm), torch.nn.Identity()
    exact = net(torch.from_numpy(tiny.images)).detach().numpy()
    with torch.no_grad():
        for layer in (net.stem, net.deep, net.tokens, net.head):
            layer.weight.copy_(layer.weight.bfloat16().float())
        expected = net(torch.from_numpy(tiny.images)).numpy()
    found = run(tmp_path / "half.onnx", tiny.images)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(exact - expected).max() > 5e-4, "rounding shows: the bound above means something"
    assert (made.layers_touched, made.layers_total, made.bits) == (4, 4, 16)
    onnx.checker.check_model(onnx.load(tmp_path / "half.onnx"), full_check=True)


def test_bytes_halve_and_nothing_else_changes(tiny, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    target = tmp_path / "half.onnx"
    made = convert(tiny.path, target)
    assert (
        made.weight_bytes_before == weight_bytes(tiny.path) == 2 * weight_bytes(target) == 2 * made.weight_bytes_after
    )
    assert {layer.data_type for layer in layers(onnx.load(target))} == {TensorProto.BFLOAT16}
    assert count(target) == count(tiny.path)
    assert [p.key for p in onnx.load(target).metadata_props] == [p.key for p in onnx.load(tiny.path).metadata_props]


def test_the_receipt_can_tell_that_no_kernel_ran_integers(tiny, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    made = convert(tiny.path, tmp_path / "half.onnx")
    assert integer_layers(kernels(tmp_path / "half.onnx")) == (0, 4)
    assert "The arithmetic stays float32" in made.notes[0]
    assert "Cast" not in {use.op for use in kernels(tmp_path / "half.onnx")}, "widened on loading, not at every run"


def test_refuses_a_file_without_float_weights(tiny, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    convert(tiny.path, tmp_path / "half.onnx")
    with pytest.raises(UserError, match="float"):
        convert(tmp_path / "half.onnx", tmp_path / "twice.onnx")
    assert not (tmp_path / "twice.onnx").exists()
