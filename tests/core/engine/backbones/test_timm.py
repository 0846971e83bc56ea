"""timm's networks: the list is as timm has it, two heads become one, and three kinds go through the whole chain."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from timm.models import create_model
from torch import nn

from core.catalog import load_catalog
from core.engine.backbones import find, load_backbone, timm
from core.engine.backbones.heads import head_layer, head_name
from core.engine.backbones.timm_listed import LISTED
from core.engine.pipeline.run import run_recipe
from core.errors import UserError, UserErrors
from core.workspace import Workspace

DISTILLED = ("levit_128s.fb_dist_in1k", "repvit_m0_9.dist_300e_in1k", "efficientformerv2_s0.snap_dist_in1k")
TELLING = (
    "image_size",
    "mean",
    "std",
    "params",
    "macs",
    "classes",
    "licence",
    "crop",
    "norms",
    "linear_head",
    "channels",
)


def agree(name: str) -> None:
    """The row of the list says what timm says and what is counted now."""
    listed, counted = find(f"timm/{name}"), timm.described(f"timm/{name}")
    assert {key: getattr(listed, key) for key in TELLING} == {key: getattr(counted, key) for key in TELLING}
    assert abs(listed.download_bytes - counted.download_bytes) <= 0.2 * listed.download_bytes  # a second head


def test_the_first_of_the_list_is_as_timm_has_it() -> None:
    agree(next(iter(LISTED)))
    assert 60 <= len(LISTED) <= 80
    assert all(f"timm/{name}" in load_catalog().backbones for name in LISTED)
    assert {f"timm/{name}" for name in LISTED} <= set(timm.names())


@pytest.mark.slow
@pytest.mark.parametrize("name", LISTED)
def test_the_list_is_as_timm_has_it(name: str) -> None:
    agree(name)
    entry = find(f"timm/{name}")
    torch.manual_seed(0)
    for size in {entry.smallest, max(entry.smallest, 64 // entry.multiple * entry.multiple)}:
        net, images = load_backbone(entry.name, 5, "none", size), torch.rand(2, 3, size, size)
        assert net(images).shape == (2, 5)
        assert net.get_submodule(head_name(net, images)) is head_layer(net)


def random_statistics(net: nn.Module) -> nn.Module:
    """As after training: batch normalisation that is none of the identity."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(module.bias, std=0.1)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return net.eval()


@pytest.mark.parametrize("name", DISTILLED)
def test_two_heads_become_one_that_gives_their_mean(name: str) -> None:
    torch.manual_seed(0)
    theirs = random_statistics(create_model(name, pretrained=False))
    assert any(key.endswith("head_dist.weight") or ".head_dist." in f".{key}" for key in theirs.state_dict())
    entry = find(f"timm/{name}")
    family = timm.Timm()
    ours = family.architecture(entry, 1000, entry.image_size, 0, 3).eval()
    ours.load_state_dict(family.fit(theirs.state_dict(), ours), strict=True)
    images = torch.rand(2, 3, entry.image_size, entry.image_size)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), atol=1e-4, rtol=1e-4)


def test_weights_without_classes_get_a_fresh_head_and_fit_another_size() -> None:
    name = "vit_small_patch14_dinov2.lvd142m"
    torch.manual_seed(0)
    theirs = create_model(name, pretrained=False, img_size=56)
    assert "head.weight" not in theirs.state_dict()
    family, entry = timm.Timm(), find(f"timm/{name}")
    assert entry.classes == 0
    assert family.labels(entry) == ()
    for size in (56, 84):
        ours = family.architecture(entry, 1, size, 0, 3)
        fitted = family.fit(theirs.state_dict(), ours)
        assert float(fitted["head.weight"].std()) == pytest.approx(0.01, rel=0.3)
        ours.load_state_dict(fitted, strict=True)
    assert load_backbone(f"timm/{name}", 4, "none", 28)(torch.rand(1, 3, 28, 28)).shape == (1, 4)


def test_names_that_are_none_are_refused_with_the_nearest() -> None:
    with pytest.raises(UserError) as refused:
        find("timm/mobilenetv4_conv_smal.e2400_r224_in1k")
    assert "mobilenetv4_conv_small.e2400_r224_in1k" in refused.value.fix
    with pytest.raises(UserError) as static:
        load_catalog().backbone("timm/test_vit.r160_in1k")
    assert "condenser add-backbone timm/test_vit.r160_in1k" in static.value.fix
    with pytest.raises(UserError, match="multiple of 16"):
        load_backbone("timm/deit_tiny_patch16_224.fb_in1k", 3, "none", 50)


def test_an_unlisted_network_is_counted() -> None:
    entry = find("timm/test_vit.r160_in1k")
    net = load_backbone(entry.name, entry.classes, "none")
    assert entry.params == sum(p.numel() for p in net.parameters())
    assert (entry.family, entry.image_size, entry.smallest, entry.multiple) == ("timm", 160, 16, 16)
    assert entry.licence == "Apache-2.0"
    assert replace(entry, family="") == timm.described(entry.name)


CHAINS = ("convnextv2_atto.fcmae_ft_in1k", "mobilenetv3_small_050.lamb_in1k", "deit_tiny_patch16_224.fb_in1k")
RECIPE = """
name = "timm"
dataset = "digits"
backbone = "timm/{name}"
weights = "none"
image_size = 32
labels = 200
precision = "float32"

[[steps]]
stage = "transfer"
method = "fine_tune"
epochs = 1

[[steps]]
stage = "distill"
method = "kd"
student = "timm/{name}"
student_size = 32
epochs = 1
twin = false

[[steps]]
stage = "prune"
method = "l2"
ratio = 0.25
epochs = 1

[[steps]]
stage = "quantize"
method = "static"
bits = 8

[[steps]]
stage = "export"
method = "onnx"
"""


PRUNE = RECIPE[RECIPE.index('[[steps]]\nstage = "prune"') : RECIPE.index('[[steps]]\nstage = "quantize"')]
UNPRUNABLE = CHAINS[-1]


@pytest.mark.slow
@pytest.mark.parametrize("name", CHAINS)
def test_three_kinds_go_through_the_whole_chain(name: str, tmp_path: Path) -> None:
    """Convolutional, mobile and transformer with random weights: trained, distilled, pruned where channels can be
    followed, rounded, each measured, and the last exported."""
    text = RECIPE.replace(PRUNE, "") if name == UNPRUNABLE else RECIPE
    run = Workspace.open_or_create(tmp_path).create_run(text.format(name=name))
    run_recipe(run, os.getpid())
    points = run.summary().points
    params, sizes = [point.params or 0 for point in points], [point.bytes or 0 for point in points]
    if name != UNPRUNABLE:
        assert [point.stage for point in points] == ["transfer", "distill", "prune", "quantize"]
        assert 0 < params[2] < params[1]
    assert points[-1].stage == "quantize"
    assert 0 < sizes[-1] < 0.5 * sizes[-2]
    assert all(point.latency_ms is not None and point.latency_ms.p50 > 0 for point in points)
    exported = list((run.artifacts / f"step-{len(points)}").glob("*.onnx"))
    assert [file.read_bytes() for file in exported] == [(run.folder / str(points[-1].artifact)).read_bytes()]


def test_what_cannot_be_pruned_says_so_before_the_start(tmp_path: Path) -> None:
    run = Workspace.open_or_create(tmp_path).create_run(RECIPE.format(name=UNPRUNABLE))
    with pytest.raises((UserError, UserErrors), match="torch-pruning"):
        run_recipe(run, os.getpid())
    assert not run.summary().points
