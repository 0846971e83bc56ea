"""What every backbone keeps to; a family joins by being in the folder."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from core.catalog import CATALOG_FILE
from core.engine.backbones import backbones, find, load_backbone
from core.engine.backbones.heads import classes_of, head_layer
from core.engine.measure.complexity import complexity
from core.engine.prune.structured import prune_channels
from core.errors import UserError

CLASSES = 5


def lightest(family: str) -> str:
    """The member with the fewest operations."""
    return min((b for b in backbones().values() if b.family == family), key=lambda b: (b.macs, b.name)).name


SMALL = {name for name, entry in backbones().items() if entry.small_images and entry.params < 400_000}
SAMPLE = sorted({*map(lightest, {entry.family for entry in backbones().values()}), *SMALL})


@cache
def verdicts() -> dict[str, Any]:
    """What `make preflight` found, by backbone."""
    found: dict[str, Any] = json.loads(Path(CATALOG_FILE).with_name("preflight.json").read_text())["backbones"]
    return found


def fresh(name: str, size: int) -> nn.Module:
    torch.manual_seed(0)
    return load_backbone(name, CLASSES, "none", size)


@pytest.mark.parametrize("name", SAMPLE)
def test_it_runs_at_its_smallest_and_at_its_own_size(name: str) -> None:
    entry = find(name)
    for size in {entry.smallest, entry.image_size}:
        net = fresh(name, size)
        with torch.no_grad():
            logits = net(torch.rand(2, entry.channels, size, size))
        assert logits.shape == (2, CLASSES)
        assert bool(logits.isfinite().all())
        assert not net.training
    assert classes_of(head_layer(net)) == CLASSES


@pytest.mark.parametrize("name", SAMPLE)
def test_its_parameters_are_as_the_catalog_counts_them(name: str) -> None:
    entry = find(name)
    net = load_backbone(name, entry.classes, "none")
    assert complexity(net, (entry.channels, entry.image_size, entry.image_size)).params == entry.params


@pytest.mark.parametrize("name", [name for name in SAMPLE if find(name).width and find(name).weights == "none"])
def test_its_parameters_follow_its_width_law(name: str) -> None:
    entry = find(name)
    wide = sum(p.numel() for p in load_backbone(name, entry.classes, "none", width=2 * entry.width).parameters())
    assert wide == pytest.approx(entry.params * 2**entry.width_power, rel=0.1)


@pytest.mark.parametrize("name", SAMPLE)
def test_it_can_be_pruned_where_the_preflight_says_so(name: str) -> None:
    if name not in verdicts():
        pytest.skip(f"{name} was not examined: make preflight")
    entry = find(name)
    size = max(entry.smallest, min(entry.image_size, 32))
    net, example = fresh(name, size), torch.zeros(2, entry.channels, size, size)
    if not verdicts()[name]["prunable"]:
        with pytest.raises(UserError):
            prune_channels(net, example, 0.5)
        return
    thinned = prune_channels(net, example, 0.5)
    assert thinned(example).shape == (2, CLASSES)
    assert sum(p.numel() for p in thinned.parameters()) < sum(p.numel() for p in net.parameters())
