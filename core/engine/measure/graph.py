"""What an ONNX file contains and which kernels actually run: parameters, multiplications, weight bytes, kernels.

Reads both float and quantized files; does not need torch.
"""

from __future__ import annotations

import json
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper, shape_inference

from core.engine.measure.session import CPU, options_for

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")  # operators whose second input is a weight tensor
RUN = "model_run"  # what onnxruntime calls a whole run in its profile
FLOATS = frozenset({TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE})
BITS: dict[int, int] = {
    TensorProto.INT2: 2,
    TensorProto.UINT2: 2,
    TensorProto.INT4: 4,
    TensorProto.UINT4: 4,
    TensorProto.INT8: 8,
    TensorProto.UINT8: 8,
    TensorProto.INT16: 16,
    TensorProto.UINT16: 16,
    TensorProto.FLOAT16: 16,
    TensorProto.BFLOAT16: 16,
    TensorProto.INT32: 32,
    TensorProto.FLOAT: 32,
    TensorProto.INT64: 64,
    TensorProto.DOUBLE: 64,
}
INTEGER_KERNELS = frozenset(
    {
        "QLinearConv",
        "ConvInteger",
        "QGemm",
        "QLinearMatMul",
        "MatMulInteger",
        "MatMulIntegerToFloat",
        "DynamicQuantizeMatMul",
        "QLinearAdd",
        "QLinearMul",
        "QLinearGlobalAveragePool",
        "QLinearAveragePool",
        "QLinearConcat",
        "QLinearSigmoid",
        "QLinearLeakyRelu",
        "QLinearSoftmax",
        "QLinearReduceMean",
        "QLinearWhere",
        "NhwcMaxPool",
        "MatMulNBits",
    }
)
LAYER_KERNELS = frozenset(
    {
        "Conv",
        "FusedConv",
        "NhwcFusedConv",
        "QLinearConv",
        "ConvInteger",
        "ConvTranspose",
        "Gemm",
        "FusedGemm",
        "QGemm",
        "MatMul",
        "FusedMatMul",
        "QLinearMatMul",
        "MatMulInteger",
        "MatMulIntegerToFloat",
        "DynamicQuantizeMatMul",
        "MatMulNBits",
    }
)


@dataclass(frozen=True)
class Layer:
    """A node that multiplies by stored weights: its name, operator, and weight tensor (stored name, shape, type, and
    the axis of its output channels)."""

    name: str
    op: str
    weight: str
    shape: tuple[int, ...]
    data_type: int
    axis: int

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class GraphCount:
    """Stored parameters, multiply-accumulates for one image, and whether batch norms are folded away."""

    params: int
    macs_per_image: int
    folded: bool


@dataclass(frozen=True)
class KernelUse:
    """One kernel of onnxruntime that ran: operator, type of its first input, the names of its nodes, time for one
    image, whether it computes on integers, and whether it is the kind that holds weights."""

    op: str
    data_type: str
    nodes: tuple[str, ...]
    microseconds: int
    integer: bool
    layer: bool


def layers(model: onnx.ModelProto) -> tuple[Layer, ...]:
    """The layers that hold weights, in file order; a weight may pass through DequantizeLinear or Cast·Mul first."""
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    makers = {node.output[0]: node for node in model.graph.node if node.output}
    found = []
    for node in model.graph.node:
        if node.op_type in WEIGHTED and (weight := _weight_of(node, stored, makers)) is not None:
            axis = _channel_axis(node, len(weight.dims))
            name = node.name or node.output[0]
            found.append(Layer(name, node.op_type, weight.name, tuple(weight.dims), weight.data_type, axis))
    return tuple(found)


def _weight_of(
    node: onnx.NodeProto, stored: dict[str, TensorProto], makers: dict[str, onnx.NodeProto]
) -> TensorProto | None:
    name = node.input[1]
    while name not in stored:
        maker = makers.get(name)
        if maker is None or maker.op_type not in ("DequantizeLinear", "Cast", "Mul"):
            return None
        if maker.op_type == "Mul" and maker.input[1] not in stored:
            return None  # a product of two activations, not a scale
        name = maker.input[0]
    return stored[name]


def _channel_axis(node: onnx.NodeProto, dimensions: int) -> int:
    if node.op_type == "Conv":
        return 0
    if node.op_type == "ConvTranspose":
        return 1
    transposed = any(a.name == "transB" and a.i for a in node.attribute)
    return 0 if transposed else dimensions - 1


def zeros(path: Path) -> float | None:
    """The share of zeros among the float weights of convolutions and matrix products; None if there are none."""
    model = onnx.load(path)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    held = [numpy_helper.to_array(stored[n]) for n in {x.weight for x in layers(model) if x.data_type in FLOATS}]
    size = sum(weight.size for weight in held)
    return sum(int((weight == 0).sum()) for weight in held) / size if size else None


def weight_bytes(path: Path) -> int:
    """Bytes of the weight tensors of convolutions and matrix products in the file, packed as they are stored."""
    return weight_bytes_of(onnx.load(path))


def weight_bytes_of(model: onnx.ModelProto) -> int:
    """As `weight_bytes`, for a graph in memory; a tensor shared by two layers counts once."""
    unique = {layer.weight: layer for layer in layers(model)}
    return sum(-(-layer.size * BITS[layer.data_type] // 8) for layer in unique.values())


def count(path: Path) -> GraphCount:
    """Parameters and multiply-accumulates (fused attention counted as its matrix products) of the file for one image.

    Raises ValueError when the shapes of a layer cannot be inferred.
    """
    model = _one_image(onnx.load(path))
    folded = all(node.op_type != "BatchNormalization" for node in model.graph.node)
    return GraphCount(_params(model.graph), _macs(model), folded)


def _params(graph: onnx.GraphProto) -> int:
    """Elements of the stored weights, without scales, zero points, shapes, clip bounds or other scalars."""
    uses: dict[str, list[tuple[str, int]]] = {}
    for node in graph.node:
        for place, name in enumerate(node.input):
            uses.setdefault(name, []).append((node.op_type, place))
    casts = {node.output[0] for node in graph.node if node.op_type == "Cast"}
    scales = {node.input[1] for node in graph.node if node.op_type == "Mul" and node.input[0] in casts}
    total = 0
    for tensor in graph.initializer:
        here = uses.get(tensor.name, [])
        small = tensor.data_type in BITS and BITS[tensor.data_type] <= 8 and ("Cast", 0) in here
        learned = tensor.data_type in FLOATS or small or ("DequantizeLinear", 0) in here
        constant = all(_constant(op, place) for op, place in here) or tensor.name in scales
        size = math.prod(tensor.dims)
        # a scalar applied to a whole activation, such as attention's 1/sqrt(d), is a constant too
        single = size == 1 and all(op in ("Add", "Sub", "Mul", "Div", "Pow") for op, _ in here)
        if learned and tensor.dims and not constant and not single:
            total += size
    return total


def _constant(op: str, place: int) -> bool:
    """Whether this input of the operator is a constant rather than learned."""
    measured = op == "BatchNormalization" and place > 2  # running statistics
    return measured or (op in ("QuantizeLinear", "DequantizeLinear", "Clip", "Pad") and place > 0)


def _one_image(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with batch 1 and every shape inferred."""
    for value in model.graph.input:
        value.type.tensor_type.shape.dim[0].dim_value = 1
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    return shape_inference.infer_shapes(model, strict_mode=False, data_prop=True)


def _macs(model: onnx.ModelProto) -> int:
    shapes = _shapes(model.graph)
    return sum(_macs_of(node, shapes) for node in model.graph.node if node.op_type in WEIGHTED)


def macs_by_node(model: onnx.ModelProto) -> dict[str, int]:
    """Multiply-accumulates for one image of every convolution and matrix product, by the name of its node."""
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    graph = _one_image(whole).graph
    shapes = _shapes(graph)
    return {node.name or node.output[0]: _macs_of(node, shapes) for node in graph.node if node.op_type in WEIGHTED}


def _shapes(graph: onnx.GraphProto) -> dict[str, tuple[int, ...]]:
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        if value.type.tensor_type.HasField("shape"):
            dims = value.type.tensor_type.shape.dim
            if all(d.HasField("dim_value") for d in dims):
                shapes[value.name] = tuple(d.dim_value for d in dims)
    return shapes


def _macs_of(node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]) -> int:
    try:
        first, second, out = shapes[node.input[0]], shapes[node.input[1]], shapes[node.output[0]]
    except KeyError as missing:
        raise ValueError(f"the shape of {missing.args[0]!r} at node {node.name!r} cannot be inferred") from None
    if node.op_type == "Conv":  # weight [out, in / groups, *kernel]: one output needs in / groups · kernel
        return math.prod(out) * math.prod(second[1:])
    if node.op_type == "ConvTranspose":  # weight [in, out / groups, *kernel]: one input feeds out / groups · kernel
        return math.prod(first) * math.prod(second[1:])
    transposed = node.op_type == "Gemm" and any(a.name == "transA" and a.i for a in node.attribute)
    return math.prod(out) * (first[0] if transposed else first[-1])


def kernels(path: Path, threads: int = 1, runs: int = 8) -> tuple[KernelUse, ...]:
    """The kernels that onnxruntime actually ran for one image on the CPU, slowest first, from its own profile.

    The names of float layers are those of the fused node, so they may be the activation's. Times are the mean over the
    quicker half of `runs` after one warm-up run, as one that was interrupted says nothing of a kernel, and are slowed
    by profiling: use them to compare kernels, not files.
    """
    events, runs = _quicker_half(profile(path, threads, runs))
    groups: dict[tuple[str, str, bool], list[dict[str, Any]]] = {}
    for event in events:
        args = event["args"]
        kinds = [kind for item in args["input_type_shape"] for kind in item]
        key = (args["op_name"], kinds[0] if kinds else "", _holds_weights(args))
        groups.setdefault(key, []).append(event)
    uses = [
        KernelUse(
            op,
            kind,
            tuple(dict.fromkeys(e["name"].removesuffix("_kernel_time") for e in group)),
            round(sum(e["dur"] for e in group) / runs),
            op in INTEGER_KERNELS,
            layer,
        )
        for (op, kind, layer), group in groups.items()
    ]
    return tuple(sorted(uses, key=lambda use: -use.microseconds))


def _quicker_half(events: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], int]:
    """The events of kernels in the quicker half of all runs, and the number of these."""
    every = sorted((event for event in events if event["name"] == RUN), key=lambda run: int(run["dur"]))
    kept = [(run["ts"], run["ts"] + run["dur"]) for run in every[: -(-len(every) // 2)]]
    inside = [e for e in events if e["name"] != RUN and any(start <= e["ts"] < end for start, end in kept)]
    return inside, len(kept)


def integer_layers(uses: tuple[KernelUse, ...]) -> tuple[int, int]:
    """The number of weighted layers that ran an integer kernel, and the number of weighted layers."""
    held = [use for use in uses if use.layer]
    return sum(len(use.nodes) for use in held if use.integer), sum(len(use.nodes) for use in held)


def profile(path: Path, threads: int, runs: int) -> list[dict[str, Any]]:
    """The events of onnxruntime's own profile over `runs` runs with one image, after one that is left out: those of
    kernels, which have an `op_name` among their `args`, and those called RUN; `dur` is in microseconds."""
    with tempfile.TemporaryDirectory(prefix="condenser-profile-") as folder:
        return _profile(path, threads, runs, Path(folder))


def _profile(path: Path, threads: int, runs: int, folder: Path) -> list[dict[str, Any]]:
    options = options_for(path, threads)
    options.enable_profiling, options.profile_file_prefix = True, str(folder / "profile")
    session = onnxruntime.InferenceSession(str(path), options, providers=CPU)
    entry = session.get_inputs()[0]
    shape = [size if isinstance(size, int) else 1 for size in entry.shape]
    image: NDArray[np.float32] = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    for _ in range(runs + 1):
        session.run(None, {entry.name: image})
    events: list[dict[str, Any]] = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    ends = sorted(e["ts"] + e["dur"] for e in events if e["name"] == RUN)
    wanted = (e for e in events if e["name"] == RUN or (e.get("cat") == "Node" and "op_name" in e["args"]))
    return [e for e in wanted if e["ts"] >= ends[0]]


def _holds_weights(args: dict[str, Any]) -> bool:
    """Whether a kernel multiplies by stored weights: a matrix product of two activations (attention) does not.

    Weights that onnxruntime prepacked are missing from the inputs; others are included in `parameter_size`.
    """
    if args["op_name"] not in LAYER_KERNELS:
        return False
    if "MatMul" not in args["op_name"]:
        return True
    matrices = [shape for item in args["input_type_shape"] for shape in item.values() if len(shape) > 1]
    return len(matrices) < 2 or int(args["parameter_size"]) >= math.prod(matrices[1])
