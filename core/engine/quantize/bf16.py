"""bfloat16 weights: half the bytes of float32, without calibration."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from core.engine.context import Context
from core.engine.forecast import FileSize, Workload
from core.engine.measure.graph import layers, weight_bytes_of
from core.engine.model import Model
from core.engine.quantize import Calibration, Conversion, Quantize
from core.engine.quantize.validation import Evaluator, no_evaluator
from core.engine.quantize.weights import float_layers
from core.files import write_atomic
from core.options import Words


class Bf16(Quantize):
    """Stores every convolution and matrix as bfloat16 (8 bits of exponent as in float32, 8 of precision), widened to
    float32 once when the file is loaded: onnxruntime has no bfloat16 convolution on the CPU. Biases stay float32."""

    title: ClassVar[Words] = Words("bfloat16 weights", "bfloat16 权重")
    summary: ClassVar[Words] = Words(
        "Stores the weights in 16 bits: half the bytes with almost no loss; not faster on a CPU.",
        "用 16 位存储权重：字节减半，几乎没有损失；在 CPU 上不会更快。",
    )
    source: ClassVar[str] = "https://arxiv.org/abs/1905.12322"

    def file_size(self) -> FileSize:
        """Two bytes per weight, and a node per tensor that widens it."""
        return FileSize(weight=2.0, layer=110.0)

    def workload(self, before: Model, after: Model, context: Context) -> tuple[Workload, ...]:
        """None: no images are used."""
        return ()

    def convert(
        self, source: Path, target: Path, calibration: Calibration, evaluator: Evaluator = no_evaluator
    ) -> Conversion:
        """Writes the weights of `source` as bfloat16, rounded half to even."""
        model = onnx.load(source)
        total, before = len(layers(model)), weight_bytes_of(model)
        chosen = {layer.weight for layer in float_layers(model, source.name)}
        widen = [_narrow(tensor) for tensor in model.graph.initializer if tensor.name in chosen]
        kept = [*widen, *model.graph.node]
        del model.graph.node[:]
        model.graph.node.extend(kept)
        write_atomic(target, model.SerializeToString(deterministic=True))
        touched = sum(layer.data_type == TensorProto.BFLOAT16 for layer in layers(model))
        note = "The arithmetic stays float32: weights are stored as bfloat16 and widened once, on loading."
        return Conversion(16, touched, total, before, weight_bytes_of(model), notes=(note,))


def _narrow(tensor: TensorProto) -> onnx.NodeProto:
    """Replaces a float32 tensor by its bfloat16 version; returns the node that restores the old name from it."""
    name, values = tensor.name, torch.from_numpy(numpy_helper.to_array(tensor).copy())
    halves: NDArray[np.int16] = values.to(torch.bfloat16).view(torch.int16).numpy()
    stored = f"{name}_bfloat16"
    twin = TensorProto(name=stored, data_type=TensorProto.BFLOAT16, dims=values.shape, raw_data=halves.tobytes())
    tensor.CopyFrom(twin)
    return helper.make_node("Cast", [stored], [name], name=f"{name}_widened", to=TensorProto.FLOAT)
