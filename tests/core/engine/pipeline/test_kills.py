"""Killed at any disk operation and at any moment of any stage, a run ends with the bytes of the undisturbed one."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.engine.measure.size import file_hash
from core.events import ArtifactSaved, RunStarted, StepStarted
from core.points import Point
from core.processes.identity import identity
from core.processes.run_monitor import DISK_FULL_EXIT
from core.runs import Run
from core.state import Status
from core.workspace import Workspace
from tests.core.engine.pipeline.forked import Engine

RECIPE = """
name = "killed"
dataset = "digits"
backbone = "resnet8"
image_size = 8
labels = 200
precision = "float32"

[[steps]]
stage = "transfer"
method = "fine_tune"
epochs = 2
learning_rate = 0.01
backbone_rate = 1.0

[[steps]]
stage = "distill"
method = "kd"
student = "resnet8"
width = 4
epochs = 3
batch = 32
twin = false

[[steps]]
stage = "prune"
method = "l2"
ratio = 0.25
epochs = 1

[[steps]]
stage = "quantize"
method = "static"
calibration_images = 64

[[steps]]
stage = "export"
method = "onnx"
"""
TIMED = ("latency_ms", "receipt")  # a receipt tells seconds and latencies; the files it speaks of are compared whole


@dataclass
class Calm:
    """The undisturbed run, and how many disk operations it did."""

    run: Run
    operations: int


@pytest.fixture(scope="module")
def calm(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Calm:
    run = new_run(tmp_path_factory.mktemp("calm"))
    code, operations = engine.live(run)
    assert (code, run.state().status) == (0, Status.FINISHED), run.log_tail()
    assert operations > 100
    return Calm(run, operations)


def new_run(folder: Path) -> Run:
    return Workspace.open_or_create(folder).create_run(RECIPE)


def contents(run: Run) -> dict[str, str]:
    """What the run said of every artifact, which must be what lies there; without timings, which differ."""
    told = {event.path: event.sha256 for event in run.read()[0] if isinstance(event, ArtifactSaved)}
    assert told == {path: file_hash(run.folder / path) for path in told}
    return {path: digest for path, digest in told.items() if not path.endswith("/timings.npz")}


def measured(run: Run) -> list[dict[str, Any]]:
    """Every point without what a clock had a part in."""

    def timeless(point: Point) -> dict[str, Any]:
        return {key: value for key, value in point.to_json().items() if key not in TIMED}

    return [timeless(point) for point in (*run.summary().points, *run.summary().controls)]


def same(run: Run, calm: Calm) -> bool:
    return contents(run) == contents(calm.run) and measured(run) == measured(calm.run)


def finish(engine: Engine, run: Run) -> None:
    if run.state().status is not Status.FINISHED:
        run.requeue()
        code, _ = engine.live(run)
        assert (code, run.state().status) == (0, Status.FINISHED), run.state().details or run.log_tail()


def killed(engine: Engine, run: Run, at: int, kind: str) -> bool:
    """One life that ends at its `at`-th disk operation; False if it was over before."""
    if over(run):
        return False
    before = run.read()[0]
    run.requeue()
    code, _ = engine.live(run, f"{kind}:{at}")
    assert code in (0, -signal.SIGKILL), (kind, at)
    assert run.read()[0][: len(before)] == before, "nothing that was recorded is lost"
    return code != 0


def refused(engine: Engine, run: Run, at: int, kind: str, *, lasting: bool = False) -> str:
    """One life in which the disk refuses its `at`-th operation: what the run says of it."""
    run.requeue()
    code, _ = engine.live(run, f"{kind}:{at}{'+' if lasting else ''}")
    state = run.state()
    if state.status is Status.PAUSED:
        assert (kind, code) == ("enospc", 0)
        assert "full" in state.cause
        assert "are free" in state.cause
        assert str(run.folder.parent.parent) in state.cause, "which file"
    elif state.status is Status.FAILED:
        assert (kind, code) == ("eio", 0)
        assert state.error is not None
        assert state.error["code"] == "disk_fault"
    elif state.status is not Status.FINISHED:  # not even that could be written: whoever watches says it
        assert code == (DISK_FULL_EXIT if kind == "enospc" else 1)
    return state.status.value


def killed_in(engine: Engine, run: Run, step: int, delay: float) -> bool:
    """SIGKILL some time after a stage has begun; False if the run was faster."""
    if over(run):
        return False
    run.requeue()
    pid = engine.begin(run)
    mine = identity(pid)
    while identity(pid) == mine is not None and not begun(run, step):
        time.sleep(0.005)
    time.sleep(delay)  # the moment is the point
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    code, _ = engine.end()
    assert code in (0, -signal.SIGKILL)
    return code != 0


def begun(run: Run, step: int) -> bool:
    return any(isinstance(e, StepStarted) and e.step == step for e in run.read()[0])


@pytest.mark.thorough
def test_a_killed_run_and_a_full_disk_end_bit_identical(engine: Engine, calm: Calm, tmp_path: Path) -> None:
    part = calm.operations // 3
    run = new_run(tmp_path)
    assert killed(engine, run, part, "torn")
    assert refused(engine, run, part, "enospc") == Status.PAUSED
    finish(engine, run)
    assert same(run, calm)
    assert sum(isinstance(event, RunStarted) for event in run.read()[0]) == 3


@pytest.mark.slow
def test_a_run_disturbed_in_every_way_ends_bit_identical(engine: Engine, calm: Calm, tmp_path: Path) -> None:
    part = calm.operations // 5
    run = new_run(tmp_path)
    asked_to_end(engine, run, 1)
    assert killed(engine, run, part, "torn")
    assert refused(engine, run, part, "enospc") == Status.PAUSED
    assert killed(engine, run, part, "kill")
    assert refused(engine, run, part, "eio") in (Status.FAILED, Status.QUEUED, Status.RUNNING)
    finish(engine, run)
    assert same(run, calm)
    assert sum(isinstance(event, RunStarted) for event in run.read()[0]) == 6


def asked_to_end(engine: Engine, run: Run, step: int) -> None:
    """One life that is sent SIGTERM once a stage has begun: it ends by itself, at a checkpoint."""
    pid = engine.begin(run)
    while not begun(run, step):
        time.sleep(0.005)
    os.kill(pid, signal.SIGTERM)
    code, _ = engine.end()
    assert code == -signal.SIGTERM
    assert not run.state().status.is_over, "whoever watches it says why it ended"


@pytest.mark.faults
@pytest.mark.timeout(3600)
def test_a_hundred_kills(engine: Engine, calm: Calm, tmp_path: Path) -> None:
    """At disk operations spread over the whole run, and at random moments of its five stages; several in one run."""
    started, chance, part = time.monotonic(), random.Random(1), calm.operations // 5
    kills, runs = 0, 0
    while kills < 75:
        run = new_run(tmp_path / f"at{runs}")
        first, kind = 1 + runs * 7 % part, ("torn", "kill")[runs % 2]
        kills += sum([killed(engine, run, at, kind) for at in (first, part, part + runs % 3, part)])
        finish(engine, run)
        assert same(run, calm), (first, kind)
        runs += 1
    while kills < 100:
        run = new_run(tmp_path / f"in{runs}")
        kills += sum([killed_in(engine, run, step, chance.random() * 0.8) for step in range(5)])
        finish(engine, run)
        assert same(run, calm), runs
        runs += 1
    seconds = time.monotonic() - started
    print(f"{kills} of {kills} kills bit-identical in {runs} runs of {calm.operations} operations ({seconds:.0f} s)")


@pytest.mark.faults
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ["enospc", "eio"])
def test_the_disk_refuses_at_operations_over_the_whole_run(
    engine: Engine, calm: Calm, tmp_path: Path, kind: str
) -> None:
    started, part, ends = time.monotonic(), calm.operations // 5, []
    for number in range(6):
        run = new_run(tmp_path / str(number))
        places = (1 + number * part // 6, part, part + number % 3, part)
        ends += [refused(engine, run, at, kind, lasting=number % 3 == 2) for at in places if not over(run)]
        finish(engine, run)
        assert same(run, calm), number
    counts, seconds = {end: ends.count(end) for end in sorted(set(ends))}, time.monotonic() - started
    print(f"{kind}: {len(ends)} faults in 6 runs, bit-identical; they ended {counts} ({seconds:.0f} s)")


def over(run: Run) -> bool:
    return run.state().status is Status.FINISHED
