"""Attention rollout: equal to one multiplied out by hand, right where the reason was planted, and refused elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torchvision.models import SwinTransformer, VisionTransformer

from core.engine.backbones import load_backbone
from core.engine.backbones.skeleton import on_meta
from core.engine.export.graph import graph_bytes
from core.engine.measure.rollout import Tokens, attentions_of, rollout, rollout_map, tokens_of, tokens_of_file
from core.engine.measure.runtime import open_session
from core.engine.model import Model
from core.engine.prune.structured import prune_channels
from core.engine.quantize import Calibration
from core.engine.quantize.static import Static
from core.engine.threads import one_thread
from tests.core.engine.measure.test_saliency import PIXELS, SIDE, planted, share_inside, trained

DEIT = "timm/deit_tiny_patch16_224.fb_in1k"
Array = np.ndarray


@pytest.fixture(scope="module", autouse=True)
def alone() -> Iterator[None]:
    with one_thread():
        yield


def small(width: int = 16, patch: int = 8, layers: int = 2) -> VisionTransformer:
    torch.manual_seed(0)
    net = VisionTransformer(
        image_size=SIDE,
        patch_size=patch,
        num_layers=layers,
        num_heads=2,
        hidden_dim=width,
        mlp_dim=2 * width,
        num_classes=2,
    )
    nn.init.normal_(net.heads.head.weight, std=0.1)
    return net.eval()


def file_of(net: nn.Module, backbone: str = "vit_b_16") -> bytes:
    return graph_bytes(Model(net, backbone, ("red", "blue"), PIXELS))


def by_hand(net: VisionTransformer, image: Array) -> Array:
    """[g, g]: the network multiplied out from its weights in float64, and the rollout of the class token as in the
    paper's equation 1, with residual connections."""
    held = {name: tensor.detach().double().numpy() for name, tensor in net.state_dict().items()}
    patch = net.patch_size
    cut = image[0].reshape(3, SIDE // patch, patch, SIDE // patch, patch).transpose(1, 3, 0, 2, 4)
    flat = cut.reshape(-1, 3 * patch * patch).astype(np.float64)
    embedded = flat @ held["conv_proj.weight"].reshape(net.hidden_dim, -1).T + held["conv_proj.bias"]
    tokens = np.concatenate([held["class_token"][0], embedded]) + held["encoder.pos_embedding"][0]
    joined = np.eye(len(tokens))
    for number in range(len(net.encoder.layers)):
        name = f"encoder.layers.encoder_layer_{number}"
        seen = normed(tokens, held, f"{name}.ln_1")
        packed = seen @ held[f"{name}.self_attention.in_proj_weight"].T + held[f"{name}.self_attention.in_proj_bias"]
        query, key, value = (part.reshape(len(tokens), 2, -1).swapaxes(0, 1) for part in np.split(packed, 3, axis=1))
        scores = query @ key.swapaxes(1, 2) / np.sqrt(query.shape[2])
        weights = np.exp(scores) / np.exp(scores).sum(axis=2, keepdims=True)
        gathered = (weights @ value).swapaxes(0, 1).reshape(len(tokens), -1)
        out = f"{name}.self_attention.out_proj"
        tokens = tokens + gathered @ held[f"{out}.weight"].T + held[f"{out}.bias"]
        inner = normed(tokens, held, f"{name}.ln_2") @ held[f"{name}.mlp.0.weight"].T + held[f"{name}.mlp.0.bias"]
        active = functional.gelu(torch.from_numpy(inner)).numpy()
        tokens = tokens + active @ held[f"{name}.mlp.3.weight"].T + held[f"{name}.mlp.3.bias"]
        joined = (np.eye(len(tokens)) + weights.mean(axis=0)) / 2 @ joined
    side = SIDE // patch
    found: Array = joined[0, 1:].reshape(side, side)
    return found


def normed(tokens: Array, held: dict[str, Array], name: str) -> Array:
    spread = np.sqrt(tokens.var(axis=1, keepdims=True) + 1e-6)
    found: Array = (tokens - tokens.mean(axis=1, keepdims=True)) / spread
    return np.asarray(found * held[f"{name}.weight"] + held[f"{name}.bias"])


@pytest.mark.thorough
def test_it_equals_the_network_multiplied_out_by_hand() -> None:
    net = small()
    data = file_of(net)
    for image in planted(3, 3)[0]:
        given = image[None].numpy()
        found = rollout(attentions_of(data, given), Tokens(1))
        np.testing.assert_allclose(found, by_hand(net, given), atol=1e-6)
        shown = rollout_map(data, given, Tokens(1))
        assert shown is not None
        assert shown.shape == (SIDE, SIDE)
        assert (shown.min(), shown.max()) == (0, 1)


def test_by_its_definition() -> None:
    """No attention to others leaves a token what it was; even attention reaches all alike; shares sum to 1."""
    itself, even = np.eye(5, dtype=np.float32)[None], np.full((1, 5, 5), 0.2, np.float32)
    assert rollout([itself, itself], Tokens(1)).tolist() == [[0, 0], [0, 0]]
    np.testing.assert_allclose(rollout([even], Tokens(1)), np.full((2, 2), 0.1))
    drawn = np.random.default_rng(0).dirichlet(np.ones(9), (3, 2, 9)).astype(np.float32)
    whole = rollout(list(drawn), Tokens(0, mean=True))
    assert whole.sum() == pytest.approx(1, abs=1e-6)
    chain = np.linalg.multi_dot([(each.mean(axis=0) + np.eye(9)) / 2 for each in drawn[::-1]])
    np.testing.assert_allclose(whole, chain.mean(axis=0).reshape(3, 3), atol=1e-6)


@pytest.fixture(scope="module")
def before() -> nn.Module:
    return trained(small(width=48), 400)


@pytest.fixture(scope="module")
def after(before: nn.Module) -> nn.Module:
    thin = prune_channels(before, torch.zeros(2, 3, SIDE, SIDE), 0.5)
    return trained(thin, 300)


@pytest.fixture(scope="module")
def int8(after: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    home: Path = tmp_path_factory.mktemp("int8")
    (home / "float.onnx").write_bytes(file_of(after))
    Static().convert(home / "float.onnx", home / "int8.onnx", Calibration(lambda: iter([planted(64, 5)[0].numpy()])))
    return (home / "int8.onnx").read_bytes()


@pytest.mark.thorough
def test_it_finds_the_mark_before_and_after_pruning_and_in_integers(
    before: nn.Module, after: nn.Module, int8: bytes
) -> None:
    for data in (file_of(before), file_of(after), int8):
        tokens = tokens_of_file(open_session(data))
        assert tokens == Tokens(1)
        assert share_inside(lambda image, _: rollout_map(data, image, Tokens(1))) >= 0.9  # noqa: B023


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vit_b_16", Tokens(1)),
        (DEIT, Tokens(1)),
        ("timm/vit_small_patch14_reg4_dinov2.lvd142m", Tokens(5)),
        ("timm/vit_small_patch16_dinov3.lvd1689m", Tokens(5, mean=True)),
        ("swin_t", "windows"),
        ("maxvit_t", "windows"),
        ("timm/levit_128s.fb_dist_in1k", "other"),
        ("timm/mobilevit_xxs.cvnets_in1k", "other"),
        ("resnet8", "no_attention"),
        ("timm/convnext_atto.d2_in1k", "no_attention"),
    ],
)
def test_it_is_defined_for_plain_vision_transformers_alone(name: str, expected: Tokens | str) -> None:
    assert tokens_of(on_meta(lambda: load_backbone(name, 2, "none"))) == expected


@pytest.mark.thorough
@pytest.mark.parametrize("name", [DEIT, pytest.param("timm/vit_small_patch16_dinov3.lvd1689m", marks=pytest.mark.slow)])
def test_timms_attention_is_found_in_the_file(name: str) -> None:
    """As many matrices as blocks, equal to those that timm's own layers hand to their dropout."""
    torch.manual_seed(0)
    net = load_backbone(name, 2, "none", SIDE)
    image = torch.randn(1, 3, SIDE, SIDE)
    seen: list[Array] = []
    for block in net.blocks:  # type: ignore[union-attr]
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_hook(lambda module, given, out: seen.append(given[0][0].detach().numpy()))
    with torch.no_grad():
        net(image)
    found = attentions_of(file_of(net, name), image.numpy())
    assert len(found) == len(net.blocks)  # type: ignore[arg-type]
    for one, other in zip(found, seen, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.thorough
def test_attention_within_windows_gives_no_map() -> None:
    torch.manual_seed(0)
    net = SwinTransformer([4, 4], 16, [1, 1], [2, 2], [2, 2], num_classes=2).eval()
    data = file_of(net, "swin_t")
    assert tokens_of(net) == tokens_of_file(open_session(data)) == "windows"
    assert rollout_map(data, np.zeros((1, 3, SIDE, SIDE), np.float32), Tokens(1)) is None


@pytest.mark.thorough
def test_of_a_file_whose_backbone_is_not_known_nothing_is_claimed() -> None:
    assert tokens_of_file(open_session(file_of(small(), "resnet8 + resnet20"))) == "other"
