"""The catalog is complete and true to its sources; every wrong argument is answered in words."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch
import torchvision.models as zoo
from torch import nn

from core.engine.backbones import backbones, find, labels, load_backbone, skeleton, weights_at_hand
from core.engine.backbones.skeleton import on_meta
from core.engine.measure.complexity import complexity
from core.errors import UserError


def test_holds_every_torchvision_classifier_with_its_own_figures() -> None:
    for name in zoo.list_models(module=zoo):
        entry, weights = find(name), zoo.get_model_weights(name).DEFAULT
        transforms = weights.transforms()
        assert (entry.params, entry.macs) == (weights.meta["num_params"], round(weights.meta["_ops"] * 1e9))
        assert [entry.image_size] == transforms.crop_size
        assert (list(entry.mean), list(entry.std)) == (transforms.mean, transforms.std)
        assert entry.accuracy == weights.meta["_metrics"]["ImageNet-1K"]["acc@1"]
        assert len(labels(name)) == entry.classes == 1000
        assert math.isclose(entry.download_bytes, weights.meta["_file_size"] * 2**20, abs_tol=1)
        assert ("NC" in entry.licence) == ("license" in weights.meta)
    assert find("efficientnet_v2_l").mean == (0.5, 0.5, 0.5)  # not ImageNet's


def test_the_whole_catalog() -> None:
    entries = backbones()
    assert list(entries) == sorted(entries)
    assert {"efficientnet_lite0", "resnet8", "resnet56", "resnet8_fashion", "resnet18", "vit_b_16"} <= set(entries)
    assert not [name for name in entries if "quantized" in name or "deeplab" in name or "raft" in name]
    for name, entry in entries.items():
        assert entry.name == name
        assert entry.title
        assert entry.licence
        assert entry.source
        assert len(entry.mean) == len(entry.std) == entry.channels
        assert entry.smallest <= entry.image_size
        assert entry.small_images == (entry.family == "small")
    json.dumps([entry.to_json() for entry in entries.values()], allow_nan=False)


def _fails(name: str, *args: Any, **options: Any) -> UserError:
    with pytest.raises(UserError) as caught:
        load_backbone(name, *args, **options)
    return caught.value


def test_wrong_arguments_are_answered_in_words() -> None:
    assert "resnet18" in _fails("resnet_18").fix
    assert _fails("resnet18", classes=0).field == "classes"
    assert _fails("resnet18", width=32, weights="none").field == "width"
    assert _fails("resnet18", channels=1, weights="none").field == "channels"
    assert _fails("resnet8", channels=2).field == "channels"
    assert _fails("resnet8", width=3).field == "width"
    assert _fails("resnet8_fashion", channels=3, weights="none").field == "channels"
    assert _fails("resnet8_fashion", width=16, weights="none").field == "width"
    assert "75" in _fails("inception_v3", weights="none", image_size=32).allowed
    assert "96" in _fails("vit_b_16", weights="none", image_size=100).fix
    assert "224" in _fails("maxvit_t", weights="none", image_size=256).fix
    assert _fails("resnet18", weights="imagenet").code == "weights_format"


def test_width_and_channels_of_small_networks() -> None:
    net = load_backbone("resnet8", 7, width=24, channels=1)
    assert net(torch.zeros(2, 1, 20, 20)).shape == (2, 7)
    assert complexity(net, (1, 28, 28)).params > complexity(load_backbone("resnet8", 7), (3, 28, 28)).params
    assert not net.training


def test_preprocessing() -> None:
    assert find("efficientnet_lite0").preprocessing(96).to_json()["mean"] == (0.5, 0.5, 0.5)
    grey = find("resnet20").preprocessing(28, channels=1)
    assert (grey.size, grey.channels, grey.mean, grey.std) == (28, 1, (0.5,), (0.5,))
    with pytest.raises(UserError, match="channels"):
        find("resnet18").preprocessing(28, channels=1)


def test_what_is_at_hand() -> None:
    assert weights_at_hand("efficientnet_lite0")
    assert not weights_at_hand("resnet8")  # it has none
    assert labels("resnet8") == ()


def test_a_skeleton_draws_nothing_and_holds_nothing() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    net = skeleton("regnet_y_400mf")
    assert torch.equal(torch.get_rng_state(), before)
    assert all(t.device.type == "meta" for t in [*net.parameters(), *net.buffers()])


@pytest.mark.parametrize("name", ["googlenet", "inception_v3", "shufflenet_v2_x0_5", "squeezenet1_1", "swin_t"])
def test_gives_a_plain_tensor_in_both_modes(name: str) -> None:
    size = max(find(name).smallest, 64)
    net = on_meta(lambda: load_backbone(name, 5, "none", size)).to("meta")
    images = torch.empty(2, 3, size, size, device="meta")
    assert net(images).shape == (2, 5)
    assert net.train()(images).shape == (2, 5)
    assert not [key for key in net.state_dict() if "aux" in key.lower()]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(backbones()))
def test_every_network_runs_at_its_smallest_size_and_trains_at_its_own(name: str) -> None:
    entry = find(name)
    for size, training in ((entry.smallest, False), (entry.image_size, True)):
        net = on_meta(lambda size=size: load_backbone(name, 5, "none", size)).to("meta")  # type: ignore[misc]
        logits = net.train(training)(torch.empty(2, entry.channels, size, size, device="meta"))
        assert logits.shape == (2, 5)


def test_fresh_weights_depend_on_the_seed_alone() -> None:
    def fresh(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return load_backbone("resnet8", 4, "none")

    one, same, other = fresh(1), fresh(1), fresh(2)
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(one(images), same(images))
    assert not torch.equal(one(images), other(images))
