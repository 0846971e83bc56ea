"""Fusion: as wide as all backbones together, the same as concatenating by hand, saved as one file, a teacher."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from core.engine.backbones import find, load_backbone
from core.engine.backbones.fused import Fused, fuse
from core.engine.backbones.heads import without_head
from core.engine.context import Context
from core.engine.data import Dataset, few_labels, prepare
from core.engine.distill import Distill
from core.engine.measure.complexity import complexity
from core.engine.measure.runtime import open_session, predict
from core.engine.method import build
from core.engine.model import Model
from core.engine.model_file import load_model, save_model
from core.engine.prune.structured import prune_channels
from core.engine.questions.preview import preview
from core.engine.training.loop import evaluate
from core.errors import UserError, UserErrors
from core.recipe import parse_recipe
from core.storage.sealed import read_sealed, seal

MakeContext = Callable[..., Context]
RECIPE = """
schema = 1
name = "x"
dataset = "digits"
backbone = "resnet8_fashion"
"""
FUSION = '[[steps]]\nstage = "transfer"\nmethod = "fusion"\n'


def own(name: str, classes: tuple[str, ...], size: int, channels: int | None = None) -> Model:
    """A pretrained backbone as it comes, or a fresh one of the kind that takes any number of channels."""
    torch.manual_seed(1)
    info = find(name)
    net = load_backbone(name, len(classes), "default", size, channels=channels)
    return Model(net, name, classes, info.preprocessing(size, channels))


def by_hand(models: list[Model], images: Tensor) -> Tensor:
    """Each backbone's embedding of its own preparation of the images, side by side."""
    with torch.no_grad():
        return torch.cat([without_head(m.net)(prepare(images, m.preprocessing)) for m in models], 1)


@pytest.fixture(scope="module")
def parts(digits: Dataset) -> list[Model]:
    """Other sizes, other channels, other means: 128 + 64 + 64 features."""
    return [
        own("resnet8_fashion", digits.classes, 28),
        own("resnet20_fashion", digits.classes, 16),
        own("resnet8", digits.classes, 8, channels=3),
    ]


@pytest.fixture(scope="module")
def fused(parts: list[Model], digits: Dataset) -> Model:
    model = fuse(parts, digits.size, digits.channels)
    torch.manual_seed(0)
    torch.nn.init.normal_(model.net.get_submodule("head").weight, std=0.1)  # type: ignore[arg-type]
    return model


def test_it_is_as_wide_as_all_and_equals_concatenating_by_hand(
    parts: list[Model], fused: Model, digits: Dataset
) -> None:
    images = digits.test.images[:20]
    assert isinstance(fused.net, Fused)
    assert fused.net.head.in_features == 128 + 64 + 64
    expected = fused.net.head(by_hand(parts, images))
    torch.testing.assert_close(fused.net(prepare(images, fused.preprocessing)), expected, atol=1e-4, rtol=1e-4)
    assert fused.backbone == "resnet8_fashion@28+resnet20_fashion@16+resnet8@8"


def test_colour_goes_to_grey_backbones_as_the_preparation_does_it(parts: list[Model]) -> None:
    images = torch.randint(0, 256, (4, 3, 20, 20), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    model = fuse(parts, 20, 3)
    assert isinstance(model.net, Fused)
    torch.nn.init.normal_(model.net.head.weight)
    expected = model.net.head(by_hand(parts, images))
    torch.testing.assert_close(model.net(prepare(images, model.preprocessing)), expected, atol=1e-3, rtol=1e-4)


def test_the_parts_keep_their_own_networks(parts: list[Model], digits: Dataset) -> None:
    fuse(parts, digits.size, digits.channels)
    assert all(m.net(torch.zeros(1, m.preprocessing.channels, 28, 28)).shape == (1, 10) for m in parts)


def test_it_is_saved_and_read_again(fused: Model, digits: Dataset, tmp_path: Path) -> None:
    save_model(fused, tmp_path)
    again = load_model(tmp_path)
    assert isinstance(again.net, Fused)
    assert isinstance(fused.net, Fused)
    assert again.net.parts == fused.net.parts
    assert (again.backbone, again.classes, again.preprocessing) == (fused.backbone, fused.classes, fused.preprocessing)
    images = prepare(digits.test.images[:5], fused.preprocessing)
    assert torch.equal(again(images), fused(images))


def test_a_thinned_part_is_saved_and_read_again(parts: list[Model], digits: Dataset, tmp_path: Path) -> None:
    thin = prune_channels(parts[0].net, torch.zeros(2, 1, 28, 28), 0.5)
    model = fuse([parts[0].with_net(thin), *parts[1:]], digits.size, digits.channels)
    assert isinstance(model.net, Fused)
    assert model.net.head.in_features == 64 + 64 + 64
    torch.nn.init.normal_(model.net.head.weight)
    save_model(model, tmp_path)
    images = prepare(digits.test.images[:5], model.preprocessing)
    assert torch.equal(load_model(tmp_path)(images), model(images))


def test_a_damaged_part_is_refused(fused: Model, tmp_path: Path) -> None:
    save_model(fused, tmp_path)
    manifest = tmp_path / "model.json"
    told = read_sealed(manifest)
    manifest.write_bytes(seal(told.replace(b'"resnet20_fashion"', b'"resnet8_fashion"')))
    with pytest.raises(UserError) as caught:
        load_model(tmp_path)
    assert caught.value.code == "wrong_weights"


# in the stage


@pytest.fixture
def context(make_context: MakeContext, digits: Dataset) -> Context:
    labelled, _ = few_labels(digits.train, 200, 10, 0)
    return make_context(labelled=labelled, weights="default")


@pytest.mark.thorough
def test_the_deployed_file_is_one_graph_that_answers_as_torch_does(
    context: Context, digits: Dataset, tmp_path: Path
) -> None:
    fusion = build("transfer", "fusion", l2=0.1, with_backbones="resnet20_fashion")
    model = fusion.apply(own("resnet8_fashion", digits.classes, 28), context)
    saved = fusion.save(model, tmp_path / "model.onnx", context)
    assert "192 concatenated features" in saved.notes[0]
    images = digits.test.images[:50]
    session = open_session(tmp_path / "model.onnx", 1)
    assert [(i.name, i.shape[1:]) for i in session.get_inputs()] == [("image", [1, 8, 8])]
    with torch.no_grad():
        expected = model(prepare(images, model.preprocessing))
    torch.testing.assert_close(predict(session, images, model.preprocessing), expected, atol=1e-3, rtol=1e-4)
    fused = evaluate(model, digits.validation, context).accuracy
    alone = [
        evaluate(build("transfer", "linear_probe", l2=0.1).apply(own(name, digits.classes, 28), context), part, context)
        for name, part in (("resnet8_fashion", digits.validation), ("resnet20_fashion", digits.validation))
    ]
    assert fused > min(each.accuracy for each in alone)
    assert fused > 0.7

    foreseen = preview(RECIPE + FUSION + 'with_backbones = "resnet20_fashion"', tmp_path / "workspace").rows[0]
    real = complexity(model.net, (1, 8, 8))
    assert (foreseen.params, foreseen.macs, foreseen.exact) == (real.params, real.macs, True)
    assert foreseen.bytes == pytest.approx((tmp_path / "model.onnx").stat().st_size, rel=0.02)


@pytest.mark.parametrize("live", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_small_student_learns_from_it(
    live: bool, fused: Model, context: Context, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From its logits, and from a teacher that runs beside the student and shows its features."""
    kd = build("distill", "kd", student="resnet8", width=4, epochs=2, batch=50, twin=False, weight=1.0, temperature=1.0)
    assert isinstance(kd, Distill)
    monkeypatch.setattr(type(kd), "reads_features", live)
    teacher = replace(fused)
    before, student = (kd.new_student(context) for _ in range(2))
    learned = kd.apply(teacher, context)

    def distance(model: Model) -> float:
        images = digits.test.images
        with torch.no_grad():
            theirs = teacher(prepare(images, teacher.preprocessing)).softmax(1)
            return float(
                F.kl_div(model(prepare(images, model.preprocessing)).log_softmax(1), theirs, reduction="batchmean")
            )

    assert torch.equal(next(before.net.parameters()), next(student.net.parameters()))
    assert not isinstance(learned.net, Fused)
    assert distance(learned) < distance(before.with_net(before.net.eval()))


def test_a_backbone_without_an_embedding_is_refused_before_any_work(
    context: Context, digits: Dataset, reports: list[object]
) -> None:
    fusion = build("transfer", "fusion", with_backbones="squeezenet1_1")
    with pytest.raises(UserError, match="squeezenet1_1") as caught:
        fusion.apply(own("resnet8_fashion", digits.classes, 28), replace(context, weights="none"))
    assert caught.value.code == "no_linear_head"
    assert not reports


# in a recipe


@pytest.mark.parametrize(
    ("steps", "field", "told"),
    [
        (FUSION + 'with_backbones = "resnet8_fashon"', "steps.0.with_backbones", "resnet8_fashion"),
        (FUSION + 'with_backbones = ""', "steps.0.with_backbones", "other than resnet8_fashion"),
        (FUSION + 'with_backbones = " resnet8_fashion, "', "steps.0.with_backbones", "other than resnet8_fashion"),
        (FUSION + FUSION, "steps.1.method", "Name all backbones in steps.0"),
        (FUSION + '[[steps]]\nstage = "prune"\nmethod = "l2"', "steps.1.stage", "distill step between"),
    ],
)
def test_recipes_that_cannot_be(steps: str, field: str, told: str) -> None:
    with pytest.raises(UserErrors) as caught:
        parse_recipe(RECIPE + steps)
    (error,) = caught.value.errors
    assert error.field == field
    assert told in f"{error.allowed} {error.fix}"


def test_recipes_that_can_be() -> None:
    taught = '[[steps]]\nstage = "distill"\nmethod = "kd"\n'
    parse_recipe(RECIPE + FUSION + taught + '[[steps]]\nstage = "prune"\nmethod = "l2"\n')
    parse_recipe(RECIPE + FUSION + '[[steps]]\nstage = "quantize"\nmethod = "static"\n')
    parse_recipe(RECIPE + FUSION + 'with_backbones = "resnet20_fashion, resnet8_fashion, resnet20_fashion"')
    first = '[[steps]]\nstage = "transfer"\nmethod = "linear_probe"\n'
    parse_recipe(RECIPE + first + taught + FUSION + 'with_backbones = "resnet8_fashion"')  # beside the student


def test_a_student_is_held_against_all_its_teachers_backbones() -> None:
    taught = '[[steps]]\nstage = "distill"\nmethod = "kd"\nstudent = "resnet32"\n'
    alone = '[[steps]]\nstage = "transfer"\nmethod = "linear_probe"\n'
    (warning,) = parse_recipe(RECIPE + alone + taught).warnings()
    assert "larger than its teacher resnet8_fashion (" in warning
    with_others = parse_recipe(RECIPE + FUSION + taught)
    assert with_others.warnings() == ()
    (warning,) = parse_recipe(RECIPE + FUSION + taught.replace("resnet32", "resnet18")).warnings()
    assert "teacher resnet8_fashion + resnet20_fashion (" in warning
