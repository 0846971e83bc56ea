"""How long whole runs take, alone and beside a busy process: the demo, the same again, a sweep, a queue, seeds.

`python -m tests.bench.whole_runs [--device cuda] [--n N] [--only NAME …] [--recipe FILE] [--short]`. Each in a fresh
workspace with a warm worker, from the moment it is submitted, as from a click. Medians with lowest and highest of n, in
seconds.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import psutil

from core.assets import RECIPES
from core.events import Measured, Progress
from core.hardware.machine import machine
from core.processes.workers import ensure_supervisor, stop_supervisor
from core.recipe import Recipe, Step, load_recipe
from core.runs import Run
from core.state import Status
from core.workspace import Workspace

SPIN = "while True: pass"
LIMIT = 3600.0  # seconds for one run
TEMPERATURES = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 15, 20)
Seconds = dict[str, float]


@dataclass(frozen=True)
class Bench:
    """The recipe that all scenarios are made of, and where its runs go."""

    recipe: Recipe
    workspace: Workspace

    def submitted(self, recipes: Sequence[Recipe]) -> Seconds:
        """Submits them at once and waits for all."""
        before, start = processor_time(self.workspace), time.time()
        runs = [self.workspace.submit(recipe.to_toml()) for recipe in recipes]
        for run in runs:
            wait_for(run)
        events = [event for run in runs for event in run.read()[0]]
        curve = [e.time for e in events if isinstance(e, Progress) and e.validation_accuracy is not None]
        points = [e.time for e in events if isinstance(e, Measured) and e.role == "point"]
        controls = [e.time for e in events if isinstance(e, Measured) and e.role == "control"]
        found = {"first curve": min(curve, default=start) - start, "first point": min(points) - start}
        found["last point"] = max(points) - start
        if controls:
            found["all"] = max(e.time for e in events) - start
        return found | {"processor": processor_time(self.workspace) - before}


def processor_time(workspace: Workspace) -> float:
    """Processor seconds of the supervisor's workers, those that ended included."""
    times = psutil.Process(ensure_supervisor(workspace).pid).cpu_times()
    going = [child.cpu_times() for child in psutil.Process(ensure_supervisor(workspace).pid).children()]
    return times.children_user + times.children_system + sum(each.user + each.system for each in going)


def wait_for(run: Run) -> None:
    until = time.monotonic() + LIMIT
    while not run.state().status.is_over:
        assert time.monotonic() < until, f"{run.id} takes longer than {LIMIT:.0f} s"
        time.sleep(0.05)
    state = run.state()
    assert state.status is Status.FINISHED, state.error or state.cause


def wait_for_spare(workspace: Workspace) -> None:
    """Until a worker has loaded everything."""
    until = time.monotonic() + 300
    while not any(b"ready" in log.read_bytes() for log in workspace.logs.glob("*.txt")):
        assert time.monotonic() < until, "no worker is ready"
        time.sleep(0.1)
    time.sleep(8)  # then it loads what the first export needs


# what is timed


def demo(bench: Bench) -> Seconds:
    return bench.submitted([bench.recipe])


def reused(bench: Bench) -> Seconds:
    """The second time, when every step is kept."""
    bench.submitted([bench.recipe])
    return bench.submitted([bench.recipe])


def sweep(bench: Bench) -> Seconds:
    """Twelve temperatures of one taught teacher."""
    bench.submitted([bench.recipe])
    return bench.submitted([_warmed(bench.recipe, temperature) for temperature in TEMPERATURES])


def queue(bench: Bench) -> Seconds:
    """Two runs that share nothing but the dataset."""
    return bench.submitted([bench.recipe, replace(bench.recipe, seed=bench.recipe.seed + 100)])


def seeds(bench: Bench) -> Seconds:
    return bench.submitted([replace(bench.recipe, seeds=5)])


SCENARIOS: dict[str, Callable[[Bench], Seconds]] = {
    "demo": demo,
    "demo reused": reused,
    "12 temperatures": sweep,
    "2 runs": queue,
    "5 seeds": seeds,
}


def _warmed(recipe: Recipe, temperature: float) -> Recipe:
    steps = (_at(step, temperature) if step.stage == "distill" else step for step in recipe.steps)
    return replace(recipe, steps=tuple(steps))


def _at(step: Step, temperature: float) -> Step:
    return replace(step, options={**step.options, "temperature": float(temperature)})


def _short(step: Step) -> Step:
    few = {"epochs": 1} if step.stage in ("distill", "prune") else {}
    return replace(step, options={**step.options, **few})


# once, and many times


@contextmanager
def neighbour(busy: bool) -> Iterator[None]:
    """Another process that wants a whole core, if `busy`."""
    if not busy:
        yield
        return
    other = subprocess.Popen([sys.executable, "-c", SPIN])
    try:
        yield
    finally:
        other.kill()
        other.wait()


def once(recipe: Recipe, scenario: Callable[[Bench], Seconds], *, busy: bool) -> Seconds:
    with TemporaryDirectory() as folder:
        workspace = Workspace.open_or_create(Path(folder))
        ensure_supervisor(workspace)
        try:
            wait_for_spare(workspace)
            with neighbour(busy):
                return scenario(Bench(recipe, workspace))
        finally:
            stop_supervisor(workspace)


def line(name: str, alone: list[Seconds], beside: list[Seconds]) -> Iterator[str]:
    """A row for each figure: alone, beside, and how many times longer."""
    for what in alone[0]:
        one, other = ([found[what] for found in group] for group in (alone, beside))
        times = median(other) / median(one) if median(one) else float("nan")
        yield f"{name:<16} {what:<12} {_spread(one)} {_spread(other)}  {times:5.2f}×  {len(one)}"


def _spread(found: list[float]) -> str:
    return f"{median(found):8.1f} ({min(found):.1f}–{max(found):.1f})".ljust(26)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m tests.bench.whole_runs", description=__doc__)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda", "mps"))
    parser.add_argument("--n", type=int, default=5, help="times that each is done, in turns alone and beside")
    parser.add_argument("--only", nargs="*", default=list(SCENARIOS), choices=list(SCENARIOS))
    parser.add_argument("--recipe", type=Path, default=RECIPES / "demo.toml")
    parser.add_argument("--short", action="store_true", help="one epoch instead of many: to see that it works")
    asked = parser.parse_args(arguments)
    recipe = replace(load_recipe(asked.recipe), device=asked.device)
    if asked.short:
        recipe = replace(recipe, steps=tuple(map(_short, recipe.steps)))
    here, load = machine(), psutil.getloadavg()[0]
    print(f"{datetime.now(UTC):%Y-%m-%d}, {here.processor}, {here.cores} cores, {here.accelerator or 'no accelerator'}")
    print(f"device {asked.device}, load before {load:.1f}")
    print("seconds: median (lowest–highest), alone | beside one busy process")
    for name in asked.only:
        alone: list[Seconds] = []
        beside: list[Seconds] = []
        for _ in range(asked.n):
            alone.append(once(recipe, SCENARIOS[name], busy=False))
            beside.append(once(recipe, SCENARIOS[name], busy=True))
        print("\n".join(line(name, alone, beside)), flush=True)


if __name__ == "__main__":
    main()
