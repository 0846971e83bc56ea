"""Parameters and MACs against the figures torchvision publishes with every set of weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torchvision.models as zoo
from torch import nn

from core.engine.backbones import backbones, load_backbone
from core.engine.measure.complexity import complexity, profile
from core.errors import UserError

# (architecture, image side): [weights]; several weights share one network
ENTRIES: dict[tuple[str, int], list[Any]] = {}
for _name in zoo.list_models(module=zoo):
    for _weights in zoo.get_model_weights(_name):
        ENTRIES.setdefault((_name, _weights.transforms().crop_size[0]), []).append(_weights)


QUICK = {
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "googlenet", "inception_v3", "mnasnet0_5",
    "mobilenet_v2", "mobilenet_v3_small", "regnet_x_400mf", "regnet_y_400mf", "resnet18", "resnet50", "resnext50_32x4d",
    "shufflenet_v2_x0_5", "squeezenet1_1", "swin_t", "swin_v2_t", "vgg11", "vgg11_bn", "vit_b_32",
}  # fmt: skip  # the smallest of each family; all others are slow tests
EACH = [pytest.param(*key, marks=() if key[0] in QUICK else pytest.mark.slow) for key in sorted(ENTRIES)]


@pytest.mark.parametrize(("name", "side"), EACH)
def test_equals_what_torchvision_publishes(name: str, side: int) -> None:
    found = profile(name, image_size=side)
    for weights in ENTRIES[name, side]:
        assert found.params == weights.meta["num_params"], weights
        assert round(found.macs / 1e9, 3) == weights.meta["_ops"], weights


def test_every_set_of_weights_is_compared() -> None:
    assert len(ENTRIES) >= 80
    assert {name for name, _ in ENTRIES} >= QUICK
    names = {name for name, _ in ENTRIES}
    assert sum(map(len, ENTRIES.values())) == sum(len(zoo.get_model_weights(name)) for name in names) >= 115


@pytest.mark.thorough
def test_small_nets_equal_the_count_on_paper_and_published_counts() -> None:
    for name, entry in backbones().items():
        if entry.family == "small":
            found = profile(name)
            assert (found.params, found.macs) == (entry.params, entry.macs), name
    assert profile("resnet20").params == 272_474  # He's 0.27 M, with 1x1 shortcuts
    assert [round(profile(f"resnet{d}").params / 1e6, 2) for d in (20, 32, 44, 56)] == [0.27, 0.47, 0.66, 0.86]
    assert round(profile("resnet8_fashion").params / 1e3) == 308


def test_counts_one_image_by_hand() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8 * 16, 5)
    )
    found = complexity(net, (3, 4, 4))
    assert found.macs == 16 * 27 * 8 + 128 * 5
    assert found.params == 27 * 8 + 16 + 128 * 5 + 5
    assert found.bytes == 4 * found.params + 4 * 16 + 8  # running mean and variance, and a 64-bit counter
    assert complexity(net, (32, 3, 4, 4)) == found
    assert complexity(nn.Linear(64, 10), (64,)).macs == complexity(nn.Linear(64, 10), (7, 64)).macs == 640


def test_bytes_follow_the_type() -> None:
    net = nn.Linear(10, 10, bias=False)
    assert complexity(net, (10,)).bytes == 400
    assert complexity(net.bfloat16(), (10,)).bytes == 200


class _Stubborn(nn.Module):
    """Asks for a value, which the meta device has not."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.layer(x)
        return y if y.sum().item() > 1e9 else y + 1


def test_a_net_that_needs_values_is_run_for_real() -> None:
    assert complexity(_Stubborn(nn.Linear(4, 4)), (4,)).macs == 16


def test_attention_is_counted_where_its_fused_kernel_would_run() -> None:
    tokens, width, inner = 6, 8, 16
    layer = nn.TransformerEncoderLayer(width, 2, inner, batch_first=True)
    one = tokens * (4 * width * width + 2 * tokens * width + 2 * width * inner)
    assert complexity(_Stubborn(nn.Sequential(nn.Flatten(1, 2), layer)), (1, tokens, width)).macs == one


def test_leaves_the_model_as_it_was() -> None:
    net = load_backbone("resnet8", 10).train()
    net.get_submodule("stem.1").eval()
    before = {key: tensor.clone() for key, tensor in net.state_dict().items()}
    fast = torch.backends.mha.get_fastpath_enabled()
    complexity(net, (3, 32, 32))
    assert all(torch.equal(tensor, before[key]) for key, tensor in net.state_dict().items())
    assert all(tensor.device.type == "cpu" for tensor in net.state_dict().values())
    assert net.training
    assert not net.get_submodule("stem.1").training
    assert torch.backends.mha.get_fastpath_enabled() == fast


def test_profile_follows_classes_and_size() -> None:
    full, ten = profile("resnet18"), profile("resnet18", classes=10)
    assert full.params - ten.params == 990 * 513
    assert full.macs - ten.macs == 990 * 512
    assert ten.bytes > 4 * ten.params
    assert profile("resnet18", image_size=112).image_size == 112
    assert profile("resnet18", image_size=112).macs < full.macs / 3.5
    assert profile("vit_b_16", image_size=32).macs < profile("vit_b_16").macs / 10


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(UserError, match="resnet18"):
        profile("resnet_18")
    with pytest.raises(UserError, match="75"):
        profile("inception_v3", image_size=32)
    with pytest.raises(UserError, match="input_shape"):
        complexity(nn.Linear(4, 4), (0,))
