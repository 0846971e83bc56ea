"""A trained network is kept as it is, its outputs in the dataset's order; or refused with both lists of classes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from core.catalog import load_catalog
from core.engine.backbones import load_backbone
from core.engine.backbones.own import look_in
from core.engine.backbones.own_import import import_network
from core.engine.context import Context
from core.engine.data import Dataset, load_dataset
from core.engine.forecast import Forecast
from core.engine.method import build
from core.engine.model import Model
from core.engine.model_file import load_model
from core.engine.pipeline.run import run_recipe
from core.errors import UserError, UserErrors
from core.integrity.verify import verify
from core.questions.import_network import ImportNetworkRequest
from core.recipe import parse_recipe
from core.rules.keep import keep_faults
from core.runs import Run
from core.workspace import Workspace
from tests.core.engine.backbones.trained import MEAN, SIDE, STD, save_wrapped, trained, wrappings

ORDER = (7, 2, 9, 0, 4, 1, 8, 3, 6, 5)
RECIPE = """
name = "mine, small"
dataset = "digits"
backbone = "own/mine"
precision = "float32"
labels = 200

[[steps]]
stage = "transfer"
method = "keep"
"""
THEN = """
[[steps]]
stage = "prune"
method = "l2"
ratio = 0.4
epochs = 1

[[steps]]
stage = "quantize"
method = "static"
calibration_images = 64
"""

MakeModel = Callable[..., Model]
MakeContext = Callable[..., Context]


def test_outputs_are_put_into_the_datasets_order(make_model: MakeModel, make_context: MakeContext) -> None:
    noted: list[tuple[str, str]] = []
    context = make_context(note=lambda code, message: noted.append((code, message)))
    model = replace(make_model(), knows=tuple(str(digit) for digit in ORDER), alias="own/mine")
    images = torch.randn(4, 1, 8, 8)
    before = model(images)
    kept = build("transfer", "keep").apply(model, context)
    torch.testing.assert_close(kept(images), before[:, [ORDER.index(digit) for digit in range(10)]])  # to rounding
    ((code, message),) = noted
    assert code == "classes_mapped"
    assert "own/mine" in message


def test_the_same_order_changes_nothing_and_says_nothing(make_model: MakeModel, make_context: MakeContext) -> None:
    context = make_context(note=lambda code, message: pytest.fail(message))
    model = make_model()
    model = replace(model, knows=model.classes)
    assert build("transfer", "keep").apply(model, context) is model


def test_numbers_that_nobody_gave_are_no_names(
    make_model: MakeModel, make_context: MakeContext, tmp_path: Path
) -> None:
    """Imported without labels, output 7 need not be the class that is called 7."""
    save_file(load_backbone("resnet8", 10, "none", 8).state_dict(), tmp_path / "a.safetensors")
    for name, labels in (("mine", ()), ("named", tuple("0123456789"))):
        wanted = ImportNetworkRequest(str(tmp_path / "a.safetensors"), "resnet8", name, labels)
        import_network(wanted, tmp_path, lambda *far: None)
    noted: list[str] = []
    context = make_context(note=lambda code, message: noted.append(code))
    look_in(tmp_path)
    try:
        model, keep = replace(make_model(), knows=tuple("0123456789")), build("transfer", "keep")
        keep.apply(replace(model, alias="own/mine"), context)
        keep.apply(replace(model, alias="own/named"), context)
        assert noted == ["classes_numbered"]
        mixed = replace(model, knows=tuple("0123456798"))
        keep.apply(replace(mixed, alias="own/named"), context)
        for refused in (keep.apply, lambda model, context: keep.forecast(Forecast(model), context)):
            with pytest.raises(UserError, match="--labels") as caught:
                refused(replace(mixed, alias="own/mine"), context)
            assert caught.value.code == "unnamed_outputs"
    finally:
        look_in(None)


def test_a_recipe_knows_which_outputs_have_names() -> None:
    catalog = load_catalog()
    numbers = [str(number) for number in range(12)]
    entry = {**catalog.backbone("resnet8"), "name": "own/mine", "weights": "own", "classes": 12, "class_names": numbers}
    data = {**catalog.dataset("digits"), "classes": 12, "class_names": sorted(numbers)}

    def codes(named: bool, names: list[str]) -> list[str]:
        known = replace(
            catalog,
            backbones={**catalog.backbones, "own/mine": {**entry, "named": named}},
            datasets={**catalog.datasets, "mine": {**data, "class_names": names}},
        )
        return [error.code for error in keep_faults("mine", "own/mine", "default", [("transfer", "keep", {})], known)]

    assert codes(False, sorted(numbers)) == ["unnamed_outputs"]
    assert codes(True, sorted(numbers)) == codes(False, numbers) == []


@pytest.mark.parametrize(
    ("knows", "told"),
    [
        ((), "random weights"),
        ((*"0123456789", "ten"), "ten"),
        (tuple("012345678"), "9"),
        (("zero", *"123456789"), "zero"),
    ],
    ids=["nothing", "more", "fewer", "others"],
)
def test_other_classes_are_refused_before_any_work(
    knows: tuple[str, ...], told: str, make_model: MakeModel, make_context: MakeContext
) -> None:
    model, keep = replace(make_model(), knows=knows), build("transfer", "keep")
    for refused in (
        lambda: keep.apply(model, make_context()),
        lambda: keep.forecast(Forecast(model), make_context()),
    ):
        with pytest.raises(UserError) as caught:
            refused()
        assert told in f"{caught.value.given} {caught.value.fix}"
        assert caught.value.fix


def plain_loop(data: Dataset) -> torch.nn.Module:
    """A small network of this project's own, trained by a loop that is none of its."""
    torch.manual_seed(0)
    net = load_backbone("resnet8", 10, "none", 8, width=12, channels=1)
    target = torch.tensor([ORDER.index(int(label)) for label in data.train.labels])
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    for _ in range(3):
        net.train()
        for part in torch.split(torch.randperm(len(target)), 50):
            optimizer.zero_grad()
            functional.cross_entropy(net(plain(data.train.images[part])), target[part]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return net.eval()


def plain(images: torch.Tensor) -> torch.Tensor:
    return (images.float() / 255 - 0.3) / 0.4


def right(net: torch.nn.Module, data: Dataset) -> int:
    with torch.no_grad():
        best = net(plain(data.test.images)).argmax(1)
    return sum(ORDER[int(b)] == int(label) for b, label in zip(best, data.test.labels, strict=True))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Workspace]:
    yield Workspace.open_or_create(tmp_path / "w")
    look_in(None)


def imported(store: Workspace, path: Path, backbone: str, **more: object) -> None:
    request = ImportNetworkRequest(str(path), backbone, "mine", tuple(map(str, ORDER)), **more)  # type: ignore[arg-type]
    import_network(request, store.models, lambda *far: None)


def done(store: Workspace, recipe: str) -> Run:
    parse_recipe(recipe, store.catalog())
    run = store.create_run(recipe)
    run_recipe(run, os.getpid())
    return run


@pytest.mark.thorough
def test_a_network_is_imported_kept_and_removed(store: Workspace, tmp_path: Path, digits: Dataset) -> None:
    net = plain_loop(digits)
    expected = right(net, digits)
    assert expected > 0.5 * len(digits.test)
    save_file(net.state_dict(), tmp_path / "best.safetensors")
    imported(store, tmp_path / "best.safetensors", "resnet8", mean=(0.3,), std=(0.4,), size=8)
    run = done(store, RECIPE)
    (kept,) = run.summary().points
    assert kept.accuracy is not None
    assert round(kept.accuracy * len(digits.test)) == expected
    assert kept.name.startswith("own/mine")
    assert any("another order" in str(note) for note in kept.receipt["notes"])  # type: ignore[union-attr]
    assert kept.params == sum(p.numel() for p in net.parameters())
    assert all(not one.state.is_bad for one in verify(store))
    assert [one.file.rpartition("/")[2] for one in verify(store, "own/mine")] == ["network.json", "network.safetensors"]
    store.remove_network("mine")
    made = load_model(run.checkpoints / "seed-0" / "step-0" / "made")  # runs do not need the network any more
    assert (made.name, made.backbone, made.width) == ("own/mine", "resnet8", 12)
    with pytest.raises(UserErrors, match="own/mine"):
        parse_recipe(RECIPE, store.catalog())


@pytest.mark.slow
def test_resnet18_is_imported_kept_pruned_and_quantized(store: Workspace, tmp_path: Path) -> None:
    theirs, data = trained(), load_dataset("digits", SIDE)
    path = save_wrapped(tmp_path / "best.pth", wrappings(theirs.net)["lightning"])
    imported(store, path, "resnet18", mean=MEAN, std=STD, size=SIDE)
    kept, pruned, rounded = done(store, RECIPE + THEN).summary().points
    expected = theirs.right(data.test.images, data.test.labels, data.classes)
    assert expected > 0.5 * len(data.test)
    assert kept.accuracy is not None
    assert abs(kept.accuracy * len(data.test) - expected) <= 1.01  # Pillow resizes within a thousandth of torch
    assert rounded.bytes is not None
    assert pruned.bytes is not None
    assert kept.bytes is not None
    assert pruned.bytes < 0.6 * kept.bytes
    assert rounded.bytes < 0.4 * pruned.bytes
    assert any("another order" in str(note) for note in kept.receipt["notes"])  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"own/mine": "resnet8"}, "nothing_to_keep"),
        ({"own/mine": "resnet18"}, "other_classes"),
        ({"own/mine": "resnet8_fashion"}, "other_classes"),
        (
            {"labels = 200": 'weights = "none"', "own/mine": "resnet8_fashion", "digits": "fashion-mini"},
            "nothing_to_keep",
        ),
        (
            {
                '"keep"': '"linear_probe"',
                '"prune"': '"transfer"',
                '"l2"': '"keep"',
                "ratio = 0.4\nepochs = 1": "",
                "own/mine": "resnet8",
            },
            "conflicting_steps",
        ),
    ],
    ids=["no weights", "ImageNet", "fashion", "weights none", "not first"],
)
def test_a_recipe_is_refused_by_its_check(change: dict[str, str], code: str) -> None:
    text = RECIPE + THEN
    for old, new in change.items():
        text = text.replace(old, new)
    with pytest.raises(UserErrors) as refused:
        parse_recipe(text)
    assert code in {error.code for error in refused.value.errors}


def test_the_bundled_network_is_kept_on_its_own_classes() -> None:
    text = RECIPE.replace("own/mine", "resnet8_fashion").replace('"digits"', '"fashion-mini"')
    assert parse_recipe(text).backbone == "resnet8_fashion"
