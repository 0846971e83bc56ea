"""Transfer in several parts: what starts where, what stays frozen until its time, and what a curve shows of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from core.controls import LABELS_ALONE, english
from core.engine import build
from core.engine.backbones.blocks import blocks
from core.engine.context import CancelledError, Context
from core.engine.data import Dataset, few_labels
from core.engine.model import Model
from core.engine.training.loop import Examples, evaluate
from core.engine.transfer.fine_tune import FineTune
from core.engine.transfer.gradual import Gradual
from core.engine.transfer.linear_probe import LinearProbe
from core.engine.transfer.lp_ft import LpFt
from core.engine.transfer.pseudo_labels import PseudoLabels
from core.errors import UserError
from core.options import Value
from tests.core.engine.conftest import MakeContext, Reported

Maker = Callable[..., Model]


def weights(model: Model) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.net.state_dict().items()}


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def curve(reports: list[Reported], control: str = "") -> list[Reported]:
    told = [r for r in reports if r[0] == "training" and r[6] == control]
    return [r for r in told if r[5].validation_accuracy is not None]


class Stop:
    """Asks to stop after so many checks."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


@pytest.fixture
def few(make_context: MakeContext, digits: Dataset) -> Context:
    """100 labels, the other images unlabelled."""
    labelled, pool = few_labels(digits.train, 100, 10, 0)
    return make_context(labelled=labelled, pool=pool)


def trained(maker: Maker, context: Context) -> Model:
    """A backbone that knows the digits, with a fresh head."""
    method = FineTune(epochs=2, learning_rate=0.01, backbone_rate=1.0, statistics="learned")
    model = method.apply(maker(), context.part("before"))
    head = list(blocks(model.net).head)
    with torch.no_grad():
        for parameter in head:
            parameter.zero_()
    return model


# probe, then fine-tune


@pytest.mark.parametrize("statistics", ["frozen", "learned"])
def test_lp_ft_starts_where_the_probe_ends(
    make_model: Maker, few: Context, reports: list[Reported], statistics: str
) -> None:
    start = weights(trained(make_model, few))
    probed = LinearProbe().apply(_with(make_model(), start), few.part("alone"))
    expected = evaluate(probed, few.data.validation, few).accuracy
    assert expected > 0.6
    reports.clear()
    method = LpFt(epochs=2, statistics=statistics)
    after = method.apply(_with(make_model(), start), few)
    told = curve(reports)
    assert [(r[1], r[2]) for r in told] == [(0, 2), (1, 2), (2, 2)]
    assert told[0][5].validation_accuracy == expected
    assert evaluate(after, few.data.validation, few).accuracy >= expected


@pytest.mark.thorough
def test_lp_ft_moves_the_whole_network(make_model: Maker, make_context: MakeContext) -> None:
    start = weights(make_model())  # a random backbone: with all labels, fine-tuning is bound to beat its probe
    method = LpFt(epochs=4, learning_rate=0.01, backbone_rate=1.0, statistics="learned")
    after = weights(method.apply(make_model(), make_context()))
    assert all(not torch.equal(after[name], start[name]) for name, _ in make_model().net.named_parameters())


def _with(model: Model, state: dict[str, Tensor]) -> Model:
    model.net.load_state_dict(state)
    return model


def test_the_probe_leaves_the_backbone_bit_for_bit(make_model: Maker, few: Context) -> None:
    before, model = weights(make_model()), make_model()
    head = {id(p) for p in blocks(model.net).head}
    own = {name for name, p in model.net.named_parameters() if id(p) in head}
    after = weights(LinearProbe().apply(model, few))
    assert {name for name in after if not torch.equal(after[name], before[name])} == own


# gradual unfreezing


def test_gradual_keeps_what_is_still_frozen_bit_for_bit(make_model: Maker, few: Context) -> None:
    """Parameters and statistics, in every phase; what has joined moves, each block once it has."""
    method = Gradual(epochs=6, phases=3, learning_rate=0.01, backbone_rate=1.0, statistics="learned")
    model = make_model()
    start = method.objective(model, Examples.of(few.labelled), few)
    body = blocks(model.net).body
    for number, joined in enumerate((0, len(body) // 2, len(body))):
        before = [[_state(m) for m in block.modules] for block in body]
        model = method.phase(model, number, start, few)
        for place, (block, old) in enumerate(zip(body, before, strict=True)):
            same = all(equal(_state(m), was) for m, was in zip(block.modules, old, strict=True))
            assert same == (place < len(body) - joined), (number, block.name)


def _state(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def test_gradual_is_one_curve(make_model: Maker, few: Context, reports: list[Reported]) -> None:
    after = Gradual(epochs=7, phases=3, learning_rate=0.01).apply(make_model(), few)
    told = curve(reports)
    assert [(r[1], r[2]) for r in told] == [(n, 7) for n in range(8)]
    best = max(r[5].validation_accuracy or 0 for r in told)
    assert evaluate(after, few.data.validation, few).accuracy == pytest.approx(best)
    assert all(p.requires_grad for p in after.net.parameters())


def test_gradual_rates_are_fine_tunings(make_model: Maker) -> None:
    model = make_model()
    last = Gradual(phases=3, epochs=3).thawed(model, 2, 9999)
    assert [g["lr"] for g in last.groups] == [g["lr"] for g in FineTune().trainable(model.net, 9999).groups]
    assert last.frozen == []


def test_gradual_resumes_bit_identically(make_model: Maker, few: Context) -> None:
    method = Gradual(epochs=4, phases=2, learning_rate=0.01, l2_sp=0.1, dropout=0.2, average=0.9, least_steps=0)
    undisturbed = weights(method.apply(make_model(), replace(few, folder=few.folder / "a")))
    with pytest.raises(CancelledError):
        method.apply(make_model(), replace(few, cancelled=Stop(13)))
    assert any((few.folder / "phase-1").glob("epoch-*.json"))
    assert equal(undisturbed, weights(method.apply(make_model(), few)))


def test_more_phases_than_epochs_are_refused(make_model: Maker, few: Context) -> None:
    with pytest.raises(UserError, match=r"phases.*epochs"):
        Gradual(epochs=3, phases=4).apply(make_model(), few)


# pseudo-labels


@pytest.mark.thorough
def test_pseudo_labels_join_when_the_network_is_sure(make_model: Maker, few: Context, reports: list[Reported]) -> None:
    told: list[tuple[str, str]] = []
    context = replace(few, warn=lambda code, message: told.append((code, message)))
    method = PseudoLabels(epochs=4, rounds=1, learning_rate=0.01, backbone_rate=1.0, statistics="learned", batch=32)
    after = method.apply(make_model(), context)
    ((code, message),) = [said for said in told if said[0] != "few_images"]
    assert code == "pseudo_labels"
    joined = int(message.partition(": ")[2].partition(" ")[0].replace(",", ""))
    assert 100 < joined < len(few.pool)
    assert f"{len(few.pool):,} unlabelled" in message
    assert [(r[1], r[2]) for r in curve(reports)] == [(n, 4) for n in range(5)]
    assert evaluate(after, few.data.test, few).accuracy > 0.7


def test_nothing_joins_a_network_that_is_never_sure(make_model: Maker, few: Context, reports: list[Reported]) -> None:
    """Then it is its twin, to the last bit: the same parts, steps and draws."""
    method = PseudoLabels(epochs=2, rounds=1, confidence=1.0, learning_rate=1e-4, batch=64)
    alone = method.controls(make_model(), few)[LABELS_ALONE]
    with_pool = method.apply(
        make_model(), replace(few, place=(*few.place, english(LABELS_ALONE)), folder=few.folder / "pool")
    )
    assert equal(weights(with_pool), weights(alone()))
    assert [r[1] for r in curve(reports)] == [r[1] for r in curve(reports, english(LABELS_ALONE))] == [0, 1, 2]


def test_the_twin_may_be_left_out(make_model: Maker, few: Context) -> None:
    assert PseudoLabels(twin=False).controls(make_model(), few) == {}


@pytest.mark.parametrize(("option", "value"), [("mixup", 0.2), ("cutmix", 1.0), ("rounds", 4)])
def test_pseudo_labels_refuse(make_model: Maker, few: Context, option: str, value: Value) -> None:
    with pytest.raises(UserError) as caught:
        build("transfer", "pseudo_labels", **{"epochs": 4, option: value}).apply(make_model(), few)
    assert caught.value.field == option


def test_pseudo_labels_need_a_pool(make_model: Maker, make_context: MakeContext) -> None:
    with pytest.raises(UserError, match="pool") as caught:
        PseudoLabels().apply(make_model(), make_context())
    assert caught.value.field == "labels"
