from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import Literal

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.comparison.gap import KEPT
from core.engine.context import CancelledError, choose_device
from core.engine.data import Dataset
from core.engine.model import Model
from core.engine.output import Output
from core.engine.training import loop, mixup
from core.engine.training.batches import Feed, order
from core.engine.training.loop import UNLABELLED, Batch, Examples, Schedule, evaluate, fit, view
from core.engine.training.lr_finder import choose, find_learning_rate
from core.errors import UserError
from tests.core.engine.conftest import MakeContext, Reported

SHORT = Schedule(epochs=3, batch=128, learning_rate=0.1, augment="shift")
Maker = Callable[..., Model]


def cross_entropy(output: Output, batch: Batch) -> Tensor:
    return F.cross_entropy(output.logits, batch.target)


def weights(model: Model) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.net.state_dict().items()}


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


class Stop:
    """Asks to stop after so many checks."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


def test_learns_digits(make_context: MakeContext, make_model: Maker, digits: Dataset, reports: list[Reported]) -> None:
    context = make_context()
    schedule = replace(SHORT, epochs=6)
    trained = fit(make_model(), Examples.of(digits.train), cross_entropy, schedule, context)
    assert evaluate(trained, digits.test, context).accuracy > 0.85
    curve = [r for r in reports if r[0] == "training" and r[5].validation_accuracy is not None]
    assert [r[1] for r in curve] == [0, 1, 2, 3, 4, 5, 6], "epoch 0 is what came in"
    best = max(r[5].validation_accuracy or 0 for r in curve)
    assert evaluate(trained, digits.validation, context).accuracy == pytest.approx(best)


def test_keeps_the_best_epoch_not_the_last(make_context: MakeContext, make_model: Maker, digits: Dataset) -> None:
    """A loss that un-learns from the second epoch on must leave the first epoch's weights."""
    calls = 0

    def spoiled(output: Output, batch: Batch) -> Tensor:
        nonlocal calls
        calls += 1
        right = F.cross_entropy(output.logits, batch.target)
        return right if calls <= 9 else -right

    context = make_context()
    trained = fit(make_model(), Examples.of(digits.train), spoiled, replace(SHORT, learning_rate=0.05), context)
    assert evaluate(trained, digits.validation, context).accuracy > 0.3


@pytest.mark.parametrize(
    ("stop", "optimizer"),
    [
        (1, "sgd"),
        (13, "adamw"),
        *(
            pytest.param(*other, marks=pytest.mark.slow)
            for other in ((1, "adamw"), (13, "sgd"), (20, "sgd"), (20, "adamw"))
        ),
    ],
)
def test_resumed_training_is_bit_identical(
    make_context: MakeContext, make_model: Maker, digits: Dataset, optimizer: Literal["sgd", "adamw"], stop: int
) -> None:
    rate = 0.1 if optimizer == "sgd" else 0.005
    schedule = replace(SHORT, optimizer=optimizer, learning_rate=rate, views=2)
    examples = Examples.of(digits.train)
    context = make_context()
    undisturbed = weights(
        fit(make_model(), examples, cross_entropy, schedule, replace(context, folder=context.folder / "a"))
    )
    with pytest.raises(CancelledError):
        fit(make_model(), examples, cross_entropy, schedule, replace(context, cancelled=Stop(stop)))
    resumed = weights(fit(make_model(), examples, cross_entropy, schedule, context))
    assert equal(undisturbed, resumed)


@pytest.mark.parametrize(
    ("changes", "stop"),
    [
        pytest.param({"average": 0.9}, 13, marks=pytest.mark.slow),
        ({"average": 0.9, "mixup": 0.4, "cutmix": 1.0, "erasing": 0.5, "curve": "one_cycle"}, 20),
    ],
    ids=str,
)
def test_averaged_and_mixed_training_resumes_bit_identically(
    make_context: MakeContext, make_model: Maker, digits: Dataset, changes: dict[str, object], stop: int
) -> None:
    schedule = replace(SHORT, optimizer="adamw", learning_rate=0.005, augment="rand_augment", **changes)  # type: ignore[arg-type]
    examples, context = Examples.of(digits.train), make_context()
    other = replace(context, folder=context.folder / "a")
    undisturbed = weights(fit(make_model(), examples, mixed_cross_entropy, schedule, other))
    with pytest.raises(CancelledError):
        fit(make_model(), examples, mixed_cross_entropy, schedule, replace(context, cancelled=Stop(stop)))
    assert any(context.folder.glob("epoch-*.json"))
    assert equal(undisturbed, weights(fit(make_model(), examples, mixed_cross_entropy, schedule, context)))


def mixed_cross_entropy(output: Output, batch: Batch) -> Tensor:
    return mixup.cross_entropy(output.logits, batch.target, batch.mixture)


def test_the_average_is_judged_and_kept(make_context: MakeContext, make_model: Maker, digits: Dataset) -> None:
    """Against the recurrence of the average, followed from outside after each step."""
    schedule = replace(SHORT, epochs=1, average=0.6, batch=256)
    model, seen = make_model(), [weights(make_model())]

    def loss(output: Output, batch: Batch) -> Tensor:
        seen.append(weights(model))
        return cross_entropy(output, batch)

    context = make_context()
    kept = weights(fit(model, Examples.of(digits.train), loss, schedule, context, incumbent=None))
    again = weights(
        fit(
            make_model(),
            Examples.of(digits.train),
            cross_entropy,
            replace(schedule, average=0.0),
            replace(context, folder=context.folder / "raw"),
            incumbent=None,
        )
    )
    average = {name: tensor.double() for name, tensor in seen[0].items()}
    for number, now in enumerate([*seen[2:], again]):
        decay = min(0.6, (1 + number) / (10 + number))
        average = {name: decay * average[name] + (1 - decay) * now[name] for name in average}
    for name in (name for name, _ in model.net.named_parameters()):  # statistics move before the loss is seen
        torch.testing.assert_close(kept[name].double(), average[name], atol=1e-5, rtol=1e-5)
    assert not equal(kept, again)


def test_the_average_leaves_frozen_parts_alone(make_context: MakeContext, make_model: Maker, digits: Dataset) -> None:
    model = make_model()
    before, norms = weights(model), [m for m in model.net.modules() if isinstance(m, nn.BatchNorm2d)]
    head = list(model.net.parameters())[-2:]
    schedule = replace(SHORT, average=0.97)
    fit(
        model,
        Examples.of(digits.train),
        cross_entropy,
        schedule,
        make_context(),
        parameters=[{"params": head}],
        frozen=norms,
    )
    own = {name for name, p in model.net.named_parameters() if any(p is h for h in head)}
    assert {name for name, tensor in weights(model).items() if not torch.equal(tensor, before[name])} == own


def test_weights_that_come_in_may_stay_the_best(
    make_context: MakeContext, make_model: Maker, digits: Dataset, reports: list[Reported]
) -> None:
    good = fit(make_model(), Examples.of(digits.train), cross_entropy, SHORT, make_context())
    before, context = weights(good), make_context(place=(0, 1))
    accuracy = evaluate(good, digits.validation, context).accuracy
    reports.clear()

    def away(output: Output, batch: Batch) -> Tensor:
        return output.logits.softmax(1).gather(1, batch.target[:, None]).mean()

    part = replace(context, folder=context.folder / "away")
    after = fit(good, Examples.of(digits.train), away, replace(SHORT, learning_rate=0.5), part)
    assert equal(before, weights(after))
    assert (reports[0][1], reports[0][3], reports[0][5].validation_accuracy) == (0, 0, accuracy)


# a learning rate that is found


def test_the_rate_finder_leaves_no_trace(make_context: MakeContext, make_model: Maker, digits: Dataset) -> None:
    model, context = make_model(), make_context()
    feed = Feed(Examples.of(digits.train), SHORT, model, context)
    model.net.train()
    optimizer = torch.optim.AdamW([{"params": list(model.net.parameters()), "base": 1.0}], lr=0.1)

    def step(batch: Batch) -> Tensor:
        value = F.cross_entropy(F.dropout(model.net(batch.images), 0.1), batch.target)
        optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return value.detach()

    for batch in islice(feed.epoch(0), 3):  # moments and gradients that a trace would show in
        step(batch)
    optimizer.zero_grad()
    next(iter(model.net.children())).eval()
    torch.manual_seed(7)
    expected = torch.rand(5)
    torch.manual_seed(7)
    before, moments = weights(model), copy.deepcopy(optimizer.state_dict())
    modes = [m.training for m in model.net.modules()]
    moved: list[bool] = []

    def watched(batch: Batch) -> Tensor:
        value = step(batch)
        moved.append(not equal(before, weights(model)))
        return value

    assert find_learning_rate(feed, model.net, optimizer, watched, context)
    assert any(moved)
    assert torch.equal(torch.rand(5), expected)
    assert equal(before, weights(model))
    assert [m.training for m in model.net.modules()] == modes
    assert all(p.grad is None for p in model.net.parameters())
    after = optimizer.state_dict()
    assert after["param_groups"] == moments["param_groups"]
    for number, state in moments["state"].items():
        assert all(torch.equal(after["state"][number][name], value) for name, value in state.items())


@pytest.mark.thorough
def test_a_found_rate_trains_as_if_it_had_been_set(
    make_context: MakeContext, make_model: Maker, digits: Dataset
) -> None:
    told: list[str] = []
    schedule, examples = replace(SHORT, learning_rate=0.0, optimizer="adamw"), Examples.of(digits.train)
    context = make_context(warn=lambda code, message: told.append(message))
    found = weights(fit(make_model(), examples, cross_entropy, schedule, context))
    (message,) = told
    rate = float(message.rstrip(".").rpartition(" ")[2])
    assert 1e-4 < rate < 0.1
    other = replace(context, folder=context.folder / "set")
    assert equal(
        found, weights(fit(make_model(), examples, cross_entropy, replace(schedule, learning_rate=rate), other))
    )


@pytest.mark.thorough
def test_a_resumed_run_keeps_its_found_rate(
    make_context: MakeContext, make_model: Maker, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule, examples = replace(SHORT, learning_rate=0.0), Examples.of(digits.train)
    context = make_context()
    other = replace(context, folder=context.folder / "a")
    undisturbed = weights(fit(make_model(), examples, cross_entropy, schedule, other))
    with pytest.raises(CancelledError):
        fit(make_model(), examples, cross_entropy, schedule, replace(context, cancelled=Stop(75)))
    assert any(context.folder.glob("epoch-*.json"))

    def never(*arguments: object) -> float:
        raise AssertionError("the rate is in the checkpoint")

    monkeypatch.setattr(loop, "find_learning_rate", never)
    assert equal(undisturbed, weights(fit(make_model(), examples, cross_entropy, schedule, context)))


def test_the_rate_chosen_is_a_tenth_of_that_of_the_lowest_loss() -> None:
    rates = [10 ** (-6 + n / 10) for n in range(60)]
    losses = [abs(math.log10(rate) + 2) + 1 for rate in rates]  # a valley at 0.01
    found = choose(rates, losses)
    assert found is not None
    assert 1e-3 <= found <= 4e-3, "a tenth of the valley; the smoothing lags a little"
    assert choose(rates, [2.0**n for n in range(60)]) is None, "it rises from the first"
    flat = [1.0 + 0.05 * (-1) ** n for n in range(40)] + [1.5**n for n in range(20)]
    plateau = choose(rates, flat)
    assert plateau is not None
    assert rates[37] <= plateau * 10 <= rates[44], "the end of a plateau, whatever its noise"
    assert choose([1e-6], [math.nan]) is None


def test_where_no_rate_helps_a_person_is_told(make_context: MakeContext, make_model: Maker, digits: Dataset) -> None:
    codes: list[str] = []
    risen = iter(range(10**6))

    def rising(output: Output, batch: Batch) -> Tensor:
        return cross_entropy(output, batch) * 0 + 2.0 ** next(risen)

    context = make_context(warn=lambda code, message: codes.append(code))
    fit(make_model(), Examples.of(digits.train), rising, replace(SHORT, learning_rate=0.0, epochs=1), context)
    assert codes == ["no_learning_rate_found", KEPT]


# courses of the rate


def test_one_cycle_is_torchs() -> None:
    for total in (10, 37, 200):
        layer = nn.Linear(1, 1)
        optimizer = torch.optim.SGD(layer.parameters(), 0.1, momentum=0.9)
        theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=total)
        schedule = replace(SHORT, curve="one_cycle")
        for step in range(total):
            group = optimizer.param_groups[0]
            assert schedule.rate(step, total) == pytest.approx(group["lr"], abs=1e-9)
            assert schedule.momentum(step, total) == pytest.approx(group["momentum"], abs=1e-9)
            optimizer.step()
            if step + 1 < total:
                theirs.step()


def test_step_falls_tenfold_at_half_and_three_quarters() -> None:
    rates = [replace(SHORT, curve="step", warmup=0.1).rate(step, 100) for step in range(100)]
    assert rates[:10] == pytest.approx([(n + 1) / 11 for n in range(10)])
    assert rates[10:50] == [1.0] * 40
    assert rates[50:] == pytest.approx([0.1] * 25 + [0.01] * 25)
    assert {replace(SHORT, curve="constant", warmup=0.0).rate(step, 9) for step in range(1, 9)} == {1.0}


def test_one_cycle_moves_the_momentum(make_context: MakeContext, make_model: Maker, digits: Dataset) -> None:
    """With the same rates and a momentum that stays, the weights would be others."""
    examples, context = Examples.of(digits.train), make_context()
    schedule = replace(SHORT, epochs=1, curve="one_cycle")
    cycled = weights(fit(make_model(), examples, cross_entropy, schedule, context))
    still = StillSchedule(**vars(schedule))
    other = replace(context, folder=context.folder / "still")
    assert not equal(cycled, weights(fit(make_model(), examples, cross_entropy, still, other)))


class StillSchedule(Schedule):
    def momentum(self, step: int, total: int) -> float | None:
        return None


def through(layer: nn.Module) -> Callable[[Output, Batch], Tensor]:
    """Cross-entropy of logits that pass one more layer, which learns with the network."""

    def loss(output: Output, batch: Batch) -> Tensor:
        return F.cross_entropy(layer(output.logits), batch.target)

    return loss


@pytest.mark.parametrize("stop", [13, 20])
def test_layers_of_the_loss_learn_resume_and_stay_behind(
    make_context: MakeContext, make_model: Maker, digits: Dataset, stop: int
) -> None:
    def layer() -> nn.Linear:
        torch.manual_seed(5)
        return nn.Linear(10, 10)

    examples, context = Examples.of(digits.train), make_context()
    calm, own = layer(), layer()
    other = replace(context, folder=context.folder / "a")
    undisturbed = weights(fit(make_model(), examples, through(calm), SHORT, other, extra=calm))
    assert not torch.equal(calm.weight, layer().weight)
    assert undisturbed.keys() == make_model().net.state_dict().keys()
    with pytest.raises(CancelledError):
        fit(make_model(), examples, through(own), SHORT, replace(context, cancelled=Stop(stop)), extra=own)
    again = layer()
    assert equal(undisturbed, weights(fit(make_model(), examples, through(again), SHORT, context, extra=again)))


def test_a_batch_says_how_far_training_is(make_context: MakeContext, make_model: Maker, digits: Dataset) -> None:
    seen: list[tuple[int, float]] = []

    def loss(output: Output, batch: Batch) -> Tensor:
        seen.append((batch.epoch, batch.progress))
        return cross_entropy(output, batch)

    fit(make_model(), Examples.of(digits.train), loss, SHORT, make_context())
    epochs, shares = zip(*seen, strict=True)
    assert sorted(set(epochs)) == [0, 1, 2]
    assert shares == pytest.approx([n / len(seen) for n in range(len(seen))])


def test_a_damaged_checkpoint_is_passed_over(make_context: MakeContext, make_model: Maker, digits: Dataset) -> None:
    examples, context = Examples.of(digits.train), make_context()
    first = weights(fit(make_model(), examples, cross_entropy, SHORT, context))
    newest = max(context.folder.glob("*.safetensors"))
    data = bytearray(newest.read_bytes())
    data[-1] ^= 1
    newest.write_bytes(bytes(data))
    assert equal(first, weights(fit(make_model(), examples, cross_entropy, SHORT, context)))


def test_other_seeds_give_other_weights(make_context: MakeContext, make_model: Maker, digits: Dataset) -> None:
    examples = Examples.of(digits.train)
    results: list[dict[str, Tensor]] = []
    for seed in (0, 0, 1):
        context = make_context(place=(seed, 0))
        part = replace(context, folder=context.folder / str(len(results)))
        results.append(weights(fit(make_model(), examples, cross_entropy, SHORT, part)))
    assert equal(results[0], results[1])
    assert not equal(results[0], results[2])


@pytest.mark.thorough
def test_nan_rolls_back_and_halves_the_rate(make_context: MakeContext, make_model: Maker, digits: Dataset) -> None:
    calls, told = 0, []

    def hiccup(output: Output, batch: Batch) -> Tensor:
        nonlocal calls
        calls += 1
        return cross_entropy(output, batch) * (float("nan") if calls == 12 else 1.0)

    context = make_context(warn=lambda code, message: told.append(code))
    trained = fit(make_model(), Examples.of(digits.train), hiccup, SHORT, context)
    assert told == ["nan_loss"]
    assert evaluate(trained, digits.validation, context).accuracy > 0.5


def test_lasting_nan_fails_and_names_the_rate(make_context: MakeContext, make_model: Maker, digits: Dataset) -> None:
    def broken(output: Output, batch: Batch) -> Tensor:
        return output.logits.sum() * float("nan")

    told: list[str] = []
    context = make_context(warn=lambda code, message: told.append(code))
    with pytest.raises(UserError, match=r"learning_rate.*0\.1") as caught:
        fit(make_model(), Examples.of(digits.train), broken, SHORT, context)
    assert caught.value.code == "diverged"
    assert told == ["nan_loss", "nan_loss"]


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_weights_broken_by_the_last_step_of_an_epoch_are_not_kept(
    average: float, make_context: MakeContext, make_model: Maker, digits: Dataset
) -> None:
    """Its loss was finite, but what it left behind gives no finite answer."""
    calls, told = 0, []
    steps = SHORT.length(len(digits.train))

    def blow(output: Output, batch: Batch) -> Tensor:
        nonlocal calls
        calls += 1
        return cross_entropy(output, batch) * (1e37 if calls == steps else 1.0)

    context = make_context(warn=lambda code, message: told.append(code))
    schedule = replace(SHORT, average=average)
    trained = fit(make_model(), Examples.of(digits.train), blow, schedule, context, incumbent=None)
    assert told == ["nan_loss"]
    assert all(tensor.isfinite().all() for tensor in trained.net.state_dict().values())
    assert evaluate(trained, digits.validation, context).accuracy > 0.4


def test_divergence_names_the_rate_it_happened_at(
    make_context: MakeContext, make_model: Maker, digits: Dataset
) -> None:
    """An earlier epoch had halved the rate: the first attempt at the one that fails is at half of what was set."""
    calls = 0
    steps = SHORT.length(len(digits.train))

    def twice(output: Output, batch: Batch) -> Tensor:
        nonlocal calls
        calls += 1
        return cross_entropy(output, batch) * (float("nan") if calls == 1 or calls > steps + 1 else 1.0)

    with pytest.raises(UserError) as caught:
        fit(make_model(), Examples.of(digits.train), twice, SHORT, make_context())
    assert str(caught.value.given).startswith("0.05 (NaN loss in epoch 2, ")


def test_frozen_modules_keep_every_bit(make_context: MakeContext, make_model: Maker, digits: Dataset) -> None:
    model = make_model()
    before = weights(model)
    norms = [m for m in model.net.modules() if isinstance(m, nn.BatchNorm2d)]
    head = list(model.net.parameters())[-2:]
    fit(
        model,
        Examples.of(digits.train),
        cross_entropy,
        SHORT,
        make_context(),
        parameters=[{"params": head}],
        frozen=norms,
    )
    changed = {name for name, tensor in weights(model).items() if not torch.equal(tensor, before[name])}
    own = {name for name, p in model.net.named_parameters() if any(p is h for h in head)}
    assert changed == own


def test_patience_stops_early(
    make_context: MakeContext, make_model: Maker, digits: Dataset, reports: list[Reported]
) -> None:
    """A bounded loss that pushes every label away makes validation worse from the first epoch on."""

    def away(output: Output, batch: Batch) -> Tensor:
        return output.logits.softmax(1).gather(1, batch.target[:, None]).mean()

    good = fit(make_model(), Examples.of(digits.train), cross_entropy, SHORT, make_context())
    reports.clear()
    other = make_context(place=(0, 1))
    other = replace(other, folder=other.folder / "away")
    fit(good, Examples.of(digits.train), away, replace(SHORT, epochs=30, patience=2, learning_rate=0.5), other)
    epochs = [r[1] for r in reports if r[5].validation_accuracy is not None]
    assert 3 <= len(epochs) < 30


def test_unlabelled_images_count_in_the_loss_alone(digits: Dataset) -> None:
    few = digits.train.subset(range(100))
    examples = Examples.of(few, digits.train.images[100:150])
    assert len(examples) == 150
    assert (examples.target[:100] == few.labels).all()
    assert (examples.target[100:] == UNLABELLED).all()


def test_every_example_is_seen_once_an_epoch() -> None:
    drawn = order(10, 10, torch.Generator().manual_seed(0))
    assert sorted(drawn.tolist()) == list(range(10))
    long = order(10, 25, torch.Generator().manual_seed(0))
    assert sorted(long[:10].tolist()) == sorted(long[10:20].tolist()) == list(range(10))


def test_rate_rises_then_falls_to_zero() -> None:
    schedule = replace(SHORT, warmup=0.1)
    rates = [schedule.rate(step, 100) for step in range(100)]
    assert max(rates) == pytest.approx(1.0, abs=0.01)
    assert rates.index(max(rates)) == 10
    assert rates[0] == pytest.approx(1 / 11)
    assert rates[-1] < 1e-3
    assert rates[55] == pytest.approx(0.5 * (1 + math.cos(math.pi * 0.5)))


def test_fixed_views(make_context: MakeContext, digits: Dataset) -> None:
    context, images = make_context(), digits.train.images
    assert view(images, SHORT, context, 0) is images
    first, again, second = (view(images, SHORT, context, n) for n in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_an_absent_device_is_named() -> None:
    if torch.cuda.is_available():
        assert choose_device("auto").type == "cuda"
    else:
        with pytest.raises(UserError, match="cuda"):
            choose_device("cuda")
    assert choose_device("cpu").type == "cpu"
