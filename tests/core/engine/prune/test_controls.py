"""What stands beside a cut: the same shapes at random, and the same shapes that never were a large network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from core.engine.backbones import load_backbone
from core.engine.measure.latency import Timing
from core.engine.measure.receipt import Receipt, Subject
from core.engine.method import Saved, build
from core.engine.model import Model
from core.engine.prune import ratio_search
from core.engine.prune.reinitialize import reinitialize
from tests.core.engine.conftest import MakeContext, Reported

MakeModel = Callable[..., Model]


def shapes(model: Model) -> list[torch.Size]:
    return [tensor.shape for tensor in model.net.state_dict().values()]


def test_controls_are_made_when_asked_for() -> None:
    for name in ("l1", "taylor", "magnitude", "n_m", "blocks"):
        told = {option.name: option.default for option in type(build("prune", name)).options()}
        assert (told["twin"], told["scratch"]) == (False, 0)


@pytest.mark.parametrize(
    "options",
    [{"scope": "local"}, {"scope": "global"}, {"scope": "global", "iterations": 2}, {"layer_ratios": "stage1=0.25"}],
)
def test_controls_have_the_shapes_of_the_cut_but_not_its_choice(
    options: dict[str, Any], make_model: MakeModel, make_context: MakeContext
) -> None:
    model, context = make_model(), make_context()
    widths: dict[str, Any] = {"epochs": 0, "twin": True, "scratch": 1, "augment": "none", "recovery": "labels"}
    method = build("prune", "lamp", **widths, **options)
    made, controls = method.apply(model, context), method.controls(model, context)
    assert list(controls) == ["random_pruning", "from_scratch"]
    twin, scratch = (make() for make in controls.values())
    assert shapes(twin) == shapes(scratch) == shapes(made)
    weights = [model.net.get_parameter("stage3.0.conv2.weight") for model in (made, twin, scratch)]
    assert not torch.equal(weights[0], weights[1])
    kept = {float(x) for x in model.net.get_parameter("stage3.0.conv2.weight").detach().flatten()}
    assert {float(x) for x in weights[1].detach().flatten()} <= kept
    fresh = {float(x) for x in weights[2].detach().flatten()}
    assert len(fresh & kept) < 0.01 * len(fresh), "a few of thousands of float32 numbers are equal by chance"


def test_controls_keep_to_what_was_measured_for_the_cut(
    make_model: MakeModel, make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, context = make_model(), make_context()
    method = build(
        "prune",
        "l2",
        target="parameters",
        limit=30_000.0,
        epochs=0,
        twin=True,
        scratch=1,
        augment="none",
        recovery="labels",
    )
    made = method.apply(model, context)

    def refuse(*arguments: object) -> float:
        raise AssertionError("measured again")

    monkeypatch.setattr(ratio_search, "measure", refuse)
    assert all(shapes(make()) == shapes(made) for make in method.controls(model, context).values())


def test_progress_of_controls_is_told_apart(
    make_model: MakeModel, make_context: MakeContext, reports: list[Reported]
) -> None:
    method = build("prune", "l1", epochs=2, iterations=2, twin=True, scratch=1, augment="none", recovery="labels")
    for make in method.controls(make_model(), make_context()).values():
        make()
    told = {report[-1] for report in reports if report[0] == "training"}
    assert told == {"random-twin", "scratch"}


def test_weights_from_scratch_are_the_backbones_own_and_keep_their_scale(
    make_model: MakeModel, make_context: MakeContext
) -> None:
    model = make_model(width=32)
    thin = build("prune", "l2", epochs=0).apply(model, make_context())
    with torch.no_grad():
        for parameter in thin.net.parameters():
            parameter.fill_(7.0)
    fresh: Any = reinitialize(thin, False, make_context())
    again = reinitialize(thin, False, make_context())
    other = reinitialize(thin, False, make_context(place=(1, 0)))
    weight: Tensor = fresh.stage3[0].conv2.weight
    assert torch.equal(weight, again.get_parameter("stage3.0.conv2.weight"))
    assert not torch.equal(weight, other.get_parameter("stage3.0.conv2.weight"))
    assert bool((fresh.stage3[0].bn2.weight == 1).all())
    whole = load_backbone("resnet8", 10, "none", 8, width=16, channels=1)  # this narrow from the beginning
    expected = whole.get_parameter("stage3.0.conv2.weight").std()
    torch.testing.assert_close(weight.std(), expected, rtol=0.1, atol=0)


@pytest.mark.thorough
def test_a_receipt_says_that_zeros_bring_no_time(
    make_model: MakeModel, make_context: MakeContext, tmp_path: Path
) -> None:
    model = make_model()
    made = build("prune", "magnitude", ratio=0.6, epochs=0, iterations=1).apply(model, make_context())
    subjects = []
    for number, one in enumerate((model, made)):
        path = tmp_path / f"{number}.onnx"
        saved = build("prune", "magnitude").save(one, path, make_context())
        timing = Timing((0.3 - 0.1 * number,) * 30, 1.0, 1.0, 1)  # faster by a third: this machine's mood
        subjects.append(Subject(path, 100, 100, timing))
    before, after = subjects
    told = Receipt(after, None, before, None, saved, (9, 10)).to_json()
    assert told["file"]["zeros"] == pytest.approx(0.6, abs=0.01)
    assert any("its zeros are not what made it faster (0.300 → 0.200 ms)" in reason for reason in told["no_gain"])
    assert not any("no gain in latency" in reason for reason in told["no_gain"])
    assert any("no gain in bytes" in reason for reason in told["no_gain"])
    plain = Receipt(before, None, after, None, Saved(), (9, 10)).to_json()
    assert plain["file"]["zeros"] < 0.01
    assert not any("zeros" in reason for reason in plain["no_gain"])
