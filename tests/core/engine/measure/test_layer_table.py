"""A file layer by layer: what is shared out adds up, and each share is what onnx and onnxruntime say."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from scipy.stats import pearsonr

from core.engine import build
from core.engine.backbones import load_backbone
from core.engine.export.graph import write_graph
from core.engine.measure.filters import removed
from core.engine.measure.graph import RUN, count, layers, macs_by_node, profile
from core.engine.measure.layer_bytes import bytes_of, title
from core.engine.measure.layer_times import Finder, times
from core.engine.measure.layer_weights import computed_weights, decibels, edges_of, grid, signal_to_noise, weights
from core.engine.model import Model, Preprocessing
from core.engine.prune.structured import prune_channels
from core.engine.quantize import Calibration, Quantize

SIDE = 32
PIXELS = Preprocessing(SIDE, 3, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
FORMS = ("float", "static", "weight_only")


@pytest.fixture(scope="module")
def net() -> torch.nn.Module:
    """With batch norms as after training: equal biases would be stored once for all layers."""
    torch.manual_seed(0)
    found = load_backbone("resnet8", 5, "none", SIDE).eval()
    for module in found.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.bias, -0.3, 0.3)
    return found


@pytest.fixture(scope="module")
def files(net: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same network in floats, in int8, and with weights of 4 bits."""
    home = tmp_path_factory.mktemp("files")
    found = {name: home / f"{name}.onnx" for name in FORMS}
    write_graph(Model(net, "resnet8", tuple("abcde"), PIXELS), found["float"])
    images = [np.random.default_rng(0).standard_normal((32, 3, SIDE, SIDE), dtype=np.float32)]
    for name, options in (("static", {}), ("weight_only", {"bits": 4})):
        method = build("quantize", name, **options)
        assert isinstance(method, Quantize)
        method.convert(found["float"], found[name], Calibration(lambda: iter(images)))
    return found


@pytest.mark.parametrize("form", FORMS)
def test_bytes_add_up_to_the_file(form: str, files: dict[str, Path]) -> None:
    model = onnx.load(files[form])
    held, constants = bytes_of(model)
    assert set(held) == {layer.name for layer in layers(model)}
    assert min(held.values()) > 0
    graph = files[form].stat().st_size - sum(held.values()) - constants
    assert 0 < graph < 20_000
    assert constants < 200, "whatever a layer computes with is counted to it"


def test_a_layer_in_floats_takes_four_bytes_a_number(net: torch.nn.Module, files: dict[str, Path]) -> None:
    model = onnx.load(files["float"])
    held, _ = bytes_of(model)
    found = {title(layer): held[layer.name] for layer in layers(model)}
    modules = {n: m for n, m in net.named_modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)}
    assert found == {name: 4 * (m.weight.numel() + m.weight.shape[0]) for name, m in modules.items()}


@pytest.mark.parametrize("form", FORMS)
def test_multiplications_add_up_to_those_of_the_file(form: str, files: dict[str, Path]) -> None:
    by_node = macs_by_node(onnx.load(files[form]))
    assert sum(by_node.values()) == count(files[form]).macs_per_image


@pytest.mark.parametrize("form", FORMS)
def test_times_add_up_to_the_latency_and_every_layer_has_its_own(form: str, files: dict[str, Path]) -> None:
    model = onnx.load(files[form])
    found = times(files[form], model, 1, 500.0, 30)
    assert set(found.layers) == {layer.name for layer in layers(model)}
    assert min(found.layers.values()) > 0
    assert sum(found.layers.values()) + sum(found.others.values()) + found.between == pytest.approx(500.0)


@pytest.mark.alone
def test_kernels_fill_the_time_of_a_network_that_takes_a_while(tmp_path: Path) -> None:
    """Of a file that takes milliseconds, all but 15 % is spent in operators; most of that in layers, in proportion to
    what they compute. All from one profile: of five the one interrupted least, since whatever interrupts it
    falls between operators."""
    torch.manual_seed(0)
    pixels = Preprocessing(64, 3, PIXELS.mean, PIXELS.std)
    path = tmp_path / "resnet18.onnx"
    write_graph(Model(load_backbone("resnet18", 5, "none", 64).eval(), "resnet18", tuple("abcde"), pixels), path)
    model = onnx.load(path)
    found = min((times(path, model, 1, 1000.0, 30) for _ in range(5)), key=lambda told: abs(told.between))
    assert abs(found.between) < 150
    assert sum(found.layers.values()) > 700
    multiplied = macs_by_node(model)
    names = list(found.layers)
    assert pearsonr([found.layers[n] for n in names], [multiplied[n] for n in names]).statistic > 0.3


def test_a_kernel_is_found_by_what_onnxruntime_calls_it(files: dict[str, Path]) -> None:
    model = onnx.load(files["float"])
    finder = Finder(model)
    (first, second, *_) = layers(model)
    output = {node.name: node.output[0] for node in model.graph.node}
    after = next(node for node in model.graph.node if output[first.name] in node.input)
    for kernel in (
        first.name,
        f"{first.name}_token_7",
        f"{output[first.name]}_nchwc",
        f"{after.output[0]}_nchwc",
        f"{first.name}/MatMulAddFusion",
    ):
        assert finder.layer(kernel) == first.name, kernel
    assert finder.layer(second.name) == second.name
    assert finder.layer("ReorderInput") is None


def test_a_profile_holds_as_many_runs_as_asked_for(files: dict[str, Path]) -> None:
    events = profile(files["float"], 1, 7)
    assert sum(event["name"] == RUN for event in events) == 7


def test_weights_are_those_the_file_computes_with(files: dict[str, Path]) -> None:
    """Scale and zero point applied by hand, a channel at a time."""
    model = onnx.load(files["static"])
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    makers = {node.output[0]: node for node in model.graph.node}
    nodes = {node.name: node for node in model.graph.node}
    found = computed_weights(model)
    for layer in layers(model):
        _, scale, zero = makers[nodes[layer.name].input[1]].input
        shape = [-1 if axis == layer.axis else 1 for axis in range(len(layer.shape))]
        shifted = stored[layer.weight].astype(np.float32) - stored[zero].astype(np.float32).reshape(shape)
        np.testing.assert_allclose(found[layer.name], shifted * stored[scale].reshape(shape), rtol=1e-6)


def test_the_grid_is_evenly_spaced_and_floats_have_none(files: dict[str, Path]) -> None:
    for form, most in (("static", 256), ("weight_only", 16)):
        model = onnx.load(files[form])
        numbers = computed_weights(model)
        for layer in layers(model):
            values = grid(layer, numbers[layer.name])
            if not len(values):
                continue  # a layer that stayed in floats
            assert 2 <= len(values) <= most
            steps = np.diff(values) / np.diff(values).min()  # the smallest of them may be two or three
            assert any(np.allclose(times * steps, (times * steps).round(), atol=0.02) for times in (1, 2, 3))
    model = onnx.load(files["float"])
    assert not any(len(grid(layer, computed_weights(model)[layer.name])) for layer in layers(model))


def test_a_histogram_counts_every_weight(files: dict[str, Path]) -> None:
    model = onnx.load(files["weight_only"])
    for layer in layers(model):
        numbers = computed_weights(model)[layer.name]
        found = weights(layer, numbers, edges_of(numbers, numbers * np.float32(0.5), None))
        assert sum(found.counts) == layer.size
        assert found.zeros == pytest.approx(float((numbers == 0).mean()))


def test_signal_to_noise_falls_with_the_bits(files: dict[str, Path]) -> None:
    """Rounded to 8 bits every layer is closer to the floats than with weights of 4 bits; itself it equals."""
    image = np.random.default_rng(1).standard_normal((16, 3, SIDE, SIDE), dtype=np.float32)
    floats = onnx.load(files["float"])
    same = signal_to_noise(floats, floats, image)
    assert set(same) == {layer.name for layer in layers(floats)}
    assert set(same.values()) == {120.0}
    eight, four = (signal_to_noise(onnx.load(files[form]), floats, image) for form in ("static", "weight_only"))
    assert len(eight) == len(four) == len(same)
    assert np.mean(list(eight.values())) > np.mean(list(four.values())) + 5
    assert all(0 < ratio < 80 for ratio in (*eight.values(), *four.values()))


def test_decibels_by_hand() -> None:
    signal = np.array([3.0, -4.0], np.float32)
    assert decibels(signal, signal + np.float32(0.5)) == pytest.approx(10 * math.log10(25 / 0.5))


def test_removed_filters_are_those_that_pruning_took(net: torch.nn.Module) -> None:
    """Known, since the pruned weights are still the same; and after a little training of those that are left."""
    thin = prune_channels(net, torch.zeros(2, 3, SIDE, SIDE), 0.5)
    before, after = (one.state_dict()["stem.0.weight"].numpy() for one in (net, thin))
    kept = [n for n, one in enumerate(before) if any(np.array_equal(one, other) for other in after)]
    assert len(kept) == len(after) == 8
    gone = tuple(n for n in range(16) if n not in kept)
    assert removed(before, after) == gone
    noise = np.random.default_rng(0).standard_normal(after.shape).astype(np.float32)
    assert removed(before, after + 0.1 * float(np.abs(after).mean()) * noise) == gone
    assert removed(before, before) == ()
