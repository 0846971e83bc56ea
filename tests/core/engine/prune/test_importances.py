"""Every importance against a slow reference, written from its paper in float64 with loops."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.engine.method import build, methods
from core.engine.model import Model
from core.engine.prune.channels import ChannelPrune
from core.engine.prune.gradients import curvature, squared_gradients, weighted_squares
from core.engine.prune.structured import prune_channels
from core.errors import UserError
from tests.core.engine.conftest import MakeContext

IMAGES = torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(7))
BY_NAME = ("l1", "l2", "bn_scale", "fpgm", "lamp", "random")


def net(norm: bool = True) -> Any:
    """Two convolutions and a head: the first layer's channels are written by one, scaled by norm, read by two."""
    torch.manual_seed(3)
    layers: dict[str, nn.Module] = {
        "one": nn.Conv2d(3, 8, 3),
        "norm": nn.BatchNorm2d(8) if norm else nn.Identity(),
        "relu": nn.ReLU(),
        "two": nn.Conv2d(8, 6, 3, bias=False),
        "pool": nn.AdaptiveAvgPool2d(1),
        "flat": nn.Flatten(),
        "head": nn.Linear(6, 4),
    }
    if norm:
        for parameter in layers["norm"].parameters():
            nn.init.uniform_(parameter, -1.0, 1.5)
    return nn.Sequential(OrderedDict(layers)).eval()


def scored(model: Any, score: Any) -> dict[str, Tensor]:
    """What `score` says of each group, by the layer that writes it."""
    names = {"Conv2d(3": "one", "Conv2d(8": "two"}
    found: dict[str, Tensor] = {}

    def spy(group: Any) -> Tensor:
        values: Tensor = score(group)
        found[names[str(group[0].dep.target.module)[:8]]] = values
        return values

    prune_channels(model, IMAGES, 0.5, spy)
    return found


def numbers(tensor: Tensor) -> list[list[float]]:
    return [[float(x) for x in row.flatten()] for row in tensor.detach().double()]


def parts(model: Any, layer: str) -> tuple[list[list[float]], list[list[float]], list[float]]:
    """(what writes each channel, what reads it, its scale) of the group that `layer` writes."""
    if layer == "one":
        return numbers(model.one.weight), numbers(model.two.weight.transpose(0, 1)), []
    return numbers(model.two.weight), numbers(model.head.weight.T), []


def relative(values: list[float]) -> list[float]:
    return [value / (sum(values) / len(values)) for value in values]


def layer_means(model: Any, layer: str, number: Callable[[float], float]) -> list[float]:
    """Each layer's sum of `number` over a channel's weights, averaged over the layers that share the channel."""
    writes, reads, _ = parts(model, layer)
    rows = [[sum(map(number, row)) for row in table] for table in (writes, reads)]
    if layer == "one":
        rows.append([number(float(scale)) for scale in model.norm.weight.detach()])
    return [sum(column) / len(rows) for column in zip(*rows, strict=True)]


def slow_l1(model: Any, layer: str) -> list[float]:
    return relative(layer_means(model, layer, abs))


def slow_l2(model: Any, layer: str) -> list[float]:
    return relative(layer_means(model, layer, lambda x: x * x))


def slow_lamp(model: Any, layer: str) -> list[float]:
    squares = layer_means(model, layer, lambda x: x * x)
    return [square / sum(other for other in squares if other >= square) for square in squares]


def slow_fpgm(model: Any, layer: str) -> list[float]:
    filters = parts(model, layer)[0]
    return relative([sum(math.dist(one, other) for other in filters) for one in filters])


def slow_bn_scale(model: Any, layer: str) -> list[float]:
    return [abs(float(scale)) for scale in model.norm.weight.detach()]


SLOW = {"l1": slow_l1, "l2": slow_l2, "lamp": slow_lamp, "fpgm": slow_fpgm}


@pytest.mark.parametrize("name", SLOW)
@pytest.mark.parametrize("layer", ["one", "two"])
def test_scores_are_those_of_the_paper(name: str, layer: str) -> None:
    model = net()
    expected = torch.tensor(SLOW[name](model, layer))
    found = scored(model, importance(name))[layer]
    torch.testing.assert_close(found, expected.float(), rtol=1e-4, atol=1e-6)


def importance(name: str) -> Any:
    method = build("prune", name)
    assert isinstance(method, ChannelPrune)
    return method.importance(0)


def test_the_largest_channel_of_a_group_has_lamp_score_one() -> None:
    assert all(float(score.max()) == pytest.approx(1.0) for score in scored(net(), importance("lamp")).values())


def test_a_filter_twice_in_a_layer_is_the_nearest_to_the_others_median() -> None:
    model = net(norm=False)
    with torch.no_grad():
        model.one.weight[1:] = model.one.weight[1:].mean(0) + 0.01 * torch.randn(7, 3, 3, 3)
    pruned: Any = prune_channels(model, IMAGES, 0.5, "fpgm", ignored=("two",))
    assert torch.equal(pruned.one.weight[0], model.one.weight[0])  # the only one unlike the others


def test_bn_scale_reads_the_scales_and_leaves_layers_without_them_whole() -> None:
    model = net()
    expected = slow_bn_scale(model, "one")
    pruned: Any = prune_channels(model, IMAGES, 0.5, "bn_scale")
    keep = torch.tensor(expected).topk(4).indices.sort().values
    assert torch.equal(pruned.norm.weight, model.norm.weight[keep])
    assert pruned.two.out_channels == 6
    with pytest.raises(UserError, match="batch normalisation") as caught:
        prune_channels(net(norm=False), IMAGES, 0.5, "bn_scale")
    assert caught.value.code == "no_batch_norm"


@pytest.mark.parametrize("name", BY_NAME)
def test_kept_channels_are_those_of_highest_importance(name: str) -> None:
    model = net()
    scores = scored(model, importance(name) if name != "bn_scale" else importance("l2"))["one"]
    if name == "bn_scale":
        scores = torch.tensor(slow_bn_scale(model, "one"))
    pruned: Any = prune_channels(model, IMAGES, 0.5, name)
    keep = scores.topk(4).indices.sort().values
    assert torch.equal(pruned.norm.weight, model.norm.weight[keep])


@pytest.mark.parametrize("name", BY_NAME)
def test_ratio_zero_changes_no_output(name: str) -> None:
    model = net()
    assert torch.equal(prune_channels(model, IMAGES, 0.0, name)(IMAGES), model(IMAGES))


def test_names_that_need_images_are_not_taken_without_them() -> None:
    assert {*BY_NAME, "taylor", "hessian"} <= set(methods("prune"))
    with pytest.raises(UserError, match="importance"):
        prune_channels(net(), IMAGES, 0.5, "taylor")


# gradients


def batches(count: int) -> list[tuple[Tensor, Tensor]]:
    draw = torch.Generator().manual_seed(1)
    return [(torch.randn(5, 3, 9, 9, generator=draw), torch.randint(0, 4, (5,), generator=draw)) for _ in range(count)]


def channel_sums(model: Any, squares: dict[str, Tensor]) -> Tensor:
    """Σ weight² · what stands beside it, over all numbers of each of the first layer's channels."""
    terms = {name: (p.double() ** 2) * squares[name] for name, p in model.named_parameters()}
    sums = [
        terms["one.weight"].sum((1, 2, 3)),
        terms["one.bias"],
        terms["norm.weight"],
        terms["norm.bias"],
        terms["two.weight"].sum((0, 2, 3)),
    ]
    return torch.stack(sums).sum(0).detach()


def test_taylor_is_the_mean_over_batches_of_squared_gradient_times_weight() -> None:
    model = net()
    slopes: list[dict[str, Tensor]] = []
    for images, labels in batches(3):
        model.zero_grad()
        F.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]
        slopes.append({name: p.grad.double() for name, p in model.named_parameters()})
    model.zero_grad()
    squares = {name: torch.stack([one[name] ** 2 for one in slopes]).mean(0) for name in slopes[0]}
    squared_gradients(model, batches(3))
    found = scored(model, weighted_squares)["one"]
    torch.testing.assert_close(found.double(), channel_sums(model, squares), rtol=1e-4, atol=1e-9)


def test_curvature_nears_the_diagonal_of_the_gauss_newton_matrix() -> None:
    """Against Jᵀ (diag p − p pᵀ) J, image by image."""
    torch.manual_seed(0)
    model: Any = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 3))
    images = torch.randn(6, 4)
    exact = [torch.zeros_like(p) for p in model.parameters()]
    for image in images:
        logits = model(image[None])[0]
        rows = [torch.autograd.grad(logit, list(model.parameters()), retain_graph=True) for logit in logits]
        p = logits.detach().softmax(0)
        middle = torch.diag(p) - torch.outer(p, p)
        for place, sum_ in enumerate(exact):
            slopes = torch.stack([row[place] for row in rows]).flatten(1)
            sum_ += torch.einsum("ai,ab,bi->i", slopes, middle, slopes).reshape(sum_.shape) / len(images)
    curvature(model, [(images, torch.zeros(6))], 1500, torch.Generator().manual_seed(0))
    for parameter, expected in zip(model.parameters(), exact, strict=True):
        torch.testing.assert_close(parameter.grad, expected, rtol=0.2, atol=1e-3)


@pytest.mark.parametrize("name", ["taylor", "hessian"])
def test_channels_the_loss_does_not_feel_go(
    name: str, make_context: MakeContext, make_model: Callable[..., Model]
) -> None:
    """The readers of half the channels are zero: nothing the loss does depends on them but through dead weights."""
    model = make_model()
    stage: Any = model.net.stage1[0]  # type: ignore[index]
    with torch.no_grad():
        stage.conv2.weight[:, ::2] = 0
        stage.conv1.weight[::2] *= 10  # large weights, to fool whoever looks at sizes
    method = build("prune", name, images=64, epochs=0, ratio=0.5)
    thinned: Any = method.apply(model, make_context()).net
    assert bool((thinned.stage1[0].conv2.weight.abs().sum((0, 2, 3)) > 0).all())
    by_size: Any = build("prune", "l2", epochs=0).apply(model, make_context()).net
    assert bool((by_size.stage1[0].conv2.weight.abs().sum((0, 2, 3)) == 0).any())


def test_the_look_is_seeded_and_happens_before_every_round(
    make_context: MakeContext, make_model: Callable[..., Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.engine.prune.taylor import Taylor

    seen: list[Tensor] = []
    weigh = Taylor.weigh

    def spy(self: Taylor, model: nn.Module, given: Any, draw: torch.Generator) -> None:
        given = list(given)
        seen.append(given[0][0])
        weigh(self, model, given, draw)

    monkeypatch.setattr(Taylor, "weigh", spy)
    method = build("prune", "taylor", images=16, at_once=8, epochs=0, iterations=2)
    made = [method.apply(make_model(), make_context()).net.state_dict() for _ in range(2)]
    assert len(seen) == 4
    assert torch.equal(seen[0], seen[1])
    assert all(torch.equal(made[0][key], made[1][key]) for key in made[0])
