"""Single weights become zero, the right ones, and stay zero while the rest recovers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from core.engine.measure.size import compressed_bytes
from core.engine.method import build
from core.engine.model import Model
from core.engine.prune.magnitude import Magnitude
from core.engine.prune.masks import kernels
from core.engine.prune.n_m import NM
from core.engine.training.loop import Examples, fit
from core.errors import UserError
from tests.core.engine.conftest import MakeContext
from tests.core.engine.training.test_loop import SHORT, cross_entropy

MakeModel = Callable[..., Model]


def sparse(model: Model) -> dict[str, float]:
    """The share of zeros of each layer."""
    return {name: float((weight == 0).float().mean()) for name, weight in kernels(model.net).items()}


def total(model: Model) -> float:
    weights = list(kernels(model.net).values())
    return sum(int((w == 0).sum()) for w in weights) / sum(w.numel() for w in weights)


def test_the_smallest_weights_of_all_layers_go(make_model: MakeModel, make_context: MakeContext) -> None:
    model = make_model()
    values = sorted(abs(float(x)) for weight in kernels(model.net).values() for x in weight.detach().flatten())
    bound = values[int(len(values) * 0.6)]
    made = build("prune", "magnitude", ratio=0.6, iterations=1, epochs=0).apply(model, make_context())
    for name, weight in kernels(made.net).items():
        old = model.net.get_parameter(name)
        assert torch.equal(weight, torch.where(old.abs() >= bound, old, 0.0)), name


def test_locally_every_layer_loses_its_share(make_model: MakeModel, make_context: MakeContext) -> None:
    options: dict[str, Any] = {"ratio": 0.5, "scope": "local", "iterations": 1, "epochs": 0}
    made = build("prune", "magnitude", **options, ignored="head", layer_ratios="stage3=0.75").apply(
        make_model(), make_context()
    )
    for name, share in sparse(made).items():
        assert share == pytest.approx(0 if "head" in name else 0.75 if "stage3" in name else 0.5, abs=0.01), name


@pytest.mark.parametrize("scope", ["local", "global"])
def test_the_schedule_is_cubic(scope: str, make_model: MakeModel, make_context: MakeContext) -> None:
    method = build("prune", "magnitude", ratio=0.8, scope=scope, iterations=4)
    assert isinstance(method, Magnitude)
    shares = [total(make_model().with_net(net)) for net in method.cuts(make_model(), make_context())]
    assert shares == pytest.approx([0.8 * (1 - (1 - k / 4) ** 3) for k in (1, 2, 3, 4)], abs=2e-3)


@pytest.mark.parametrize(("name", "options"), [("magnitude", {"ratio": 0.9, "iterations": 2}), ("n_m", {})])
@pytest.mark.parametrize("recovery", ["labels", "teacher"])
def test_zeros_stay_zero_while_the_rest_learns(
    name: str, options: dict[str, Any], recovery: str, make_model: MakeModel, make_context: MakeContext
) -> None:
    context = make_context()  # a teacher that knows something: what a random one teaches is no gain, and is not kept
    whole = replace(context, folder=context.folder / "whole")
    model = fit(make_model(), Examples.of(context.labelled), cross_entropy, SHORT, whole)
    method = build("prune", name, epochs=2, recovery=recovery, augment="none", **options)
    made = method.apply(model, context)
    if name == "magnitude":
        assert total(made) == pytest.approx(0.9, abs=1e-3)
    else:
        assert_runs(made, 2, 4)
    changed = [bool(((w != 0) & (w != model.net.get_parameter(n))).any()) for n, w in kernels(made.net).items()]
    assert all(changed)
    assert not made.net._forward_pre_hooks


def assert_runs(model: Model, n: int, m: int) -> None:
    """By loops: of m neighbouring input channels at each place of each filter, at most n are not zero."""
    divided = 0
    for weight in kernels(model.net).values():
        if weight.shape[1] % m:
            continue
        divided += 1
        for row in weight.detach().transpose(1, -1).reshape(-1, weight.shape[1]):
            for start in range(0, len(row), m):
                assert int((row[start : start + m] != 0).sum()) <= n
    assert divided > 5


@pytest.mark.parametrize(("n", "m"), [(2, 4), (1, 8)])
def test_in_every_run_the_largest_stay(n: int, m: int, make_model: MakeModel, make_context: MakeContext) -> None:
    model = make_model()
    made = build("prune", "n_m", n=n, m=m, epochs=0).apply(model, make_context())
    assert_runs(made, n, m)
    old, new = (net.stage2[0].conv1.weight.detach() for net in (model.net, made.net))  # type: ignore[index, union-attr]
    for o in range(4):
        for place in ((0, 0), (2, 1)):
            row, kept = old[o, :, place[0], place[1]], new[o, :, place[0], place[1]]
            for start in range(0, len(row), m):
                best = set(row[start : start + m].abs().topk(n).indices.tolist())
                assert set(kept[start : start + m].nonzero().flatten().tolist()) == best


def test_layers_that_do_not_divide_stay_whole(make_model: MakeModel, make_context: MakeContext) -> None:
    made = build("prune", "n_m", epochs=0).apply(make_model(), make_context())
    assert sparse(made)["stem.0.weight"] == 0  # one input channel
    assert sparse(made)["stage1.0.conv1.weight"] == 0.5


def test_ratio_zero_changes_no_output(make_model: MakeModel, make_context: MakeContext) -> None:
    model, images = make_model(), torch.randn(2, 1, 8, 8)
    method = build("prune", "magnitude", ratio=0.0)
    assert isinstance(method, Magnitude)
    *_, net = method.cuts(model, make_context())
    assert torch.equal(net.eval()(images), model.net.eval()(images))


@pytest.mark.thorough
def test_zeros_shrink_the_compressed_file_alone(
    make_model: MakeModel, make_context: MakeContext, tmp_path: Any
) -> None:
    model = make_model(width=16)
    made = build("prune", "magnitude", ratio=0.9, epochs=0).apply(model, make_context())
    sizes = []
    for number, one in enumerate((model, made)):
        path = tmp_path / f"{number}.onnx"
        build("prune", "magnitude").save(one, path, make_context())
        sizes.append((path.stat().st_size, compressed_bytes(path)))
    assert sizes[1][0] == pytest.approx(sizes[0][0], rel=0.01)
    assert sizes[1][1] < 0.4 * sizes[0][1]


@pytest.mark.parametrize("name", ["magnitude", "n_m"])
def test_the_twin_loses_as_many_weights_of_every_layer_at_random(
    name: str, make_model: MakeModel, make_context: MakeContext
) -> None:
    model, context = make_model(), make_context()
    method = build("prune", name, epochs=0, twin=True, scratch=1, augment="none")
    made, controls = method.apply(model, context), method.controls(model, context)
    assert list(controls) == ["random_pruning", "from_scratch"]
    twin, scratch = (make() for make in controls.values())
    assert sparse(twin) == pytest.approx(sparse(made), abs=1e-6)
    assert sparse(scratch) == pytest.approx(sparse(made), abs=1e-6)
    zeros, random = (kernels(one.net)["stage3.0.conv2.weight"] == 0 for one in (made, twin))
    assert not torch.equal(zeros, random)
    assert torch.equal(zeros, kernels(scratch.net)["stage3.0.conv2.weight"] == 0)
    if name == "n_m":
        assert_runs(twin, 2, 4)


@pytest.mark.parametrize(
    ("name", "options", "field", "word"),
    [
        ("magnitude", {"layer_ratios": "stag=0.5"}, "layer_ratios", "stage1"),
        ("magnitude", {"ignored": "hed"}, "ignored", "head"),
        ("n_m", {"m": 7}, "m", "a divisor of"),
        ("n_m", {"n": 4, "m": 4}, "n", "fewer than"),
    ],
)
def test_wrong_options_are_named(
    name: str, options: dict[str, Any], field: str, word: str, make_model: MakeModel, make_context: MakeContext
) -> None:
    with pytest.raises(UserError, match=word) as caught:
        build("prune", name, epochs=0, **options).apply(make_model(), make_context())
    assert caught.value.field == field


def test_a_share_that_leaves_a_layer_without_weights_names_the_largest() -> None:
    weights: dict[str, Tensor] = {"head.weight": torch.randn(2, 5), "body.weight": torch.randn(20, 20)}
    method = build("prune", "magnitude", ratio=0.95, scope="local")
    assert isinstance(method, Magnitude)
    with pytest.raises(UserError, match=r"at most 0\.9 .*head"):
        method.refuse(nn.Identity(), weights)
    assert NM.leaves_zeros
