"""Quantization-aware training: its gradients, its grids in the file, its way through the loop, and what it recovers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper
from torch import Tensor, nn
from torchvision.models import VisionTransformer

from core.engine.context import CancelledError, Context, Progress
from core.engine.data import load_dataset, prepare
from core.engine.measure.graph import integer_layers, kernels, layers, weight_bytes
from core.engine.measure.runtime import open_session, predict
from core.engine.method import build
from core.engine.model import Model, Preprocessing
from core.engine.model_file import load_model, save_model
from core.engine.pipeline.run import StepChain
from core.engine.pipeline.step_cache import StepCache
from core.engine.quantize import Quantize
from core.engine.quantize.arithmetic import fake_quantize, quantize
from core.engine.quantize.fake_quantizers import LearnedRange, LearnedStep, StraightThrough, weight_layers
from core.engine.quantize.qat_file import only_places, read_grid, write_learned
from core.engine.quantize.weights import unpack_file
from core.errors import UserError
from core.processes.workers import run_in_foreground
from core.recipe import parse_recipe
from core.workspace import Workspace


def slow_lsq(weight: Tensor, step: float, top: int) -> tuple[Tensor, Tensor]:
    """Equations 1 to 4 of the paper, one number at a time: the rounded weight and ∂rounded/∂step, float64."""
    rounded, slope = [], []
    for value in weight.double().reshape(-1).tolist():
        ratio = value / step
        if ratio <= -top:
            rounded.append(-top * step)
            slope.append(-float(top))
        elif ratio >= top:
            rounded.append(top * step)
            slope.append(float(top))
        else:
            rounded.append(round(ratio) * step)
            slope.append(round(ratio) - ratio)
    return torch.tensor(rounded).reshape(weight.shape), torch.tensor(slope).reshape(weight.shape)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_learned_steps_are_those_of_the_paper(bits: int) -> None:
    torch.manual_seed(bits)
    weight = torch.randn(3, 2, 3, 3, requires_grad=True)
    quantizer = LearnedStep(weight, bits)
    top = 2 ** (bits - 1) - 1
    start = 2 * weight.detach().abs().mean((1, 2, 3)) / top**0.5
    torch.testing.assert_close(quantizer.step.detach(), start)
    with torch.no_grad():
        quantizer.step.mul_(torch.tensor([0.3, 1.0, 1.7]))
    back = torch.randn(3, 2, 3, 3)
    (quantizer(weight) * back).sum().backward()
    for channel, step in enumerate(quantizer.step.tolist()):
        expected, slope = slow_lsq(weight[channel].detach(), step, top)
        torch.testing.assert_close(quantizer(weight)[channel].detach(), expected.float(), rtol=1e-5, atol=1e-6)
        gradient = float((slope * back[channel]).sum()) / (18 * top) ** 0.5
        assert quantizer.step.grad is not None
        assert float(quantizer.step.grad[channel]) == pytest.approx(gradient, rel=1e-3, abs=1e-4)
        inside = (weight[channel].detach() / step).abs() < top
        assert weight.grad is not None
        torch.testing.assert_close(weight.grad[channel], back[channel] * inside)


def test_straight_through_rounds_forward_and_passes_backward() -> None:
    weight = torch.randn(4, 5, requires_grad=True)
    made = StraightThrough(3)(weight)
    torch.testing.assert_close(made.detach(), fake_quantize(weight.detach(), 3, 0))
    made.sum().backward()
    assert torch.equal(weight.grad, torch.ones(4, 5))  # type: ignore[arg-type]


def test_a_learned_range_rounds_to_256_levels_and_learns_from_what_it_cuts() -> None:
    quantizer = LearnedRange(-1.0, 2.0)
    values = torch.linspace(-3, 4, 701).reshape(1, -1)
    made = quantizer(values)
    assert len(made.unique()) == 256
    inside = (values > -0.99) & (values < 1.99)
    assert float((made.detach() - values)[inside].abs().max()) <= 1.5 / 255 + 1e-6
    assert 0.0 in made
    made[values > 2.5].sum().backward()
    assert quantizer.high.grad is not None
    assert float(quantizer.high.grad) > 0
    assert float(made.detach().min()) == pytest.approx(-1.0, abs=0.01)
    assert float(made.detach().max()) == pytest.approx(2.0, abs=0.01)


@pytest.mark.parametrize("bits", [2, 3, 4, 6, 8])
def test_a_grid_is_read_back_from_the_weights(bits: int) -> None:
    """Also after every channel was multiplied by a number of its own, as folding a batch norm does."""
    torch.manual_seed(bits)
    made = quantize(torch.randn(6, 4, 3, 3), bits, 0)
    made.integers[2] = 0
    made.integers[3].clamp_(-1, 1)  # a channel that uses few of its levels
    fold = torch.tensor([1.0, -0.37, 2.0, 11.3, 1e-4, 0.9]).reshape(-1, 1, 1, 1)
    values = made.integers * made.scale.reshape(-1, 1, 1, 1) * fold
    found = read_grid(values, bits, 0)
    assert found is not None
    assert int(found.integers.abs().max()) <= 2 ** (bits - 1) - 1
    torch.testing.assert_close(found.integers * found.scale.reshape(-1, 1, 1, 1), values, rtol=1e-6, atol=0)
    moved = read_grid(values.movedim(0, 1).contiguous(), bits, 1)
    assert moved is not None
    assert torch.equal(moved.integers.movedim(1, 0), found.integers)
    assert read_grid(torch.randn(6, 40), bits, 0) is None


def train(learned, folder: Path, **options: object) -> tuple[Quantize, Model, Context]:  # type: ignore[no-untyped-def]
    method = build("quantize", "qat", **{"epochs": 1, "augment": "none", **options})  # type: ignore[arg-type]
    assert isinstance(method, Quantize)
    context = replace(learned.context, folder=folder / "checkpoints", cache=folder / "cache", place=(0, 1))
    return method, method.apply(learned.model, context), context


def stored(path: Path) -> dict[str, NDArray[np.float32]]:
    """The float weights that a runtime widens the file's integers to, by the layer's order."""
    graph = onnx.load(path)
    tensors = {t.name: numpy_helper.to_array(t) for t in graph.graph.initializer}
    return {
        layer.weight: tensors[layer.weight].astype(np.float32) * tensors[layer.weight.replace("_integers", "_scale")]
        for layer in layers(graph)
    }


@pytest.mark.thorough
@pytest.mark.parametrize(("bits", "kind"), [(2, TensorProto.INT2), (4, TensorProto.INT4)])
def test_the_file_holds_exactly_the_trained_grid(learned, tmp_path: Path, bits: int, kind: int) -> None:  # type: ignore[no-untyped-def]
    before = {name: tensor.clone() for name, tensor in learned.model.net.state_dict().items()}
    method, model, context = train(learned, tmp_path, bits=bits)
    for name, tensor in learned.model.net.state_dict().items():
        assert torch.equal(tensor, before[name]), "the incoming network is left alone"
    write_learned(model, tmp_path / "float.onnx")
    saved = method.saved(tmp_path / "float.onnx", model, tmp_path / "qat.onnx", context)
    assert (saved.touched, saved.total, saved.packed_bytes) == (10, 10, None)
    kinds = [layer.data_type for layer in layers(onnx.load(tmp_path / "qat.onnx"))]
    assert kinds == [TensorProto.INT8, *[kind] * 8, TensorProto.INT8]
    exact = {t.name: numpy_helper.to_array(t) for t in onnx.load(tmp_path / "float.onnx").graph.initializer}
    for name, values in stored(tmp_path / "qat.onnx").items():
        np.testing.assert_allclose(values, exact[name.removesuffix("_integers")], rtol=1e-6, atol=0)
    images, p = context.data.test.images[:100], model.preprocessing
    found = predict(open_session(tmp_path / "qat.onnx", 1), images, p)
    expected = predict(open_session(tmp_path / "float.onnx", 1), images, p)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    for name, layer in weight_layers(model.net).items():
        levels = layer.weight.detach().flatten(1)
        assert max(len(row.unique()) for row in levels) <= 2 ** (8 if name in ("stem.0", "head") else bits) - 1


@pytest.mark.thorough
def test_three_bits_are_packed_to_their_size(learned, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    method, model, context = train(learned, tmp_path, bits=3, ends=False)
    saved = method.save(model, tmp_path / "qat.onnx", context)
    (packed,) = saved.files
    weights = sum(layer.weight.numel() for layer in weight_layers(model.net).values())
    assert saved.packed_bytes == packed.stat().st_size
    assert weight_bytes(tmp_path / "qat.onnx") == weights // 2
    restored = unpack_file(packed)
    for name, values in stored(tmp_path / "qat.onnx").items():
        np.testing.assert_array_equal(restored[name.removesuffix("_integers")], values)


@pytest.mark.thorough
def test_eight_bits_run_integer_kernels_over_learned_ranges(learned, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    method, model, context = train(learned, tmp_path, bits=8)
    save_model(model, tmp_path)
    assert load_model(tmp_path).ranges == model.ranges, "ranges survive in the cache"
    write_learned(load_model(tmp_path), tmp_path / "float.onnx")
    saved = method.saved(tmp_path / "float.onnx", model, tmp_path / "qat.onnx", context)
    assert (saved.touched, saved.total) == (10, 10)
    assert integer_layers(kernels(tmp_path / "qat.onnx")) == (10, 10)
    assert "condenser.ranges" not in {p.key for p in onnx.load(tmp_path / "qat.onnx").metadata_props}
    assert saved.notes[0].startswith("8 ranges"), "two of ten layers share their input with another"
    few = method.convert(tmp_path / "float.onnx", tmp_path / "few.onnx", learned.calibration)
    assert few.notes[1:] == ("Only 128 calibration images were there; 256 were asked for.",)
    graph = onnx.load(tmp_path / "qat.onnx")
    tensors = {t.name: numpy_helper.to_array(t) for t in graph.graph.initializer}
    scales = {float(v) for t in graph.graph.node if t.op_type == "QuantizeLinear" for v in [tensors[t.input[1]]]}
    for _, low, high in model.ranges:
        assert min(abs((high - low) / 255 / scale - 1) for scale in scales) < 1e-4
    exact = {t.name: numpy_helper.to_array(t) for t in onnx.load(tmp_path / "float.onnx").graph.initializer}
    for layer in layers(graph):
        maker = next(n for n in graph.graph.node if n.op_type == "DequantizeLinear" and n.input[0] == layer.weight)
        scale = tensors[maker.input[1]]
        shape = [-1 if i == layer.axis else 1 for i in range(len(layer.shape))]
        widened = tensors[layer.weight].astype(np.float32) * scale.reshape(shape)
        np.testing.assert_allclose(widened, exact[layer.weight.removesuffix("_quantized")], rtol=1e-5, atol=1e-7)


def attention(learned) -> Model:  # type: ignore[no-untyped-def]
    """A vision transformer of two blocks on digits; attention keeps weights that are no layer's."""
    torch.manual_seed(0)
    net = VisionTransformer(8, 4, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=10)
    three = Preprocessing(8, 3, (0.5,) * 3, (0.5,) * 3)
    return Model(net.eval(), "vit_b_16", learned.model.classes, three)


@pytest.mark.parametrize("bits", [8, pytest.param(2, marks=pytest.mark.slow)])
def test_attention_is_trained_on_its_grid_too(learned, tmp_path: Path, bits: int) -> None:  # type: ignore[no-untyped-def]
    """Queries, keys and values included: no weight stays float, and at 8 bits the learned ranges reach the file."""
    whole = replace(learned, model=attention(learned))
    method, model, context = train(whole, tmp_path, bits=bits, batch=64, teacher=0.0)
    attentions = [m for m in model.net.modules() if isinstance(m, nn.MultiheadAttention)]
    assert len(attentions) == 2
    for held in (m.in_proj_weight for m in attentions):
        assert isinstance(held, nn.Parameter)
        assert max(len(row.unique()) for row in held) <= 2**bits - 1
    saved = method.save(model, tmp_path / "qat.onnx", context)
    assert (saved.touched, saved.total) == (10, 10)
    images = context.data.test.images[:50]
    found = predict(open_session(tmp_path / "qat.onnx", 1), images, model.preprocessing)
    with torch.no_grad():
        expected = model.net(prepare(images, model.preprocessing))
    near = 1e-4 if bits == 2 else 0.1 * float(expected.std())
    torch.testing.assert_close(found, expected, rtol=0, atol=near)
    if bits == 8:
        assert saved.notes[0].startswith(f"{len(model.ranges)} ranges"), "of the layers that torch calls"
        assert len(model.ranges) == 6


def test_layers_are_found_again_only_where_there_is_one_way() -> None:
    assert only_places("abc", "abc") == [0, 1, 2]
    assert only_places("ac", "abbc") == [0, 3]
    assert only_places("ab", "abb") == [], "either b"
    assert only_places("abc", "ab") == [], "one is missing"
    assert only_places("ba", "ab") == [], "in another order"


@pytest.mark.thorough
def test_training_recovers_what_rounding_to_two_bits_breaks(learned, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """The float network has 95 % or more of the digits; its weights rounded to 2 bits next to none."""
    method, model, context = train(learned, tmp_path, bits=2, epochs=3, learning_rate=0.05)
    plain = build("quantize", "weight_only", bits=2)
    assert isinstance(plain, Quantize)
    plain.save(learned.model, tmp_path / "plain.onnx", context)
    method.save(model, tmp_path / "qat.onnx", context)
    test = context.data.test

    def accuracy(path: Path) -> float:
        logits = predict(open_session(path, 1), test.images, model.preprocessing)
        return float((logits.argmax(1) == test.labels).float().mean())

    assert accuracy(learned.source) > 0.95
    assert accuracy(tmp_path / "qat.onnx") > accuracy(tmp_path / "plain.onnx") + 0.2
    assert accuracy(tmp_path / "qat.onnx") > 0.85


@pytest.mark.thorough
def test_it_resumes_bit_identically(learned, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Steps and ranges are in the checkpoint: cancelled after the first epoch, it ends as if it had not been."""
    options = {"bits": 8, "epochs": 2, "teacher": 0.0}
    _, undisturbed, context = train(learned, tmp_path / "calm", **options)
    done: list[int] = []

    def stop() -> bool:
        return len(done) > 0

    def report(progress: Progress) -> None:
        if progress.what == "training" and progress.epoch == 1 and progress.done == 0:
            done.append(progress.epoch)

    method = build("quantize", "qat", augment="none", **options)
    assert isinstance(method, Quantize)
    shaken = replace(context, folder=tmp_path / "shaken", cancelled=stop, report=report)
    with pytest.raises(CancelledError):
        method.apply(learned.model, shaken)
    resumed = method.apply(learned.model, replace(context, folder=tmp_path / "shaken"))
    assert done
    assert resumed.ranges == undisturbed.ranges
    for name, tensor in undisturbed.net.state_dict().items():
        assert torch.equal(tensor, resumed.net.state_dict()[name]), name


@pytest.mark.parametrize("learner", ["lsq", "ste"])
def test_the_weights_are_baked_and_nothing_hangs_on(learned, tmp_path: Path, learner: str) -> None:  # type: ignore[no-untyped-def]
    _, model, _ = train(learned, tmp_path, bits=4, learner=learner, teacher=1.0)
    assert model.net.state_dict().keys() == learned.model.net.state_dict().keys()
    assert model.ranges == ()
    for module in model.net.modules():
        assert not module._forward_pre_hooks
        assert type(module).__name__ != "ParametrizedConv2d"
    for layer in weight_layers(model.net).values():
        assert isinstance(layer.weight, nn.Parameter)


RECIPE = """
dataset = "digits"
backbone = "resnet8"
image_size = 8
labels = 300
precision = "float32"
[[steps]]
stage = "transfer"
method = "fine_tune"
epochs = 1
[[steps]]
stage = "quantize"
method = "qat"
bits = 4
epochs = 1
[[steps]]
stage = "export"
method = "onnx"
"""


@pytest.mark.slow
def test_in_a_recipe_it_stands_beside_the_float_file_before_it(tmp_path: Path) -> None:
    """Also when the run goes on from disk: the rounded file is never taken for a float one."""
    workspace = Workspace.open_or_create(tmp_path)
    run = workspace.create_run(RECIPE)
    assert run_in_foreground(run).wait(timeout=200) == 0
    first, second = run.summary().points
    assert second.receipt["bytes_fp32"]["before"] == first.bytes  # type: ignore[index, call-overload]
    bundled = run.folder / "artifacts" / "step-2" / "model.onnx"
    assert bundled.read_bytes() == (run.folder / str(second.artifact)).read_bytes()
    recipe = parse_recipe(RECIPE)
    methods = [build(step.stage, step.method, **step.options) for step in recipe.steps]
    data, device = load_dataset("digits", 8), torch.device("cpu")
    step_cache = StepCache(workspace.cache / "models", recipe, data, device)
    kept = StepChain(run, workspace, recipe, methods, data, device, step_cache, recipe.seed)._kept(1)
    assert kept is not None
    assert kept.source == run.folder / str(first.artifact)
    assert kept.artifact == run.folder / str(second.artifact)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_catalogd_vision_transformer_goes_all_the_way(tmp_path: Path) -> None:
    """From random weights at four patches an image: trained for 4 bits, saved, measured, every layer on its grid."""
    recipe = RECIPE.replace('"resnet8"', '"vit_b_16"\nweights = "none"').replace("image_size = 8", "image_size = 32")
    recipe = recipe.replace("labels = 300", "labels = 32").replace('"fine_tune"\nepochs = 1', '"linear_probe"')
    run = Workspace.open_or_create(tmp_path).create_run(recipe.replace("bits = 4", "bits = 4\nteacher = 0.0"))
    assert run_in_foreground(run).wait(timeout=500) == 0
    before, after = run.summary().points
    assert after.receipt["layers"] == {"touched": 50, "total": 50}
    assert after.bytes is not None
    assert before.bytes is not None
    assert after.bytes < before.bytes / 7


def test_refuses(learned, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    method = build("quantize", "qat", bits=4)
    assert isinstance(method, Quantize)
    with pytest.raises(UserError, match="trained for 4 bits"):
        method.convert(learned.source, tmp_path / "none.onnx", learned.calibration)
    assert not (tmp_path / "none.onnx").exists()
    for options in ({"bits": 1}, {"bits": 9}, {"bits": 3.5}, {"epochs": 0}, {"learner": "pact"}, {"teacher": 1.5}):
        with pytest.raises(UserError):
            build("quantize", "qat", **options)
