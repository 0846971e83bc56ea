"""Who teaches: a peer, the same network before, an assistant between; and a class that the student never sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from core.engine import build
from core.engine.context import CancelledError
from core.engine.data import Dataset
from core.engine.data.augment import prepare
from core.engine.distill import Distill
from core.engine.distill.divergence import softened_divergence
from core.engine.forecast import Forecast
from core.engine.method import check_steps
from core.engine.model import Model
from core.engine.output import Output
from core.engine.pipeline.first_model import start
from core.engine.prune.structured import prune_channels
from core.engine.training.loop import UNLABELLED
from core.errors import UserError, UserErrors
from core.events import Work
from core.options import Value
from core.recipe import parse_recipe
from tests.core.engine.conftest import MakeContext, Reported

MakeModel = Callable[..., Model]
SMALL: dict[str, Value] = {"student": "resnet8", "width": 4}
QUICK: dict[str, Value] = {"epochs": 2, "batch": 64, "augment": "none"}
OTHERS: dict[str, dict[str, Value]] = {
    "mutual": {**SMALL, **QUICK},
    "assistant": {**SMALL, **QUICK, "assistant": "resnet8", "assistant_width": 6},
    "self_distillation": QUICK,
}


def made(method: str, **options: Value) -> Distill:
    found = build("distill", method, **options)
    assert isinstance(found, Distill)
    return found


def state(model: Model) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.net.state_dict().items()}


def equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(("method", "t"), [("mutual", 1.0), ("self_distillation", 1.0), ("assistant", 4.0)])
def test_their_loss_is_that_of_soft_labels(method: str, t: float) -> None:
    student, teacher = torch.randn(6, 4), torch.randn(6, 4)
    found = made(method).soft_loss(Output(student), Output(teacher), None)
    torch.testing.assert_close(found, softened_divergence(student, teacher, t))


@pytest.mark.thorough
@pytest.mark.parametrize("method", OTHERS)
def test_a_stopped_training_ends_bit_identical(method: str, make_context: MakeContext, make_model: MakeModel) -> None:
    kind, root = made(method, **OTHERS[method]), make_context().folder
    whole = state(kind.apply(make_model(), make_context(folder=root / "whole")))
    asked = 0

    def late() -> bool:
        nonlocal asked
        asked += 1
        return asked > (65 if method == "assistant" else 25)

    with pytest.raises(CancelledError):
        kind.apply(make_model(), make_context(folder=root / "cut", cancelled=late))
    again = kind.apply(make_model(), make_context(folder=root / "cut"))
    assert equal(state(again), whole)


# mutual


def test_the_model_so_far_does_not_teach_a_pair(make_context: MakeContext, make_model: MakeModel) -> None:
    kind, root = made("mutual", **OTHERS["mutual"]), make_context().folder
    one, two = (kind.apply(make_model(seed=s), make_context(folder=root / str(s))) for s in (0, 1))
    assert equal(state(one), state(two))


def test_the_peer_learns_and_matters(make_context: MakeContext, make_model: MakeModel) -> None:
    """With all the weight on the other's probabilities no label is read; two that begin apart come together."""
    root = make_context().folder
    alone, pair = (made("mutual", **OTHERS["mutual"], weight=w) for w in (0.0, 0.5))
    a = alone.apply(make_model(), make_context(folder=root / "a"))
    b = pair.apply(make_model(), make_context(folder=root / "b"))
    assert not equal(state(a), state(b))
    context = make_context()
    assert list(pair.controls(make_model(), context)) == ["without_peer"]
    assert list(made("mutual", twin=False).controls(make_model(), context)) == []
    first, second = (pair.new_student(place) for place in (context, context.part("peer")))
    assert not equal(state(first), state(second)), "the peer begins elsewhere"


# self-distillation


def test_the_student_has_the_teachers_shapes_and_none_of_its_weights(
    make_context: MakeContext, make_model: MakeModel
) -> None:
    kind = made("self_distillation")
    for teacher in (make_model(), thinned(make_model())):
        student = kind.student_of(teacher, make_context())
        mine, theirs = state(student), state(teacher)
        assert {n: t.shape for n, t in mine.items()} == {n: t.shape for n, t in theirs.items()}
        weights = [name for name in mine if mine[name].ndim > 1]
        assert not any(torch.equal(mine[name], theirs[name]) for name in weights)
        assert float(mine["stem.1.running_mean"].abs().sum()) == 0
        assert kind.forecast(Forecast(teacher), make_context()).model is teacher


def thinned(model: Model) -> Model:
    return model.with_net(prune_channels(model.net, torch.zeros(2, 1, 8, 8), 0.4))


@pytest.mark.parametrize("images", [127, 128, 129, 130, 131, 132])
def test_the_twin_takes_as_many_steps(
    images: int, make_context: MakeContext, make_model: MakeModel, reports: list[Reported], digits: Dataset
) -> None:
    """A last batch of a few images is left out of both, or of neither."""
    context = make_context(labelled=digits.train.subset(range(images)))
    kind = made("kd", **SMALL, **QUICK, least_steps=0)
    kind.apply(make_model(), context)
    kind.controls(make_model(), context)["without_teacher"]()
    batches = {control: total for what, _, _, _, total, _, control in reports if what == "training"}
    assert batches[""] == batches["twin"]


def test_it_learns_and_its_twin_begins_as_it_did(make_context: MakeContext, make_model: MakeModel) -> None:
    kind, teacher = made("self_distillation", **QUICK), make_model()
    before = state(teacher)
    student = kind.apply(teacher, make_context())
    assert equal(state(teacher), before)
    assert not equal(state(student), state(kind.student_of(teacher, make_context())))
    twin = kind.controls(teacher, make_context())["without_teacher"]()
    assert twin.net.state_dict().keys() == before.keys()


@pytest.mark.parametrize("option", ["student", "width", "student_size"])
def test_what_would_do_nothing_is_no_option(option: str) -> None:
    assert option not in {o.name for o in type(made("self_distillation")).options()}
    with pytest.raises(UserError):
        build("distill", "self_distillation", **{option: {"student": "resnet8"}.get(option, 8)})


# assistant


def test_the_assistant_is_one_curve_with_the_student(
    make_context: MakeContext, make_model: MakeModel, reports: list[Reported]
) -> None:
    made("assistant", **OTHERS["assistant"]).apply(make_model(), make_context())
    what: Work = "training"
    ends = [(epoch, epochs) for kind, epoch, epochs, batch, _, _, _ in reports if kind == what and batch == 0]
    assert ends == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.thorough
def test_the_student_hears_the_teacher_through_the_assistant(make_context: MakeContext, make_model: MakeModel) -> None:
    kind, root = made("assistant", **OTHERS["assistant"]), make_context().folder
    direct = made("kd", **SMALL, **QUICK).apply(make_model(), make_context(folder=root / "kd"))
    heard = kind.apply(make_model(), make_context(folder=root / "assistant"))
    assert direct.net.state_dict().keys() == heard.net.state_dict().keys()
    assert not equal(state(direct), state(heard))


@pytest.mark.parametrize(
    ("given", "field"),
    [("assistant = 'resnet9'", "assistant"), ("assistant = 'vgg11'\nassistant_width = 8", "assistant_width")],
)
def test_an_assistant_that_cannot_be_is_refused_with_the_recipe(given: str, field: str) -> None:
    with pytest.raises(UserErrors) as caught:
        parse_recipe(RECIPE.format(method="assistant", labels=0, options=given))
    assert [error.field for error in caught.value.errors] == [f"steps.1.{field}"]


RECIPE = """
dataset = "digits"
backbone = "resnet8"
image_size = 8
labels = {labels}
[[steps]]
stage = "transfer"
method = "fine_tune"
[[steps]]
stage = "distill"
method = "{method}"
{options}
"""


# a class left out


def test_the_student_and_its_twin_never_see_it(make_context: MakeContext, make_model: MakeModel) -> None:
    context = make_context()
    found = made("kd", omit="3").examples(context)
    assert 3 not in set(found.target.tolist())
    assert len(found) == int((context.labelled.labels != 3).sum())
    assert torch.equal(found.images, context.labelled.images[context.labelled.labels != 3])
    pool = replace(context, pool=context.labelled.images[:5])
    assert int((made("kd", omit="3").examples(pool).target == UNLABELLED).sum()) == 5


@pytest.mark.slow
def test_hard_labels_know_none_of_it_and_distilled_most(make_context: MakeContext) -> None:
    """Hinton et al. 2015, section 3, on scikit-learn's digits; the recipe omitted-digit does it over three seeds."""
    context = make_context(image_size=8)
    teacher = build("transfer", "fine_tune", epochs=40, learning_rate=0.003, backbone_rate=1.0).apply(
        start("mlp", context), make_context(folder=context.folder / "teacher", image_size=8)
    )
    kind = made("kd", student="mlp", width=64, omit="3", temperature=20.0, weight=1.0, epochs=60, views=8)
    place = make_context(place=(0, 1), image_size=8)
    assert recognised(kind.controls(teacher, place)["without_teacher"](), place.data) == 0
    assert recognised(kind.apply(teacher, place), place.data) >= 0.7


def recognised(model: Model, data: Dataset) -> float:
    images = data.test.images[data.test.labels == 3]
    with torch.inference_mode():
        return float((model.net.eval()(prepare(images, model.preprocessing)).argmax(1) == 3).float().mean())


def test_an_unknown_class_is_refused_before_any_work(make_context: MakeContext) -> None:
    data = make_context().data
    check_steps([build("transfer", "fine_tune"), made("kd", omit="3")], data)
    with pytest.raises(UserError) as caught:
        check_steps([build("transfer", "fine_tune"), made("dkd", omit="three")], data)
    assert (caught.value.code, caught.value.field) == ("unknown_class", "steps.1.omit")
    assert "0, 1, 2" in caught.value.allowed


def test_a_pool_would_show_it() -> None:
    for labels, options, fine in (
        (100, 'omit = "3"', False),
        (100, 'omit = "3"\npool = false', True),
        (0, 'omit = "3"', True),
        (100, "", True),
    ):
        text = RECIPE.format(method="kd", labels=labels, options=options)
        if fine:
            parse_recipe(text)
            continue
        with pytest.raises(UserErrors) as caught:
            parse_recipe(text)
        (error,) = caught.value.errors
        assert (error.code, error.field) == ("conflicting_options", "steps.1.omit")
        assert "steps.1.pool = false" in error.fix
