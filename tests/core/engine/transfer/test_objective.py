"""Pulls on the weights and the labels' weights, against their papers and scikit-learn."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor, nn
from torch.nn import functional as F

from core.engine.backbones.blocks import blocks
from core.engine.data import Dataset, Split, load_dataset
from core.engine.model import Model
from core.engine.output import Output
from core.engine.training.loop import Batch, evaluate
from core.engine.transfer.fine_tune import FineTune
from core.engine.transfer.objective import Objective, class_weights, dropping
from core.engine.transfer.partial import Partial
from tests.core.engine.conftest import MakeContext

Maker = Callable[..., Model]


def batch_of(net: nn.Module, count: int = 12) -> tuple[Output, Batch]:
    images = torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    target = torch.arange(count) % 10
    return Output(net(images)), Batch(images, images, target, torch.arange(count), 0)


def objective(net: nn.Module, *, balance: bool = False, l1: float = 0.0, l2_sp: float = 0.0) -> Objective:
    return Objective.of(net, torch.arange(30) % 10, 10, smoothing=0.0, balance=balance, l1=l1, l2_sp=l2_sp)


def test_without_pulls_it_is_cross_entropy(make_model: Maker) -> None:
    output, batch = batch_of(make_model().net)
    assert torch.equal(objective(make_model().net)(output, batch), F.cross_entropy(output.logits, batch.target))


def test_l2_sp_is_half_the_squared_way_from_the_start(make_model: Maker) -> None:
    """Value and gradient in float64, written from the paper; the head is not pulled."""
    net = make_model().net.double()
    loss = objective(net, l2_sp=0.3)
    start = {name: p.detach().clone() for name, p in net.named_parameters()}
    head = {id(p) for p in blocks(net).head}
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    images = torch.zeros(12, 1, 8, 8, dtype=torch.float64)
    target = torch.arange(12) % 10
    output, batch = Output(net(images)), Batch(images, images, target, target, 0)
    way = sum(float(((p.detach() - start[n]) ** 2).sum()) for n, p in net.named_parameters() if id(p) not in head)
    plain = F.cross_entropy(output.logits, target)
    value = loss(output, batch)
    assert float((value - plain).detach()) == pytest.approx(0.15 * way, rel=1e-12)
    named = dict(net.named_parameters())
    pulls = torch.autograd.grad(value - plain, list(named.values()), allow_unused=True)
    for (name, parameter), pull in zip(named.items(), pulls, strict=True):
        if id(parameter) in head:
            assert pull is None or not pull.any()
        else:
            assert pull is not None
            torch.testing.assert_close(pull, 0.3 * (parameter - start[name]).detach(), atol=1e-12, rtol=1e-9)


def test_l1_is_the_sum_of_sizes_of_weights_alone(make_model: Maker) -> None:
    net = make_model().net
    output, batch = batch_of(net)
    expected = 0.01 * sum(float(p.detach().abs().sum()) for p in net.parameters() if p.ndim > 1)
    value = objective(net, l1=0.01)(output, batch) - F.cross_entropy(output.logits, batch.target)
    assert float(value.detach()) == pytest.approx(expected, rel=1e-4)


def distance(model: Model, start: dict[str, Tensor]) -> float:
    head = {id(p) for p in blocks(model.net).head}
    named = model.net.named_parameters()
    return math.sqrt(sum(float((p.detach() - start[n]).square().sum()) for n, p in named if id(p) not in head))


@pytest.mark.thorough
def test_a_strong_pull_keeps_the_backbone_near(make_model: Maker, make_context: MakeContext) -> None:
    start = {name: p.detach().clone() for name, p in make_model().net.named_parameters()}
    ways = []
    for strength in (0.0, 1.0, 100.0):
        method = FineTune(epochs=1, learning_rate=0.01, backbone_rate=1.0, l2_sp=strength)
        context = make_context()
        model = method.apply(make_model(), replace(context, folder=context.folder / str(strength)))
        ways.append(distance(model, start))
    assert ways[0] > 2 * ways[1] > 4 * ways[2]


def test_the_pull_to_the_start_replaces_the_pull_to_zero(make_model: Maker, make_context: MakeContext) -> None:
    """Where the loss has no gradient, weight decay alone shrinks the backbone; L2-SP keeps it in place."""
    black = Split(torch.zeros(64, 1, 8, 8, dtype=torch.uint8), torch.zeros(64, dtype=torch.long))
    first = next(name for name, p in make_model().net.named_parameters() if p.ndim == 4)
    start = dict(make_model().net.named_parameters())[first].detach()
    sizes = []
    for strength in (0.0, 1e-9):
        data = replace(load_dataset("digits", 8), validation=black)  # learned at once, so that training is kept
        model, context = make_model(), make_context(labelled=black, data=data)
        with torch.no_grad():
            for norm in (m for m in model.net.modules() if isinstance(m, nn.BatchNorm2d)):
                norm.weight.zero_()  # and so nothing above depends on the first convolution
        frozen = replace(context, folder=context.folder / str(strength))
        method = FineTune(
            epochs=2, learning_rate=0.01, backbone_rate=1.0, weight_decay=1.0, l2_sp=strength, batch=16, least_steps=0
        )
        trained = method.apply(model, frozen)
        sizes.append(float(dict(trained.net.named_parameters())[first].detach().norm() / start.norm()))
    assert sizes[0] < 0.99
    assert sizes[1] == pytest.approx(1.0, abs=1e-3)


def test_frozen_weights_are_not_pulled(make_model: Maker) -> None:
    net = make_model().net
    Partial(blocks=1).trainable(net, 100)
    loss = objective(net, l1=1.0, l2_sp=1.0)
    output, batch = batch_of(net)
    learning = sum(float(p.detach().abs().sum()) for p in net.parameters() if p.ndim > 1 and p.requires_grad)
    value = loss(output, batch) - F.cross_entropy(output.logits, batch.target)
    assert float(value.detach()) == pytest.approx(learning, rel=1e-4)


def test_class_weights_are_scikit_learns() -> None:
    labels = torch.tensor([0] * 50 + [1] * 5 + [2] * 20)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels.numpy())
    torch.testing.assert_close(class_weights(labels, 3), torch.from_numpy(expected).float())
    assert class_weights(labels, 4)[3] == 1.0


@pytest.mark.thorough
def test_balance_lifts_a_rare_class(make_model: Maker, make_context: MakeContext, digits: Dataset) -> None:
    """Ten images of the ones among hundreds of the others."""
    ones = torch.nonzero(digits.train.labels == 1).flatten()
    others = torch.nonzero(digits.train.labels != 1).flatten()
    labelled = digits.train.subset(torch.cat([ones[:6], others]))
    test = digits.test.subset(torch.nonzero(digits.test.labels == 1).flatten())
    found = []
    for balance in (False, True):
        context = make_context(labelled=labelled)
        method = FineTune(epochs=3, learning_rate=0.01, backbone_rate=1.0, statistics="learned", balance=balance)
        model = method.apply(make_model(), replace(context, folder=context.folder / str(balance)))
        found.append(evaluate(model, Split(test.images, test.labels), context).accuracy)
    assert found[1] > found[0] + 0.1


def test_dropout_hides_a_share_of_the_embedding_and_leaves_no_trace(make_model: Maker) -> None:
    net = make_model(width=32).net
    images = torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    head = [m for m in net.modules() if isinstance(m, nn.Linear)][-1]
    before = net.eval()(images)
    embedding = torch.ones(200, head.in_features)
    with dropping(net, 0.4):
        assert torch.equal(net(images), before), "an evaluation sees everything"
        seen: list[Tensor] = []
        handle = head.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
        head.train()(embedding)
        handle.remove()
    (given,) = seen
    assert float((given == 0).float().mean()) == pytest.approx(0.4, abs=0.02)
    assert sorted(set(given.flatten().tolist())) == pytest.approx([0.0, 1 / 0.6])
    torch.testing.assert_close(head(embedding), F.linear(embedding, head.weight, head.bias))
