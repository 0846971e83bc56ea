"""The stage: its options, its methods, and fresh statistics for batch norms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from core.engine import build
from core.engine.data import Dataset
from core.engine.data.augment import prepare
from core.engine.method import methods
from core.engine.model import Model
from core.engine.prune.batch_norm import reestimate_batch_norm
from core.engine.prune.channels import ChannelPrune
from core.engine.prune.structured import prune_channels
from core.errors import UserError
from tests.core.engine.conftest import MakeContext


def net() -> Any:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8, momentum=0.3),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Conv2d(8, 4, 1),
        nn.BatchNorm2d(4),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 5),
    )


def batches(count: int = 3) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(6, 3, 8, 8, generator=generator) * (number + 1) + number for number in range(count)]


def test_statistics_are_the_averages_over_the_batches() -> None:
    model = net()
    model(torch.randn(4, 3, 8, 8))  # statistics of other images, to be forgotten
    reestimate_batch_norm(model, iter(batches()))
    with torch.no_grad():
        entries = [model[0](batch).double() for batch in batches()]
    mean = torch.stack([entry.mean((0, 2, 3)) for entry in entries]).mean(0)
    variance = torch.stack([entry.var((0, 2, 3), unbiased=True) for entry in entries]).mean(0)
    torch.testing.assert_close(model[1].running_mean.double(), mean, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(model[1].running_var.double(), variance, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("count", [257, 300])
def test_after_a_cut_all_images_count_alike(
    count: int, make_model: Callable[..., Model], make_context: MakeContext, digits: Dataset
) -> None:
    """One image more than fill a batch changes the statistics as one of 257 does, not as every second one."""
    context = make_context(labelled=digits.train.subset(range(count)))
    made = build("prune", "l2", ratio=0.25, epochs=0, recovery="labels").apply(make_model(), context)
    net: Any = made.net
    with torch.no_grad():
        entry = net.stem[0](prepare(context.labelled.images, made.preprocessing)).double()
    torch.testing.assert_close(net.stem[1].running_mean.double(), entry.mean((0, 2, 3)), rtol=1e-2, atol=1e-3)
    torch.testing.assert_close(net.stem[1].running_var.double(), entry.var((0, 2, 3)), rtol=2e-2, atol=1e-3)


def test_statistics_leave_everything_else_alone() -> None:
    model = net()
    model[1].eval()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    modes = [module.training for module in model.modules()]
    reestimate_batch_norm(model, batches())
    again = net()
    torch.manual_seed(99)
    reestimate_batch_norm(again, batches())
    assert torch.equal(model[5].running_var, again[5].running_var)  # dropout took no part
    assert all(torch.equal(parameter, before[name]) for name, parameter in model.named_parameters())
    assert [module.training for module in model.modules()] == modes
    assert (model[1].momentum, model[5].momentum) == (0.3, 0.1)


def test_statistics_survive_having_no_batch() -> None:
    model = net()
    model(torch.randn(4, 3, 8, 8))
    before = model[1].running_mean.clone()
    with pytest.raises(UserError, match="at least one batch"):
        reestimate_batch_norm(model, [])
    assert torch.equal(model[1].running_mean, before)


def test_modes_come_back_after_a_failure() -> None:
    model = net()
    with pytest.raises(RuntimeError):
        reestimate_batch_norm(model, [torch.randn(2, 4, 8, 8)])
    assert all(module.training for module in model.modules())
    assert (model[1].momentum, model[5].momentum) == (0.3, 0.1)


def test_the_menu_and_its_options() -> None:
    assert {"l2", "random"} <= set(methods("prune"))
    options = {option.name: option for option in methods("prune")["l2"].options()}
    assert [options[name].default for name in ("ratio", "scope", "iterations", "round_to", "epochs")] == [
        0.5,
        "local",
        1,
        1,
        5,
    ]
    for method in methods("prune").values():
        for option in method.options():
            assert option.title.zh
            assert option.help.zh
            assert option.title.en != option.title.zh


@pytest.mark.parametrize(
    ("name", "value"), [("ratio", 0.96), ("ratio", -0.1), ("iterations", 11), ("round_to", 33), ("scope", "both")]
)
def test_options_out_of_bounds_are_refused(name: str, value: float | str) -> None:
    with pytest.raises(UserError, match=name):
        build("prune", "l2", **{name: value})


def test_the_methods_differ_only_in_what_they_find_important() -> None:
    images = torch.randn(2, 3, 8, 8)
    widths = {}
    kept: dict[str, Tensor] = {}
    for name in ("l2", "random"):
        method = build("prune", name, ratio=0.25)
        assert isinstance(method, ChannelPrune)
        cut: Any = prune_channels(net().eval(), images, method.ratio, method.importance(3))
        widths[name] = [p.shape for p in cut.parameters()]
        kept[name] = cut[0].weight
    assert widths["l2"] == widths["random"]
    assert not torch.equal(kept["l2"], kept["random"])
