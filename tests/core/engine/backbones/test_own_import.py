"""A person's own networks: read out of every wrapping, refused in a helpful sentence, kept with a hash."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from core.engine.backbones import find, load_backbone
from core.engine.backbones.own import content, look_in
from core.engine.backbones.own_import import import_network
from core.engine.measure.complexity import complexity
from core.errors import UserError
from core.files import Failpoint, breaking
from core.own.models import own_networks, read_network
from core.questions.import_network import ImportedNetwork, ImportNetworkRequest
from tests.core.engine.backbones import hostile_weights as hostile
from tests.core.engine.backbones.trained import MEAN, SIDE, STD, Trained, begun, save_wrapped, trained, wrappings


def quiet(what: str, done: int, total: int | None) -> None:
    return None


def load(path: Path, folder: Path, backbone: str = "resnet18", name: str = "mine", **more: object) -> ImportedNetwork:
    return import_network(ImportNetworkRequest(str(path), backbone, name, **more), folder, quiet)  # type: ignore[arg-type]


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else b"" for p in folder.rglob("*")}


@pytest.fixture(scope="module")
def theirs() -> Trained:
    torch.set_num_threads(1)
    return begun()


@pytest.fixture(scope="module")
def learned() -> Trained:
    torch.set_num_threads(1)
    return trained()


@pytest.fixture
def models(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "models"
    folder.mkdir()
    look_in(folder)
    yield folder
    look_in(None)


def same(name: str, theirs: Trained) -> float:
    """The largest difference between the logits of the imported network and of the person's."""
    images = torch.randint(0, 256, (16, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = load_backbone(name)(theirs.prepared(images))
    return float((found - theirs.logits(images)).abs().max())


@pytest.mark.thorough
def test_a_wrapping_is_seen_through(theirs: Trained, models: Path, tmp_path: Path) -> None:
    _wrapped("lightning", theirs, models, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "habit", ["plain", "imagenet example", "compiled", "timm", "averaged and spread", "compiled inside", "legacy"]
)
def test_every_wrapping_is_seen_through(habit: str, learned: Trained, models: Path, tmp_path: Path) -> None:
    _wrapped(habit, learned, models, tmp_path)


def _wrapped(habit: str, theirs: Trained, models: Path, tmp_path: Path) -> None:
    path = save_wrapped(tmp_path / "best.pth", wrappings(theirs.net)[habit], legacy="legacy" in habit)
    found = load(path, models, labels=theirs.labels, mean=MEAN, std=STD, size=SIDE)
    assert (found.model, found.backbone, found.classes, found.size) == ("own/mine", "resnet18", 10, SIDE)
    assert same("own/mine", theirs) <= 1e-5
    entry = find("own/mine")
    assert entry.class_names == theirs.labels
    assert (entry.mean, entry.std, entry.image_size) == (MEAN, STD, SIDE)
    cost = complexity(theirs.net, (3, SIDE, SIDE))
    assert (entry.params, entry.macs) == (cost.params, cost.macs)


@pytest.mark.thorough
def test_safetensors_with_another_head(theirs: Trained, models: Path, tmp_path: Path) -> None:
    save_file(theirs.net.state_dict(), tmp_path / "best.safetensors")
    found = load(tmp_path / "best.safetensors", models)
    assert found.labels == [str(number) for number in range(10)]
    assert not found.named
    assert found.size == 224
    assert load_backbone("own/mine", classes=3, image_size=64)(torch.zeros(1, 3, 64, 64)).shape == (1, 3)
    first = content(["own/mine", "resnet18"])
    (models / read_network(next(models.glob("own-*"))).home.name).rename(models / "gone")
    state = {**theirs.net.state_dict(), "fc.bias": torch.ones(10)}
    save_file(state, tmp_path / "best.safetensors")
    load(tmp_path / "best.safetensors", models)
    assert content(["own/mine"]) != first


def test_a_small_network_of_any_width(models: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = load_backbone("resnet8", 4, "none", 8, width=12, channels=1).eval()
    save_file(net.state_dict(), tmp_path / "a.safetensors")
    load(tmp_path / "a.safetensors", models, backbone="resnet8", name="thin", size=8)
    images = torch.randn(2, 1, 8, 8)
    with torch.no_grad():
        assert torch.equal(load_backbone("own/thin")(images), net(images))


def refusal(path: Path, models: Path, **more: object) -> UserError:
    """What is said of a file, which leaves everything as it was."""
    before = tree(models)
    with pytest.raises(UserError) as refused:
        load(path, models, **more)  # type: ignore[arg-type]
    assert tree(models) == before
    assert refused.value.fix
    return refused.value


@pytest.mark.thorough
def test_another_architecture_is_named(theirs: Trained, models: Path, tmp_path: Path) -> None:
    save_file(theirs.net.state_dict(), tmp_path / "a.safetensors")
    error = refusal(tmp_path / "a.safetensors", models, backbone="resnet34")
    assert error.code == "other_architecture"
    assert "--backbone resnet18" in error.fix


def test_what_differs_is_named(models: Path, tmp_path: Path) -> None:
    state = load_backbone("resnet8", 4, "none", 8).state_dict()
    conv = "stage2.0.conv1.weight"
    cases = {
        f"{conv} is 5x16x3x3, not 32x16x3x3": {**state, conv: torch.zeros(5, 16, 3, 3)},
        "head.bias is missing": {key: tensor for key, tensor in state.items() if key != "head.bias"},
        "neck.weight is unknown": {**state, "neck.weight": torch.zeros(3, 64)},
    }
    for told, other in cases.items():
        save_file(other, tmp_path / "a.safetensors")
        error = refusal(tmp_path / "a.safetensors", models, backbone="resnet8")
        assert error.code == "weights_shapes"
        assert told in error.fix
    for value, code in (
        (torch.full((32, 16, 3, 3), float("nan")), "weights_not_finite"),
        (torch.ones(32, 16, 3, 3, dtype=torch.int32), "weights_type"),
    ):
        save_file({**state, conv: value}, tmp_path / "a.safetensors")
        assert refusal(tmp_path / "a.safetensors", models, backbone="resnet8").code == code


def test_two_networks_in_a_file_are_not_guessed_between(models: Path, tmp_path: Path) -> None:
    state = load_backbone("resnet8", 4, "none", 8).state_dict()
    both = {f"{who}.{key}": tensor + 1 for who in ("student", "teacher") for key, tensor in state.items()}
    save_file(both, tmp_path / "a.safetensors")
    error = refusal(tmp_path / "a.safetensors", models, backbone="resnet8")
    assert error.code == "several_networks"
    assert "student" in error.given
    assert "teacher" in error.given


def test_the_words_of_a_place_say_what_is_averaged(models: Path, tmp_path: Path) -> None:
    """`schema` is no average, whatever letters it holds; and of one network alone none was passed over."""
    state = load_backbone("resnet8", 4, "none", 8).state_dict()
    poor = {key: torch.zeros_like(tensor) for key, tensor in state.items()}

    def saved(**places: dict[str, torch.Tensor]) -> Path:
        save_file({f"{place}.{key}": t for place, part in places.items() for key, t in part.items()}, path)
        return path

    path = tmp_path / "a.safetensors"
    error = refusal(saved(schema_net=state, net=poor), models, backbone="resnet8")
    assert error.code == "several_networks"
    told = "These are the averaged weights"
    for number, place in enumerate(("model_ema", "swa_model", "netEMA", "averaged")):
        notes = load(saved(**{place: state, "net": poor}), models, "resnet8", f"two{number}").notes
        assert f"{told}; the others in the file were ignored." in notes
        assert not any("do not belong" in note for note in notes)
        assert load_backbone(f"own/two{number}").state_dict()["head.weight"].equal(state["head.weight"])
        assert f"{told}." in load(saved(**{place: state}), models, "resnet8", f"one{number}").notes
    assert not any(told in note for note in load(saved(semantic=state), models, "resnet8", "plain").notes)


@pytest.mark.thorough
@pytest.mark.parametrize("wrapped_first", [False, True])
def test_two_tensors_of_one_name_are_not_guessed_between(wrapped_first: bool, models: Path, tmp_path: Path) -> None:
    state = load_backbone("resnet8", 4, "none", 8).state_dict()
    inner = {f"module.{key}": tensor + 1 for key, tensor in state.items()}
    torch.save({**inner, **state} if wrapped_first else {**state, **inner}, tmp_path / "a.pth")
    error = refusal(tmp_path / "a.pth", models, backbone="resnet8")
    assert error.code == "several_networks"
    assert "module.stem.0.weight" in error.given


def test_one_output_is_told_how_it_becomes_two(models: Path, tmp_path: Path) -> None:
    state = load_backbone("resnet8", 2, "none", 8).state_dict()
    weight, bias = state["head.weight"][:1], state["head.bias"][:1] + 0.3
    save_file({**state, "head.weight": weight, "head.bias": bias}, tmp_path / "one.safetensors")
    error = refusal(tmp_path / "one.safetensors", models, backbone="resnet8")
    assert error.code == "out_of_range"
    assert "row of zeros before" in error.fix
    rows = {"head.weight": torch.cat([torch.zeros_like(weight), weight]), "head.bias": torch.cat([bias * 0, bias])}
    save_file({**state, **rows}, tmp_path / "two.safetensors")
    load(tmp_path / "two.safetensors", models, "resnet8")
    net = load_backbone("own/mine").eval()
    with torch.no_grad():
        logits = net(torch.rand(5, 3, 8, 8))
    assert torch.allclose(logits.softmax(1)[:, 1], logits[:, 1].sigmoid())


@pytest.mark.thorough
def test_a_tensor_without_a_name_is_no_network(models: Path, tmp_path: Path) -> None:
    torch.save(torch.ones(3, 3), tmp_path / "a.pth")
    error = refusal(tmp_path / "a.pth", models, backbone="resnet8")
    assert (error.code, error.given) == ("no_weights", "a.pth without a tensor that has a name")


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"labels": ("a", "b")}, "labels"),
        ({"labels": ("a", "b", "c", "a")}, "labels"),
        ({"mean": (0.5, 0.5)}, "mean"),
        ({"std": (0.0,)}, "std"),
        ({"crop": 1.5}, "crop"),
        ({"size": 4}, "size"),
        ({"name": "../up"}, "name"),
        ({"name": "a,b"}, "name"),
        ({"name": " "}, "name"),
        ({"backbone": "resnet9"}, "backbone"),
    ],
    ids=str,
)
def test_a_wrong_answer_is_refused(more: dict[str, object], field: str, models: Path, tmp_path: Path) -> None:
    save_file(load_backbone("resnet8", 4, "none", 8).state_dict(), tmp_path / "a.safetensors")
    assert refusal(tmp_path / "a.safetensors", models, **{"backbone": "resnet8", **more}).field == field


@pytest.mark.thorough
def test_a_hostile_file_leaves_nothing(models: Path, tmp_path: Path) -> None:
    hostile.saved(tmp_path / "evil.pth", hostile.system(tmp_path))
    assert refusal(tmp_path / "evil.pth", models).code == "weights_code"
    assert not (tmp_path / hostile.MARKER).exists()


def test_a_disk_that_fails_leaves_whole_networks_only(models: Path, tmp_path: Path) -> None:
    save_file(load_backbone("resnet8", 4, "none", 8).state_dict(), tmp_path / "a.safetensors")
    for count in range(1, 40):
        with breaking(Failpoint("enospc", count)) as fault, suppress(OSError):
            load(tmp_path / "a.safetensors", models, backbone="resnet8", size=8)
        whole = own_networks(models)
        assert len(whole) == len(list(models.glob("own-*")))
        assert not list(models.glob(".new-*"))
        if whole:
            break
    assert count > 3
    assert fault is not None


@pytest.mark.thorough
def test_a_network_of_another_size_is_asked_for(models: Path, tmp_path: Path) -> None:
    vit = torchvision.models.VisionTransformer(64, 16, 1, 2, 768, 64, num_classes=3)
    state = vit.state_dict()
    full = {k: v for k, v in load_backbone("vit_b_16", 3, "none", 32).state_dict().items() if "encoder.layers" in k}
    save_file({**state, **full}, tmp_path / "a.safetensors")
    error = refusal(tmp_path / "a.safetensors", models, backbone="vit_b_16")
    assert error.code == "wrong_image_size"
    assert "--size 64" in error.fix
    assert json.dumps(error.to_json())
