"""The weights of an ONNX file as low-bit integers, stored in the narrowest type that onnxruntime reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from torch import Tensor

from core.engine.measure.graph import Layer, layers, weight_bytes_of
from core.engine.quantize import Conversion
from core.engine.quantize.arithmetic import Quantized, pack, quantize, spread, unpack
from core.errors import UserError
from core.files import write_atomic

NATIVE: dict[int, int] = {
    2: TensorProto.INT2,
    3: TensorProto.INT4,
    4: TensorProto.INT4,
    5: TensorProto.INT8,
    6: TensorProto.INT8,
    7: TensorProto.INT8,
    8: TensorProto.INT8,
}
WIDTH: dict[int, int] = {TensorProto.INT2: 2, TensorProto.INT4: 4, TensorProto.INT8: 8}
INT2_OPSET, INT2_IR = 25, 13  # the first versions with 2-bit tensors
FORMAT = "condenser.packed"
VERSION = 2  # each tensor has its own bit width


@dataclass(frozen=True)
class Stored:
    """One weight tensor: its name, bits, the axis of its scales, its integers (shaped like it) and scale [channels]."""

    name: str
    bits: int
    axis: int
    integers: NDArray[np.int32]
    scale: NDArray[np.float32]

    @property
    def native(self) -> bool:
        """Whether a type of exactly this width exists, so that no packed copy is needed."""
        return WIDTH[NATIVE[self.bits]] == self.bits


Rounding = Callable[[TensorProto, Layer], Stored]


def float_layers(model: onnx.ModelProto, name: str) -> tuple[Layer, ...]:
    """The layers whose weights are float32; raises UserError naming the file when there are none."""
    found = tuple(layer for layer in layers(model) if layer.data_type == TensorProto.FLOAT)
    if not found:
        fix = "Quantize a float model, once."
        raise UserError("nothing_to_quantize", "model", name, "a file with float layers", fix)
    return found


def shrink(model: onnx.ModelProto, chosen: tuple[Layer, ...], rounding: Rounding, form: str) -> tuple[Stored, ...]:
    """Replaces the float weights of the chosen layers by the integers that `rounding` returns, and inserts nodes that
    widen them; returns the integers.

    `form` is `dequantize` (DequantizeLinear) or `cast` (Cast · Mul, which onnxruntime folds when it loads the file).
    MatMul always gets `cast`: onnxruntime fuses DequantizeLinear + MatMul into MatMulNBits, which rounds activations to
    8 bits by default, and whose 2-bit outputs are wrong for some widths (1.32, weight [9, 5]: off by 2.4).
    """
    stored: dict[str, Stored] = {}
    nodes: list[onnx.NodeProto] = []
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    for layer in chosen:
        if layer.weight in stored:
            continue
        weight = rounding(tensors[layer.weight], layer)
        stored[layer.weight] = weight
        _replace(tensors[layer.weight], weight)
        nodes += _widen(model.graph, weight, "cast" if layer.op == "MatMul" else form)
    kept = [*nodes, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    if any(weight.bits == 2 for weight in stored.values()):
        _raise_opset(model)
    return tuple(stored.values())


def quantized(tensor: TensorProto, layer: Layer, bits: int) -> Stored:
    """The symmetric integers of a float tensor, one scale per output channel of its layer."""
    values = torch.from_numpy(numpy_helper.to_array(tensor).copy())
    integers, scale, _ = quantize(values, bits, layer.axis)
    return Stored(layer.weight, bits, layer.axis, integers.numpy(), scale.numpy())


def nearest(bits: int) -> Rounding:
    """Rounds every weight to the nearest of its channel's levels."""
    return lambda tensor, layer: quantized(tensor, layer, bits)


def _replace(tensor: TensorProto, weight: Stored) -> None:
    native = NATIVE[weight.bits]
    dims, data = weight.integers.shape, pack(weight.integers, WIDTH[native])
    tensor.CopyFrom(TensorProto(name=f"{weight.name}_integers", data_type=native, dims=dims, raw_data=data))


def _widen(graph: onnx.GraphProto, weight: Stored, form: str) -> list[onnx.NodeProto]:
    """The nodes that turn the stored integers into the float weight, under the name that the layers use."""
    name, inputs = weight.name, [f"{weight.name}_integers", f"{weight.name}_scale"]
    if form == "dequantize":
        graph.initializer.append(numpy_helper.from_array(weight.scale, inputs[1]))
        return [helper.make_node("DequantizeLinear", inputs, [name], name=f"{name}_dequantize", axis=weight.axis)]
    shape = [1] * weight.integers.ndim
    shape[weight.axis] = -1
    graph.initializer.append(numpy_helper.from_array(weight.scale.reshape(shape), inputs[1]))
    return [
        helper.make_node("Cast", [inputs[0]], [f"{name}_cast"], name=f"{name}_cast", to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{name}_cast", inputs[1]], [name], name=f"{name}_scaled"),
    ]


def _raise_opset(model: onnx.ModelProto) -> None:
    # opsets 22 to 25 add types (and new operators) but do not change what classifiers' operators mean
    for entry in model.opset_import:
        if entry.domain in ("", "ai.onnx"):
            entry.version = max(entry.version, INT2_OPSET)
    model.ir_version = max(model.ir_version, INT2_IR)


def storage_notes(stored: tuple[Stored, ...], form: str) -> tuple[str, ...]:
    """What a user should know about weights stored this way."""
    widths = " and ".join(f"INT{width}" for width in sorted({WIDTH[NATIVE[weight.bits]] for weight in stored}))
    when = "once, on loading" if form == "cast" else "at every run, which can be slower than float"
    notes = [f"The arithmetic stays float32: weights are stored as {widths} and widened {when}."]
    if any(weight.bits == 2 for weight in stored):
        notes.append("The symmetric 2-bit grid uses three (-1, 0, 1) of the four levels that INT2 holds.")
    for bits in sorted({weight.bits for weight in stored if not weight.native}):
        notes.append(
            f"No runtime type has {bits} bits: the ONNX file holds them as INT{WIDTH[NATIVE[bits]]}, "
            "the accompanying packed file at their true size."
        )
    return tuple(notes)


def packed_twin(target: Path, model: onnx.ModelProto, stored: tuple[Stored, ...]) -> Path | None:
    """Writes the bit-packed file next to `target` if some weights have no type of their width; returns its path."""
    if all(weight.native for weight in stored):
        return None
    path = target.with_name(f"{target.stem}.packed.safetensors")
    write_packed(path, model, stored)
    return path


def write_packed(path: Path, model: onnx.ModelProto, stored: tuple[Stored, ...]) -> None:
    """Writes all parameters of the network: integers bit-packed (see `arithmetic.pack`), scales and others as float32.

    Tensors `packed:NAME` (uint8), `scale:NAME` and `float:NAME`; the metadata holds one JSON document with bits, shape
    and axis by name.
    """
    tensors: dict[str, NDArray[np.generic]] = {}
    for weight in stored:
        tensors[f"packed:{weight.name}"] = np.frombuffer(pack(weight.integers, weight.bits), np.uint8)
        tensors[f"scale:{weight.name}"] = weight.scale
    scales = {f"{weight.name}_scale" for weight in stored}
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and tensor.name not in scales:
            tensors[f"float:{tensor.name}"] = numpy_helper.to_array(tensor)
    places = {w.name: {"bits": w.bits, "shape": w.integers.shape, "axis": w.axis} for w in stored}
    header = {"version": VERSION, "tensors": places}
    # one key: safetensors writes several in arbitrary order, and equal models would get different files
    write_atomic(path, save(tensors, {FORMAT: json.dumps(header)}))


def unpack_file(path: Path) -> dict[str, NDArray[np.float32]]:
    """The float32 tensors of a bit-packed file by name, equal to those that the accompanying ONNX file computes with.

    Raises UserError `unreadable` when the file is damaged or of another format.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {}).get(FORMAT, "{}"))
            if header.get("version") != VERSION:
                raise ValueError(f"no bit-packed network of version {VERSION}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        floats = {n.removeprefix("float:"): t for n, t in tensors.items() if n.startswith("float:")}
        return floats | _restore(tensors, header["tensors"])
    except (SafetensorError, ValueError, KeyError, TypeError, OSError) as error:
        allowed, fix = "a .packed.safetensors file written by this program", f"Create it again. Reason: {error}"
        raise UserError("unreadable", "file", path.name, allowed, fix) from error


def _restore(
    tensors: dict[str, NDArray[np.generic]], places: dict[str, dict[str, list[int] | int]]
) -> dict[str, NDArray[np.float32]]:
    restored = {}
    for name, place in places.items():
        shape, axis, bits = place["shape"], place["axis"], place["bits"]
        if not isinstance(shape, list) or not isinstance(axis, int) or not isinstance(bits, int):
            raise ValueError(f"{name}: bits, shape or axis are missing")
        spread = [1] * len(shape)
        spread[axis] = -1
        integers = unpack(tensors[f"packed:{name}"].tobytes(), bits, int(np.prod(shape))).reshape(shape)
        scale = tensors[f"scale:{name}"].astype(np.float32).reshape(spread)
        restored[name] = integers.astype(np.float32) * scale
    return restored


def store(
    model: onnx.ModelProto, target: Path, chosen: tuple[Layer, ...], rounding: Rounding, bits: int, form: str = "cast"
) -> Conversion:
    """Writes `model` with the chosen layers' weights as the integers that `rounding` returns, and the bit-packed file
    next to it if some have no type of their width. `bits` are the method's; `form` as in `shrink`."""
    total, before = len(layers(model)), weight_bytes_of(model)
    stored = shrink(model, chosen, rounding, form)
    write_atomic(target, model.SerializeToString(deterministic=True))
    names = {f"{weight.name}_integers" for weight in stored}
    touched = sum(layer.weight in names for layer in layers(model))
    packed = packed_twin(target, model, stored)
    size = packed.stat().st_size if packed else None
    notes = storage_notes(stored, form)
    return Conversion(bits, touched, total, before, weight_bytes_of(model), packed, size, notes)


SHARES = torch.linspace(1.0, 0.1, 91).tolist()  # of the step that represents the largest weight


def least_error(values: Tensor, bits: int, axis: int) -> Quantized:
    """As `arithmetic.quantize`, symmetric, but uses for each channel the one of 91 steps with the least squared error;
    larger weights are clipped. Source: Nagel et al. 2021, arXiv:2106.08295, section 3.1."""
    widest = quantize(values, bits, axis).scale
    top = 2 ** (bits - 1) - 1
    best = torch.full_like(widest, float("inf"))
    scale = widest.clone()
    for share in SHARES:
        step = spread(widest * share, axis, values.ndim)
        error = ((values / step).round().clamp(-top, top) * step - values).square()
        total = error.movedim(axis, 0).reshape(len(widest), -1).sum(1)
        scale = torch.where(total < best, widest * share, scale)
        best = torch.minimum(total, best)
    integers = (values / spread(scale, axis, values.ndim)).round().clamp(-top, top).to(torch.int32)
    return Quantized(integers, scale, torch.zeros(len(scale), dtype=torch.int32))


def least_error_rounding(bits: int) -> Rounding:
    """Rounds every weight to the nearest of its channel's levels, with the step of least error."""

    def rounding(tensor: TensorProto, layer: Layer) -> Stored:
        made = least_error(torch.from_numpy(numpy_helper.to_array(tensor).copy()), bits, layer.axis)
        return Stored(layer.weight, bits, layer.axis, made.integers.numpy(), made.scale.numpy())

    return rounding
