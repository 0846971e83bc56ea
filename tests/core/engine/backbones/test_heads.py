"""The head is found by the output: also where it is a convolution, and where it is not the layer defined last."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from core.engine.backbones import backbones, find, load_backbone, skeleton
from core.engine.backbones.heads import head, head_layer, head_name, replace_head
from core.errors import UserError

# One of each family and head: the rest share their class and run in the slow campaign.
SAMPLE = ["densenet121", "efficientnet_lite0", "googlenet", "inception_v3", "mobilenet_v3_small", "resnet8_fashion"]
SAMPLE += ["shufflenet_v2_x0_5", "squeezenet1_1", "swin_t", "vit_b_32"]


class _Odd(nn.Module):
    """The head is defined first; a layer of the same size after it serves only a side output."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.Linear(8, 5)
        self.body = nn.Linear(12, 8)
        self.aside = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        features = torch.relu(self.body(x.flatten(1)))
        logits: Tensor = self.classifier(features)
        self.side = self.aside(features)
        return logits


def _check(name: str) -> None:
    entry = find(name)
    net = skeleton(name)
    images = torch.empty(1, entry.channels, entry.image_size, entry.image_size, device="meta")
    found = head(net, images)
    assert found is head_layer(net)
    replace_head(net, 7, images)
    assert net(images).shape == (1, 7)


@pytest.mark.parametrize("name", SAMPLE)
def test_found_and_replaced(name: str) -> None:
    _check(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(backbones()) - set(SAMPLE)))
def test_found_and_replaced_everywhere(name: str) -> None:
    _check(name)


def test_names_of_known_heads() -> None:
    images = torch.empty(1, 3, 224, 224, device="meta")
    names = {"resnet18": "fc", "squeezenet1_1": "classifier.1", "vit_b_32": "heads.head", "vgg11": "classifier.6"}
    for name, expected in names.items():
        assert head_name(skeleton(name), images) == expected


def test_found_by_the_output_not_by_order() -> None:
    assert head_name(_Odd(), torch.zeros(1, 3, 2, 2)) == "classifier"


def test_found_in_a_frozen_net_without_grad_or_side_effect() -> None:
    net = load_backbone("resnet8", 4).requires_grad_(False).train()
    before = {key: tensor.clone() for key, tensor in net.state_dict().items()}
    with torch.inference_mode():
        assert head_name(net, torch.randn(2, 3, 16, 16)) == "head"
    assert net.training
    assert all(torch.equal(tensor, before[key]) for key, tensor in net.state_dict().items())
    assert not [module for module in net.modules() if module._forward_hooks]


def test_a_fresh_head_is_neutral_and_leaves_the_rest() -> None:
    net = load_backbone("resnet8", 4)
    images = torch.randn(3, 3, 16, 16)
    stem = net.get_submodule("stem.0").weight
    fresh = replace_head(net, 9, images)
    assert fresh is net.get_submodule("head")
    assert isinstance(fresh, nn.Linear)
    assert not fresh.bias.any()
    probabilities = net(images).softmax(1)
    assert torch.allclose(probabilities, torch.full_like(probabilities, 1 / 9), atol=0.02)
    assert net.get_submodule("stem.0").weight is stem


def test_a_net_without_a_head_is_refused() -> None:
    with pytest.raises(UserError, match="one output per class") as caught:
        head_name(nn.Sequential(nn.Flatten()), torch.zeros(1, 3, 2, 2))
    assert caught.value.code == "no_head"
    with pytest.raises(UserError):
        head_layer(nn.Sequential(nn.Flatten()))
