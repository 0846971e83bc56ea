"""What can be known to be impossible is refused before a step begins, whoever asks; both fields are named."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from core import cli
from core.catalog import load_catalog
from core.commands.program import WRONG_INPUT
from core.engine import build
from core.engine.backbones import backbones, load_backbone, skeleton
from core.engine.backbones.features import observe
from core.engine.backbones.heads import head_layer
from core.engine.data import import_images
from core.engine.method import methods
from core.engine.model import Model
from core.engine.pipeline.dry_run import dry_run
from core.engine.pipeline.run import run_recipe
from core.engine.prune.channels import ChannelPrune
from core.engine.transfer.adaptation import statistics_layers
from core.errors import UserError, UserErrors
from core.recipe import parse_recipe
from core.rules.networks import size_faults
from core.runs import Run
from core.workspace import Workspace
from tests.core.engine.conftest import MakeContext, Reported

HEAD = 'dataset = "{dataset}"\nbackbone = "{backbone}"\nimage_size = {size}\n{more}'
TUNED = 'stage = "transfer"\nmethod = "fine_tune"\nepochs = 1'
STUDENT = 'stage = "distill"\nmethod = "kd"\nstudent = "resnet8"\nwidth = 4\nepochs = 1'
EIGHT_BITS = 'stage = "quantize"\nmethod = "static"'


def recipe(*steps: str, more: str = "", dataset: str = "digits", backbone: str = "resnet8", size: int = 8) -> str:
    head = HEAD.format(dataset=dataset, backbone=backbone, size=size, more=more)
    return "\n".join([head, *(f"[[steps]]\n{step}\n" for step in steps)])


def step(stage: str, method: str, **options: object) -> str:
    told = (f"{name} = {json.dumps(value)}" for name, value in options.items())
    return "\n".join([f'stage = "{stage}"', f'method = "{method}"', *told])


def cut(method: str = "l2", **options: object) -> str:
    return step("prune", method, epochs=0, **options)


# name: (the recipe, the code, the field, what must be named beside it)
KNOWN_FROM_THE_RECIPE = {
    "adaptation without target": (recipe(step("transfer", "coral")), "no_target", "steps.0.method", "target ="),
    "alignment without target": (
        recipe(step("transfer", "transform", kind="subspace_alignment")),
        "no_target",
        "steps.0.kind",
        "target =",
    ),
    "nothing in common": (
        recipe(step("transfer", "coral"), more='target = "fashion-mini"'),
        "nothing_in_common",
        "target",
        "dataset =",
    ),
    "mixup with guessed labels": (
        recipe(step("transfer", "pseudo_labels", mixup=0.2), more="labels = 100"),
        "conflicting_options",
        "steps.0.mixup",
        "confidence",
    ),
    "too many shots by the counts": (recipe(TUNED, more="shots = 900"), "more_shots_than_images", "shots", "digits"),
    **{
        f"{method} with a student of vectors": (
            recipe(TUNED, step("distill", method, student="mlp")),
            "no_features",
            "steps.1.student",
            f"method = {method}",
        )
        for method in ("fitnet", "attention", "similarity", "vid")
    },
    "maps of a teacher of vectors": (
        recipe(TUNED, step("distill", "attention"), backbone="mlp"),
        "no_features",
        "backbone",
        "steps.1.method",
    ),
    "a size that cuts no whole patches": (
        recipe(TUNED, backbone="vit_b_32", size=100),
        "wrong_image_size",
        "image_size",
        "multiple of 32",
    ),
    "a size below a student's smallest": (
        recipe(TUNED, step("distill", "kd", student="vit_b_32"), size=16),
        "out_of_range",
        "image_size",
        "vit_b_32",
    ),
    "a student's own size below its smallest": (
        recipe(TUNED, step("distill", "kd", student="vit_b_32", student_size=16)),
        "out_of_range",
        "steps.1.student_size",
        "nearest allowed value is 32",
    ),
    "a student's own size that cuts no whole patches": (
        recipe(TUNED, step("distill", "kd", student="vit_b_16", student_size=50)),
        "wrong_image_size",
        "steps.1.student_size",
        "value is 48",
    ),
    "an assistant that cuts no whole patches": (
        recipe(TUNED, step("distill", "assistant", assistant="maxvit_t", student="resnet8"), size=100),
        "out_of_range",
        "image_size",
        "maxvit_t",
    ),
    "a fused backbone that cuts no whole patches": (
        recipe(step("transfer", "fusion", with_backbones="vit_b_16"), size=100),
        "wrong_image_size",
        "image_size",
        "16",
    ),
    "adaptation of statistics that a network does not have": (
        recipe(step("transfer", "tent"), more='target = "glyphs"', backbone="convnext_tiny", size=64),
        "no_batch_norm",
        "steps.0.method",
        "set backbone to",
    ),
    "scales of norms that a student does not have": (
        recipe(TUNED, step("distill", "kd", student="mlp"), cut("bn_scale")),
        "no_batch_norm",
        "steps.2.method",
        "set steps.1.student to",
    ),
    "a linear head on a network without": (
        recipe(step("transfer", "linear_probe"), backbone="squeezenet1_0", size=64),
        "no_linear_head",
        "steps.0.method",
        "squeezenet1_0",
    ),
    "a linear head on fused networks without": (
        recipe(step("transfer", "fusion", with_backbones="squeezenet1_1"), size=64),
        "no_linear_head",
        "steps.0.with_backbones",
        "squeezenet1_1",
    ),
    "adaptation before anything was learned": (
        recipe(step("transfer", "adabn", epochs=0), more='target = "glyphs"'),
        "nothing_trained",
        "steps.0.epochs",
        "1",
    ),
    "a class that the data do not have": (
        recipe(TUNED, step("distill", "kd", omit="eleven")),
        "unknown_class",
        "steps.1.omit",
        "digits",
    ),
    "maps of a student that now teaches": (
        recipe(TUNED, step("distill", "kd", student="mlp"), step("distill", "fitnet")),
        "no_features",
        "steps.1.student",
        "steps.2.method",
    ),
}

SHOWN_BY_THE_NETWORK = {
    "a ratio that empties a layer": (
        recipe(TUNED, cut(ratio=0.95)),
        "ratio_leaves_no_channel",
        "steps.1.ratio",
        "0.937",
    ),
    "a ratio that empties a student's layer": (
        recipe(TUNED, STUDENT, cut(ratio=0.9), EIGHT_BITS),
        "ratio_leaves_no_channel",
        "steps.2.ratio",
        "0.75",
    ),
    "a ratio after another cut": (
        recipe(TUNED, cut(ratio=0.75), cut("l1", ratio=0.8)),
        "ratio_leaves_no_channel",
        "steps.2.ratio",
        "0.75",
    ),
    "a ratio of one layer that empties it": (
        recipe(TUNED, cut(ratio=0.1, layer_ratios="stem.0=0.99")),
        "ratio_leaves_no_channel",
        "steps.1.layer_ratios",
        "0.937",
    ),
    "a ratio of no layer": (
        recipe(TUNED, cut(layer_ratios="stum.0=0.5")),
        "unknown_layer",
        "steps.1.layer_ratios",
        "stem.0",
    ),
    "no layer to leave whole": (recipe(TUNED, cut(ignored="haed")), "unknown_module", "steps.1.ignored", "head"),
    "single weights of no layer": (
        recipe(TUNED, cut("magnitude", layer_ratios="haed=0.5")),
        "unknown_layer",
        "steps.1.layer_ratios",
        "head",
    ),
    "a bound that no cut meets": (
        recipe(TUNED, cut(target="parameters", limit=10)),
        "unreachable_target",
        "steps.1.limit",
        "at least",
    ),
    "a ratio that empties a layer, to be rounded by measurement": (
        recipe(TUNED, cut(ratio=0.95, round_to=0)),
        "ratio_leaves_no_channel",
        "steps.1.ratio",
        "0.937",
    ),
    "no layer to leave whole while a latency is sought": (
        recipe(TUNED, cut(target="latency", limit=1, ignored="haed")),
        "unknown_module",
        "steps.1.ignored",
        "head",
    ),
    "more blocks than there are": (
        recipe(TUNED, cut("blocks", removed=9)),
        "too_many_blocks",
        "steps.1.removed",
        "at most",
    ),
    "a byte budget below what is reachable": (
        recipe(TUNED, step("quantize", "mixed", budget=100)),
        "budget_unreachable",
        "steps.1.budget",
        "at least 19340 bytes",  # of 77,360 weights, two bits each
    ),
    "a byte budget below what is reachable after a cut": (
        recipe(TUNED, cut(ratio=0.5), step("quantize", "mixed", budget=100)),
        "budget_unreachable",
        "steps.2.budget",
        "at least",
    ),
    "more directions than there are": (
        recipe(step("transfer", "transform", components=999)),
        "out_of_range",
        "steps.0.components",
        "0 to 64",
    ),
    "more shots than the smallest class has": (recipe(TUNED, more="shots = 118"), "out_of_range", "shots", "dataset"),
}


def refused(text: str, tmp_path: Path) -> tuple[UserError, Run]:
    """What the run reports, the run being made as `condenser run`, `submit` and the page make it."""
    run = Workspace.open_or_create(tmp_path / "w").create_run(text)
    with pytest.raises((UserError, UserErrors)) as caught:
        run_recipe(run, os.getpid())
    error = caught.value.errors[0] if isinstance(caught.value, UserErrors) else caught.value
    assert isinstance(error, UserError)
    return error, run


@pytest.mark.parametrize("name", KNOWN_FROM_THE_RECIPE)
def test_check_refuses_what_the_recipe_alone_shows(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, code, field, beside = KNOWN_FROM_THE_RECIPE[name]
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    for command in ("check", "run", "submit"):
        with pytest.raises(SystemExit) as ended:
            cli.main([command, str(path), "--json", "--workspace", str(tmp_path / "w")])
        assert ended.value.code == WRONG_INPUT
        told = json.loads(capsys.readouterr().out)
        (error,) = [e for e in told["errors"] if e["code"] == code]
        assert error["field"] == field
        assert beside in f"{error['given']} {error['allowed']} {error['fix']}"
    assert not Workspace.open_or_create(tmp_path / "w").runs(), "nothing was begun"


@pytest.mark.parametrize("name", SHOWN_BY_THE_NETWORK)
def test_a_run_is_refused_before_its_first_step(name: str, tmp_path: Path) -> None:
    text, code, field, beside = SHOWN_BY_THE_NETWORK[name]
    error, run = refused(text, tmp_path)
    assert (error.code, error.field) == (code, field)
    assert beside in f"{error.given} {error.allowed} {error.fix}"
    assert not run.state().steps, "no step has begun"
    assert not list(run.checkpoints.iterdir())
    assert not run.artifacts.exists() or not list(run.artifacts.iterdir())


def test_classes_of_a_persons_own_that_have_nothing_in_common(tmp_path: Path) -> None:
    for name in ("ears", "noses"):
        folder = tmp_path / "mine" / name
        folder.mkdir(parents=True)
        for shade in range(12):
            Image.new("L", (8, 8), 20 * shade + (name == "ears")).save(folder / f"{shade}.png")
    import_images(tmp_path / "mine", "mine", Workspace.open_or_create(tmp_path / "w").datasets)
    error, run = refused(recipe(step("transfer", "coral"), more='target = "mine"'), tmp_path)
    assert (error.code, error.field) == ("nothing_in_common", "target")
    assert "dataset = digits" in error.allowed
    assert not run.state().steps


def test_a_teacher_and_a_student_of_different_classes(
    make_context: MakeContext, make_model: Callable[..., Model], reports: list[Reported]
) -> None:
    """No recipe leads there, for both learn its dataset; who calls the engine is refused."""
    teacher = make_model()
    other = Model(teacher.net, teacher.backbone, tuple("abcdefghij"), teacher.preprocessing, teacher.width)
    for name in ("kd", "fitnet", "assistant"):
        with pytest.raises(UserError, match="classes of the teacher") as caught:
            build("distill", name, student="resnet8", width=4, epochs=1).apply(other, make_context())
        assert (caught.value.code, caught.value.field) == ("different_classes", "student")
    assert not reports


def test_what_is_only_about_right_is_not_refused_early(make_context: MakeContext) -> None:
    """After a global cut nobody knows the widths: the step itself looks at them."""
    context = make_context(image_size=8)
    first, second = (build("prune", "l2", **options) for options in ({"scope": "global"}, {"ratio": 0.95}))
    dry_run("resnet8", [build("transfer", "fine_tune"), first, second], context)
    with pytest.raises(UserError, match=r"steps\.1\.ratio"):
        dry_run("resnet8", [build("transfer", "fine_tune"), second], context)


def test_nothing_is_built_where_no_step_looks_at_a_network(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object) -> None:
        raise AssertionError("a network was built")

    monkeypatch.setattr("core.engine.pipeline.dry_run.untrained", fail)
    chain = [build("transfer", "linear_probe"), build("quantize", "static"), build("export", "onnx")]
    dry_run("efficientnet_lite0", chain, make_context())
    with pytest.raises(AssertionError, match="built"):
        dry_run("resnet8", [*chain[:1], build("prune", "l2")], make_context())


def test_a_search_is_not_made_twice(make_context: MakeContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """One cut shows whether a bound can be met; finding where takes a run."""
    cuts: list[float] = []
    plain = ChannelPrune.cut

    def counted(self: ChannelPrune, *given: object, **more: object) -> object:
        cuts.append(given[1].ratio)  # type: ignore[attr-defined]
        return plain(self, *given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(ChannelPrune, "cut", counted)
    searched = build("prune", "l2", target="macs", limit=200_000.0)
    dry_run("resnet8", [build("transfer", "fine_tune"), searched, build("prune", "l1", ratio=0.9)], make_context())
    assert len(cuts) == 1


def test_the_catalog_knows_which_networks_and_methods_have_to_do_with_maps() -> None:
    """A method of distillation needs maps exactly where two networks without any make it fail for the lack of them."""
    net = load_backbone("mlp", 10, "none", 8, channels=1)
    flat = observe(net, torch.rand(4, 1, 8, 8))
    for name, kind in methods("distill").items():
        method = kind()
        try:
            method.soft_loss(flat, flat, None)  # type: ignore[attr-defined]
            needs = False
        except UserError as error:
            needs = error.code == "no_features"
        assert kind.needs_maps == needs == load_catalog().method("distill", name).needs_maps, name
    for name, backbone in backbones().items():
        if backbone.family == "small":
            channels = 1 if backbone.channels == 1 else 3
            found = observe(load_backbone(name, 10, "none", 28, channels=channels), torch.rand(2, channels, 28, 28))
            assert bool(found.features) == backbone.maps == load_catalog().backbone(name).get("maps", True), name


OF_EACH_FAMILY = (
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "efficientnet_lite0",
    "mlp",
    "mobilenet_v2",
    "regnet_x_400mf",
    "resnet8",
    "resnet18",
    "shufflenet_v2_x0_5",
    "squeezenet1_0",
    "swin_t",
    "vgg11",
    "vgg11_bn",
    "vit_b_32",
)


def agrees_with_the_catalog(name: str) -> None:
    facts, info = load_catalog().backbone(name), backbones()[name]
    size = info.image_size if facts.get("multiple", 1) == 1 else max(facts["multiple"], facts["smallest"])
    net = skeleton(name, classes=10, image_size=size)
    norms = [m for m in net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.affine]
    assert facts.get("norms", True) == bool(norms) == bool(statistics_layers(net)), name
    assert facts.get("linear_head", True) == isinstance(head_layer(net), nn.Linear), name
    if facts.get("multiple", 1) > 1:
        with pytest.raises(UserError, match="multiple of"):
            skeleton(name, classes=10, image_size=size + 1 if size + 1 > facts["smallest"] else size + 3)


@pytest.mark.parametrize("name", OF_EACH_FAMILY)
def test_the_catalog_knows_what_a_network_has(name: str) -> None:
    agrees_with_the_catalog(name)


@pytest.mark.slow
def test_the_catalog_knows_what_every_network_has() -> None:
    for name in backbones():
        agrees_with_the_catalog(name)


def test_every_networks_own_size_is_one_it_bears() -> None:
    for name, facts in load_catalog().backbones.items():
        assert not list(size_faults(facts["image_size"], facts, name)), name


def test_all_that_is_wrong_is_told_at_once() -> None:
    text = recipe(TUNED, step("distill", "fitnet", student="mlp"), step("distill", "vid", student="mlp"))
    with pytest.raises(UserErrors) as caught:
        parse_recipe(text)
    assert [error.field for error in caught.value.errors] == ["steps.1.student", "steps.2.student", "steps.1.student"]
