"""What a file holds, against torch's own counters; what ran, against what the file asks for."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import timm
import torch
import torchvision
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from core.engine.export.graph import write_graph
from core.engine.measure import graph
from core.engine.measure.graph import count, integer_layers, kernels, layers, weight_bytes
from core.engine.model import Model, Preprocessing


def saved(net: nn.Module, size: int, folder: Path) -> Path:
    """The network as a file, every number different: the exporter merges equal tensors and drops zero biases."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in (*net.parameters(), *(b for b in net.buffers() if b.is_floating_point())):
            tensor.copy_(torch.rand(tensor.shape, generator=generator) * 0.1 + 0.01)
    half = (0.5, 0.5, 0.5)
    write_graph(Model(net.eval(), "net", ("a", "b"), Preprocessing(size, 3, half, half)), folder / "net.onnx")
    return folder / "net.onnx"


def torch_counts(net: nn.Module, size: int) -> tuple[int, int]:
    """Parameters after folding (a batch norm leaves one bias a channel) and multiply-accumulates for one image."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            net(torch.zeros(1, 3, size, size))
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
    folded = sum(m.num_features for m in net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm))
    return sum(p.numel() for p in net.parameters()) - folded, counter.get_total_flops() // 2


def mixed() -> nn.Module:
    """Strided, grouped, depthwise and biased convolutions, then attention."""
    vision = torchvision.models.VisionTransformer(
        image_size=8, patch_size=4, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=20, num_classes=5
    )
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU6(),
        nn.Conv2d(8, 8, 5, padding=2, groups=8, bias=False),
        nn.BatchNorm2d(8),
        nn.Hardswish(),
        nn.Conv2d(8, 12, 1, groups=4),
        nn.Conv2d(12, 3, 1),
        vision,
    )


@pytest.mark.thorough
def test_counts_equal_torchs(tmp_path: Path) -> None:
    compare(mixed(), 16, tmp_path)


def compare(net: nn.Module, size: int, folder: Path) -> None:
    found = count(saved(net, size, folder))
    assert (found.params, found.macs_per_image) == torch_counts(net, size)
    assert found.folded


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "size"),
    [
        (torchvision.models.resnet18, 64),
        (lambda: timm.create_model("tf_efficientnet_lite0"), 224),
        (lambda: torchvision.models.vit_b_16(image_size=32), 32),
    ],
)
def test_counts_equal_torchs_on_real_backbones(make, size: int, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    compare(make(), size, tmp_path)


def test_published_figures_of_resnet18(tmp_path: Path) -> None:
    """torchvision says 11,689,512 parameters and 1.81 GFLOPS (multiply-accumulates) at 224 px."""
    model = graph_of_resnet18()
    onnx.save(model, tmp_path / "resnet18.onnx")
    found = count(tmp_path / "resnet18.onnx")
    assert found.params == 11_689_512 - 4_800
    assert round(found.macs_per_image / 1e9, 2) == 1.81


def graph_of_resnet18() -> onnx.ModelProto:
    """resnet18 written out by hand, folded: no exporter, no weights but zeros."""
    nodes: list[onnx.NodeProto] = []
    stored: list[TensorProto] = []

    def layer(op: str, given: str, shape: tuple[int, ...], **attributes: Any) -> str:
        name = f"layer{len(nodes)}"
        stored.append(numpy_helper.from_array(np.zeros(shape, np.float32), f"{name}.weight"))
        stored.append(numpy_helper.from_array(np.zeros(shape[0], np.float32), f"{name}.bias"))
        nodes.append(helper.make_node(op, [given, f"{name}.weight", f"{name}.bias"], [name], name, **attributes))
        return name

    def plain(op: str, given: list[str], **attributes: Any) -> str:
        nodes.append(helper.make_node(op, given, [f"plain{len(nodes)}"], **attributes))
        return str(nodes[-1].output[0])

    x = layer("Conv", "image", (64, 3, 7, 7), strides=[2, 2], pads=[3] * 4)
    x = plain("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    width = 64
    for wide in (64, 128, 256, 512):
        for block in range(2):
            step = 2 if wide != width else 1
            y = layer("Conv", x, (wide, width, 3, 3), strides=[step] * 2, pads=[1] * 4)
            y = layer("Conv", y, (wide, wide, 3, 3), pads=[1] * 4)
            x = layer("Conv", x, (wide, width, 1, 1), strides=[step] * 2) if wide != width and block == 0 else x
            x, width = plain("Add", [x, y]), wide
    x = plain("Flatten", [plain("GlobalAveragePool", [x])])
    x = layer("Gemm", x, (1000, 512), transB=1)
    ends = [
        helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 224, 224]),
        helper.make_tensor_value_info(x, TensorProto.FLOAT, ["batch", 1000]),
    ]
    graph = helper.make_graph(nodes, "resnet18", ends[:1], ends[1:], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def product(kind: int, left: str) -> onnx.ModelProto:
    """image [1, 6, 6] times itself, or times a stored matrix (float, or int8 behind DequantizeLinear)."""
    stored = [numpy_helper.from_array(np.ones((6, 6), np.float32), "w")]
    nodes = [helper.make_node("MatMul", ["image", left], ["y"], "product")]
    if kind == TensorProto.INT8:
        stored = [
            numpy_helper.from_array(np.ones((6, 6), np.int8), "q"),
            numpy_helper.from_array(np.ones(6, np.float32), "s"),
        ]
        nodes.insert(0, helper.make_node("DequantizeLinear", ["q", "s"], ["w"], axis=1))
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", 6, 6]) for n in ("image", "y")]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], stored if left == "w" else [])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def test_a_product_of_activations_is_no_layer_but_costs(tmp_path: Path) -> None:
    onnx.save(product(TensorProto.FLOAT, "image"), tmp_path / "own.onnx")
    onnx.save(product(TensorProto.FLOAT, "w"), tmp_path / "held.onnx")
    assert layers(onnx.load(tmp_path / "own.onnx")) == ()
    assert [x.name for x in layers(onnx.load(tmp_path / "held.onnx"))] == ["product"]
    assert count(tmp_path / "own.onnx").macs_per_image == count(tmp_path / "held.onnx").macs_per_image == 216
    assert (count(tmp_path / "own.onnx").params, count(tmp_path / "held.onnx").params) == (0, 36)
    assert integer_layers(kernels(tmp_path / "own.onnx")) == (0, 0)
    assert integer_layers(kernels(tmp_path / "held.onnx")) == (0, 1)


def test_scales_are_no_parameters(tmp_path: Path) -> None:
    onnx.save(product(TensorProto.INT8, "w"), tmp_path / "int8.onnx")
    assert count(tmp_path / "int8.onnx").params == 36
    assert weight_bytes(tmp_path / "int8.onnx") == 36


def test_batch_norm_left_in_the_file_is_told(tmp_path: Path) -> None:
    stored = [numpy_helper.from_array(np.ones(3, np.float32), name) for name in ("scale", "bias", "mean", "var")]
    node = helper.make_node("BatchNormalization", ["image", "scale", "bias", "mean", "var"], ["y"])
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", 3, 4, 4]) for n in ("image", "y")]
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.save(model, tmp_path / "norm.onnx")
    found = count(tmp_path / "norm.onnx")
    assert (found.params, found.macs_per_image, found.folded) == (6, 0, False)


def test_a_run_that_was_interrupted_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four runs of 10 µs two were interrupted, one in the kernel and one before it."""
    events: list[dict[str, object]] = []
    for number, (before, spent) in enumerate([(2, 10), (2, 4000), (900, 10), (2, 12)]):
        start = 10_000 * number
        args = {"op_name": "MatMul", "input_type_shape": [{"float": [1, 8]}], "parameter_size": "256"}
        events.append({"name": graph.RUN, "ts": start, "dur": before + spent, "args": {}})
        events.append({"name": "product_kernel_time", "ts": start + before, "dur": spent, "args": args})
    monkeypatch.setattr(graph, "profile", lambda path, threads, runs: events)
    (use,) = kernels(Path("net.onnx"), runs=4)
    assert use.microseconds == 11


def test_kernels_name_type_time_and_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "profiles"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.chdir(tmp_path)
    onnx.save(product(TensorProto.FLOAT, "w"), tmp_path / "net.onnx")
    (use,) = kernels(tmp_path / "net.onnx", runs=3)
    assert (use.op, use.data_type, use.nodes, use.integer, use.layer) == ("MatMul", "float", ("product",), False, True)
    assert 0 <= use.microseconds < 1_000_000
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.onnx", "profiles"]
    assert list(folder.iterdir()) == []
