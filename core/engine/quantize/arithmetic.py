"""Uniform quantization: real numbers to b-bit integers and back, and b-bit integers to bytes and back.

Symmetric levels are −(2^(b−1)−1) … 2^(b−1)−1, so zero is in the middle and 2 bits use three levels (−1, 0, 1) of the
type's four; asymmetric levels are 0 … 2^b−1 with a zero point, so zero is represented exactly. Rounding is half to
even, as in ONNX QuantizeLinear. Source: Jacob et al. 2018, arXiv:1712.05877; Nagel et al. 2021, arXiv:2106.08295.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import UserError

BITS = (2, 16)


class Quantized(NamedTuple):
    """integers int32, shaped like the tensor; scale (float) and zero_point (int32), [] or [channels of axis]."""

    integers: Tensor
    scale: Tensor
    zero_point: Tensor


def fake_quantize(tensor: Tensor, bits: int, axis: int | None = None, symmetric: bool = True) -> Tensor:
    """`tensor` rounded to `bits` bits, same shape and dtype; one scale, or one per channel along `axis`.

    Raises UserError as `quantize` does.
    """
    return dequantize(quantize(tensor, bits, axis, symmetric), axis).to(tensor.dtype)


def quantize(tensor: Tensor, bits: int, axis: int | None = None, symmetric: bool = True) -> Quantized:
    """The b-bit integers of a floating-point `tensor`, with scale and zero point: value ≈ (integer − zero) · scale.

    An all-zero channel gets scale 1. Raises UserError for bits outside 2 … 16, a missing axis, and a tensor that is
    empty, not floating-point, or holds NaN or infinity.
    """
    _check(tensor, bits, axis)
    # half precision has too few digits to represent its own scale
    values = tensor.detach().to(torch.promote_types(tensor.dtype, torch.float32))
    low, high = extremes(values, axis)
    if symmetric:
        top = 2 ** (bits - 1) - 1
        scale = _safe(torch.maximum(-low, high) / top)
        zero = torch.zeros_like(scale)
        bottom = -top
    else:
        bottom, top = 0, 2**bits - 1
        scale = _safe(high / top - low / top)  # not (high − low): that may overflow
        zero = torch.round(-low / scale).clamp(bottom, top)
    integers = torch.round(values / spread(scale, axis, values.ndim)) + spread(zero, axis, values.ndim)
    return Quantized(integers.clamp(bottom, top).to(torch.int32), scale, zero.to(torch.int32))


def dequantize(quantized: Quantized, axis: int | None = None) -> Tensor:
    """(integers − zero_point) · scale, in the scale's dtype."""
    integers, scale, zero = quantized
    return (integers - spread(zero, axis, integers.ndim)) * spread(scale, axis, integers.ndim)


def extremes(values: Tensor, axis: int | None) -> tuple[Tensor, Tensor]:
    """The least and the greatest value, each widened to include zero; [] or [channels of axis]."""
    flat = values.reshape(1, -1) if axis is None else values.movedim(axis, 0).reshape(values.shape[axis], -1)
    low, high = flat.amin(1).clamp(max=0), flat.amax(1).clamp(min=0)
    return (low[0], high[0]) if axis is None else (low, high)


def spread(channelwise: Tensor, axis: int | None, dimensions: int) -> Tensor:
    """[channels] shaped so that it broadcasts along `axis` of a tensor with that many dimensions."""
    if axis is None:
        return channelwise
    shape = [1] * dimensions
    shape[axis] = -1
    return channelwise.reshape(shape)


def _safe(scale: Tensor) -> Tensor:
    # a channel of zeros, or of numbers so small that their scale underflows, would divide by zero
    return torch.where(scale > 0, scale, torch.ones_like(scale))


def check_bits(bits: int, allowed: tuple[int, int] = BITS) -> None:
    """Raises UserError unless `bits` is a whole number within `allowed`, both ends included."""
    low, high = allowed
    if type(bits) is not int or not low <= bits <= high:
        raise UserError("out_of_range", "bits", bits, f"a whole number from {low} to {high}", "Choose one of these.")


def _check(tensor: Tensor, bits: int, axis: int | None) -> None:
    check_bits(bits)
    if not tensor.is_floating_point():
        raise UserError(
            "wrong_type", "tensor", str(tensor.dtype), "a floating-point tensor", "Convert it with float()."
        )
    if tensor.numel() == 0:
        raise UserError("empty", "tensor", tuple(tensor.shape), "a tensor with numbers in it", "Leave it out.")
    if axis is not None and not -tensor.ndim <= axis < tensor.ndim:
        allowed = f"None, or {-tensor.ndim} to {tensor.ndim - 1}" if tensor.ndim else "None"
        raise UserError("out_of_range", "axis", axis, allowed, f"The tensor has shape {tuple(tensor.shape)}.")
    if not bool(torch.isfinite(tensor).all()):
        bad = int((~torch.isfinite(tensor)).sum())
        fix = "The training that produced it diverged: lower its learning rate."
        raise UserError("not_finite", "tensor", f"{bad} NaN or infinite values", "finite numbers", fix)


def pack(integers: NDArray[np.integer], bits: int, signed: bool = True) -> bytes:
    """The integers as ⌈n·b/8⌉ bytes: integer i fills bits i·b … i·b+b−1 of the stream, and bit k of the stream is bit
    k mod 8 (least significant first) of byte k div 8; signed ones in two's complement, the last byte zero-filled.

    For 2, 4 and 8 bits this is the layout of ONNX's INT2, INT4 and INT8 raw data. Raises UserError for bits outside
    2 … 8, and for an integer that needs more bits.
    """
    check_bits(bits, (2, 8))
    flat = np.asarray(integers).reshape(-1)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    if flat.dtype.kind not in "iu":
        raise UserError("wrong_type", "integers", str(flat.dtype), "an integer array", "Round it first.")
    if flat.size and not (low <= int(flat.min()) and int(flat.max()) <= high):
        given = f"{flat.min()} to {flat.max()}"
        raise UserError("out_of_range", "integers", given, f"{low} to {high}", f"They do not fit into {bits} bits.")
    words = np.zeros(-(-flat.size // 8), dtype="<u8")  # 8 integers fill exactly b bytes
    for place in range(8):
        part = flat[place::8].astype(np.uint8).astype("<u8") & (2**bits - 1)
        words[: part.size] |= part << (place * bits)
    stream = words.view(np.uint8).reshape(-1, 8)[:, :bits].tobytes()
    return stream[: packed_size(flat.size, bits)]


def unpack(data: bytes, bits: int, count: int, signed: bool = True) -> NDArray[np.int16]:
    """The `count` integers that `pack` wrote. Raises UserError if `data` does not have exactly their length."""
    check_bits(bits, (2, 8))
    if count < 0 or len(data) != packed_size(count, bits):
        allowed = f"{packed_size(max(count, 0), bits)} bytes for {count} numbers of {bits} bits"
        raise UserError("wrong_size", "data", f"{len(data)} bytes", allowed, "The data is truncated or damaged.")
    groups = -(-count // 8)
    stream = np.zeros(groups * bits, np.uint8)
    stream[: len(data)] = np.frombuffer(data, np.uint8)
    words = np.zeros((groups, 8), np.uint8)
    words[:, :bits] = stream.reshape(-1, bits)
    whole = words.view("<u8").reshape(-1)
    out = np.empty((groups, 8), np.int16)
    for place in range(8):
        out[:, place] = (whole >> (place * bits)) & (2**bits - 1)
    if signed:
        out -= (out >> (bits - 1)) << bits  # two's complement: the top bit is negative
    return out.reshape(-1)[:count]


def packed_size(count: int, bits: int) -> int:
    """The bytes that `count` integers of `bits` bits take, rounded up."""
    return -(-count * bits // 8)
