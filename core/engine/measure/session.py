"""How onnxruntime opens a file here: threads, and multiplications of int8 that do not overflow.

On x86 processors with AVX2 or AVX-512 but without VNNI, onnxruntime multiplies uint8 activations by int8 weights with
an instruction (VPMADDUBSW) that adds two products in 16 bits: sums beyond ±32,767 are cut off, so that one file answers
differently on two processors. The demo's int8 network lost 5.3 points that way. The option `session.x64quantprecision`
chooses kernels that add in 32 bits (latency × 1.1 to 1.5 there). A file whose layers run in integers is opened with it
where this processor cuts sums off. Elsewhere it would choose slower kernels for nothing: onnxruntime heeds it on every
x86 processor whose kernels for signed and unsigned weights differ, with VNNI or without. A file that rounds weights
alone needs no option, and with it onnxruntime 1.32 cannot run weights that are stored without zero points.
Source: onnxruntime's documentation, "Quantize ONNX models", When and why do I need to try U8U8?
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from core.run_files.runtime_needs import adds_integers

EXACT = "session.x64quantprecision"
SILENT = 3  # onnxruntime's log level: errors only
CPU = ["CPUExecutionProvider"]
PAIRS = 16  # inner size of the multiplication that shows whether sums are cut off


def options_for(graph: Path | bytes, threads: int = 1) -> ort.SessionOptions:
    """Options of a session of an ONNX file on `threads` threads inside an operator."""
    data = graph if isinstance(graph, bytes) else graph.read_bytes()
    return session_options(threads, exact=adds_integers(data) and overflows())


def session_options(threads: int = 1, *, exact: bool) -> ort.SessionOptions:
    """Options of a session on `threads` threads inside an operator; `exact`: products of int8 are added in 32 bits."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = SILENT
    options.add_session_config_entry(EXACT, "1" if exact else "0")
    return options


def as_others_open_it(graph: Path) -> ort.InferenceSession:
    """A session as a program opens it that does not set the option, on one thread."""
    options = session_options(exact=False)
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(str(graph), options, providers=CPU)


@cache
def overflows() -> bool:
    """Whether this processor's kernels for int8 cut sums off unless they are told not to: found by multiplying."""
    session = ort.InferenceSession(multiplication(), session_options(exact=False), providers=CPU)
    (found,) = session.run(None, {"image": np.ones((1, PAIRS), np.float32)})
    return bool((found < PAIRS).any())


def multiplication() -> bytes:
    """A product of ones [1, 16] and ones [16, 16], stored as the largest activation (255) and weight (127): a pair of
    products is 64,770, and the outputs `logits` [1, 16] are 16 unless sums are cut off. A bundle's predict.py holds the
    same file."""
    numbers = {
        "w": np.full((PAIRS, PAIRS), 127, np.int8),
        "s": np.float32(1 / 127),
        "o": np.int8(0),
        "a": np.float32(1 / 255),
        "z": np.uint8(0),
        "b": np.float32(PAIRS / 255),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["image", "a", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "a", "z"], ["x"]),
        helper.make_node("DequantizeLinear", ["w", "s", "o"], ["v"]),
        helper.make_node("MatMul", ["x", "v"], ["y"]),
        helper.make_node("QuantizeLinear", ["y", "b", "z"], ["p"]),
        helper.make_node("DequantizeLinear", ["p", "b", "z"], ["logits"]),
    ]
    value = helper.make_tensor_value_info
    inputs, outputs = value("image", TensorProto.FLOAT, [1, PAIRS]), value("logits", TensorProto.FLOAT, [1, PAIRS])
    constants = [numpy_helper.from_array(np.asarray(array), name) for name, array in numbers.items()]
    graph = helper.make_graph(nodes, "g", [inputs], [outputs], constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9, producer_name="")
    data: bytes = made.SerializeToString(deterministic=True)
    return data
