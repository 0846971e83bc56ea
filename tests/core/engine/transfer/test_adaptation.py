"""Adaptation: what of the network changes, what is never looked at, what is refused, and resuming bit for bit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from core.controls import SOURCE_ONLY
from core.engine import build
from core.engine.context import CancelledError, Context
from core.engine.data import Dataset, Split, Unlabelled, few_labels, load_dataset, matched
from core.engine.data.augment import prepare
from core.engine.method import methods
from core.engine.model import Model
from core.engine.output import Output
from core.engine.training.loop import UNLABELLED, Batch, Examples, Schedule, evaluate, fit
from core.engine.transfer.adaptation import Adaptation
from core.engine.transfer.dann import reverse, strength
from core.engine.transfer.tent import entropy
from core.errors import UserError
from core.options import Value
from tests.core.engine.conftest import MakeContext, Reported
from tests.core.engine.training.test_loop import Stop, equal, weights

Maker = Callable[..., Model]
ALIGNED = ("coral", "mk_mmd", "dann")
SETTLED = ("adabn", "tent")
SHORT: dict[str, Value] = {"epochs": 2, "learning_rate": 0.01, "backbone_rate": 1.0}


@pytest.fixture(scope="module")
def glyphs() -> Dataset:
    return load_dataset("glyphs", 8)


@pytest.fixture
def context(make_context: MakeContext, glyphs: Dataset, digits: Dataset) -> Context:
    """Few labelled glyphs, and digits without labels."""
    labelled, _ = few_labels(glyphs.train, 400, 10, 0)
    target = matched(glyphs, digits, refuse_to_warn)
    return make_context(data=glyphs, labelled=labelled, target=target.unlabelled)


def refuse_to_warn(code: str, message: str) -> None:
    raise AssertionError(message)


def made(name: str, **options: Value) -> Adaptation:
    method = build("transfer", name, **{**SHORT, **options})
    assert isinstance(method, Adaptation)
    return method


def changed(one: dict[str, Tensor], other: dict[str, Tensor]) -> set[str]:
    return {name for name in one if not torch.equal(one[name], other[name])}


def norms(net: nn.Module) -> Iterator[str]:
    return (name for name, module in net.named_modules() if isinstance(module, nn.BatchNorm2d))


# every method


def test_these_are_all_methods_of_adaptation() -> None:
    found = {name for name, method in methods("transfer").items() if issubclass(method, Adaptation)}
    assert found == {*ALIGNED, *SETTLED}
    assert all(method.needs_target == (name in found) for name, method in methods("transfer").items())


@pytest.mark.parametrize("name", [*ALIGNED, *SETTLED])
def test_the_incoming_model_is_left_alone_and_another_comes_out(name: str, context: Context, make_model: Maker) -> None:
    model = make_model()
    before = weights(model)
    found = made(name).apply(model, context)
    assert equal(before, weights(model))
    assert not equal(before, weights(found))
    assert found.net.state_dict().keys() == model.net.state_dict().keys(), "a discriminator stays behind"
    assert not found.net.training
    assert all(p.requires_grad for p in found.net.parameters())


@pytest.mark.parametrize("name", [*ALIGNED, *SETTLED])
def test_without_a_target_it_is_refused(name: str, context: Context, make_model: Maker) -> None:
    with pytest.raises(UserError, match="target") as caught:
        made(name).apply(make_model(), replace(context, target=None))
    assert caught.value.code == "no_target"


@pytest.mark.parametrize("name", ALIGNED)
def test_without_weight_only_batch_norm_knows_of_the_target(name: str, context: Context, make_model: Maker) -> None:
    """In a network without batch norm an alignment of weight 0 is source only, bit for bit: the same draws."""
    model = make_model()
    plain = model.with_net(nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10)))
    method = made(name, weight=0.0)
    control = weights(method.controls(plain, context)[SOURCE_ONLY]())
    adapted = weights(method.apply(plain, context))
    assert all(torch.allclose(adapted[key], control[key], atol=1e-5) for key in control)
    strong = weights(made(name, weight=100.0).apply(plain, replace(context, folder=context.folder / "strong")))
    assert not all(torch.allclose(strong[key], control[key], atol=1e-2) for key in control)


@pytest.mark.parametrize(
    ("name", "stop"),
    [
        ("dann", 14),
        ("tent", 16),
        *(pytest.param(*each, marks=pytest.mark.slow) for each in (("dann", 5), ("coral", 9), ("tent", 30))),
    ],
)
def test_it_goes_on_bit_for_bit(name: str, stop: int, context: Context, make_model: Maker) -> None:
    method = made(name, augment="shift")
    undisturbed = weights(method.apply(make_model(), replace(context, folder=context.folder / "calm")))
    with pytest.raises(CancelledError):
        method.apply(make_model(), replace(context, cancelled=Stop(stop)))
    assert equal(undisturbed, weights(method.apply(make_model(), context)))


def test_source_only_can_be_left_out(context: Context, make_model: Maker) -> None:
    assert list(made("coral").controls(make_model(), context)) == [SOURCE_ONLY]
    assert made("coral", source_only=False).controls(make_model(), context) == {}
    assert made("adabn", epochs=0).controls(make_model(), context) == {}, "the step before is source only"


# batches of two domains


def test_each_batch_holds_as_many_of_the_target(context: Context, make_model: Maker) -> None:
    model = make_model()
    seen: list[Tensor] = []
    other = torch.randint(0, 256, (30, 3, 20, 20), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))

    def loss(output: Output, batch: Batch) -> Tensor:
        count = len(batch.index)
        assert len(output.logits) == len(batch.images) == len(batch.target) == 2 * count
        assert torch.equal(batch.images[:count], prepare(batch.raw, model.preprocessing))
        assert torch.equal(batch.target[:count], context.labelled.labels[batch.index])
        assert set(batch.target[count:].tolist()) == {UNLABELLED}
        seen.append(batch.images[count:])
        return output.logits.square().mean()

    examples = replace(Examples.of(context.labelled), beside=other)
    fit(model, examples, loss, Schedule(1, 64, 0.01), context)
    assert sum(map(len, seen)) == len(context.labelled), "the target is gone through as often as it takes"
    brought = prepare(other, model.preprocessing)
    apart = torch.cdist(torch.cat(seen).flatten(1), brought.flatten(1))
    assert float(apart.min(1).values.max()) < 1e-2, "its images come in the source's size and channels"
    assert sorted(set(apart.argmin(1).tolist())) == list(range(30))


def test_images_of_classes_that_the_target_lacks_are_not_aligned(context: Context, make_model: Maker) -> None:
    assert context.target is not None
    seen: list[int] = []

    class Spy(type(made("coral"))):  # type: ignore[misc]
        def distance(self, source: Tensor, target: Tensor, progress: float, critic: nn.Module | None) -> Tensor:
            seen.append(len(source))
            assert len(target) >= len(source)
            return super().distance(source, target, progress, critic)  # type: ignore[no-any-return]

    few = replace(context, target=Unlabelled(context.target.images, (3, 7)))
    Spy(epochs=1, batch=400, least_steps=0).apply(make_model(), few)
    wanted = int(torch.isin(context.labelled.labels, torch.tensor([3, 7])).sum())
    assert seen == [wanted]


# DANN


def test_lambda_is_the_papers() -> None:
    assert strength(0.0) == 0.0
    assert strength(0.5) == pytest.approx(2 / (1 + math.exp(-5)) - 1)
    assert 0.9999 < strength(1.0) < 1


@pytest.mark.parametrize("amount", [0.0, 0.4, 1.0])
def test_reversal_keeps_the_value_and_turns_the_gradient(amount: float) -> None:
    features = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    arriving = torch.randn(4, 3, dtype=torch.float64)
    turned = reverse(features, amount)
    assert torch.allclose(turned, features)
    turned.backward(arriving)  # type: ignore[no-untyped-call]
    assert features.grad is not None
    assert torch.allclose(features.grad, -amount * arriving)


def test_the_discriminator_learns_to_tell_and_the_features_to_deceive() -> None:
    method = build("transfer", "dann")
    torch.manual_seed(0)
    source, target = torch.randn(64, 4) + 1, torch.randn(64, 4) - 1
    critic = method.critic(4)  # type: ignore[attr-defined]
    optimizer = torch.optim.Adam(critic.parameters(), 0.01)

    def told(source: Tensor, target: Tensor) -> Tensor:
        return method.distance(source, target, 1.0, critic)  # type: ignore[attr-defined,no-any-return]

    first = told(source, target).item()
    for _ in range(100):
        optimizer.zero_grad()
        told(source, target).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert told(source, target).item() < 0.5 * first
    moved = source.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(told(moved, target), moved)
    assert told(source - 5 * gradient, target).item() > told(source, target).item(), "descent makes it worse for it"


# AdaBN and TENT


def test_adabn_changes_the_statistics_and_nothing_else(context: Context, make_model: Maker) -> None:
    assert context.target is not None
    method = made("adabn")
    control = method.controls(make_model(), context)[SOURCE_ONLY]()
    adapted = method.apply(make_model(), context)
    differing = changed(weights(control), weights(adapted))
    layers = list(norms(adapted.net))
    assert differing == {f"{n}.{s}" for n in layers for s in ("running_mean", "running_var", "num_batches_tracked")}
    first = layers[0]
    inputs: list[Tensor] = []
    hook = adapted.net.get_submodule(first).register_forward_pre_hook(lambda module, given: inputs.append(given[0]))
    with torch.no_grad():
        adapted.net(prepare(context.target.images, adapted.preprocessing))
    hook.remove()
    exact = inputs[0].double().transpose(0, 1).flatten(1)
    state = adapted.net.state_dict()
    assert torch.allclose(state[f"{first}.running_mean"].double(), exact.mean(1), atol=1e-4)
    assert torch.allclose(state[f"{first}.running_var"].double(), exact.var(1), rtol=0.02)


def test_adabn_is_the_same_whatever_statistics_it_starts_from(context: Context, make_model: Maker) -> None:
    model, other = make_model(), make_model()
    for module in other.net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.fill_(7.0)  # type: ignore[union-attr]
    trained = replace(context, artifact=context.folder)
    found = [weights(made("adabn", epochs=0).apply(m, trained)) for m in (model, other)]
    assert equal(*found)


def test_tent_changes_batch_norm_and_nothing_else(context: Context, make_model: Maker) -> None:
    assert context.target is not None
    method = made("tent", target_rate=0.01, weight_decay=0.5, source_drop=1.0)
    control = method.controls(make_model(), context)[SOURCE_ONLY]()
    adapted = method.apply(make_model(), context)
    layers = list(norms(adapted.net))
    parts = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    assert changed(weights(control), weights(adapted)) == {f"{n}.{part}" for n in layers for part in parts}


def test_tent_makes_answers_on_the_target_surer_than_adabn(context: Context, make_model: Maker) -> None:
    assert context.target is not None
    images = prepare(context.target.images, make_model().preprocessing)

    def unsure(name: str, **options: Value) -> float:
        model = made(name, **options).apply(make_model(), replace(context, folder=context.folder / name))
        with torch.no_grad():
            return entropy(Output(model(images)), Batch(images, images, images, images, 0)).item()

    assert unsure("tent", target_rate=0.05, source_drop=1.0) < 0.8 * unsure("adabn")


def test_entropy_is_shannons_and_stays_finite() -> None:
    logits = torch.tensor([[0.0, 0.0, 0.0, 0.0], [900.0, 0.0, 0.0, 0.0]])
    batch = Batch(logits, logits, logits, logits, 0)
    assert entropy(Output(logits[:1]), batch).item() == pytest.approx(math.log(4))
    assert entropy(Output(logits[1:]), batch).item() == pytest.approx(0)


@pytest.mark.thorough
@pytest.mark.parametrize("name", SETTLED)
def test_it_stands_on_the_control_and_can_take_the_step_before(name: str, context: Context, make_model: Maker) -> None:
    """Learning and then adapting is adapting what was learned: the two ways to write it give the same bits."""
    trained = made(name).controls(make_model(), context)[SOURCE_ONLY]()
    folder = context.folder / "whole"
    whole = weights(made(name).apply(make_model(), replace(context, folder=folder)))
    after = replace(context, folder=context.folder / "after", artifact=context.folder)
    assert equal(whole, weights(made(name, epochs=0).apply(trained, after)))


@pytest.mark.parametrize("name", SETTLED)
def test_what_cannot_be_settled_is_refused_before_any_work(name: str, context: Context, make_model: Maker) -> None:
    with pytest.raises(UserError, match="first step") as caught:
        made(name, epochs=0).apply(make_model(), context)
    assert caught.value.field == "epochs"
    plain = make_model().with_net(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)))
    with pytest.raises(UserError, match="batch normalisation"):
        made(name).apply(plain, context)
    assert not context.folder.exists()


# the target


def named(classes: tuple[str, ...], data: Dataset) -> Dataset:
    return replace(data, name="other", classes=classes)


def test_classes_are_matched_by_name(digits: Dataset, glyphs: Dataset) -> None:
    turned = matched(glyphs, named(tuple(reversed(digits.classes)), digits), refuse_to_warn)
    assert torch.equal(turned.test.labels, 9 - digits.test.labels)
    assert torch.equal(turned.unlabelled.images, digits.train.images)
    assert turned.unlabelled.shared == tuple(range(10))


def test_those_that_overlap_in_part_adapt_on_what_they_share(digits: Dataset, glyphs: Dataset) -> None:
    told: list[tuple[str, str]] = []
    other = named(("0", "1", "zwei", "3", *(f"x{n}" for n in range(6))), digits)
    found = matched(glyphs, other, lambda code, message: told.append((code, message)))
    ((code, message),) = told
    assert code == "classes_overlap"
    assert "3 classes" in message
    assert "zwei" in message
    assert "2" in message
    assert found.unlabelled.shared == (0, 1, 3)
    kept = torch.isin(digits.train.labels, torch.tensor([0, 1, 3]))
    assert torch.equal(found.unlabelled.images, digits.train.images[kept])
    assert set(found.test.labels.tolist()) == {0, 1, 3}


def test_nothing_in_common_is_refused_naming_both(digits: Dataset, glyphs: Dataset) -> None:
    with pytest.raises(UserError, match="glyphs") as caught:
        matched(glyphs, named(tuple("abcdefghij"), digits), refuse_to_warn)
    assert (caught.value.code, caught.value.field) == ("nothing_in_common", "target")
    assert "dataset" in caught.value.allowed


def test_a_target_with_next_to_no_images_of_shared_classes_is_refused(digits: Dataset, glyphs: Dataset) -> None:
    only = digits.test.subset(torch.arange(1))
    with pytest.raises(UserError, match="1 test images"):
        matched(glyphs, replace(digits, test=only), refuse_to_warn)


@pytest.mark.thorough
def test_the_curve_of_tent_goes_on_behind_that_of_the_source(
    context: Context, make_model: Maker, reports: list[Reported]
) -> None:
    made("tent", passes=2).apply(make_model(), context)
    curve = [(r[1], r[2]) for r in reports if r[0] == "training" and r[5].validation_accuracy is not None]
    assert curve == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_method_cannot_see_the_targets_labels() -> None:
    assert set(Unlabelled.__dataclass_fields__) == {"images", "shared"}


@pytest.mark.thorough
def test_labels_of_the_target_change_nothing(
    context: Context, make_model: Maker, glyphs: Dataset, digits: Dataset
) -> None:
    """Shuffled labels of the target give the same model; only what is told of it differs."""
    order = torch.randperm(len(digits.train), generator=torch.Generator().manual_seed(1))
    wrong = replace(digits, train=Split(digits.train.images, digits.train.labels[order]))
    other = matched(glyphs, wrong, refuse_to_warn).unlabelled
    one, two = (
        made("coral").apply(make_model(), replace(context, target=target, folder=context.folder / str(place)))
        for place, target in enumerate((context.target, other))
    )
    assert equal(weights(one), weights(two))


@pytest.mark.slow
def test_aligned_features_lie_closer(context: Context, make_model: Maker, digits: Dataset) -> None:
    """What an alignment makes small is small afterwards, on images it was not trained on."""
    from core.engine.backbones.features import observe
    from core.engine.transfer.alignment import mmd

    def apart(model: Model) -> float:
        with torch.no_grad():
            here, there = (
                observe(model.net, prepare(split.images[:200], model.preprocessing)).embedding
                for split in (context.data.test, digits.test)
            )
        assert here is not None
        assert there is not None
        return mmd(here, there).item()

    method = made("mk_mmd", epochs=8, weight=1.0)
    alone = method.controls(make_model(), context)[SOURCE_ONLY]()
    adapted = method.apply(make_model(), context)
    assert apart(adapted) < 0.7 * apart(alone)
    assert evaluate(adapted, context.data.test, context).accuracy > 0.8
