"""Channels are really removed, the right ones, and nothing else changes."""

from __future__ import annotations

import copy
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision.models as zoo
from torch import Tensor, nn
from torch_pruning.utils import count_ops_and_params
from torchvision.models.vision_transformer import VisionTransformer

from core.engine.measure.complexity import complexity
from core.engine.prune import structured
from core.errors import UserError

CLASSES = 7

# Untyped on purpose: an nn.Module's attributes have no useful static type.
prune_channels: Callable[..., Any] = structured.prune_channels
prune_rounds: Callable[..., Any] = structured.prune_rounds


def chain(first: int = 8, second: int = 6) -> Any:
    torch.manual_seed(0)
    layers = {
        "one": nn.Conv2d(3, first, 3, bias=False),
        "relu": nn.ReLU(),
        "two": nn.Conv2d(first, second, 3, bias=False),
        "pool": nn.AdaptiveAvgPool2d(1),
        "flat": nn.Flatten(),
        "head": nn.Linear(second, CLASSES),
    }
    return nn.Sequential(OrderedDict(layers))


def small_vit() -> Any:
    return VisionTransformer(
        image_size=32, patch_size=8, num_layers=2, num_heads=4, hidden_dim=32, mlp_dim=64, num_classes=CLASSES
    )


def small_swin(version: str) -> Any:
    block, merging = {
        "v1": (zoo.swin_transformer.SwinTransformerBlock, zoo.swin_transformer.PatchMerging),
        "v2": (zoo.swin_transformer.SwinTransformerBlockV2, zoo.swin_transformer.PatchMergingV2),
    }[version]
    return zoo.SwinTransformer(
        [4, 4], 16, [2, 2], [2, 4], [4, 4], num_classes=CLASSES, block=block, downsample_layer=merging
    )


def small_maxvit() -> Any:
    return zoo.MaxVit(
        input_size=(64, 64),
        stem_channels=8,
        partition_size=2,
        block_channels=[16, 32],
        block_layers=[1, 1],
        head_dim=8,
        stochastic_depth_prob=0.0,
        num_classes=CLASSES,
    )


def small_convnext() -> Any:
    setting = [zoo.convnext.CNBlockConfig(8, 16, 1), zoo.convnext.CNBlockConfig(16, None, 1)]
    return zoo.ConvNeXt(setting, num_classes=CLASSES)


def named(name: str) -> Any:
    extra = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return zoo.get_model(name, weights=None, num_classes=CLASSES, **extra)


NETS: dict[str, Callable[[], Any]] = {
    "resnet18": lambda: named("resnet18"),
    "mobilenet_v3_small": lambda: named("mobilenet_v3_small"),
    "efficientnet_b0": lambda: named("efficientnet_b0"),
    "squeezenet1_1": lambda: named("squeezenet1_1"),
    "shufflenet_v2_x0_5": lambda: named("shufflenet_v2_x0_5"),
    "regnet_y_400mf": lambda: named("regnet_y_400mf"),
    "mnasnet0_5": lambda: named("mnasnet0_5"),
    "googlenet": lambda: named("googlenet"),
    "vit": small_vit,
    "swin": lambda: small_swin("v1"),
    "swin_v2": lambda: small_swin("v2"),
    "maxvit": small_maxvit,
    "convnext": small_convnext,
}


def build(name: str) -> tuple[Any, Tensor]:
    torch.manual_seed(0)
    net = NETS[name]().eval()
    side = {"vit": 32, "googlenet": 32}.get(name, 64)
    return net, torch.randn(2, 3, side, side)


def size(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def answers(net: nn.Module, images: Tensor) -> Tensor:
    net.eval()
    with torch.no_grad():
        result: Tensor = net(images)
    return result


@pytest.mark.thorough
@pytest.mark.parametrize("name", NETS)
def test_every_family_shrinks_answers_for_all_classes_and_learns(name: str) -> None:
    net, images = build(name)
    pruned = prune_channels(net, images, 0.5)
    assert size(pruned) < 0.6 * size(net)
    assert answers(pruned, images).shape == (2, CLASSES)
    assert answers(pruned, images).isfinite().all()
    pruned.train()
    pruned(images).square().sum().backward()
    assert [key for key, parameter in pruned.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "shufflenet_v2_x0_5", "vit", "swin", "googlenet"])
def test_ratio_zero_is_the_same_function_to_the_bit(name: str) -> None:
    net, images = build(name)
    copied = prune_channels(net, images, 0.0)
    assert copied is not net
    assert torch.equal(answers(copied, images), answers(net, images))


@pytest.mark.parametrize("name", ["resnet18", "vit", "shufflenet_v2_x0_5", "googlenet"])
def test_the_model_given_is_left_as_it_was(name: str) -> None:
    net, images = build(name)
    net.train()
    for parameter in list(net.parameters())[:3]:
        parameter.requires_grad_(False)
    before = copy.deepcopy(net.state_dict())
    pruned = prune_channels(net, images, 0.5)
    after = net.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[key], before[key]) for key in before)
    assert all(module.training for module in net.modules())
    assert all(module.training for module in pruned.modules())
    assert [p.requires_grad for p in pruned.parameters()][:4] == [False, False, False, True]
    assert "forward" not in {key for module in pruned.modules() for key in vars(module)}


def test_half_the_channels_of_a_resnet_are_about_three_quarters_of_its_weights() -> None:
    net, images = build("resnet18")
    assert size(prune_channels(net, images, 0.5)) / size(net) == pytest.approx(0.25, abs=0.02)


def test_the_filters_with_the_largest_group_l2_norm_stay() -> None:
    net = chain()
    one, two, head = (layer.weight.detach().double() for layer in (net.one, net.two, net.head))
    first = (one**2).sum((1, 2, 3)) + (two**2).sum((0, 2, 3))  # a channel is a filter and what reads it
    second = (two**2).sum((1, 2, 3)) + (head**2).sum(0)
    keep, keep2 = first.topk(4).indices.sort().values, second.topk(3).indices.sort().values
    pruned = prune_channels(net, torch.randn(2, 3, 12, 12), 0.5)
    assert torch.equal(pruned.one.weight, net.one.weight[keep])
    assert torch.equal(pruned.two.weight, net.two.weight[keep2][:, keep])
    assert torch.equal(pruned.head.weight, net.head.weight[:, keep2])
    assert torch.equal(pruned.head.bias, net.head.bias)


def _kill(norm: Any, dead: Tensor) -> None:
    with torch.no_grad():
        norm.weight[dead], norm.bias[dead] = 0.0, 0.0


def test_channels_that_do_nothing_go_without_a_trace_through_residual_sums() -> None:
    net, images = build("resnet18")
    _randomise_norms(net)
    for stage in (net.layer1, net.layer2, net.layer3, net.layer4):
        width = stage[0].bn2.num_features
        shared = torch.randperm(width)[: width // 2]
        for block in stage:
            _kill(block.bn1, torch.randperm(width)[: width // 2])
            _kill(block.bn2, shared)
            if block.downsample is not None:
                _kill(block.downsample[1], shared)
        if stage is net.layer1:
            _kill(net.bn1, shared)
    pruned = prune_channels(net, images, 0.5, importance=norm_scale)
    torch.testing.assert_close(answers(pruned, images), answers(net, images), rtol=1e-4, atol=1e-5)
    assert size(pruned) < 0.3 * size(net)


def test_channels_that_do_nothing_go_without_a_trace_through_concatenations() -> None:
    net, images = build("googlenet")
    _randomise_norms(net)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            _kill(module, torch.randperm(module.num_features)[: module.num_features // 2])
    pruned = prune_channels(net, images, 0.5, importance=norm_scale)
    torch.testing.assert_close(answers(pruned, images), answers(net, images), rtol=1e-4, atol=1e-5)


def test_channels_that_do_nothing_go_without_a_trace_between_shuffles() -> None:
    net, images = build("shufflenet_v2_x0_5")
    _randomise_norms(net)
    for module in net.modules():
        if isinstance(module, zoo.shufflenetv2.InvertedResidual):
            dead = torch.randperm(module.branch2[1].num_features)[: module.branch2[1].num_features // 2]
            _kill(module.branch2[1], dead)
            _kill(module.branch2[4], dead)
    _kill(net.conv5[1], torch.randperm(1024)[:512])
    pruned = prune_channels(net, images, 0.5, importance=norm_scale)
    torch.testing.assert_close(answers(pruned, images), answers(net, images), rtol=1e-4, atol=1e-5)
    assert size(pruned) < size(net)


def _randomise_norms(net: Any) -> None:
    """Batch norms as after training: fresh ones (scale 1, shift 0) would hide a mix-up of channels."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, 0.1, 0.5)
            module.running_mean = torch.empty(module.num_features).uniform_(-0.2, 0.2)
            module.running_var = torch.empty(module.num_features).uniform_(0.5, 2.0)


def norm_scale(group: Any) -> Tensor:
    """Sum of |scale| over a group's batch norms: an importance written outside the project."""
    total = torch.zeros(len(group[0].idxs))
    for item in group:
        if isinstance(item.dep.target.module, nn.BatchNorm2d):
            total.index_add_(0, torch.tensor(item.root_idxs), item.dep.target.module.weight.detach()[item.idxs].abs())
    return total


def test_random_is_seeded() -> None:
    net, images = chain(16, 16), torch.randn(2, 3, 12, 12)
    one, again, other = (prune_channels(net, images, 0.5, "random", seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.one.weight, again.one.weight)
    assert not torch.equal(one.one.weight, other.one.weight)
    assert not torch.equal(one.one.weight, prune_channels(net, images, 0.5).one.weight)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "vit"])
def test_kept_channels_are_multiples_of_round_to(name: str) -> None:
    net, images = build(name)
    pruned = prune_channels(net, images, 0.45, round_to=8)
    widths = [
        (layer.weight.shape[0], old.weight.shape[0])
        for (key, layer), old in zip(pruned.named_modules(), net.modules(), strict=True)
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer.weight.shape[0] != CLASSES
    ]
    assert all(new % 8 == 0 or new == old for new, old in widths)
    assert any(new < old for new, old in widths)


def test_a_ratio_that_leaves_no_channel_names_the_largest_that_does() -> None:
    net, images = chain(8, 4), torch.randn(2, 3, 12, 12)
    with pytest.raises(UserError, match=r"at most 0.75 .*two") as caught:
        prune_channels(net, images, 0.76)
    assert caught.value.code == "ratio_leaves_no_channel"
    pruned = prune_channels(net, images, 0.75)
    assert (pruned.one.out_channels, pruned.two.out_channels) == (2, 1)
    with pytest.raises(UserError, match=r"at most 0.833") as caught:
        prune_channels(net, images, 0.84, scope="global")
    pruned = prune_channels(net, images, 0.833, scope="global")
    assert (pruned.one.out_channels, pruned.two.out_channels) == (2, 1) or pruned.one.out_channels == 1


def test_global_removes_the_share_where_it_matters_least() -> None:
    net, images = chain(16, 16), torch.randn(2, 3, 12, 12)

    def first_layer_is_worthless(group: Any) -> Tensor:
        module = group[0].dep.target.module
        return torch.arange(16.0) + (0 if module.in_channels == 3 else 100)

    pruned = prune_channels(net, images, 0.25, first_layer_is_worthless, scope="global")
    assert (pruned.one.out_channels, pruned.two.out_channels) == (8, 16)
    assert torch.equal(pruned.one.weight, net.one.weight[8:])
    pruned = prune_channels(net, images, 0.75, first_layer_is_worthless, scope="global")
    assert (pruned.one.out_channels, pruned.two.out_channels) == (1, 7)


@pytest.mark.parametrize("scope", ["local", "global"])
def test_rounds_shrink_step_by_step_to_the_same_width(scope: str) -> None:
    net, images = chain(16, 12), torch.randn(2, 3, 12, 12)
    widths = [
        (cut.one.out_channels, cut.two.out_channels)
        for cut in prune_rounds(net, images, 0.75, scope=scope, iterations=3)
    ]
    totals = [sum(pair) for pair in widths]
    assert totals == [21, 14, 7]
    if scope == "local":
        assert widths == [(12, 9), (8, 6), (4, 3)]


def test_rounds_rank_anew_what_the_person_trained_between() -> None:
    net, images = chain(4, 4), torch.randn(2, 3, 12, 12)
    for number, cut in enumerate(prune_rounds(net, images, 0.5, iterations=2)):
        if number == 0:
            with torch.no_grad():
                cut.one.weight[1:] = 0
                cut.two.weight[:, 1:] = 0
            survivor = cut.one.weight[0].detach().clone()
    assert cut.one.out_channels == 2
    assert torch.equal(cut.one.weight[0], survivor)


def test_grouped_convolutions_keep_their_groups() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 12, 1),
        nn.Conv2d(12, 24, 3, groups=3),
        nn.BatchNorm2d(24),
        nn.ReLU(),
        nn.Conv2d(24, 5, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
    pruned = prune_channels(net.eval(), torch.randn(2, 3, 8, 8), 0.5)
    middle = pruned[1]
    assert (middle.groups, middle.in_channels, middle.out_channels) == (3, 6, 12)
    assert middle.weight.shape == (12, 2, 3, 3)
    with pytest.raises(UserError, match=r"at most 0\.75"):
        prune_channels(net, torch.randn(2, 3, 8, 8), 0.8)


def test_ignored_modules_keep_their_outputs() -> None:
    net, images = chain(), torch.randn(2, 3, 12, 12)
    pruned = prune_channels(net, images, 0.5, ignored=("one",))
    assert (pruned.one.out_channels, pruned.two.out_channels) == (8, 3)
    with pytest.raises(UserError, match="'two'"):
        prune_channels(net, images, 0.5, ignored=("tow",))
    with pytest.raises(UserError) as caught:
        prune_channels(net, images, 0.5, ignored=("one", "two"))
    assert caught.value.code == "not_prunable"


def test_gradients_travel_with_the_copy_for_importances_that_read_them() -> None:
    net, images = chain(), torch.randn(2, 3, 12, 12)
    net(images).sum().backward()
    seen: list[bool] = []

    def spy(group: Any) -> Tensor:
        layer = group[0].dep.target.module
        seen.append(any(torch.equal(layer.weight.grad, old.weight.grad) for old in (net.one, net.two)))
        return torch.arange(float(len(layer.weight)))

    prune_channels(net, images, 0.5, spy)
    assert seen == [True, True]


class Stubborn(nn.Module):
    """Flattens to a width written into its code: no graph can know."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        result: Tensor = self.head(self.conv(images).mean((2, 3)).reshape(-1, 8))
        return result


def test_a_network_that_cannot_follow_is_refused_with_the_reason() -> None:
    with pytest.raises(UserError, match="Stubborn") as caught:
        prune_channels(Stubborn(), torch.randn(2, 3, 9, 9), 0.5)
    assert caught.value.code == "not_prunable"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"ratio": 1.0}, "ratio"),
        ({"ratio": float("nan")}, "ratio"),
        ({"ratio": -0.1}, "ratio"),
        ({"round_to": 0}, "round_to"),
        ({"iterations": 0}, "iterations"),
        ({"scope": "everywhere"}, "scope"),
        ({"importance": "l3"}, "importance"),
    ],
)
def test_wrong_arguments_are_named(change: dict[str, object], field: str) -> None:
    arguments: dict[str, object] = {"ratio": 0.5, **change}
    with pytest.raises(UserError) as caught:
        prune_channels(chain(), torch.randn(2, 3, 12, 12), **arguments)
    assert caught.value.field == field


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_architecture_of_torchvision_prunes() -> None:
    for name in zoo.list_models(module=zoo):
        extra = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
        net = zoo.get_model(name, weights=None, num_classes=CLASSES, **extra).eval()
        side = 224 if name.startswith(("vit", "maxvit")) else 96
        images = torch.randn(1, 3, side, side)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            pruned = prune_channels(net, images, 0.5)
            whole = prune_channels(net, images, 0.0)
        assert torch.equal(answers(whole, images), answers(net, images)), name
        assert size(pruned) < 0.6 * size(net), name
        assert answers(pruned, images).shape == (1, CLASSES), name


def test_a_resnet18_at_one_half_is_as_small_as_published_by_either_counter() -> None:
    """torch-pruning's own counter takes batch norms and the like for multiply-accumulates; ours leaves them out."""
    net = zoo.resnet18(weights=None).eval()
    image = torch.zeros(1, 3, 224, 224)
    pruned = prune_channels(net, image, 0.5, "l2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs_macs, theirs_params = count_ops_and_params(pruned, image)
    ours = complexity(pruned, (3, 224, 224))
    assert theirs_params / 1e6 == pytest.approx(3.056, abs=5e-4)
    assert theirs_macs / 1e9 == pytest.approx(0.487, abs=5e-4)
    assert ours.params == theirs_params
    assert ours.macs / 1e9 == pytest.approx(0.487, rel=0.01)
    assert ours.macs <= theirs_macs
