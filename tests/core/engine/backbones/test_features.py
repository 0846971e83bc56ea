"""What an Observer sees is what the network computes: compared with the same forward written out by hand."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor

from core.engine.backbones import backbones, find, load_backbone, skeleton
from core.engine.backbones.features import Observer, observe, stages
from core.engine.backbones.heads import head

SAMPLE = [
    "efficientnet_lite0",
    "googlenet",
    "mobilenet_v2",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "swin_v2_t",
    "vgg11",
]


def test_resnet_by_hand() -> None:
    torch.manual_seed(0)
    net = torchvision.models.resnet18(num_classes=5).eval()
    images = torch.randn(2, 3, 64, 64)
    found = observe(net, images)
    x = torch.relu(net.bn1(net.conv1(images)))
    expected = [x]
    x = net.maxpool(x)
    for layer in (net.layer1, net.layer2, net.layer3, net.layer4):
        x = layer(x)
        expected.append(x)
    assert stages(net, images) == ("relu", "layer1", "layer2", "layer3", "layer4")
    assert all(torch.equal(a, b) for a, b in zip(found.features, expected, strict=True))
    assert found.embedding is not None
    assert torch.allclose(found.embedding, x.mean((2, 3)), atol=1e-6)
    assert torch.equal(found.logits, net(images))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # the blocks that halve begin with a 1x1 convolution at the old resolution, which is no stage
        ("resnet50", ("relu", "layer1", "layer2", "layer3", "layer4")),
        ("mobilenet_v2", ("features.1", "features.3", "features.6", "features.13", "features")),
    ],
)
def test_a_stage_ends_before_the_block_that_halves_it(name: str, expected: tuple[str, ...]) -> None:
    assert stages(skeleton(name), torch.empty(1, 3, 224, 224, device="meta")) == expected


def test_small_networks_have_their_three_stages() -> None:
    found = observe(load_backbone("resnet20", 10), torch.zeros(2, 3, 28, 28))
    assert [tuple(f.shape) for f in found.features] == [(2, 16, 28, 28), (2, 32, 14, 14), (2, 64, 7, 7)]
    assert found.embedding is not None
    assert found.embedding.shape == (2, 64)


def test_transformer_gives_its_quarters() -> None:
    net = torchvision.models.VisionTransformer(32, 8, 8, 2, 16, 32, num_classes=5).eval()
    images = torch.randn(2, 3, 32, 32)
    names = [f"encoder.layers.encoder_layer_{i}" for i in (1, 3, 5, 7)]
    assert list(stages(net, images)) == names
    found = observe(net, images)
    assert [tuple(f.shape) for f in found.features] == [(2, 17, 16)] * 4
    truth = create_feature_extractor(net, names)(images)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(found.features, truth.values(), strict=True))


@pytest.mark.thorough
def test_swin_is_turned_channels_first_at_every_size() -> None:
    for size in (224, 384):  # at 384 the first stage is 96x96x96: no shape tells its layout
        net = skeleton("swin_t")
        found = observe(net, torch.empty(2, 3, size, size, device="meta"))
        sides = [size // 4, size // 8, size // 16, size // 32]
        assert [tuple(f.shape[1:]) for f in found.features] == [(96 << i, s, s) for i, s in enumerate(sides)]
        assert found.features[0].stride()[1] == 1  # a view of channels-last memory, not a copy


def test_a_network_of_vectors_has_an_embedding_and_no_stages() -> None:
    net = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
    found = observe(net, torch.randn(3, 64))
    assert found.features == []
    assert found.embedding is not None
    assert found.embedding.shape == (3, 16)


def test_a_convolution_as_head_gives_its_pooled_input() -> None:
    found = observe(load_backbone("squeezenet1_1", 6, "none").eval(), torch.zeros(2, 3, 64, 64))
    assert found.embedding is not None
    assert found.embedding.shape == (2, 512)
    assert found.features[-1].shape[1] == 512  # before the classifier, not its map of logits


@pytest.mark.parametrize("name", ["resnet8", "mobilenet_v3_small", "densenet121", "swin_t"])
def test_gradients_flow_from_every_part(name: str) -> None:
    size = 64 if name == "swin_t" else 32
    net = load_backbone(name, 5, "none", size).train()
    first = next(p for n, p in net.named_parameters() if n.endswith("weight") and p.ndim > 1)
    found = observe(net, torch.randn(2, 3, size, size))
    assert found.embedding is not None
    assert len(found.features) >= 2
    for part in [found.logits, found.embedding, *found.features]:
        (gradient,) = torch.autograd.grad(part.square().sum(), first, retain_graph=True)
        assert torch.isfinite(gradient).all()
        assert gradient.any()


def test_an_observer_traces_once_and_leaves_nothing() -> None:
    net = load_backbone("resnet8", 5).train()
    calls = 0

    def count(module: nn.Module, inputs: object) -> None:
        nonlocal calls
        calls += 1

    counter = net.get_submodule("stem").register_forward_pre_hook(count)
    before = net.get_buffer("stem.1.running_mean").clone()
    with Observer(net) as observer:
        observer(torch.randn(4, 3, 16, 16))
        after_first = calls
        moved = net.get_buffer("stem.1.running_mean").clone()
        again = observer(torch.randn(4, 3, 16, 16))
        assert calls == after_first + 1
    counter.remove()
    assert not torch.equal(before, moved)  # the real forward is in train mode
    assert len(again.features) == 3
    assert not [m for m in net.modules() if m._forward_hooks or m._forward_pre_hooks]


def test_tracing_moves_no_statistics_and_no_randomness() -> None:
    net = load_backbone("mobilenet_v3_small", 5, "none", 32).train()
    before = {key: tensor.clone() for key, tensor in net.state_dict().items()}
    state = torch.get_rng_state()
    Observer(net, torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))).close()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[key]) for key, tensor in net.state_dict().items())
    assert net.training


def test_without_features_only_logits() -> None:
    net = load_backbone("resnet8", 5)
    found = Observer(net, features=False)(torch.zeros(1, 3, 16, 16))
    assert (found.features, found.embedding) == ([], None)
    assert not [m for m in net.modules() if m._forward_hooks or m._forward_pre_hooks]


def _check(name: str) -> None:
    entry = find(name)
    side = entry.image_size
    net = skeleton(name)
    images = torch.empty(2, entry.channels, side, side, device="meta")
    found = observe(net, images)
    assert found.logits.shape == (2, max(entry.classes, 1))  # weights without classes: a head with one output
    assert found.embedding is not None
    layer = head(net, images)
    assert found.embedding.shape == (2, layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels)
    if not any(isinstance(module, nn.Conv2d) for module in net.modules()):
        assert not found.features, "without convolutions there are no maps"
        return
    assert 3 <= len(found.features) <= 7
    if found.features[0].ndim == 4:
        sides = [f.shape[2] for f in found.features]
        assert sides == sorted(set(sides), reverse=True)
        assert all(f.shape[2] == f.shape[3] and f.shape[1] >= 8 for f in found.features)
        assert sides[-1] <= side / 4


@pytest.mark.thorough
@pytest.mark.parametrize("name", SAMPLE)
def test_stages_of_real_networks(name: str) -> None:
    _check(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(backbones()) - set(SAMPLE)))
def test_stages_of_every_network(name: str) -> None:
    _check(name)
