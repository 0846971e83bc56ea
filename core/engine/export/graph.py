"""Networks as ONNX graphs: exported once with a dynamic batch, and given new heads without another export."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from core.engine.backbones.heads import head_layer
from core.engine.method import Saved
from core.engine.model import Model
from core.errors import UserError
from core.files import write_atomic

OPSET = 21  # the first version with 4-bit tensors
INPUT, OUTPUT, EMBEDDING = "image", "logits", "embedding"
HEAD_BIAS = "head.bias"


def write_graph(model: Model, path: Path) -> None:
    """Writes `model` as float32 ONNX: input `image` [batch, C, S, S], output `logits` [batch, classes].

    Batch norms are folded into the convolutions before them. Labels and preprocessing are stored in the file's metadata
    (`condenser.labels`, `condenser.preprocessing`, both JSON). Raises UserError `not_exportable` with the reason.
    """
    write_atomic(path, graph_bytes(model))


def graph_bytes(model: Model) -> bytes:
    """What `write_graph` writes."""
    data: bytes = describe(model, _export(model)).SerializeToString(deterministic=True)
    return data


def save_float(model: Model, path: Path) -> Saved:
    """`write_graph` as the `save` of a step."""
    write_graph(model, path)
    return Saved()


def describe(model: Model, graph: onnx.ModelProto) -> onnx.ModelProto:
    """`graph` with the labels and preprocessing of `model` in its metadata."""
    del graph.metadata_props[:]
    meta = {
        "condenser.labels": json.dumps(list(model.classes), ensure_ascii=False),
        "condenser.preprocessing": json.dumps(model.preprocessing.to_json()),
        "condenser.backbone": model.backbone,
    }
    helper.set_model_props(graph, meta)
    return graph


def _export(model: Model) -> onnx.ModelProto:
    p = model.preprocessing
    net = model.net.to("cpu", memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
    example = torch.zeros(2, p.channels, p.size, p.size)
    try:
        with quiet(), _out_of_place(net):
            program = torch.onnx.export(
                net,
                (example,),
                dynamo=True,
                opset_version=OPSET,
                verbose=False,
                external_data=False,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            )
    except (torch.onnx.OnnxExporterError, RuntimeError) as error:
        raise UserError(
            "not_exportable",
            "backbone",
            model.backbone,
            "a network that torch can export to ONNX",
            f"Choose another backbone. The exporter said: {str(error).strip().splitlines()[0][:200]}",
        ) from error
    assert program is not None
    graph: onnx.ModelProto = program.model_proto
    return _plain(graph)


@contextlib.contextmanager
def _out_of_place(net: nn.Module) -> Iterator[None]:
    """Activations that overwrite their input write elsewhere meanwhile. The graph is the same, but torch 2.15 traces an
    in-place ReLU6 through each of its Python definitions: exporting EfficientNet-Lite0 takes 1.6 times as long."""
    overwriting = [module for module in net.modules() if getattr(module, "inplace", False) is True]
    try:
        for module in overwriting:
            module.inplace = False  # type: ignore[assignment]
        yield
    finally:
        for module in overwriting:
            module.inplace = True  # type: ignore[assignment]


def _plain(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Without the exporter's notes on the origin of each node, which are half the size of a small network's file."""
    graph.doc_string = ""
    del graph.functions[:]
    del graph.graph.value_info[:]
    del graph.graph.metadata_props[:]
    for item in (*graph.graph.node, *graph.graph.input, *graph.graph.output, *graph.graph.initializer):
        item.doc_string = ""
        del item.metadata_props[:]
    return graph


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silences the exporter's logs and warnings about its internals, on which a user cannot act."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.setLevel(level)


def fingerprint(model: Model) -> str:
    """A hash of everything up to the head: networks that differ only in their head's weights have the same."""
    facts = [model.backbone, model.width, len(model.classes), model.preprocessing.to_json()]
    digest = sha256(json.dumps(facts).encode())
    head = {id(parameter) for parameter in head_layer(model.net).parameters()}
    for name, tensor in sorted(model.net.state_dict(keep_vars=True).items()):
        if id(tensor) in head:
            continue
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:32]


def head_node(graph: onnx.ModelProto) -> onnx.NodeProto:
    """The Gemm that computes the logits; raises UserError `no_linear_head` if the last layer is something else."""
    last = graph.graph.node[-1]
    if last.op_type != "Gemm" or last.output[0] != OUTPUT:
        raise no_linear_head(last.op_type)
    found: onnx.NodeProto = last
    return found


def no_linear_head(end: str) -> UserError:
    """The error for a network that ends in `end`, for methods that need a linear layer on an embedding."""
    return UserError(
        "no_linear_head",
        "method",
        f"a head on the features of a network that ends in {end}",
        "a backbone that ends in a linear layer",
        "Use fine_tune or partial with this backbone.",
    )


def with_embedding(graph: onnx.ModelProto) -> onnx.ModelProto:
    """`graph` with a second output `embedding` [batch, D]: the input of its head."""
    node = head_node(graph)
    wide = next(t for t in graph.graph.initializer if t.name == node.input[1]).dims
    transposed = any(a.name == "transB" and a.i for a in node.attribute)
    graph.graph.output.append(
        helper.make_tensor_value_info(EMBEDDING, TensorProto.FLOAT, ["batch", wide[1] if transposed else wide[0]])
    )
    graph.graph.node.append(helper.make_node("Identity", [node.input[0]], [EMBEDDING]))
    return graph


def with_head(template: onnx.ModelProto, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> onnx.ModelProto:
    """`template` (from `with_embedding`) with a different head, weight [classes, D] and bias [classes], and without its
    embedding output."""
    graph = onnx.ModelProto()
    graph.CopyFrom(template)
    del graph.graph.output[1:]
    del graph.graph.node[-1]
    node = head_node(graph)
    transposed = any(a.name == "transB" and a.i for a in node.attribute)
    if len(node.input) < 3:  # the exporter omits a bias of zeros
        node.input.append(HEAD_BIAS)
        graph.graph.initializer.append(numpy_helper.from_array(np.zeros_like(bias), HEAD_BIAS))
    values = {node.input[1]: weight if transposed else weight.T, node.input[2]: bias}
    for tensor in graph.graph.initializer:
        if tensor.name in values:
            value = np.ascontiguousarray(values[tensor.name], dtype=np.float32)
            if list(value.shape) != list(tensor.dims):
                raise ValueError(f"head: got {value.shape}, the graph holds {tuple(tensor.dims)}")
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    return graph
