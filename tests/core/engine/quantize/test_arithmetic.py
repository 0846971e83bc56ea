"""Quantizer arithmetic against slow references, torch, onnx and onnxruntime."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from core.engine.quantize.arithmetic import dequantize, fake_quantize, pack, packed_size, quantize, unpack
from core.errors import UserError

BITS = st.integers(2, 16)
# scales below 1e-38 lose their digits: numbers that small are tested on their own
NUMBERS = st.floats(-1e6, 1e6, width=32).map(lambda value: value if abs(value) > 1e-20 else 0.0)
TENSORS = arrays(np.float32, array_shapes(min_dims=1, max_dims=4, max_side=5), elements=NUMBERS)


def slow(values: list[float], bits: int, symmetric: bool) -> list[float]:
    """One number at a time, in double precision; Python's round is half to even too."""
    low, high = min(0.0, *values), max(0.0, *values)
    if symmetric:
        top = 2 ** (bits - 1) - 1
        scale = max(-low, high) / top or 1.0
        return [max(-top, min(top, round(v / scale))) * scale for v in values]
    top = 2**bits - 1
    scale = (high - low) / top or 1.0
    zero = round(-low / scale)
    return [(max(0, min(top, round(v / scale) + zero)) - zero) * scale for v in values]


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 7, 8, 16])
def test_equals_a_slow_reference(bits: int, symmetric: bool) -> None:
    tensor = torch.randn(3, 40, generator=torch.Generator().manual_seed(bits), dtype=torch.float64) + 0.3
    whole = torch.tensor(slow(tensor.flatten().tolist(), bits, symmetric), dtype=torch.float64).view(3, 40)
    rows = torch.tensor([slow(row, bits, symmetric) for row in tensor.tolist()], dtype=torch.float64)
    torch.testing.assert_close(fake_quantize(tensor, bits, None, symmetric), whole)
    torch.testing.assert_close(fake_quantize(tensor, bits, 0, symmetric), rows)
    torch.testing.assert_close(fake_quantize(tensor.T, bits, -1, symmetric), rows.T)


def test_equals_torch_fake_quantize() -> None:
    tensor = torch.randn(6, 5, 3, 3, generator=torch.Generator().manual_seed(0))
    scale = tensor.abs().amax((0, 2, 3)) / 127
    theirs = torch.fake_quantize_per_channel_affine(tensor, scale, torch.zeros(5, dtype=torch.int32), 1, -127, 127)
    torch.testing.assert_close(fake_quantize(tensor, 8, 1), theirs)


@pytest.mark.parametrize(("symmetric", "kind"), [(True, np.int8), (False, np.uint8)])
def test_equals_onnxruntime(symmetric: bool, kind: type) -> None:
    tensor = torch.randn(7, 11, generator=torch.Generator().manual_seed(1)) * 3 + 1
    integers, scale, zero = quantize(tensor, 8, 0, symmetric)
    constants = [
        numpy_helper.from_array(scale.numpy(), "scale"),
        numpy_helper.from_array(zero.numpy().astype(kind), "zero"),
    ]
    ends = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [7, 11]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [7, 11]),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"], axis=0),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"], axis=0),
    ]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (answer,) = session.run(None, {"x": tensor.numpy()})
    torch.testing.assert_close(fake_quantize(tensor, 8, 0, symmetric), torch.from_numpy(answer))
    assert integers.min() >= np.iinfo(kind).min + symmetric


@given(TENSORS, BITS, st.booleans())
def test_laws(array: np.ndarray, bits: int, symmetric: bool) -> None:
    tensor = torch.from_numpy(array)
    integers, scale, zero = quantize(tensor, bits, 0, symmetric)
    low, high = (-(2 ** (bits - 1)) + 1, 2 ** (bits - 1) - 1) if symmetric else (0, 2**bits - 1)
    assert low <= int(integers.min())
    assert int(integers.max()) <= high
    assert bool((scale > 0).all())
    assert scale.shape == zero.shape == (len(tensor),)
    restored = dequantize(quantize(tensor, bits, 0, symmetric), 0)
    shape = (-1,) + (1,) * (tensor.ndim - 1)
    largest = tensor.abs().flatten(1).amax(1) if tensor.ndim > 1 else tensor.abs()
    # half a step, the zero point's own rounding, and float32's: 16 bits nearly exhaust its 24
    bound = scale * (0.5 if symmetric else 1.0) * 1.001 + largest * 1e-6
    assert bool(((restored - tensor).abs() <= bound.view(shape)).all())
    assert bool((restored[tensor == 0] == 0).all())
    if symmetric:
        torch.testing.assert_close(fake_quantize(-tensor, bits, 0), -restored, rtol=0, atol=0)


@pytest.mark.parametrize(("bits", "levels"), [(2, 3), (3, 7), (4, 15), (8, 255)])
def test_number_of_levels(bits: int, levels: int) -> None:
    assert len(torch.unique(fake_quantize(torch.linspace(-1, 1, 10_001), bits))) == levels
    assert len(torch.unique(fake_quantize(torch.linspace(0, 1, 10_001), bits, symmetric=False))) == levels + 1


@pytest.mark.parametrize("symmetric", [True, False])
def test_zero_tiny_and_huge_channels_stay_finite(symmetric: bool) -> None:
    tensor = torch.tensor([[0.0, 0.0], [1e-45, -1e-45], [3e38, -3e38], [5.0, 5.0]])
    integers, scale, _ = quantize(tensor, 8, 0, symmetric)
    assert scale[0] == 1
    assert bool((integers[0] == integers[0, 0]).all())
    result = fake_quantize(tensor, 8, 0, symmetric)
    assert bool(torch.isfinite(result).all())
    assert result[0].tolist() == [0.0, 0.0]
    torch.testing.assert_close(result[2:], tensor[2:], rtol=5e-3, atol=0)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_keeps_dtype_and_input(kind: torch.dtype) -> None:
    tensor = torch.randn(4, 4).to(kind)
    before = tensor.clone()
    assert fake_quantize(tensor, 4, 0).dtype == kind
    assert torch.equal(tensor, before)


@pytest.mark.parametrize(
    ("tensor", "bits", "axis", "field"),
    [
        (torch.ones(2), 1, None, "bits"),
        (torch.ones(2), 17, None, "bits"),
        (torch.ones(2), 3.5, None, "bits"),
        (torch.ones(2), True, None, "bits"),
        (torch.ones(2), 8, 1, "axis"),
        (torch.ones(2), 8, -2, "axis"),
        (torch.tensor(1.0), 8, 0, "axis"),
        (torch.ones(2, dtype=torch.int64), 8, None, "tensor"),
        (torch.empty(0), 8, None, "tensor"),
        (torch.tensor([1.0, float("nan")]), 8, None, "tensor"),
        (torch.tensor([1.0, -float("inf")]), 8, 0, "tensor"),
    ],
)
def test_refuses(tensor: Tensor, bits: int, axis: int | None, field: str) -> None:
    with pytest.raises(UserError) as caught:
        fake_quantize(tensor, bits, axis)
    assert caught.value.field == field


def slow_pack(integers: list[int], bits: int) -> bytes:
    """Bit by bit."""
    stream = [(integer >> place) & 1 for integer in integers for place in range(bits)]
    stream += [0] * (-len(stream) % 8)
    return bytes(sum(bit << i for i, bit in enumerate(stream[k : k + 8])) for k in range(0, len(stream), 8))


@given(st.integers(2, 8), st.booleans(), st.data())
def test_packing(bits: int, signed: bool, data: st.DataObject) -> None:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    integers = data.draw(st.lists(st.integers(low, high), max_size=40))
    packed = pack(np.array(integers, np.int32), bits, signed)
    assert packed == slow_pack(integers, bits)
    assert len(packed) == packed_size(len(integers), bits)
    assert unpack(packed, bits, len(integers), signed).tolist() == integers


@pytest.mark.parametrize(("bits", "kind"), [(8, TensorProto.INT8), (4, TensorProto.INT4), (2, TensorProto.INT2)])
def test_packing_is_onnx_layout(bits: int, kind: int) -> None:
    integers = np.random.default_rng(0).integers(-(2 ** (bits - 1)), 2 ** (bits - 1), 37)
    tensor = onnx.TensorProto(name="w", data_type=kind, dims=[37], raw_data=pack(integers, bits))
    assert numpy_helper.to_array(tensor).astype(int).tolist() == integers.tolist()


def test_packing_refuses() -> None:
    for integers, bits in ((np.array([4]), 3), (np.array([-5]), 3), (np.array([1]), 9), (np.array([0.5]), 4)):
        with pytest.raises(UserError):
            pack(integers, bits)
    for data, count in ((b"\0", 3), (b"\0\0\0", 3), (b"", -1)):
        with pytest.raises(UserError):
            unpack(data, 4, count)
