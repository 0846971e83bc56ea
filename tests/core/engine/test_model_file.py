"""A pruned network, saved without pickle and loaded again, answers the same to the bit; anything damaged is refused."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import torchvision.models as zoo
from torch import Tensor, nn
from torchvision.models.vision_transformer import VisionTransformer

from core.engine.backbones import find, load_backbone
from core.engine.model import Model
from core.engine.model_file import MANIFEST, WEIGHTS, describe, difference, load_model, rebuild, save_model
from core.engine.prune.structured import prune_channels
from core.errors import UserError
from core.storage.sealed import read_sealed

CLASSES = 5


def vit() -> Any:
    return VisionTransformer(
        image_size=32, patch_size=8, num_layers=2, num_heads=4, hidden_dim=32, mlp_dim=64, num_classes=CLASSES
    )


def swin() -> Any:
    return zoo.SwinTransformer([4, 4], 16, [1, 1], [2, 4], [4, 4], num_classes=CLASSES)


NETS: dict[str, Callable[[], nn.Module]] = {
    "resnet8": lambda: load_backbone("resnet8", CLASSES, "none", 32),
    "resnet18": lambda: zoo.resnet18(num_classes=CLASSES),
    "mobilenet_v3_small": lambda: zoo.mobilenet_v3_small(num_classes=CLASSES),
    "squeezenet1_1": lambda: zoo.squeezenet1_1(num_classes=CLASSES),
    "shufflenet_v2_x0_5": lambda: zoo.shufflenet_v2_x0_5(num_classes=CLASSES),
    "googlenet": lambda: zoo.googlenet(num_classes=CLASSES, init_weights=False),
    "vit": vit,
    "swin": swin,
}


def answers(net: nn.Module, images: Tensor) -> Tensor:
    net.eval()
    with torch.no_grad():
        result: Tensor = net(images)
    return result


def pruned(name: str) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    side = 64 if name == "squeezenet1_1" else 32
    images = torch.randn(2, 3, side, side)
    return prune_channels(NETS[name]().eval(), images, 0.5), images


@pytest.mark.parametrize("name", NETS)
def test_the_plan_rebuilds_the_pruned_network_to_the_bit(name: str) -> None:
    net, images = pruned(name)
    plan = json.loads(json.dumps(difference(net, NETS[name]())))
    again = rebuild(NETS[name](), plan, {key: value.clone() for key, value in net.state_dict().items()})
    assert torch.equal(answers(again, images), answers(net, images))
    assert describe(again) == describe(net)
    again.train()
    again(images).sum().backward()
    assert all(parameter.grad is not None for parameter in again.parameters())


def test_an_unchanged_network_has_an_empty_plan() -> None:
    assert difference(NETS["resnet8"](), NETS["resnet8"]()) == {}


def test_the_plan_holds_only_what_changed() -> None:
    original = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=2))
    changed = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 8, 3, groups=2))
    assert difference(changed, original) == {"0": {"out_channels": 4}, "2": {"in_channels": 4}}


def test_a_removed_block_is_an_identity() -> None:
    original = zoo.resnet18(num_classes=CLASSES)
    changed = copy.deepcopy(original)
    changed.layer1[1] = nn.Identity()
    plan = difference(changed, original)
    assert plan == {"layer1.1": {"identity": 1}}
    again = rebuild(zoo.resnet18(num_classes=CLASSES), plan, changed.state_dict())
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(answers(again, images), answers(changed, images))


def small() -> tuple[Callable[[], nn.Module], dict[str, Tensor]]:
    def make() -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 2, 1))

    return make, dict(make().state_dict())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.pop("0.bias"), "0.bias is missing"),
        (lambda t: t.update(extra=torch.zeros(1)), "extra is unexpected"),
        (lambda t: t.update({"0.weight": torch.zeros(4, 3)}), r"0.weight has shape \[4, 3\], expected \[4, 3, 3, 3\]"),
        (lambda t: t.update({"3.weight": torch.zeros(4, 5, 1, 1)}), r"3.weight has shape \[4, 5, 1, 1\], expected"),
        (lambda t: t.update({"1.running_mean": torch.zeros(3)}), r"1.running_mean has shape \[3\], expected \[4\]"),
        (lambda t: t.update({"4.weight": torch.zeros(2, 4, 1, 1, dtype=torch.int8)}), "4.weight is torch.int8"),
    ],
)
def test_tensors_must_fit_exactly(change: Callable[[dict[str, Tensor]], object], told: str) -> None:
    make, tensors = small()
    change(tensors)
    with pytest.raises(UserError, match=told) as caught:
        rebuild(make(), {}, tensors)
    assert caught.value.code == "wrong_weights"


def test_the_first_five_misfits_are_named() -> None:
    make, _ = small()
    with pytest.raises(UserError) as caught:
        rebuild(make(), {}, {})
    assert caught.value.given.count("missing") >= 4
    assert "0.bias is missing" in caught.value.given


@pytest.mark.parametrize(
    "plan",
    [
        {"9": {"out_channels": 2}},
        {"0": {"forward": 1}},
        {"0": {"stride": [1, 1]}},
        {"0": {"num_features": 2}},
        {"0": {"out_channels": [2]}},
        {"0": {"out_channels": 0}},
        {"2": {"out_channels": 4}},
    ],
)
def test_a_plan_may_only_set_the_shapes_that_are_there(plan: dict[str, dict[str, int | list[int]]]) -> None:
    make, tensors = small()
    with pytest.raises(UserError):
        rebuild(make(), plan, tensors)


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Model, Path]:
    torch.manual_seed(0)
    net = prune_channels(load_backbone("resnet8", 3, "none", 32, width=8), torch.randn(2, 3, 32, 32), 0.5)
    model = Model(net, "resnet8", ("cat", "狗", "__proto__"), find("resnet8").preprocessing(32), width=8)
    save_model(model, tmp_path)
    return model, tmp_path


def test_a_saved_model_comes_back_whole(saved: tuple[Model, Path]) -> None:
    model, folder = saved
    images = torch.randn(2, 3, 32, 32)
    before = torch.random.get_rng_state()
    again = load_model(folder)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(answers(again.net, images), answers(model.net, images))
    for field in ("backbone", "classes", "preprocessing", "width"):
        assert getattr(again, field) == getattr(model, field)
    assert sorted(path.name for path in folder.iterdir()) == [MANIFEST, WEIGHTS]


@pytest.mark.parametrize("name", ["shufflenet_v2_x0_5", "squeezenet1_1", "googlenet", "efficientnet_lite0"])
def test_pruned_catalog_backbones_come_back_whole(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    images = torch.randn(2, 3, 64, 64)
    net = prune_channels(load_backbone(name, 3, "none", 64), images, 0.5)
    save_model(Model(net, name, ("a", "b", "c"), find(name).preprocessing(64)), tmp_path)
    assert torch.equal(answers(load_model(tmp_path).net, images), answers(net, images))


def test_saving_again_replaces_and_an_unpruned_model_needs_no_plan(saved: tuple[Model, Path]) -> None:
    model, folder = saved
    save_model(model.with_net(load_backbone("resnet8", 3, "none", 32, width=8)), folder)
    assert json.loads((folder / MANIFEST).read_bytes())["plan"] == {}
    load_model(folder)


@pytest.mark.parametrize("place", [0.0, 0.3, 0.999])
def test_one_flipped_bit_is_refused(saved: tuple[Model, Path], place: float) -> None:
    _, folder = saved
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[int(place * len(data))] ^= 1
    (folder / WEIGHTS).write_bytes(data)
    with pytest.raises(UserError) as caught:
        load_model(folder)
    assert caught.value.code == "damaged"


def _forge(folder: Path, data: bytes, **changes: Any) -> None:
    manifest = json.loads(read_sealed(folder / MANIFEST))
    (folder / WEIGHTS).write_bytes(data)
    (folder / MANIFEST).write_text(json.dumps({**manifest, "sha256": sha256(data).hexdigest(), **changes}))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_numbers_are_refused(saved: tuple[Model, Path], value: float) -> None:
    model, folder = saved
    tensors = {name: tensor.clone() for name, tensor in model.net.state_dict().items()}
    name = next(iter(tensors))
    tensors[name].view(-1)[0] = value
    _forge(folder, safetensors.torch.save(tensors))
    with pytest.raises(UserError, match=name) as caught:
        load_model(folder)
    assert caught.value.code == "not_finite"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"format": 2}, "newer_format"),
        ({"format": "1"}, "bad_manifest"),
        ({"extra": 1}, "bad_manifest"),
        ({"plan": {"x": {"y": 1.5}}}, "bad_manifest"),
        ({"plan": {"x": {"y": 1}}}, "unknown_module"),
        ({"classes": ["a"] * 4}, "wrong_weights"),
        ({"backbone": "resnet9"}, "unknown_backbone"),
    ],
)
def test_a_manifest_that_does_not_belong_is_refused(
    saved: tuple[Model, Path], changes: dict[str, Any], code: str
) -> None:
    _, folder = saved
    _forge(folder, (folder / WEIGHTS).read_bytes(), **changes)
    with pytest.raises(UserError) as caught:
        load_model(folder)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        (MANIFEST, b"{", "bad_manifest"),
        (MANIFEST, b"[1]", "bad_manifest"),
        (MANIFEST, b"[" * 100_000, "bad_manifest"),
        (MANIFEST, b"\xff", "bad_manifest"),
        (MANIFEST, None, "missing_file"),
        (WEIGHTS, None, "missing_file"),
    ],
)
def test_broken_and_missing_files_are_refused(
    saved: tuple[Model, Path], name: str, data: bytes | None, code: str
) -> None:
    _, folder = saved
    (folder / name).unlink()
    if data is not None:
        (folder / name).write_bytes(data)
    with pytest.raises(UserError) as caught:
        load_model(folder)
    assert caught.value.code == code


def test_weights_that_are_no_safetensors_are_refused(saved: tuple[Model, Path]) -> None:
    _, folder = saved
    _forge(folder, b"not at all")
    with pytest.raises(UserError) as caught:
        load_model(folder)
    assert caught.value.code == "bad_weights"
