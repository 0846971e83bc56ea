"""The least onnxruntime that a file needs, read without the onnx package, as the files and their types say."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from core.run_files.runtime_needs import NEWEST, least_onnxruntime


def model(opset: int, stored: TensorProto.DataType = TensorProto.FLOAT, how: str = "") -> bytes:
    """A matrix product whose weight is stored in a type and widened in a way; found in the same places in our files."""
    width = {
        TensorProto.INT2: 1,
        TensorProto.INT4: 2,
        TensorProto.INT8: 4,
        TensorProto.BFLOAT16: 8,
        TensorProto.FLOAT: 16,
    }
    weight = TensorProto(name="w", data_type=stored, dims=[2, 2], raw_data=bytes(width[stored]))
    scale = numpy_helper.from_array(np.ones(2, np.float32), "s")
    wide = {
        "": [],
        "dequantize": [helper.make_node("DequantizeLinear", ["w", "s"], ["f"], axis=1)],
        "cast": [helper.make_node("Cast", ["w"], ["f"], to=TensorProto.FLOAT)],
    }[how]
    nodes = [*wide, helper.make_node("MatMul", ["x", "f" if how else "w"], ["y"])]
    given, answer = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in "xy")
    graph = helper.make_graph(nodes, "g", [given], [answer], [weight, scale])
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    made: bytes = helper.make_model(graph, opset_imports=opsets).SerializeToString()
    return made


@pytest.mark.parametrize(
    ("made", "least"),  # each was loaded and run in 1.17.3, 1.18.1, 1.19.2, 1.20.1, 1.21.1, 1.22.1, 1.23.2 and 1.24.1
    [
        (model(20), "1.17"),
        (model(21), "1.18"),
        (model(21, TensorProto.INT8, "dequantize"), "1.18"),
        (model(21, TensorProto.INT8, "cast"), "1.18"),
        (model(21, TensorProto.BFLOAT16, "cast"), "1.18"),
        (model(21, TensorProto.INT4, "dequantize"), "1.19"),
        (model(21, TensorProto.INT4, "cast"), "1.23"),
        (model(22), "1.21"),
        (model(23), "1.23"),
        (model(24), "1.24"),
        (model(25, TensorProto.INT2, "dequantize"), "1.24"),
        (model(25, TensorProto.INT2, "cast"), "1.24"),
        (model(NEWEST + 1), ""),
        (b"", ""),
        (b"not a model", ""),
    ],
)
def test_the_least_version_is_that_which_ran_it(made: bytes, least: str) -> None:
    assert least_onnxruntime(made) == least


@given(st.data())
def test_any_bytes_end_in_an_answer(data: st.DataObject) -> None:
    made = bytearray(model(21, TensorProto.INT4, "cast"))
    for place in data.draw(st.lists(st.integers(0, len(made) - 1), max_size=8)):
        made[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(made)))
    assert isinstance(least_onnxruntime(bytes(made[:cut])), str)


def test_the_table_reaches_what_we_write() -> None:
    from core.engine.export.graph import OPSET
    from core.engine.quantize.weights import INT2_OPSET

    assert least_onnxruntime(model(OPSET)) == "1.18"
    assert least_onnxruntime(model(INT2_OPSET)) == "1.24"
    assert onnx.defs.onnx_opset_version() >= NEWEST
