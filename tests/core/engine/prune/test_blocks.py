"""Whole blocks go, the least important first; what is left has the shapes it had, and is saved and exported."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision.models as zoo
from torch import nn
from torchvision.models.vision_transformer import VisionTransformer

from core.engine.measure.runtime import open_session
from core.engine.method import build
from core.engine.model import Model
from core.engine.model_file import load_model, save_model
from core.engine.prune.block_removal import Unit, influence, removable, without
from core.engine.prune.blocks import Blocks
from core.errors import UserError
from tests.core.engine.conftest import MakeContext

MakeModel = Callable[..., Model]


def names(net: nn.Module, side: int = 64, channels: int = 3) -> list[str]:
    return [unit.name for unit in removable(net.eval(), torch.zeros(2, channels, side, side))]


def test_residual_blocks_are_found_whatever_their_class() -> None:
    torch.manual_seed(0)
    assert names(zoo.resnet18()) == ["layer1.0", "layer1.1", "layer2.1", "layer3.1", "layer4.1"]
    vit = VisionTransformer(
        image_size=32, patch_size=8, num_layers=2, num_heads=4, hidden_dim=32, mlp_dim=64, num_classes=5
    )
    assert names(vit, 32) == ["encoder.layers.encoder_layer_0", "encoder.layers.encoder_layer_1"]
    setting = [zoo.convnext.CNBlockConfig(8, 16, 2), zoo.convnext.CNBlockConfig(16, None, 1)]
    assert names(zoo.ConvNeXt(setting, num_classes=5)) == ["features.1.0", "features.1.1", "features.3.0"]
    mobile = names(zoo.mobilenet_v2())
    strides = [m for m in zoo.mobilenet_v2().features if getattr(m, "use_res_connect", False)]
    assert len(mobile) == len(strides) == 10


def plain() -> Any:
    torch.manual_seed(0)
    layers: dict[str, nn.Module] = {
        "one": nn.Conv2d(1, 8, 3, padding=1),
        "two": nn.Conv2d(8, 8, 3, padding=1),
        "norm": nn.BatchNorm2d(8),
        "relu": nn.ReLU(inplace=True),
        "pool": nn.AdaptiveAvgPool2d(1),
        "flat": nn.Flatten(),
        "wide": nn.Linear(8, 10),
        "act": nn.ReLU(inplace=True),
        "hidden": nn.Linear(10, 10),
        "act2": nn.ReLU(inplace=True),
        "same": nn.Sequential(nn.Dropout(0.1)),
        "head": nn.Linear(10, 10),
    }
    return nn.Sequential(OrderedDict(layers))


def test_a_network_without_blocks_loses_whole_layers_but_never_its_head() -> None:
    units = removable(plain().eval(), torch.zeros(2, 1, 8, 8))
    assert units == [Unit("two", ("two", "norm", "relu")), Unit("hidden", ("hidden", "act2", "same.0"))]
    net: Any = without(plain(), units[0])
    assert all(isinstance(module, nn.Identity) for module in (net.two, net.norm, net.relu))


@pytest.mark.slow
def test_a_vgg_loses_convolutions_and_its_hidden_layer() -> None:
    vgg = names(zoo.vgg11_bn(num_classes=5).eval())
    assert {"features.11", "features.18", "features.22", "features.25", "classifier.3"} <= set(vgg)
    assert "features.0" not in vgg


def test_pooling_that_changes_nothing_may_go() -> None:
    net = nn.Sequential(nn.Conv2d(1, 3, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4))
    assert names(net, 8, 1) == ["1"]


@pytest.fixture
def deep(make_model: MakeModel) -> Model:
    """A resnet14 whose second block of stage 2 does nothing, and whose others do much."""
    model = make_model(width=4, backbone="resnet14")
    net: Any = model.net
    with torch.no_grad():
        net.stage2[1].bn2.weight.zero_()
        net.stage2[1].bn2.bias.zero_()
    return model


def test_a_block_that_does_nothing_goes_without_a_trace(deep: Model, make_context: MakeContext) -> None:
    made = cut(deep, make_context(), measure="influence")
    assert isinstance(made.stage2[1], nn.Identity)
    inputs = torch.randn(4, 1, 8, 8)
    assert torch.equal(made.eval()(inputs), deep.net.eval()(inputs))


def test_the_block_whose_absence_costs_least_on_validation_goes(deep: Model, make_context: MakeContext) -> None:
    context = make_context()
    trained = build("transfer", "fine_tune", epochs=2, augment="none").apply(deep, make_context(place=(0, 7)))
    split, p = context.data.validation, deep.preprocessing
    images = (split.images.float() / 255 - p.mean[0]) / p.std[0]
    left = ["stage1.0", "stage1.1", "stage2.1", "stage3.1"]
    gone: list[str] = []
    for _ in range(2):
        losses = {}
        for name in left:
            net = trained.net
            for each in (*gone, name):
                net = without(net, Unit(each, (each,)))
            with torch.no_grad():
                losses[name] = float(nn.functional.cross_entropy(net.eval()(images), split.labels))
        gone.append(min(losses, key=lambda name: losses[name]))
        left.remove(gone[-1])
    made = cut(trained, context, removed=2)
    assert {name for name, module in made.named_modules() if isinstance(module, nn.Identity)} == set(gone)


def cut(model: Model, context: Any, **options: Any) -> Any:
    method = build("prune", "blocks", epochs=0, **options)
    assert isinstance(method, Blocks)
    *_, made = method.cuts(model, context)
    return made


def test_influence_is_one_minus_the_mean_cosine(deep: Model, make_context: MakeContext) -> None:
    context = make_context()
    units = removable(deep.net, torch.zeros(2, 1, 8, 8))
    found = {unit.name: score for unit, score in influence(deep, units, context).items()}
    assert found["stage2.1"] == pytest.approx(0, abs=1e-6)
    assert all(0 < score < 1 for name, score in found.items() if name != "stage2.1")
    pairs: list[tuple[Any, Any]] = []
    net: Any = deep.net.eval()
    hook = net.stage1[1].register_forward_hook(lambda m, entry, answer: pairs.append((entry[0], answer)))
    images = context.data.validation.images[:, :1].float()
    p = deep.preprocessing
    net((images / 255 - p.mean[0]) / p.std[0])
    hook.remove()
    before, after = (tensor.detach().double().flatten(1).numpy() for tensor in pairs[0])
    cosines = [a @ b / np.sqrt((a @ a) * (b @ b)) for a, b in zip(before, after, strict=True)]
    assert found["stage1.1"] == pytest.approx(1 - float(np.mean(cosines)), abs=1e-4)


@pytest.mark.thorough
def test_what_is_left_learns_is_saved_and_exported(deep: Model, make_context: MakeContext, tmp_path: Path) -> None:
    method = build("prune", "blocks", removed=2, measure="influence", epochs=1, augment="none", twin=True, scratch=1)
    made = method.apply(deep, make_context())
    gone = [name for name, m in made.net.named_modules() if isinstance(m, nn.Identity)]
    assert len(gone) == 2
    save_model(made, tmp_path)
    again, images = load_model(tmp_path), torch.randn(3, 1, 8, 8)
    with torch.no_grad():
        expected = made.net.eval()(images)
        torch.testing.assert_close(again.net.eval()(images), expected)
    method.save(made, tmp_path / "model.onnx", make_context())
    found = open_session(tmp_path / "model.onnx", 1).run(None, {"image": images.numpy()})[0]
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)
    twin, scratch = (make() for make in method.controls(deep, make_context()).values())
    assert len([m for m in twin.net.modules() if isinstance(m, nn.Identity)]) == 2
    assert [name for name, m in scratch.net.named_modules() if isinstance(m, nn.Identity)] == gone


def test_blocks_go_after_channels_and_are_saved(deep: Model, make_context: MakeContext, tmp_path: Path) -> None:
    thin = build("prune", "l2", epochs=0).apply(deep, make_context())
    made = build("prune", "blocks", measure="influence", epochs=0).apply(thin, make_context())
    save_model(made, tmp_path)
    images = torch.randn(3, 1, 8, 8)
    assert torch.equal(load_model(tmp_path).net.eval()(images), made.net.eval()(images))
    thinner = build("prune", "l2", epochs=0, ratio=0.25).apply(made, make_context())
    assert sum(p.numel() for p in thinner.net.parameters()) < sum(p.numel() for p in made.net.parameters())


@pytest.mark.parametrize(
    ("options", "code", "word"),
    [
        ({"removed": 5}, "too_many_blocks", r"at most 4 .*stage1\.0"),
        ({"removed": 3, "ignored": "stage1"}, "too_many_blocks", "at most 2"),
        ({"ignored": "stage*"}, "no_blocks", "resnet14"),
        ({"ignored": "stag1"}, "unknown_module", "stage1"),
    ],
)
def test_more_than_there_is_is_refused(
    options: dict[str, Any], code: str, word: str, deep: Model, make_context: MakeContext
) -> None:
    with pytest.raises(UserError, match=word) as caught:
        build("prune", "blocks", **options).apply(deep, make_context())
    assert caught.value.code == code
