"""The command line as a person or a script meets it."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from core import cli
from core.assets import ASSETS, shipped
from core.catalog import load_catalog
from core.processes import dashboard as dashboard_process
from core.processes.workers import Identity
from core.workspace import Workspace
from tests.commands import put_in_place

RECIPE = """
name = "small"
dataset = "digits"
backbone = "resnet8"
image_size = 8
labels = 300

[[steps]]
stage = "transfer"
method = "fine_tune"
epochs = {epochs}
learning_rate = 0.01
backbone_rate = 1.0
"""
SMALL = RECIPE.format(epochs=2)
KEEP = """
dataset = "{dataset}"
backbone = "own/mine"

[[steps]]
stage = "transfer"
method = "keep"
"""
FASHION_NAMES = list(load_catalog().datasets["fashion-mini"]["class_names"])


def run(*words: str, code: int = 0) -> str:
    """Runs a command in this process and gives what it printed on stdout."""
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == code
    return ""


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CONDENSER_WORKSPACE", str(tmp_path / "w"))
    return tmp_path / "w"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(SMALL)
    return path


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_check_accepts(workspace: Path, recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("check", str(recipe), "--json")
    told = printed(capsys)
    assert told.pop("measured_in").startswith("Saved files are measured here in onnxruntime")
    assert told == {"ok": True, "errors": [], "warnings": []}
    assert not workspace.exists(), "checking makes no workspace"


@pytest.mark.parametrize(
    ("setting", "field", "word"),
    [
        ("dataset=fashion_mini", "dataset", "fashion-mini"),
        ("backbone=resnet81", "backbone", "resnet8"),
        ("steps.0.method=linear_prob", "steps.0.method", "linear_probe"),
        ("steps.0.learning_rat=1", "steps.0.learning_rat", "learning_rate"),
        ("steps.0.epochs=0", "steps.0.epochs", "1"),
        ("steps.0.learning_rate=nan", "steps.0.learning_rate", "finite"),
        ("threads=many", "threads", "whole number"),
        ("labels=5", "labels", "10"),
    ],
)
@pytest.mark.parametrize("command", ["check", "run", "submit"])
def test_a_wrong_recipe_changes_nothing(
    workspace: Path, recipe: Path, capsys: pytest.CaptureFixture[str], command: str, setting: str, field: str, word: str
) -> None:
    run(command, str(recipe), "--set", setting, "--json", code=2)
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert found["ok"] is False
    (error,) = found["errors"]
    assert error["field"] == field
    assert word in error["allowed"] + error["fix"]
    assert field in captured.err
    assert "Traceback" not in captured.err
    assert not workspace.exists()


@pytest.mark.parametrize(
    "words",
    [
        ("show", "../../etc"),
        ("show", "0" * 13 + "-ffffff"),
        ("cancel", "x"),
        ("delete", ""),
        ("export", "nothing", "--out", "there"),
        ("profile", "resnet19"),
        ("profile", "resnet18", "--classes", "0"),
        ("rank", "--dataset", "digit", "--backbones", "resnet8"),
        ("import", "/nowhere/at/all", "--name", "x"),
        ("run", "/nowhere.toml"),
        ("run", "/"),
        ("frobnicate",),
        ("check",),
        ("list", "everything"),
    ],
)
def test_refusals_are_told_without_a_traceback(
    workspace: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    run(*words, "--json", code=2)
    captured = capsys.readouterr()
    errors = json.loads(captured.out)["errors"]
    assert errors
    assert set(errors[0]) == {"code", "field", "given", "allowed", "fix"}
    assert all(errors[0].values())
    assert "Traceback" not in captured.err


NOBODY = "0" * 13 + "-ffffff"


@pytest.mark.parametrize(
    ("words", "field", "allowed"),
    [
        *(
            ((verb, NOBODY), "run", "a run in this workspace")
            for verb in ("show", "cancel", "resume", "delete", "sensitivity")
        ),
        (("export", NOBODY, "--out", "b"), "run", "a run in this workspace"),
        (("profile", "resnet18", "--classes", "1000000000000"), "classes", "from 1 to 100000"),
        (("profile", "resnet18", "--classes", "-1"), "classes", "from 1 to 100000"),
        (("profile", "resnet18", "--image-size", "0"), "image_size", "from 1 to 1024"),
        (("profile", "resnet18", "--image-size", "100000"), "image_size", "from 1 to 1024"),
        (("profile", "vit_b_32", "--image-size", "100"), "image_size", "a multiple of 32"),
        (("profile", "vit_b_32", "--image-size", "16"), "image_size", "from 32"),
        (("rank", "--dataset", "digits", "--backbones", "resnet8", "--limit", "-1"), "limit", "from 0"),
        (("rank", "--dataset", "digits", "--backbones", "resnet8", "--limit", str(10**12)), "limit", "from 0"),
        (("rank", "--dataset", "digits", "--backbones", "resnet8", "--image-size", "-1"), "image_size", "from 0"),
        (("rank", "--dataset", "digits", "--backbones", " , "), "backbones", "one name"),
        (("dashboard", "--port", "0"), "port", "1 to 65535"),
        (("dashboard", "--port", "99999999999"), "port", "1 to 65535"),
        (("import", "/nowhere/at/all", "--name", "x"), "path", "may read"),
        (("import", "/dev/null", "--name", "x"), "path", "may read"),
        (("import", "half \udcff", "--name", "x"), "path", ""),
        (("import-model", "/nowhere.pth", "--name", "x", "--backbone", "resnet18"), "path", "may read"),
        (("import-model", "Makefile", "--name", "x", "--backbone", "resnet19"), "backbone", "one of"),
        (("import-model", "Makefile", "--name", "x", "--backbone", "resnet18", "--mean", "half"), "mean", "commas"),
        (("import-model", "Makefile", "--name", "x", "--backbone", "resnet18", "--labels", "none"), "labels", "line"),
        (("remove-model", "mine"), "model", "imported"),
        (("profile", "resnet18", "--classes", "nan"), "command", "--help"),
        (("profile", "resnet18", "--classes", "1e400"), "command", "--help"),
        (("export", NOBODY, "--out", ""), "--out", "a folder"),
    ],
    ids=str,
)
def test_a_refused_command_makes_no_workspace(
    workspace: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], field: str, allowed: str
) -> None:
    run(*words, "--json", code=2)
    (error,) = printed(capsys)["errors"]
    assert error["field"] == field
    assert allowed in error["allowed"]
    assert error["fix"]
    assert not workspace.exists()


def test_what_only_looks_makes_no_workspace(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, told in ((("runs",), []), (("stop",), {"stopped": False, "dashboard": False})):
        run(*words, "--json")
        assert printed(capsys) == told
    run("list", "datasets", "--json")
    assert not workspace.exists()


@pytest.mark.parametrize("words", [("--workspace", ""), ("--workspace=",), ("--workspace", "  ")])
@pytest.mark.parametrize("command", [("runs",), ("list", "datasets"), ("dashboard",)])
def test_a_blank_workspace_is_not_the_folder_we_are_in(
    command: tuple[str, ...],
    words: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    run(*command, *words, "--json", code=2)
    assert printed(capsys)["errors"][0]["code"] == "blank_path"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "outcome"),
    [
        (("profile", "resnet18"), "Nothing was counted."),
        (("rank", "--dataset", "digits", "--backbones", "resnet8"), "nothing of it is kept"),
        (("import", ".", "--name", "x"), "Nothing was imported."),
    ],
)
def test_ctrl_c_says_what_became_of_it(
    words: tuple[str, ...],
    outcome: str,
    workspace: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    put_in_place(monkeypatch, "ask", interrupted)
    run(*words, code=130)
    assert f"Interrupted. {outcome}" in capsys.readouterr().err.replace("The ranking was stopped; ", "")


def test_a_junk_failpoint_is_refused(workspace: Path) -> None:
    environment = {**os.environ, "CONDENSER_FAILPOINT": "junk"}
    words = [sys.executable, "-m", "core.cli", "list", "backbones", "--json"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    (error,) = json.loads(done.stdout)["errors"]
    assert (error["code"], error["field"]) == ("bad_failpoint", "CONDENSER_FAILPOINT")
    assert "Traceback" not in done.stderr


def test_a_recipe_comes_on_stdin(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for text, code in ((SMALL, 0), (SMALL + "epochs = 3", 2), ("x" * 300_000, 2)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        run("check", "-", "--json", code=code)
        assert printed(capsys)["ok"] is (code == 0)


def test_submit_says_where_the_run_is(
    workspace: Path, recipe: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put_in_place(monkeypatch, "ensure_supervisor", lambda store: None)
    run("submit", str(recipe))
    first = capsys.readouterr()
    assert Workspace.named(workspace).queued() == [first.out.strip()], "the id alone, for a script"
    assert "place 1 in the queue" in first.err
    assert str(workspace) in first.err.replace("\n", "")
    url = "http://127.0.0.1:8765"
    address = dashboard_process.Address(url, 8765, Identity(1, 1.0, "x"), False, workspace / "dashboard.log")
    monkeypatch.setattr(dashboard_process, "running_dashboard", lambda store: address)
    run("submit", str(recipe), "--json")
    told = printed(capsys)
    assert told == {"run": Workspace.named(workspace).queued()[1], "place": 2, "workspace": str(workspace), "url": url}


@pytest.mark.slow
def test_a_ratio_of_nothing_is_accepted_and_removes_nothing(
    workspace: Path, recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    step = '[[steps]]\nstage = "prune"\nmethod = "l2"\nratio = 0\nepochs = 0\n'
    recipe.write_text(SMALL.replace("epochs = 2", "epochs = 1") + step)
    run("check", str(recipe), "--json")
    (warning,) = printed(capsys)["warnings"]
    assert warning.startswith("steps.1: ratio = 0 removes nothing")
    run("run", str(recipe), "--json")
    before, after = printed(capsys)["points"]
    assert (before["params"], before["macs"]) == (after["params"], after["macs"])


def test_a_workspace_that_is_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")
    run("runs", "--workspace", str(taken), "--json", code=2)
    assert printed(capsys)["errors"][0]["code"] == "workspace_is_file"
    assert taken.read_text() == "mine"


def test_lists(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for what, name in (("backbones", "efficientnet_lite0"), ("datasets", "fashion-mini"), ("methods", "kd")):
        run("list", what, "--json")
        rows = printed(capsys)
        assert name in {row.get("method", row.get("name")) for row in rows}
        run("list", what)
        assert name in capsys.readouterr().out


@pytest.mark.slow
def test_profile_of_resnet18(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """torchvision's published figures: 11,689,512 parameters, 1.814 GMACs."""
    run("profile", "resnet18", "--json")
    found = printed(capsys)
    assert set(found) == {"backbone", "params", "macs", "bytes", "image_size"}
    assert found["params"] == 11_689_512
    assert round(found["macs"] / 1e9, 3) == 1.814
    assert list((workspace / "jobs").iterdir()) == []


@pytest.mark.thorough
def test_a_run_and_what_can_be_asked_of_it(
    workspace: Path, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("run", str(recipe), "--set", "name=from the test", "--json")
    done = printed(capsys)
    assert (done["status"], done["name"], len(done["points"])) == ("finished", "from the test", 1)
    point = done["points"][0]
    assert {"step", "stage", "method", "accuracy", "bytes", "params", "macs", "latency_ms", "artifact"} <= set(point)
    run("runs", "--json")
    assert [row["run"] for row in printed(capsys)] == [done["run"]]
    run("show", done["run"], "--json")
    assert printed(capsys) == done
    run("export", done["run"], "--out", str(tmp_path / "b"), "--step", "7", "--json", code=2)
    assert printed(capsys)["errors"][0]["field"] == "step"
    assert not (tmp_path / "b").exists()
    run("delete", done["run"], "--json")
    capsys.readouterr()
    run("runs", "--json")
    assert printed(capsys) == []


@pytest.mark.slow
def test_a_persons_own_images_from_import_to_predict(
    workspace: Path, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two classes that differ in brightness: imported, listed, learned, taken away and recognised again."""
    for name, light in (("dark night", 40), ("day", 200)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(40):
            image = Image.new("RGB", (20 + number, 24), (light, light - number % 7, light + number % 5))
            image.save(tmp_path / "photos" / name / f"{number}.png")
    (tmp_path / "photos" / "day" / "broken.jpg").write_bytes(b"")
    run("import", str(tmp_path / "photos"), "--name", "day & night", "--json")
    imported = printed(capsys)
    assert (imported["dataset"], imported["classes"], imported["images"]) == ("day & night", 2, 80)
    assert [s["file"] for s in imported["skipped"]] == ["day/broken.jpg"]
    run("list", "datasets", "--json")
    assert "day & night" in {row["name"] for row in printed(capsys)}
    settings = [
        "--set",
        "dataset=day & night",
        "--set",
        "labels=0",
        "--set",
        "steps.0.epochs=4",
        "--set",
        "image_size=16",
    ]
    run("run", str(recipe), *settings, "--set", "steps.0.batch=16", "--json")
    done = printed(capsys)
    assert done["points"][0]["accuracy"] > 0.9
    run("export", done["run"], "--out", str(tmp_path / "b"), "--json")
    photo = tmp_path / "photos" / "dark night" / "3.png"
    told = subprocess.run(
        [sys.executable, "-I", str(tmp_path / "b" / "predict.py"), str(photo)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(told.stdout)["label"] == "dark night"


@pytest.mark.slow
def test_a_persons_own_network_from_import_to_removal(
    workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The small network that is bundled, as if somebody had trained it."""
    path, labels = shipped(ASSETS / "backbones" / "resnet8_fashion.safetensors"), tmp_path / "labels.txt"
    words = ("--backbone", "resnet8", "--size", "28", "--mean", "0.3", "--std", "0.4", "--labels", str(labels))
    labels.write_text("\n".join(FASHION_NAMES), encoding="utf-8")
    run("import-model", str(path), "--name", "mine", *words, "--json")
    imported = printed(capsys)
    assert (imported["model"], imported["backbone"], imported["classes"]) == ("own/mine", "resnet8", 10)
    assert imported["size"] == 28
    run("list", "backbones", "--json")
    (entry,) = (row for row in printed(capsys) if row["name"] == "own/mine")
    assert (entry["mean"], entry["class_names"]) == ([0.3], FASHION_NAMES)
    recipe = tmp_path / "keep.toml"
    recipe.write_text(KEEP.format(dataset="fashion-mini"))
    run("check", str(recipe), "--json")
    assert printed(capsys)["ok"]
    before = {p: p.read_bytes() for p in workspace.rglob("*") if p.is_file()}
    recipe.write_text(KEEP.format(dataset="digits"))
    run("check", str(recipe), "--json", code=2)
    (error,) = printed(capsys)["errors"]
    assert error["code"] == "other_classes"
    labels.write_text("cat")
    for wrong, field in (
        (("--labels", str(labels)), "labels"),
        (("--mean", "half"), "mean"),
        (("--size", "2"), "size"),
    ):
        run("import-model", str(path), "--name", "other", "--backbone", "resnet8", *wrong, "--json", code=2)
        assert printed(capsys)["errors"][0]["field"] == field
    assert {p: p.read_bytes() for p in workspace.rglob("*") if p.is_file()} == before
    run("verify", "own/mine", "--json")
    assert {row["state"] for row in printed(capsys)} == {"ok"}
    run("remove-model", "mine", "--json")
    assert printed(capsys) == {"model": "own/mine", "removed": True}
    run("remove-model", "mine", "--json", code=2)
    assert "import-model" in printed(capsys)["errors"][0]["fix"]


@pytest.mark.slow
def test_ctrl_c_cancels_and_keeps_the_curve(workspace: Path, tmp_path: Path) -> None:
    path = tmp_path / "long.toml"
    path.write_text(RECIPE.format(epochs=900))
    process = subprocess.Popen(
        [sys.executable, "-m", "core.cli", "run", str(path), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    store = Workspace.named(workspace)
    wait_for(lambda: workspace.exists() and store.run_ids())
    begun = store.run(store.run_ids()[0])
    wait_for(lambda: any(p.epoch and p.validation_accuracy for s in begun.state().steps for p in s.curve))
    process.send_signal(signal.SIGINT)
    asked = time.monotonic()
    told, said = process.communicate(timeout=30)
    assert time.monotonic() - asked < 10
    assert (json.loads(told)["run"], json.loads(told)["status"]) == (begun.id, "cancelled")
    assert f"Run {begun.id} is cancelled. Kept: " in said.decode()
    assert f"condenser resume {begun.id}" in said.decode()
    assert process.returncode == 130
    state = begun.state()
    assert state.status.value == "cancelled"
    assert any(p.validation_accuracy for s in state.steps for p in s.curve)
    assert list(begun.checkpoints.rglob("epoch-*.safetensors")), "its checkpoint is kept"


def wait_for(what: Any, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.05)


def test_stop_where_nothing_runs(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("stop", "--json")
    assert printed(capsys) == {"stopped": False, "dashboard": False}


@pytest.mark.thorough
def test_help_shows_every_method_and_command() -> None:
    environment = {**os.environ, "COLUMNS": "200"}
    words = [sys.executable, "-m", "core.cli", "--help"]
    shown = subprocess.run(words, capture_output=True, text=True, env=environment)
    commands = ("dashboard", "demo", "run", "submit", "check", "list", "profile", "rank", "import")
    for command in (*commands, "runs", "show", "cancel", "resume", "delete", "export", "stop"):
        assert command in shown.stdout
    text = subprocess.run(
        [sys.executable, "-m", "core.cli", "run", "--help"], capture_output=True, text=True, env=environment
    ).stdout
    for stage, menu in load_catalog().methods.items():
        for name in menu:
            assert f"{stage}.{name}" in text
    told = " ".join(text.split())
    assert "labels (a whole number from 0 to 10000000, 0 = all; 0)" in told, "what a number means is said"
    assert "patience (a whole number from 0 to 1000, 0 = off; 0)" in told
