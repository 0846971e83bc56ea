"""What this machine lacks for a recipe is said before it is run, in the engine's words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core import cli
from core.cluster.setting import set_cluster
from core.engine.context import choose_device
from core.engine.method import build
from core.errors import UserError, UserErrors
from core.hardware import machine
from core.processes import here
from core.recipe import Recipe, parse_recipe
from core.workspace import Workspace

RECIPE = """
name = "any"
dataset = "digits"
backbone = "resnet8"
{knobs}
[[steps]]
stage = "transfer"
method = "fine_tune"

[[steps]]
stage = "export"
method = "{export}"
"""


def text(knobs: str = "", export: str = "safetensors") -> str:
    return RECIPE.format(knobs=knobs, export=export)


def recipe(knobs: str = "", export: str = "safetensors") -> Recipe:
    return parse_recipe(text(knobs, export))


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with two cores and a processor alone."""
    monkeypatch.setattr(here, "devices", lambda: ("cpu",))
    monkeypatch.setattr(here, "gpus", lambda: 0)
    monkeypatch.setattr(here, "bfloat16_units", lambda: "")
    monkeypatch.setattr(here, "machine", lambda: machine.Machine("any", 2, 10**9, "", ()))
    for module in (here, machine):
        monkeypatch.setattr(module, "lacks", lambda package: True)
    monkeypatch.setattr("core.engine.method.lacks", lambda package: True)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)


@pytest.mark.usefixtures("bare")
def test_it_is_what_the_engine_says_at_the_start() -> None:
    device, package = here.refusals(recipe('device = "cuda"', "openvino"))
    with pytest.raises(UserError) as engine:
        choose_device("cuda")
    assert (
        str(engine.value)
        == str(device)
        == (
            "device: got cuda; allowed: a device of this machine: auto, cpu. Set device to auto, or install its driver."
        )
    )
    with pytest.raises(UserError) as engine:
        build("export", "openvino").check_machine()
    assert (engine.value.code, engine.value.given, engine.value.fix) == (package.code, package.given, package.fix)
    assert package.field == "steps.1.method"


@pytest.mark.usefixtures("bare")
def test_a_recipe_that_asks_for_nothing_special_is_not_remarked_on() -> None:
    for knobs in ("", 'device = "cpu"', "threads = 2", 'precision = "float32"'):
        assert not here.refusals(recipe(knobs))
        assert not here.remarks(recipe(knobs))


@pytest.mark.usefixtures("bare")
def test_what_works_but_not_as_expected_is_a_remark() -> None:
    told = here.remarks(recipe('threads = 64\nlatency_threads = 3\nprecision = "bfloat16"'))
    assert [remark.code for remark in told] == ["threads", "latency_threads", "bfloat16"]
    assert str(told[0]).startswith("threads: 64, but this machine has 2 cores")
    assert [str(remark).partition(":")[0] for remark in told] == ["threads", "latency_threads", "precision"]
    assert here.remarks(recipe('device = "cuda"\nprecision = "bfloat16"')) == (), "of a GPU only torch knows it"


@pytest.mark.usefixtures("bare")
def test_check_warns_and_accepts_since_it_may_be_meant_for_another_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "r.toml").write_text(text('device = "cuda"'))
    with pytest.raises(SystemExit) as ended:
        cli.main(["check", str(tmp_path / "r.toml"), "--json"])
    assert ended.value.code == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is True
    assert any("It cannot run on this machine. device: got cuda" in warning for warning in told["warnings"])
    assert told["measured_in"] == "Saved files are measured here in onnxruntime; OpenVINO is not installed."


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize(
    "command",
    [
        ("run",),
        ("submit",),
        ("search", "--vary", "steps.0.learning_rate=0.01:0.1"),
        ("sweep", "--vary", "steps.0.learning_rate=0.01,0.1"),
    ],
)
def test_what_would_begin_here_is_refused_and_leaves_no_workspace(
    command: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "r.toml").write_text(text('device = "cuda"'))
    name, *more = command
    with pytest.raises(SystemExit) as ended:
        cli.main([name, str(tmp_path / "r.toml"), *more, "--workspace", str(tmp_path / "w"), "--json"])
    assert ended.value.code == 2
    assert json.loads(capsys.readouterr().out)["errors"][0]["code"] == "no_device"
    assert not (tmp_path / "w").exists()


@pytest.mark.usefixtures("bare")
def test_a_cluster_answers_for_itself(tmp_path: Path) -> None:
    store, asked = Workspace.open_or_create(tmp_path / "w"), recipe('device = "cuda"')
    with pytest.raises(UserErrors):
        here.refuse(store, asked)
    set_cluster(store, "10.0.0.1:6379")
    here.refuse(store, asked)
    with pytest.raises(UserErrors):
        here.refuse_here(asked)


@pytest.mark.usefixtures("bare")
def test_a_run_from_elsewhere_is_not_resumed_in_vain(tmp_path: Path) -> None:
    store = Workspace.open_or_create(tmp_path / "w")
    run = store.create_run(text('device = "cuda"'))
    with pytest.raises(UserErrors, match="cuda"):
        here.refuse_run(store, run)
    here.refuse_run(store, store.create_run("broken ="))  # says so itself
