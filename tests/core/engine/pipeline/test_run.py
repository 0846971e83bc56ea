"""A whole run, disturbed: what is measured does not depend on whether the worker was killed on the way."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from core.engine.pipeline.run import run_recipe
from core.errors import UserErrors
from core.processes.workers import read_identity, run_in_foreground
from core.recipe import parse_recipe
from core.runs import Run
from core.state import Status
from core.workspace import Workspace
from tests.core.engine.pipeline.forked import Engine

RECIPE = """
name = "disturbed"
dataset = "digits"
backbone = "resnet8"
image_size = 8
labels = 400
precision = "float32"

[[steps]]
stage = "transfer"
method = "fine_tune"
epochs = 3
learning_rate = 0.01
backbone_rate = 1.0

[[steps]]
stage = "distill"
method = "kd"
student = "resnet8"
width = 4
epochs = 4
batch = 32
twin = false

[[steps]]
stage = "prune"
method = "l2"
ratio = 0.25
epochs = 1

[[steps]]
stage = "quantize"
method = "weight_only"
bits = 5

[[steps]]
stage = "export"
method = "onnx"
"""


def hashes(run: Run) -> dict[str, str]:
    """The content of every artifact but timings, as the run itself said it."""
    return {a.path: a.sha256 for a in run.state().artifacts if not a.path.endswith("/timings.npz")}


@pytest.fixture(scope="module")
def undisturbed(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Run:
    workspace = Workspace.open_or_create(tmp_path_factory.mktemp("calm"))
    return engine.finish(workspace.create_run(RECIPE))


def test_every_step_leaves_its_point_and_files(undisturbed: Run) -> None:
    summary = undisturbed.summary()
    assert [point.method for point in summary.points] == ["fine_tune", "kd", "l2", "weight_only"]
    files = set(hashes(undisturbed))
    assert {"artifacts/step-4/model.onnx", "artifacts/step-4/predict.py", "artifacts/step-4/labels.json"} <= files
    packed = summary.points[3]
    size = (undisturbed.folder / "artifacts" / "step-3" / "model.packed.safetensors").stat().st_size
    assert packed.packed_bytes == size
    assert packed.bytes is not None
    assert size < packed.bytes


def test_receipts_say_what_changed(undisturbed: Run) -> None:
    first, student, pruned, weights = (point.receipt for point in undisturbed.summary().points)
    assert first["layers"] == {"touched": 10, "total": 10}
    assert "bytes_before" not in first
    for receipt in (student, pruned, weights):
        assert receipt["bytes_before"]["times_smaller"] > 1  # type: ignore[index, call-overload, operator]
    assert weights["int8_layers"] == 0
    assert "5 bits" in str(weights["notes"])
    for receipt in (first, student, pruned):
        assert float(str(receipt["parity_with_torch"])) < 1e-3


@pytest.mark.slow  # a process of its own, as a person starts it; forked ones are killed in test_kills.py
def test_killed_and_resumed_it_ends_bit_identical(undisturbed: Run, tmp_path: Path) -> None:
    workspace = Workspace.open_or_create(tmp_path)
    run = workspace.create_run(RECIPE)
    process = run_in_foreground(run)
    until = time.monotonic() + 120
    while not any(e.get("what") == "training" and e["step"] == 1 and e["epoch"] >= 2 for e in events(run)):
        assert time.monotonic() < until, run.log_tail()
        assert process.poll() is None, run.state().details
        time.sleep(0.02)
    who = read_identity(run.worker)
    assert who is not None
    os.kill(who.pid, signal.SIGKILL)
    process.wait(timeout=10)
    before = events(run)
    run.requeue()
    assert run_in_foreground(run).wait(timeout=200) == 0
    assert run.state().status is Status.FINISHED, run.state().details
    assert events(run)[: len(before)] == before, "nothing that was recorded is lost"
    assert hashes(run) == hashes(undisturbed)
    started = [e["step"] for e in events(run) if e["event"] == "StepStarted"]
    assert started.count(0) == 1, "a finished step is not done again"
    for mine, theirs in zip(run.summary().points, undisturbed.summary().points, strict=True):
        assert (mine.accuracy, mine.validation_accuracy) == (theirs.accuracy, theirs.validation_accuracy)


def events(run: Run) -> list[dict[str, Any]]:
    """Every whole event, as data."""
    if not run.events.exists():
        return []
    return [json.loads(line) for line in run.events.read_text().splitlines(keepends=True) if line.endswith("\n")]


@pytest.mark.slow
def test_several_seeds_give_a_spread(engine: Engine, tmp_path: Path) -> None:
    workspace = Workspace.open_or_create(tmp_path)
    only_first = RECIPE.split('[[steps]]\nstage = "distill"')[0].replace("epochs = 3", "epochs = 1")
    run = engine.finish(workspace.create_run(only_first.replace("labels = 400", "labels = 400\nseeds = 3")))
    (point,) = run.summary().points
    assert point.seeds == 3
    assert point.accuracy_sd is not None
    assert point.accuracy_sd > 0


@pytest.mark.slow
def test_a_first_step_has_its_control_too(tmp_path: Path) -> None:
    text = """
    dataset = "digits"
    backbone = "resnet8"
    image_size = 8
    shots = 20
    precision = "float32"
    [[steps]]
    stage = "transfer"
    method = "pseudo_labels"
    epochs = 2
    rounds = 1
    learning_rate = 0.01
    mixup = {mixup}
    """
    with pytest.raises(UserErrors, match=r"steps\.0\.mixup"):
        parse_recipe(text.format(mixup=0.2))
    workspace = Workspace.open_or_create(tmp_path)
    run = workspace.create_run(text.format(mixup=0))
    run_recipe(run, os.getpid())
    summary = run.summary()
    assert [point.method for point in summary.points] == ["pseudo_labels"]
    (control,) = summary.controls
    assert control.name == "labels alone"
    assert control.bytes == summary.points[0].bytes
    told = [e["message"] for e in events(run) if e["event"] == "Warned" and e["code"] == "pseudo_labels"]
    assert len(told) == 1
    assert "unlabelled images joined" in told[0]


@pytest.mark.thorough
def test_a_failing_step_says_so_and_keeps_the_points_before_it(engine: Engine, tmp_path: Path) -> None:
    """What a network trained meanwhile cannot give, nobody foresees: which channels a global cut leaves."""
    workspace = Workspace.open_or_create(tmp_path)
    again = '[[steps]]\nstage = "prune"\nmethod = "l2"\nratio = 0.95\n'
    head, tail = RECIPE.split("ratio = 0.25\nepochs = 1\n")
    text = f'{head}ratio = 0.25\nepochs = 0\nscope = "global"\n\n{again}{tail}'
    run = workspace.create_run(text.replace("epochs = 3", "epochs = 1").replace("epochs = 4", "epochs = 1"))
    assert engine.live(run)[0] == 0
    summary = run.summary()
    assert summary.status is Status.FAILED
    assert summary.error is not None
    assert summary.error["code"] == "ratio_leaves_no_channel"
    assert "ratio" in summary.error["field"]
    assert [point.method for point in summary.points] == ["fine_tune", "kd", "l2"]
