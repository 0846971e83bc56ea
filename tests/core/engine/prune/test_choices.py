"""What a cut can be told: ratios of single layers, layers left whole, bounds to meet, a multiple found by timing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from core.engine.backbones import load_backbone
from core.engine.export.graph import write_graph
from core.engine.measure.complexity import complexity
from core.engine.measure.latency import Timing
from core.engine.method import build
from core.engine.model import Model
from core.engine.prune import ratio_search
from core.engine.prune.channels import ChannelPrune
from core.engine.prune.structured import prune_channels
from core.engine.questions.preview import preview
from core.errors import UserError, UserErrors
from core.recipe import parse_recipe
from core.rules.layer_patterns import matches, read_ratios
from tests.core.engine.conftest import MakeContext

IMAGES = torch.zeros(2, 1, 8, 8)
SMALLER = {"parameters": 9000.0, "macs": 120_000.0, "bytes": 70_000.0}
MakeModel = Callable[..., Model]


@pytest.fixture(autouse=True)
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ratio_search, "STEPS", 4)
    monkeypatch.setattr(ratio_search, "MULTIPLES", (1, 8))


def cut(model: Model, context: Any, **options: Any) -> Any:
    return build("prune", "l2", epochs=0, **options).apply(model, context).net


def test_texts_of_ratios() -> None:
    assert read_ratios(" stage1.*=0.25, head = 0 ,") == {"stage1.*": 0.25, "head": 0.0}
    assert read_ratios("") == {}
    for text in ("stage1", "stage1=1", "=0.5", "a=x", "a=nan", "a=.5,a=.6", "a=-0.1"):
        with pytest.raises(UserError) as caught:
            read_ratios(text)
        assert caught.value.code == "bad_layer_ratio"
    assert matches("stage1", "stage1.0.conv1")
    assert matches("stage*.conv1", "stage1.0.conv1")
    assert not matches("conv1", "stage1.0.conv1")


def test_single_layers_have_ratios_of_their_own(make_model: MakeModel, make_context: MakeContext) -> None:
    net = cut(make_model(), make_context(), ratio=0.5, layer_ratios="stage2.0.conv1=0.25, stage3.0.conv1 = 0")
    widths = [net.stage1[0].conv1.out_channels, net.stage2[0].conv1.out_channels, net.stage3[0].conv1.out_channels]
    assert widths == [4, 12, 32]


def test_layers_of_their_own_take_no_part_in_a_global_ranking() -> None:
    torch.manual_seed(0)
    net: Any = nn.Sequential(
        nn.Conv2d(1, 8, 1),
        nn.Conv2d(8, 8, 1),
        nn.Conv2d(8, 8, 1),
        nn.Conv2d(8, 3, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
    with torch.no_grad():
        net[0].weight.mul_(1e-3)
        net[1].weight.mul_(1e-3)  # the least important anywhere, but it has its own ratio
    thinned: Any = prune_channels(net, IMAGES, 0.25, "l1", scope="global", layer_ratios={"0": 0.0})
    assert thinned[0].out_channels == 8
    assert thinned[1].out_channels + thinned[2].out_channels == 12


def test_layers_left_whole(make_model: MakeModel, make_context: MakeContext) -> None:
    net = cut(make_model(), make_context(), ratio=0.5, ignored="stage1, stage*.conv1")
    assert net.stage1[0].conv1.out_channels == net.stem[0].out_channels == 8  # they share their channels
    assert (net.stage2[0].conv1.out_channels, net.stage2[0].conv2.out_channels) == (16, 8)


@pytest.mark.parametrize(
    ("options", "field", "word"),
    [
        ({"ignored": "stag1"}, "ignored", "stage1"),
        ({"layer_ratios": "stag1.0.conv1=0.5"}, "layer_ratios", "stage1.0.conv1"),
        ({"layer_ratios": "head=0.5"}, "layer_ratios", "prunable layers"),
        ({"layer_ratios": "stage1.0.conv1=0.9"}, "layer_ratios", "at most 0.875"),
        ({"ratio": 0.9}, "ratio", "at most 0.875"),
    ],
)
def test_what_the_network_does_not_have_is_named(
    options: dict[str, Any], field: str, word: str, make_model: MakeModel, make_context: MakeContext
) -> None:
    with pytest.raises(UserError, match=word) as caught:
        cut(make_model(), make_context(), **options)
    assert caught.value.field == field


# bounds


def sized(kind: str, model: Model, folder: Path) -> float:
    if kind == "bytes":
        write_graph(model, folder / "sized.onnx")
        return (folder / "sized.onnx").stat().st_size
    found = complexity(model.net, (1, 8, 8))
    return found.params if kind == "parameters" else found.macs


@pytest.mark.parametrize("kind", ["parameters", "macs", pytest.param("bytes", marks=pytest.mark.slow)])
def test_the_smallest_ratio_that_meets_a_bound_is_found(
    kind: str, make_model: MakeModel, make_context: MakeContext, tmp_path: Path
) -> None:
    model, context, limit = make_model(), make_context(), SMALLER[kind]
    made = build("prune", "l2", epochs=0, target=kind, limit=limit).apply(model, context)
    ratio = json.loads((context.folder / "choice.json").read_text())["ratio"]
    assert sized(kind, made, tmp_path) <= limit
    less = model.with_net(prune_channels(model.net, IMAGES, ratio - 0.875 / ratio_search.STEPS))
    assert sized(kind, less, tmp_path) > limit


def test_a_bound_that_no_cut_meets_names_the_smallest_there_is(
    make_model: MakeModel, make_context: MakeContext
) -> None:
    model = make_model()
    smallest = complexity(prune_channels(model.net, IMAGES, 0.875), (1, 8, 8)).params
    with pytest.raises(UserError, match=f"at least {smallest:,}") as caught:
        cut(model, make_context(), target="parameters", limit=smallest - 1)
    assert (caught.value.code, caught.value.field) == ("unreachable_target", "limit")
    assert complexity(cut(model, make_context(), target="parameters", limit=smallest), (1, 8, 8)).params == smallest


def test_a_bound_already_met_cuts_nothing(make_model: MakeModel, make_context: MakeContext) -> None:
    model = make_model()
    made = cut(model, make_context(), target="macs", limit=1e9)
    assert torch.equal(made.head.weight, model.net.get_parameter("head.weight"))


def test_latency_is_searched_with_the_clock_and_only_once(
    make_model: MakeModel, make_context: MakeContext, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The clock here counts bytes: a millisecond for 1,000."""
    asked: list[Path] = []

    def write(model: Model, path: Path) -> None:
        path.write_bytes(bytes(4 * complexity(model.net, (1, 8, 8)).params))

    def clock(files: dict[str, Path], context: Any) -> dict[str, float]:
        asked.extend(files.values())
        return {name: path.stat().st_size / 1000 for name, path in files.items()}

    monkeypatch.setattr(ratio_search, "write_graph", write)
    monkeypatch.setattr(ratio_search, "milliseconds", clock)
    made = cut(make_model(), make_context(), target="latency", limit=40.0)
    timed = len(asked)
    assert 0 < timed <= 6
    again = cut(make_model(), make_context(), target="latency", limit=40.0)  # resumed in the same folder
    assert len(asked) == timed
    assert torch.equal(made.head.weight, again.head.weight)
    elsewhere = make_context(folder=tmp_path / "another run")  # the same recipe once more
    method = build("prune", "l2", epochs=0, target="latency", limit=40.0)
    model = method.apply(make_model(), elsewhere)
    assert len(asked) == timed
    assert torch.equal(made.head.weight, model.net.get_parameter("head.weight"))
    ratio = json.loads((elsewhere.folder / "choice.json").read_text())["ratio"]
    assert model.decided == {"ratio": f"{ratio:.6g}"}
    method.apply(make_model(seed=1), make_context(folder=tmp_path / "other weights"))
    assert len(asked) > timed


@pytest.mark.parametrize(("fastest", "widths"), [(8, 8), (1, 6)])
def test_the_multiple_is_found_by_timing(
    fastest: int, widths: int, make_model: MakeModel, make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def clock(files: dict[str, Path], context: Any) -> dict[str, float]:
        return {name: 1.0 if int(name) == fastest else 1.02 if name == "1" else 2.0 for name in files}

    monkeypatch.setattr(ratio_search, "write_graph", lambda model, path: None)
    monkeypatch.setattr(ratio_search, "milliseconds", clock)
    monkeypatch.setattr(ratio_search, "WORTH", 0.99)
    net = cut(make_model(), make_context(), ratio=0.25, round_to=0)
    assert net.stage1[0].conv1.out_channels == widths


@pytest.mark.thorough
@pytest.mark.parametrize("busy", [True, False])
def test_a_choice_made_on_a_busy_machine_says_so_each_time(
    busy: bool, make_model: MakeModel, make_context: MakeContext, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Once a step, however often it was timed, and again where the kept choice is taken up."""
    counted = Timing((40.0,) * 20, wall=2.0 if busy else 1.0, processor=1.0, threads=1)
    monkeypatch.setattr(ratio_search, "time_files", lambda files, *_, **__: dict.fromkeys(files, counted))
    monkeypatch.setattr(ratio_search, "write_graph", lambda model, path: path.touch())
    told: list[str] = []
    for folder in ("first", "second"):
        context = replace(make_context(folder=tmp_path / folder), warn=lambda code, _: told.append(code))
        build("prune", "l2", epochs=0, target="latency", limit=100.0).apply(make_model(), context)
    assert told == [ratio_search.BUSY] * 2 * busy


@pytest.mark.thorough
def test_real_clocks_answer(make_model: MakeModel, make_context: MakeContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ratio_search, "SECONDS", 0.05)
    with pytest.raises(UserError, match="at least"):
        cut(make_model(), make_context(), target="latency", limit=1e-6)


# what is told before anything runs

RECIPE = """
dataset = "digits"
backbone = "resnet8"
image_size = 8
[[steps]]
stage = "transfer"
method = "fine_tune"
[[steps]]
stage = "prune"
method = "{method}"
{options}
"""


@pytest.mark.parametrize(
    ("method", "options", "code", "field"),
    [
        ("l1", 'layer_ratios = "stage1=1.5"', "bad_layer_ratio", "layer_ratios"),
        ("l1", 'target = "bytes"', "conflicting_options", "limit"),
        ("l1", "limit = 1000.0", "conflicting_options", "limit"),
        ("l1", 'target = "bytes"\nlimit = 9e4\nround_to = 0', "conflicting_options", "round_to"),
        ("l1", 'target = "bytes"\nlimit = 9e4\nscope = "global"\niterations = 2', "conflicting_options", "iterations"),
        ("n_m", "n = 4", "conflicting_options", "n"),
        ("magnitude", 'layer_ratios = "head"', "bad_layer_ratio", "layer_ratios"),
        ("blocks", "removed = 0", "out_of_range", "removed"),
    ],
)
def test_recipes_that_contradict_themselves_are_refused(method: str, options: str, code: str, field: str) -> None:
    with pytest.raises(UserErrors) as caught:
        parse_recipe(RECIPE.format(method=method, options=options))
    assert [(e.code, e.field) for e in caught.value.errors] == [(code, f"steps.1.{field}")]


def test_a_preview_knows_counted_bounds_exactly_and_says_where_a_clock_decides(
    make_model: MakeModel, make_context: MakeContext, tmp_path: Path
) -> None:
    row = preview(RECIPE.format(method="taylor", options='target = "macs"\nlimit = 200000.0'), tmp_path).rows[1]
    assert row.exact
    assert row.macs <= 200_000
    row = preview(RECIPE.format(method="l1", options="round_to = 0"), tmp_path).rows[1]
    assert not row.exact
    assert "measurements" in row.why
    with pytest.raises(UserError, match="at least") as caught:
        preview(RECIPE.format(method="l1", options='target = "macs"\nlimit = 1.0'), tmp_path)
    assert caught.value.field == "steps.1.limit"


def test_every_importance_takes_the_same_options() -> None:
    every = {method: build("prune", method) for method in ("l1", "bn_scale", "taylor", "hessian", "fpgm", "lamp")}
    for method in every.values():
        assert isinstance(method, ChannelPrune)
        assert [option.name for option in method.options()][:8] == [
            "ratio",
            "scope",
            "iterations",
            "round_to",
            "ignored",
            "layer_ratios",
            "target",
            "limit",
        ]


def test_a_preview_counts_the_controls_that_are_asked_for(make_model: MakeModel, make_context: MakeContext) -> None:
    """Workload of controls: the twin's recovery again, and from scratch its own number of epochs."""
    model, context = make_model(), make_context()
    images = len(context.labelled)

    def trained(**options: Any) -> int:
        method = build("prune", "taylor", epochs=2, **options)
        works = method.control_workload(model, model, context)
        return sum(work.images for work in works if work.kind == "train")

    assert trained() == 0
    assert trained(twin=True) == 2 * images
    assert trained(scratch=7) == 7 * images
    assert trained(twin=True, scratch=7) == 9 * images
    own = build("prune", "taylor", epochs=2, images=64, iterations=2).workload(model, model, context)
    assert sum(work.images for work in own if work.kind == "train") == 2 * images + 2 * 64


@pytest.mark.parametrize(("method", "exact"), [("magnitude", True), ("n_m", True), ("blocks", False), ("lamp", True)])
def test_every_method_is_previewed(method: str, exact: bool, tmp_path: Path) -> None:
    row = preview(RECIPE.format(method=method, options="twin = true\nscratch = 1"), tmp_path).rows[1]
    assert row.exact == exact
    if method == "blocks":  # the last block that may go is the one of stage 1, the only one of a resnet8
        assert row.params == complexity(without_stage1(), (3, 8, 8)).params


def without_stage1() -> nn.Module:
    net: Any = load_backbone("resnet8", 10, "none", 8)
    net.stage1[0] = nn.Identity()
    return net  # type: ignore[no-any-return]
