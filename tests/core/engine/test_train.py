from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.engine.bench import CancelledError, choose_device
from core.engine.data import Dataset
from core.engine.model import Model
from core.engine.output import Output
from core.engine.train import UNLABELLED, Batch, Examples, Schedule, _order, _rate, evaluate, fit, view
from core.errors import UserError
from tests.core.engine.conftest import MakeBench, Reported

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


def test_learns_digits(make_bench: MakeBench, make_model: Maker, digits: Dataset, reports: list[Reported]) -> None:
    bench = make_bench()
    schedule = replace(SHORT, epochs=6)
    trained = fit(make_model(), Examples.of(digits.train), cross_entropy, schedule, bench)
    assert evaluate(trained, digits.test, bench).accuracy > 0.85
    curve = [r for r in reports if r[0] == "training" and r[5].validation_accuracy is not None]
    assert [r[1] for r in curve] == [1, 2, 3, 4, 5, 6]
    best = max(r[5].validation_accuracy or 0 for r in curve)
    assert evaluate(trained, digits.validation, bench).accuracy == pytest.approx(best)


def test_keeps_the_best_epoch_not_the_last(make_bench: MakeBench, make_model: Maker, digits: Dataset) -> None:
    """A loss that un-learns from the second epoch on must leave the first epoch's weights."""
    calls = 0

    def spoiled(output: Output, batch: Batch) -> Tensor:
        nonlocal calls
        calls += 1
        right = F.cross_entropy(output.logits, batch.target)
        return right if calls <= 9 else -right

    bench = make_bench()
    trained = fit(make_model(), Examples.of(digits.train), spoiled, replace(SHORT, learning_rate=0.05), bench)
    assert evaluate(trained, digits.validation, bench).accuracy > 0.3


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("stop", [1, 13, 20])
def test_resumed_training_is_bit_identical(
    make_bench: MakeBench, make_model: Maker, digits: Dataset, optimizer: Literal["sgd", "adamw"], stop: int
) -> None:
    rate = 0.1 if optimizer == "sgd" else 0.005
    schedule = replace(SHORT, optimizer=optimizer, learning_rate=rate, views=2)
    examples = Examples.of(digits.train)
    bench = make_bench()
    undisturbed = weights(
        fit(make_model(), examples, cross_entropy, schedule, replace(bench, folder=bench.folder / "a"))
    )
    with pytest.raises(CancelledError):
        fit(make_model(), examples, cross_entropy, schedule, replace(bench, cancelled=Stop(stop)))
    resumed = weights(fit(make_model(), examples, cross_entropy, schedule, bench))
    assert equal(undisturbed, resumed)


def through(layer: nn.Module) -> Callable[[Output, Batch], Tensor]:
    """Cross-entropy of logits that pass one more layer, which learns with the network."""

    def loss(output: Output, batch: Batch) -> Tensor:
        return F.cross_entropy(layer(output.logits), batch.target)

    return loss


@pytest.mark.parametrize("stop", [13, 20])
def test_layers_of_the_loss_learn_resume_and_stay_behind(
    make_bench: MakeBench, make_model: Maker, digits: Dataset, stop: int
) -> None:
    def layer() -> nn.Linear:
        torch.manual_seed(5)
        return nn.Linear(10, 10)

    examples, bench = Examples.of(digits.train), make_bench()
    calm, own = layer(), layer()
    other = replace(bench, folder=bench.folder / "a")
    undisturbed = weights(fit(make_model(), examples, through(calm), SHORT, other, extra=calm))
    assert not torch.equal(calm.weight, layer().weight)
    assert undisturbed.keys() == make_model().net.state_dict().keys()
    with pytest.raises(CancelledError):
        fit(make_model(), examples, through(own), SHORT, replace(bench, cancelled=Stop(stop)), extra=own)
    again = layer()
    assert equal(undisturbed, weights(fit(make_model(), examples, through(again), SHORT, bench, extra=again)))


def test_a_batch_says_how_far_training_is(make_bench: MakeBench, make_model: Maker, digits: Dataset) -> None:
    seen: list[tuple[int, float]] = []

    def loss(output: Output, batch: Batch) -> Tensor:
        seen.append((batch.epoch, batch.progress))
        return cross_entropy(output, batch)

    fit(make_model(), Examples.of(digits.train), loss, SHORT, make_bench())
    epochs, shares = zip(*seen, strict=True)
    assert sorted(set(epochs)) == [0, 1, 2]
    assert shares == pytest.approx([n / len(seen) for n in range(len(seen))])


def test_a_damaged_checkpoint_is_passed_over(make_bench: MakeBench, make_model: Maker, digits: Dataset) -> None:
    examples, bench = Examples.of(digits.train), make_bench()
    first = weights(fit(make_model(), examples, cross_entropy, SHORT, bench))
    newest = max(bench.folder.glob("*.safetensors"))
    data = bytearray(newest.read_bytes())
    data[-1] ^= 1
    newest.write_bytes(bytes(data))
    assert equal(first, weights(fit(make_model(), examples, cross_entropy, SHORT, bench)))


def test_other_seeds_give_other_weights(make_bench: MakeBench, make_model: Maker, digits: Dataset) -> None:
    examples = Examples.of(digits.train)
    results: list[dict[str, Tensor]] = []
    for seed in (0, 0, 1):
        bench = make_bench(place=(seed, 0))
        part = replace(bench, folder=bench.folder / str(len(results)))
        results.append(weights(fit(make_model(), examples, cross_entropy, SHORT, part)))
    assert equal(results[0], results[1])
    assert not equal(results[0], results[2])


def test_nan_rolls_back_and_halves_the_rate(make_bench: MakeBench, make_model: Maker, digits: Dataset) -> None:
    calls, told = 0, []

    def hiccup(output: Output, batch: Batch) -> Tensor:
        nonlocal calls
        calls += 1
        return cross_entropy(output, batch) * (float("nan") if calls == 12 else 1.0)

    bench = make_bench(warn=lambda code, message: told.append(code))
    trained = fit(make_model(), Examples.of(digits.train), hiccup, SHORT, bench)
    assert told == ["nan_loss"]
    assert evaluate(trained, digits.validation, bench).accuracy > 0.5


def test_lasting_nan_fails_and_names_the_rate(make_bench: MakeBench, make_model: Maker, digits: Dataset) -> None:
    def broken(output: Output, batch: Batch) -> Tensor:
        return output.logits.sum() * float("nan")

    told: list[str] = []
    bench = make_bench(warn=lambda code, message: told.append(code))
    with pytest.raises(UserError, match=r"learning_rate.*0\.1") as caught:
        fit(make_model(), Examples.of(digits.train), broken, SHORT, bench)
    assert caught.value.code == "diverged"
    assert told == ["nan_loss", "nan_loss"]


def test_frozen_modules_keep_every_bit(make_bench: MakeBench, make_model: Maker, digits: Dataset) -> None:
    model = make_model()
    before = weights(model)
    norms = [m for m in model.net.modules() if isinstance(m, nn.BatchNorm2d)]
    head = list(model.net.parameters())[-2:]
    fit(
        model,
        Examples.of(digits.train),
        cross_entropy,
        SHORT,
        make_bench(),
        parameters=[{"params": head}],
        frozen=norms,
    )
    changed = {name for name, tensor in weights(model).items() if not torch.equal(tensor, before[name])}
    own = {name for name, p in model.net.named_parameters() if any(p is h for h in head)}
    assert changed == own


def test_patience_stops_early(
    make_bench: MakeBench, make_model: Maker, digits: Dataset, reports: list[Reported]
) -> None:
    """A bounded loss that pushes every label away makes validation worse from the first epoch on."""

    def away(output: Output, batch: Batch) -> Tensor:
        return output.logits.softmax(1).gather(1, batch.target[:, None]).mean()

    good = fit(make_model(), Examples.of(digits.train), cross_entropy, SHORT, make_bench())
    reports.clear()
    other = make_bench(place=(0, 1))
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
    order = _order(10, 10, torch.Generator().manual_seed(0))
    assert sorted(order.tolist()) == list(range(10))
    long = _order(10, 25, torch.Generator().manual_seed(0))
    assert sorted(long[:10].tolist()) == sorted(long[10:20].tolist()) == list(range(10))


def test_rate_rises_then_falls_to_zero() -> None:
    rates = [_rate(step, 100, 0.1) for step in range(100)]
    assert max(rates) == pytest.approx(1.0, abs=0.01)
    assert rates.index(max(rates)) == 10
    assert rates[0] == pytest.approx(1 / 11)
    assert rates[-1] < 1e-3
    assert rates[55] == pytest.approx(0.5 * (1 + math.cos(math.pi * 0.5)))


def test_fixed_views(make_bench: MakeBench, digits: Dataset) -> None:
    bench, images = make_bench(), digits.train.images
    assert view(images, SHORT, bench, 0) is images
    first, again, second = (view(images, SHORT, bench, n) for n in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_an_absent_device_is_named() -> None:
    if torch.cuda.is_available():
        assert choose_device("auto").type == "cuda"
    else:
        with pytest.raises(UserError, match="cuda"):
            choose_device("cuda")
    assert choose_device("cpu").type == "cpu"
