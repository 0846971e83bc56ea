"""The same recipe and seed give the same bytes, however busy the machine is and whatever was cached before.

Compared are all files of a run that hold what was computed: every artifact (ONNX, predictions, samples of answers,
cards, tensors), and the networks and logits kept to resume from. Not compared: timings.npz and events.jsonl, which hold
milliseconds and the time of day; checkpoints, which are written when a clock says so; and what names the process.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch

from core.engine.context import Context
from core.engine.measure.record import TIMINGS
from core.engine.pipeline.run import run_recipe
from core.engine.pipeline.step_cache import StepCache
from core.engine.training.precision import bfloat16_of, choose_precision, kind_of
from core.processes.workers import run_in_foreground
from core.recipe import load_recipe, parse_recipe
from core.runs import Run
from core.state import Status
from core.workspace import Workspace
from tests.core.engine.conftest import MakeContext
from tests.core.engine.pipeline.forked import Engine

ROOT = Path(__file__).parents[4]
DEMO = ROOT / "assets" / "recipes" / "demo.toml"
SPIN = "import os\nos.nice(5)\nwhile True: pass"  # as nice as a worker
SHORT = """
name = "again"
dataset = "digits"
backbone = "resnet8"
image_size = 8
threads = 2

[[steps]]
stage = "transfer"
method = "fine_tune"
epochs = 1
learning_rate = 0.01
backbone_rate = 1.0

[[steps]]
stage = "distill"
method = "kd"
student = "resnet8"
epochs = 2

[[steps]]
stage = "prune"
method = "taylor"
ratio = 0.5
epochs = 1
scope = "global"
twin = true

[[steps]]
stage = "quantize"
method = "static"
calibration_images = 32
"""


def finished_run(text: str, folder: Path) -> Run:
    """The finished run of a recipe in a workspace of its own, in a process of its own, with cold caches."""
    run = Workspace.open_or_create(folder).create_run(text)
    assert run_in_foreground(run).wait() == 0, run.log_tail()
    assert run.state().status is Status.FINISHED, run.state().details
    return run


def contents(run: Run) -> dict[str, str]:
    """The hash of every file that holds what was computed."""
    made = [path for path in run.checkpoints.rglob("*") if path.parent.name == "made"]
    files = [path for path in (*run.artifacts.rglob("*"), *made) if path.is_file() and path.name != TIMINGS]
    return {path.relative_to(run.folder).as_posix(): sha256(path.read_bytes()).hexdigest() for path in files}


@contextmanager
def busy() -> Iterator[None]:
    """Another process that wants a core for as long as one is inside."""
    other = subprocess.Popen([sys.executable, "-c", SPIN])
    try:
        yield
    finally:
        other.kill()
        other.wait()


@pytest.mark.thorough
def test_the_same_recipe_gives_the_same_bytes_beside_a_busy_process(engine: Engine, tmp_path: Path) -> None:
    recipe = SHORT.replace("threads = 2", "threads = 1")
    compared(recipe, tmp_path, lambda text, folder: engine.finish(Workspace.open_or_create(folder).create_run(text)))


@pytest.mark.slow
@pytest.mark.timeout(900)  # two threads wait long for a busy core
def test_the_same_bytes_on_two_threads_in_processes_of_their_own(tmp_path: Path) -> None:
    compared(SHORT, tmp_path, finished_run)


def compared(recipe: str, folder: Path, finished: Callable[[str, Path], Run]) -> None:
    first = finished(recipe, folder / "one")
    with busy():
        second = finished(recipe, folder / "another place")
    assert len(contents(first)) > 20
    assert contents(first) == contents(second)
    for run in (first, second):
        student, pruned = run.state().points[1:3]
        twin = next(point for point in run.state().controls if point.step == 1)
        assert twin.receipt["decided"] == student.receipt["decided"]
        assert _decided(pruned)["precision"] == "float32", "eight channels are narrow"
        assert run.state().environment["bfloat16"] == bfloat16_of(torch.device("cpu"))


@pytest.mark.faults
@pytest.mark.alone
@pytest.mark.timeout(3600)
def test_the_demo_gives_the_same_bytes_five_times(tmp_path: Path) -> None:
    text = load_recipe(DEMO).to_toml()
    found = [contents(finished_run(text, tmp_path / str(number))) for number in range(3)]
    with busy():
        found += [contents(finished_run(text, tmp_path / str(number))) for number in range(3, 5)]
    assert len(found[0]) > 20
    assert all(one == found[0] for one in found)


# the choice


@dataclass(frozen=True)
class Case:
    backbone: str
    width: int
    units: str
    chosen: torch.dtype


CASES = (
    Case("resnet8", 16, "AMX", torch.bfloat16),
    Case("resnet8", 16, "none", torch.float32),
    Case("resnet8", 8, "AMX", torch.float32),
    Case("mlp", 64, "AMX", torch.float32),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_auto_goes_by_the_network_and_the_units(make_context: MakeContext, make_model: Any, case: Case) -> None:
    net = make_model(backbone=case.backbone, width=case.width).net
    assert choose_precision(net, make_context(precision="auto", bfloat16=case.units)) is case.chosen
    for name, named in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        assert choose_precision(net, make_context(precision=name, bfloat16=case.units)) is named


@pytest.mark.slow
def test_a_resumed_run_decides_as_it_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It began on a processor with units for bfloat16, and goes on where there are none."""
    alone = SHORT.replace("threads = 2", "threads = 1")
    run = Workspace.open_or_create(tmp_path).create_run(alone.partition('[[steps]]\nstage = "prune"')[0])
    monkeypatch.setattr("core.engine.pipeline.run.bfloat16_of", lambda device: "AMX")

    def interrupted(self: Any, number: int, *others: Any) -> Any:
        if number:
            raise KeyboardInterrupt
        return step(self, number, *others)

    from core.engine.pipeline.run import StepChain

    step = StepChain._step
    with monkeypatch.context() as patched:
        patched.setattr(StepChain, "_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_recipe(run, 1)
    monkeypatch.setattr("core.engine.pipeline.run.bfloat16_of", lambda device: "none")
    run_recipe(run, 1)
    assert run.state().environment["bfloat16"] == "AMX"
    precisions = [_decided(point)["precision"] for point in (*run.state().points, *run.state().controls)]
    assert precisions == ["bfloat16"] * 3


def test_the_cache_tells_hardware_apart(make_context: MakeContext, tmp_path: Path) -> None:
    context: Context = make_context()
    recipe = parse_recipe(SHORT)
    amx, none, same = (
        StepCache(
            tmp_path, recipe, context.data, context.device, "", f"{kind_of(context.device)}, bfloat16: {units}"
        ).key(0, 0)
        for units in ("AMX", "none", "AMX")
    )
    assert amx == same != none


def _decided(point: Any) -> dict[str, str]:
    decided: dict[str, str] = point.receipt["decided"]
    return decided
