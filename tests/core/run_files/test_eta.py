"""The time left of a run: the estimate adds up, finished steps correct it, and it falls as the run goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core.events import Event, Measured, Progress, RunStarted, StepFinished, StepStarted
from core.points import Point
from core.recipe import load_recipe
from core.run_files import eta
from core.run_files.eta import POINT, Plan
from core.state import RunState, fold

DEMO = load_recipe(Path(__file__).resolve().parents[3] / "assets" / "recipes" / "demo.toml")
MACS = {0: 31_000_000, 1: 12_500_000, 2: 2_400_000, 3: 2_400_000}
STAGES = ("transfer", "distill", "prune", "quantize")


def at(time: float, *events: Event, before: RunState | None = None) -> RunState:
    return fold([replace(event, time=time) for event in events], before or RunState())  # type: ignore[misc]


def done(step: int, seconds: float, *, seed: int = 0) -> tuple[Event, ...]:
    point = Point(step=step, stage=STAGES[step], method="x", name=f"{step}")
    role = "point" if seed == 0 else "replica"
    return Measured(role, seed, point), StepFinished(step, seconds)  # type: ignore[arg-type]


def trains(step: int, epoch: int, left: float | None, *, seed: int = 0, control: str = "") -> Progress:
    return Progress(step, seed, "training", epoch, 15, 0, 40, eta_seconds=left, control=control)


def test_a_plan_adds_up_to_the_estimate() -> None:
    found = eta.plan(DEMO, 100.0, 20.0, MACS)
    assert found.one_seed == pytest.approx(100.0)
    assert found.controls == 20.0
    assert found.steps[3] == POINT, "quantizing trains nothing"
    assert found.steps[1] - POINT == pytest.approx((found.steps[2] - POINT) * 15 * 12.5 / (6 * 2.4))
    twice = eta.plan(replace(DEMO, seeds=2), 100.0, 20.0, MACS)
    assert twice.one_seed == pytest.approx(50.0)


def test_a_short_estimate_is_shared_evenly() -> None:
    assert eta.plan(DEMO, 4.0, 0.0, {}).steps == dict.fromkeys(range(4), 1.0)


def test_nothing_has_begun() -> None:
    assert eta.remaining(Plan({0: 10.0, 1: 20.0}, 5.0), RunState(), 0, 0.0) == 35.0


def test_finished_steps_correct_what_is_left() -> None:
    plan = Plan({0: 10.0, 1: 20.0, 2: 5.0}, 5.0)
    state = at(0.0, RunStarted(1, {}), StepStarted(0, "transfer", "x", "x", 1))
    state = at(30.0, *done(0, 30.0), StepStarted(1, "distill", "x", "x", 15), trains(1, 0, None), before=state)
    assert eta.pace(plan, state) == 3.0
    assert eta.remaining(plan, state, 0, 30.0) == pytest.approx(60 + 15 + 15)
    assert eta.remaining(plan, state, 0, 50.0) == pytest.approx(40 + 15 + 15), "it falls while nothing is said"
    assert eta.remaining(plan, state, 0, 500.0) == pytest.approx(1 + 15 + 15), "and never below what is to come"


def test_a_step_that_trains_knows_best_once_an_epoch_is_over() -> None:
    plan = Plan({0: 10.0, 1: 20.0})
    state = at(0.0, RunStarted(1, {}), StepStarted(0, "transfer", "x", "x", 15), trains(0, 0, 9999.0))
    assert eta.remaining(plan, state, 0, 0.0) == 30.0, "the first epoch's guess is a wild one"
    state = at(4.0, trains(0, 1, 50.0), before=state)
    assert eta.remaining(plan, state, 0, 6.0) == pytest.approx(48 + POINT + 20)


def test_what_comes_from_the_cache_says_nothing_of_the_pace() -> None:
    state = at(0.0, RunStarted(1, {}), StepStarted(0, "transfer", "x", "x", 1, reused="key"), *done(0, 0.1))
    assert eta.pace(Plan({0: 10.0}), state) == 1.0


def test_controls_and_further_seeds_are_counted() -> None:
    plan = Plan({0: 10.0}, 6.0, seeds=2)
    state = at(0.0, RunStarted(1, {}), StepStarted(0, "transfer", "x", "x", 1), trains(0, 0, None))
    assert eta.remaining(plan, state, 0, 0.0) == 32.0
    state = at(10.0, *done(0, 10.0), trains(0, 1, None, control="twin"), before=state)
    assert eta.remaining(plan, state, 0, 12.0) == pytest.approx(4.0 + 16.0)
    state = at(16.0, StepStarted(0, "transfer", "x", "x", 1), trains(0, 0, None, seed=1), before=state)
    assert eta.remaining(plan, state, 0, 16.0) == pytest.approx(16.0)


@pytest.mark.parametrize(("took", "pace"), [(1.0, 0.2), (1000.0, 5.0)])
def test_one_odd_step_does_not_run_away_with_it(took: float, pace: float) -> None:
    state = at(0.0, RunStarted(1, {}), StepStarted(0, "transfer", "x", "x", 1), *done(0, took))
    assert eta.pace(Plan({0: 10.0}), state) == pace


def test_controls_beside_the_steps_take_no_time_of_their_own() -> None:
    plan = Plan({0: 10.0, 1: 20.0}, 25.0)
    state = at(0.0, RunStarted(1, {}), StepStarted(0, "transfer", "x", "x", 1), *done(0, 10.0))
    state = at(10.0, StepStarted(1, "distill", "x", "x", 15), trains(1, 0, None), before=state)
    assert eta.remaining(plan, state, 0, 10.0) == 45.0, "not known to go on at the same time before it does"
    state = at(12.0, trains(1, 0, None, control="twin"), before=state)
    assert eta.remaining(plan, state, 0, 12.0) == pytest.approx(25.0), "the control takes longer than the step"
    state = at(20.0, trains(1, 5, 40.0), trains(1, 5, 7.0, control="twin"), before=state)
    assert eta.remaining(plan, state, 0, 20.0) == pytest.approx(40.0 + POINT), "the step takes longer than the control"


def test_a_step_that_goes_on_tells_of_itself_not_of_a_control_beside_it() -> None:
    state = at(0.0, RunStarted(1, {}), StepStarted(0, "distill", "x", "x", 15), trains(0, 0, 5.0))
    state = at(1.0, trains(0, 3, 9.0, control="twin"), before=state)
    assert state.last_progress == replace(trains(0, 0, 5.0), time=0.0)
    assert [progress.control for progress in state.steps[0].curve] == ["", "twin"], "both have their curves"
    state = at(2.0, *done(0, 2.0), trains(0, 4, 8.0, control="twin"), before=state)
    assert state.last_progress is not None
    assert state.last_progress.control == "twin", "it alone goes on"
