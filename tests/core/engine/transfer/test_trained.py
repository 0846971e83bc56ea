"""Fine-tuning and partial training: what learns, how fast, and what keeps its exact bits."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from core.engine import build
from core.engine.backbones import backbones, skeleton
from core.engine.backbones.blocks import blocks
from core.engine.data import Dataset
from core.engine.model import Model
from core.engine.training.loop import evaluate
from core.engine.transfer import Transfer
from core.engine.transfer.fine_tune import FineTune
from tests.core.engine.conftest import MakeContext

Maker = Callable[..., Model]
SAMPLE = [
    *("resnet18", "efficientnet_lite0", "mobilenet_v3_small", "vgg11", "squeezenet1_0", "vit_b_16", "swin_t"),
    *("convnext_tiny", "densenet121", "resnet20", "googlenet", "inception_v3", "shufflenet_v2_x0_5", "maxvit_t"),
]


@pytest.mark.parametrize("name", SAMPLE)
def test_blocks_hold_every_parameter_once(name: str) -> None:
    net = skeleton(name)
    found = blocks(net)
    held = [id(p) for block in found.body for p in block.parameters] + [id(p) for p in found.head]
    assert sorted(held) == sorted(id(p) for p in net.parameters())
    assert len(found.body) >= 4
    largest = max(sum(p.numel() for p in block.parameters) for block in found.body)
    total = sum(p.numel() for p in net.parameters())
    assert largest < 0.85 * total, "one block holds nearly everything: layer-wise rates would mean nothing"


def test_every_backbone_can_be_cut_into_blocks_by_name() -> None:
    assert set(SAMPLE) <= set(backbones())


def test_layerwise_rates(make_model: Maker) -> None:
    method = FineTune(learning_rate=1.0, backbone_rate=0.1, layer_decay=0.5)
    net = make_model().net
    groups = method.trainable(net, 100).groups
    rates = [group["lr"] for group in groups]
    assert rates[0] == 1.0
    assert rates[1:4] == pytest.approx([0.1, 0.05, 0.025])
    given = [id(p) for group in groups for p in group["params"]]  # type: ignore[attr-defined]
    assert sorted(given) == sorted(id(p) for p in net.parameters())


@pytest.mark.parametrize(
    ("images", "statistics", "frozen"),
    [(100, "auto", True), (5000, "auto", False), (100, "learned", False), (9999, "frozen", True)],
)
def test_statistics_freeze_below_5000_images(make_model: Maker, images: int, statistics: str, frozen: bool) -> None:
    net = make_model().net
    for norm in (m for m in net.modules() if isinstance(m, nn.BatchNorm2d)):
        assert norm.running_mean is not None
        norm.running_mean += 0.1  # as if they were taken from images
    assert bool(FineTune(statistics=statistics).trainable(net, images).frozen) is frozen


@pytest.mark.parametrize("last", [0, 1, 3])
def test_partial_leaves_the_rest_bit_for_bit(
    make_model: Maker, make_context: MakeContext, digits: Dataset, last: int
) -> None:
    model = make_model()
    parts = blocks(model.net).body
    kept = [m for block in parts[: len(parts) - last] for m in block.modules]
    before = [{k: v.clone() for k, v in module.state_dict().items()} for module in kept]
    moving = [m for block in parts[len(parts) - last :] for m in block.modules if m.state_dict()]
    assert bool(moving) == bool(last)
    first = [{k: v.clone() for k, v in module.state_dict().items()} for module in moving]
    method = build("transfer", "partial", blocks=last, epochs=2)
    assert isinstance(method, Transfer)
    method.apply(model, make_context())
    for module, old in zip(kept, before, strict=True):
        assert all(torch.equal(v, old[k]) for k, v in module.state_dict().items())
    for module, old in zip(moving, first, strict=True):
        assert not all(torch.equal(v, old[k]) for k, v in module.state_dict().items())
    assert all(p.requires_grad for p in model.net.parameters()), "a later step may train all of it"


def test_fine_tuning_learns(make_model: Maker, make_context: MakeContext, digits: Dataset) -> None:
    method = build("transfer", "fine_tune", epochs=6, learning_rate=0.01, backbone_rate=1.0, statistics="learned")
    context = make_context()
    trained = method.apply(make_model(), context)
    assert evaluate(trained, digits.test, context).accuracy > 0.85
    assert not isinstance(trained.net, nn.Linear)
