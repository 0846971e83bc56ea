"""Weight-only files: their bytes, their numbers, and what onnxruntime makes of them."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, numpy_helper
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from core.engine.measure.graph import count, layers, weight_bytes
from core.engine.method import build
from core.engine.quantize import Calibration, Conversion, Quantize
from core.engine.quantize.arithmetic import fake_quantize, quantize
from core.engine.quantize.weights import unpack_file
from core.errors import UserError

NATIVE = {2: TensorProto.INT2, 3: TensorProto.INT4, 4: TensorProto.INT4, 8: TensorProto.INT8}
WEIGHTS = 9 * 3 * 9 + 9 * 9 + 9 * 5 + 5 * 4


def convert(tiny, folder: Path, bits: int, form: str = "dequantize") -> tuple[Path, Conversion]:  # type: ignore[no-untyped-def]
    method = build("quantize", "weight_only", bits=bits, form=form)
    assert isinstance(method, Quantize)
    target = folder / f"w{bits}.onnx"
    return target, method.convert(tiny.path, target, Calibration(lambda: iter(())))


def rounded(net, bits: int) -> nn.Module:  # type: ignore[no-untyped-def]
    """The float network with its batch norms folded by torch and its weights rounded; shares no code with ONNX."""
    net = copy.deepcopy(net)
    net.stem, net.norm = fuse_conv_bn_eval(net.stem, net.norm), nn.Identity()
    net.deep, net.deep_norm = fuse_conv_bn_eval(net.deep, net.deep_norm), nn.Identity()
    with torch.no_grad():
        for layer in (net.stem, net.deep, net.tokens, net.head):
            layer.weight.copy_(fake_quantize(layer.weight, bits, 0))
    return net  # type: ignore[no-any-return]


@pytest.mark.parametrize("form", ["dequantize", "cast"])
@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 7, 8])
def test_onnxruntime_computes_with_the_rounded_weights(tiny, run, tmp_path: Path, bits: int, form: str) -> None:  # type: ignore[no-untyped-def]
    target, conversion = convert(tiny, tmp_path, bits, form)
    with torch.no_grad():
        expected = rounded(tiny.net, bits)(torch.from_numpy(tiny.images)).numpy()
    np.testing.assert_allclose(run(target, tiny.images), expected, atol=1e-4)
    assert np.abs(run(tiny.path, tiny.images) - expected).max() > 1e-4  # rounding shows: the bound means something
    assert (conversion.layers_touched, conversion.layers_total) == (4, 4)
    onnx.checker.check_model(onnx.load(target), full_check=True)


def test_the_network_holds_the_matrix_that_onnxruntime_gets_wrong(tiny, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """DequantizeLinear + MatMul of 2-bit weights [9, 5] is off by 2 in onnxruntime 1.32; the test above sees it."""
    target, _ = convert(tiny, tmp_path, 2)
    model = onnx.load(target)
    product = next(layer for layer in layers(model) if layer.op == "MatMul")
    assert product.shape == (9, 5)
    assert product.data_type == TensorProto.INT2


def test_bytes_are_one_half_and_a_quarter(tiny, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    made = {bits: convert(tiny, tmp_path, bits) for bits in (8, 4, 2)}
    for bits, (path, conversion) in made.items():
        exact = sum(-(-n * bits // 8) for n in (9 * 3 * 9, 9 * 9, 9 * 5, 5 * 4))
        assert weight_bytes(path) == conversion.weight_bytes_after == exact
        assert conversion.weight_bytes_before == weight_bytes(tiny.path) == 4 * WEIGHTS
        stored = {t.name: t for t in onnx.load(path).graph.initializer}
        for layer in layers(onnx.load(path)):
            assert layer.data_type == NATIVE[bits]
            assert len(stored[layer.weight].raw_data) == -(-layer.size * bits // 8)
    assert made[8][0].stat().st_size > made[4][0].stat().st_size > made[2][0].stat().st_size


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_stored_integers_are_those_of_the_arithmetic(tiny, tmp_path: Path, bits: int) -> None:  # type: ignore[no-untyped-def]
    target, _ = convert(tiny, tmp_path, bits)
    before = {t.name: numpy_helper.to_array(t) for t in onnx.load(tiny.path).graph.initializer}
    after = {t.name: numpy_helper.to_array(t) for t in onnx.load(target).graph.initializer}
    for layer in layers(onnx.load(tiny.path)):
        integers, scale, _ = quantize(torch.from_numpy(before[layer.weight].copy()), bits, layer.axis)
        assert np.array_equal(after[f"{layer.weight}_integers"].astype(np.int32), integers.numpy())
        assert np.array_equal(after[f"{layer.weight}_scale"].reshape(-1), scale.numpy())
        assert scale.numel() == {"Conv": 9, "MatMul": 5, "Gemm": 4}[layer.op]


@pytest.mark.parametrize("bits", [3, 5, 6, 7])
def test_packed_file_holds_the_whole_model(tiny, tmp_path: Path, bits: int) -> None:  # type: ignore[no-untyped-def]
    _, conversion = convert(tiny, tmp_path, bits)
    path = conversion.packed_path
    assert path is not None
    assert path.name == f"w{bits}.packed.safetensors"
    assert conversion.packed_bytes == path.stat().st_size
    restored = unpack_file(path)
    floats = {t.name: numpy_helper.to_array(t) for t in onnx.load(tiny.path).graph.initializer}
    weights = {layer.weight: layer.axis for layer in layers(onnx.load(tiny.path))}
    expected = {
        name: fake_quantize(torch.from_numpy(a.copy()), bits, weights[name]).numpy() if name in weights else a
        for name, a in floats.items()
        if a.dtype == np.float32
    }
    assert restored.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(restored[name], array)
        assert restored[name].dtype == np.float32


def test_packed_payload_is_n_b_over_8(tiny, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    from safetensors.numpy import load_file

    for bits in (3, 5, 6, 7):
        _, conversion = convert(tiny, tmp_path, bits)
        assert conversion.packed_path is not None
        payload = {n: t for n, t in load_file(conversion.packed_path).items() if n.startswith("packed:")}
        sizes = sorted(-(-n * bits // 8) for n in (9 * 3 * 9, 9 * 9, 9 * 5, 5 * 4))
        assert sorted(t.nbytes for t in payload.values()) == sizes


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_no_packed_file_where_a_type_exists(tiny, tmp_path: Path, bits: int) -> None:  # type: ignore[no-untyped-def]
    _, conversion = convert(tiny, tmp_path, bits)
    assert conversion.packed_path is None
    assert conversion.packed_bytes is None
    assert [p.name for p in tmp_path.iterdir()] == [f"w{bits}.onnx"]


def test_metadata_and_batch_survive(tiny, run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    target, _ = convert(tiny, tmp_path, 2)
    kept = {p.key: p.value for p in onnx.load(target).metadata_props}
    assert kept == {p.key: p.value for p in onnx.load(tiny.path).metadata_props}
    assert "ü" in kept["condenser.labels"]
    np.testing.assert_allclose(run(target, tiny.images[:1]), run(target, tiny.images)[:1], atol=1e-5)
    assert count(target) == count(tiny.path)


def test_notes_are_honest_about_two_bits(tiny, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    _, conversion = convert(tiny, tmp_path, 2)
    assert any("three" in note for note in conversion.notes)
    integers = [t for t in onnx.load(tmp_path / "w2.onnx").graph.initializer if t.data_type == TensorProto.INT2]
    assert {int(v) for t in integers for v in numpy_helper.to_array(t).reshape(-1)} == {-1, 0, 1}


def test_refuses_a_file_already_quantized(tiny, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    target, _ = convert(tiny, tmp_path, 8)
    method = build("quantize", "weight_only", bits=4)
    assert isinstance(method, Quantize)
    with pytest.raises(UserError, match="float"):
        method.convert(target, tmp_path / "twice.onnx", Calibration(lambda: iter(())))
    assert not (tmp_path / "twice.onnx").exists()


@pytest.mark.parametrize("bits", [1, 9, 3.5, True, "4"])
def test_refuses_other_bits(bits: int) -> None:
    with pytest.raises(UserError):
        build("quantize", "weight_only", bits=bits)


def test_damaged_packed_files_are_refused(tiny, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    _, conversion = convert(tiny, tmp_path, 3)
    assert conversion.packed_path is not None
    whole = conversion.packed_path.read_bytes()
    broken = tmp_path / "broken.safetensors"
    for data in (b"", whole[:100], whole[:-7], whole.replace(b"condenser.packed", b"something.packed"), whole[::-1]):
        broken.write_bytes(data)
        with pytest.raises(UserError):
            unpack_file(broken)
    with pytest.raises(UserError):
        unpack_file(tmp_path / "missing.safetensors")
