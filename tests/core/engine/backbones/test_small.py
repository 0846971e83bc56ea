"""Our small residual networks against the paper's description, and the weights bundled with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from core.engine.backbones import backbones, find, labels, load_backbone, small, weights_at_hand
from core.engine.backbones.backbone import Backbone
from core.errors import UserError


@pytest.mark.parametrize("depth", small.DEPTHS)
def test_depth_counts_convolutions_and_head(depth: int) -> None:
    net = load_backbone(f"resnet{depth}", width=4)
    layers = [m for n, m in net.named_modules() if isinstance(m, nn.Conv2d | nn.Linear) and "shortcut" not in n]
    assert len(layers) == depth
    images = torch.zeros(1, 3, 32, 32)
    stages = [net.get_submodule(name) for name in ("stem", "stage1", "stage2", "stage3")]
    shapes = []
    for stage in stages:
        images = stage(images)
        shapes.append(tuple(images.shape[1:]))
    assert shapes == [(4, 32, 32), (4, 32, 32), (8, 16, 16), (16, 8, 8)]


@pytest.mark.parametrize("size", [8, 27, 28, 64])
def test_runs_at_any_size(size: int) -> None:
    assert load_backbone("resnet8", 3, channels=1)(torch.zeros(2, 1, size, size)).shape == (2, 3)


def test_learns() -> None:
    torch.manual_seed(0)
    net = load_backbone("resnet8", 2, width=4, channels=1).train()
    images = torch.randn(32, 1, 8, 8)
    target = torch.arange(32) % 2
    images[target == 1] += 1
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    losses = []
    for _ in range(20):
        loss = nn.functional.cross_entropy(net(images), target)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 < losses[0]


@pytest.fixture
def assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(small, "WEIGHTS", tmp_path)
    return tmp_path


def _entry() -> Backbone:
    return next(entry for entry in small.Small().catalog() if entry.name == "resnet8_fashion")


def test_bundled_weights_missing_is_told(assets: Path) -> None:
    assert not weights_at_hand("resnet8_fashion")
    with pytest.raises(UserError, match=r"resnet8_fashion\.safetensors") as caught:
        load_backbone("resnet8_fashion")
    assert caught.value.code == "weights_missing"
    assert _entry().accuracy is None


def test_bundled_weights_and_facts_are_read(assets: Path) -> None:
    torch.manual_seed(5)
    net = load_backbone("resnet8_fashion", weights="none")
    save_file(net.state_dict(), assets / "resnet8_fashion.safetensors")
    names = [f"class {i}" for i in range(10)]
    facts = {"accuracy": 92.5, "mean": [0.3], "std": [0.4], "params": 308074, "classes": names}
    (assets / "resnet8_fashion.json").write_text(json.dumps(facts))
    entry = _entry()
    assert (entry.accuracy, entry.mean, entry.std, entry.params) == (92.5, (0.3,), (0.4,), 308074)
    assert labels("resnet8_fashion") == tuple(names)
    assert weights_at_hand("resnet8_fashion")
    images = torch.randn(2, 1, 28, 28)
    with torch.no_grad():
        assert torch.equal(load_backbone("resnet8_fashion")(images), net(images))
        assert load_backbone("resnet8_fashion", 4)(images).shape == (2, 4)


def test_bundled_entries() -> None:
    for name, params in (("resnet8_fashion", 308_074), ("resnet20_fashion", 272_186)):
        entry = find(name)
        assert (entry.params, entry.channels, entry.image_size, entry.weights) == (params, 1, 28, "bundled")


# By counting on paper: 3x3 and 1x1 convolutions, batch norms and the last layer, image by image of its own size.
COUNTED = {
    "mlp": (789_258, 788_992),
    "resnet14": (175_258, 26_657_408),
    "resnet20": (272_474, 40_813_184),
    "resnet20_fashion": (272_186, 31_021_952),
    "resnet32": (466_906, 69_124_736),
    "resnet44": (661_338, 97_436_288),
    "resnet56": (855_770, 125_747_840),
    "resnet8": (78_042, 12_501_632),
    "resnet8_fashion": (308_074, 37_156_608),
}


def test_parameters_and_multiply_accumulates_are_as_counted_on_paper() -> None:
    small_ones = {name: entry for name, entry in backbones().items() if entry.family == "small"}
    assert {name: (entry.params, entry.macs) for name, entry in small_ones.items()} == COUNTED


@pytest.mark.parametrize("name", ["resnet8", "resnet20", "mlp"])
def test_the_width_law_gives_the_parameters_of_other_widths(name: str) -> None:
    entry = find(name)
    wide = sum(p.numel() for p in load_backbone(name, entry.classes, "none", width=4 * entry.width).parameters())
    assert wide == pytest.approx(entry.params * 4**entry.width_power, rel=0.03)
