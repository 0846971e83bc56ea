"""Controls made in a second process: the same bytes as one after the other, and nothing is lost if either dies."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from core.engine.measure.environment import environment
from core.engine.measure.latency import time_files
from core.engine.pipeline import beside
from core.engine.pipeline.beside import Beside, Control
from core.engine.pipeline.run import begun_chain, run_recipe
from core.events import Progress, RunStarted, StepFinished
from core.hardware.alone import Turns
from core.runs import Run
from core.state import Status
from core.workspace import Workspace
from tests.core.engine.pipeline.forked import Engine
from tests.core.engine.pipeline.test_repeatable import contents

RECIPE = """
name = "beside"
dataset = "digits"
backbone = "resnet8"
image_size = 8
threads = 2
precision = "float32"

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
width = 8
epochs = {epochs}

[[steps]]
stage = "prune"
method = "l2"
ratio = 0.5
epochs = 1
twin = true
scratch = 1

[[steps]]
stage = "quantize"
method = "static"
calibration_images = 32
"""
CONTROLS = {"without_teacher", "random_pruning", "from_scratch"}


def new_run(folder: Path, epochs: int = 4) -> Run:
    return Workspace.open_or_create(folder).create_run(RECIPE.format(epochs=epochs))


def finished(run: Run) -> Run:
    """The run, done in this process and those it starts; here latency is timed briefly, what it is does not matter."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(time_files, "__defaults__", (0.01, *(time_files.__defaults__ or ())[1:]))
        run_recipe(run, os.getpid())
    assert run.state().status is Status.FINISHED
    return run


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run with its controls one after the other in one process, as where memory is short."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(beside, "ROOM", float("inf"))
        run = finished(new_run(tmp_path_factory.mktemp("apart")))
    assert not (run.folder / "beside.txt").exists()
    return run


def controls(run: Run) -> dict[str, dict[str, Any]]:
    """What was measured of the controls, without what a clock had a part in."""
    found = {point.control or "": point.to_json() for point in run.state().controls}
    return {code: {k: v for k, v in data.items() if k not in ("latency_ms", "receipt")} for code, data in found.items()}


def warnings(run: Run) -> set[tuple[int | None, str, str]]:
    return {(warned.step, warned.code, warned.message) for warned in run.state().warnings}


def same(one: Run, other: Run) -> bool:
    return contents(one) == contents(other) and controls(one) == controls(other)


@pytest.mark.thorough
def test_controls_made_beside_the_steps_are_the_same_bytes(apart: Run, tmp_path: Path) -> None:
    run = finished(new_run(tmp_path))
    assert set(controls(apart)) == CONTROLS
    assert len(contents(apart)) > 30
    assert same(run, apart)
    events = run.read()[0]
    assert [event.seq for event in events] == list(range(len(events))), "one writer numbers them"
    assert not run.state().lost
    assert warnings(run) == warnings(apart)
    first = next(e.seq for e in events if isinstance(e, Progress) and e.control)
    last_step = max(e.seq for e in events if isinstance(e, StepFinished))
    assert first < last_step, "it began while steps went on"
    mine = psutil.Process().children(recursive=True)
    assert not [child for child in mine if "beside_child" in " ".join(child.cmdline())], "nobody is left behind"


class Noted(Beside):
    """A second process that is never started: notes the number of steps that were over when it was asked for."""

    def start(self) -> None:
        over = sum(isinstance(event, StepFinished) for event in self.run.read()[0])
        self.asked = [*getattr(self, "asked", ()), over]


@pytest.mark.thorough
@pytest.mark.parametrize(("twin", "asked"), [("true", [0, 1]), ("false", [])])
def test_it_is_started_a_step_before_its_first_control(tmp_path: Path, twin: str, asked: list[int]) -> None:
    """So that its imports do not delay a control that may begin with its step; without a control it is not started."""
    recipe = RECIPE[: RECIPE.index('[[steps]]\nstage = "prune"')].format(epochs=1) + f"twin = {twin}\n"
    run = Workspace.open_or_create(tmp_path).create_run(recipe)
    run.emit(RunStarted(os.getpid(), environment(torch.device("cpu"), 2, "none")))
    other = Noted(run)
    with pytest.MonkeyPatch.context() as patched, closing(Turns.of(tmp_path)) as turns:
        patched.setattr(time_files, "__defaults__", (0.01, *(time_files.__defaults__ or ())[1:]))
        begun_chain(run, turns).run_steps(other)
    assert getattr(other, "asked", []) == asked


@pytest.mark.slow
def test_a_killed_second_process_costs_nothing_but_time(apart: Run, tmp_path: Path) -> None:
    run = new_run(tmp_path)
    with ThreadPoolExecutor(1) as pool:
        killed = pool.submit(kill_beside, run, psutil.Process(os.getpid()))
        finished(run)
        assert killed.result()
    assert same(run, apart)
    ((_, code, message),) = warnings(run) - warnings(apart)
    assert code == "beside_ended"
    assert "signal 9" in message


def kill_beside(run: Run, first: psutil.Process) -> bool:
    """SIGKILL to the second process once it trains a control."""
    until = time.monotonic() + 150
    while not any(isinstance(e, Progress) and e.control for e in run.read()[0]):
        assert time.monotonic() < until
        time.sleep(0.01)
    found = [child for child in first.children() if "beside_child" in " ".join(child.cmdline())]
    for child in found:
        child.kill()
    return bool(found)


def have_ended(processes: list[psutil.Process]) -> bool:
    """Whether all of them end within some seconds; nobody may be there to collect the exit code of an orphan."""
    _, left = psutil.wait_procs(processes, timeout=5)
    return all(each.status() == psutil.STATUS_ZOMBIE for each in left)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_run_killed_again_and_again_ends_bit_identical(engine: Engine, apart: Run, tmp_path: Path) -> None:
    """SIGKILL to the first process: before a control begins, within it, and near its end."""
    run, chance = new_run(tmp_path), random.Random(3)
    for number in range(4):
        pid = engine.begin(run)
        first = psutil.Process(pid)
        seen = len(run.read()[0])
        until = time.monotonic() + 150
        while not any(isinstance(e, Progress) and e.control for e in run.read()[0][seen:]):
            assert time.monotonic() < until
            if not first.is_running() or first.status() == psutil.STATUS_ZOMBIE:
                break
            time.sleep(0.01)
        time.sleep(chance.random() * number)
        second = first.children() if first.is_running() else []
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        code, _ = engine.end()
        assert have_ended(second), "the second process ends with the first"
        if code == 0:
            break
        run.requeue()
    engine.finish(run)
    assert same(run, apart)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["cancel", "pause", "terminate"])
def test_who_is_asked_to_stop_stops_both_and_goes_on_later(
    engine: Engine, apart: Run, tmp_path: Path, how: str
) -> None:
    run = new_run(tmp_path)
    pid = engine.begin(run)
    until = time.monotonic() + 150
    while not any(isinstance(e, Progress) and e.control for e in run.read()[0]):
        assert time.monotonic() < until
        time.sleep(0.01)
    second = psutil.Process(pid).children()
    asked = time.monotonic()
    if how == "terminate":
        os.kill(pid, signal.SIGTERM)
    else:
        (run.cancel if how == "cancel" else run.pause)()
    code, _ = engine.end()
    assert code == (-signal.SIGTERM if how == "terminate" else 0)
    assert time.monotonic() - asked < 10
    assert have_ended(second)
    assert run.state().status is {"cancel": Status.CANCELLED, "pause": Status.PAUSED}.get(how, Status.RUNNING)
    run.requeue()
    engine.finish(run)
    assert same(run, apart)


# the first process's side, with a second one that is played

PLAYED = """
import json, os, sys
run, how = sys.argv[2], sys.argv[1]
def tell(**message): print(json.dumps(message), flush=True)
tell(ready=True)
for line in sys.stdin:
    asked = json.loads(line)
    if how == "dies":
        os.kill(os.getpid(), 9)
    if how == "babbles":
        print("no JSON", flush=True)
    if how == "waits" and not asked.get("early") and json.loads(sys.stdin.readline()).get("stop"):
        break
    tell(done=True)
"""


@pytest.fixture
def played(tmp_path: Path) -> Iterator[Callable[[str], Beside]]:
    run = Workspace.open_or_create(tmp_path).create_run(RECIPE.format(epochs=1))
    begun: list[Beside] = []

    def play(how: str) -> Beside:
        made = Beside(run, (sys.executable, "-c", PLAYED, how))
        made.start()
        begun.append(made)
        return made

    yield play
    for each in begun:
        each.close()


def nothing() -> None:
    return None


def all_given(second: Beside) -> list[Control]:
    """What is left to the first process."""
    mine = []
    while second.wait(nothing):
        while (control := second.take()) is not None:
            mine.append(control)
    return mine


A, B, C = (Control(0, step, "x") for step in range(3))


def until_begun(second: Beside) -> None:
    until = time.monotonic() + 10
    while second._now is None:
        assert time.monotonic() < until
        time.sleep(0.005)


def test_who_is_free_takes_the_next(played: Callable[[str], Beside]) -> None:
    second = played("waits")
    second.offer([A, B])
    second.offer([C], shared=False)
    until_begun(second)
    assert (second.take(), second.take(), second.take()) == (B, C, None)


def test_a_control_begun_early_is_not_begun_again_by_the_first(played: Callable[[str], Beside]) -> None:
    second = played("obeys")
    second.offer([replace(A, early=True), replace(B, early=True)])
    second.offer([A, B])
    assert all_given(second) in ([], [A], [B], [A, B])
    assert second.take() is None
    waiting = Beside(second.run, ())
    waiting.offer([replace(A, early=True)])
    assert waiting.take() is None, "its step is not done"
    waiting.offer([A])
    assert (waiting.take(), waiting.take()) == (A, None), "it replaces the early one"


@pytest.mark.parametrize("how", ["dies", "babbles"])
def test_what_the_second_does_not_finish_the_first_does(played: Callable[[str], Beside], how: str) -> None:
    second = played(how)
    second.offer([A, B])
    until = time.monotonic() + 10
    while not second._over or not second.run.state().warnings:
        assert time.monotonic() < until
        time.sleep(0.005)
    assert all_given(second) == [A, B]
    (told,) = second.run.state().warnings
    assert ("signal 9" if how == "dies" else "not understood") in told.message


def test_a_person_who_asks_to_stop_is_heard_while_one_waits(played: Callable[[str], Beside]) -> None:
    def refuse() -> None:
        raise InterruptedError

    second = played("waits")
    second.offer([A])
    until_begun(second)
    with pytest.raises(InterruptedError):
        second.wait(refuse)


def test_a_disk_that_refuses_an_event_stops_the_run(
    played: Callable[[str], Beside], monkeypatch: pytest.MonkeyPatch
) -> None:
    second = played("waits")
    monkeypatch.setattr(second, "_hear", lambda told: full())
    until = time.monotonic() + 10
    while second._error is None:
        assert time.monotonic() < until
        time.sleep(0.01)
    with pytest.raises(OSError, match="full"):
        second.take()


def full() -> None:
    raise OSError(28, "full")
